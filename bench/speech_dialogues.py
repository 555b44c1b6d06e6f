"""Scripted dialogues of `forerun bench speech`: does a wrong number ever go out unconfirmed?

A voice says what dispatchers say, with numbers in it; the recogniser hears it; what it makes of it
goes the way of every utterance in a call. Counted are utterances whose numbers are not those of the
script, and of these the ones that nobody would have had to confirm.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np

from dispatch.speech.engine import HEARING_RATE_HZ, SPEAKING_RATE_HZ, Heard, Language
from dispatch.speech.numerals import ENGLISH, MANDARIN, english_value, mandarin_value
from dispatch.speech.recognition import Recognition
from dispatch.speech.synthesis import Synthesis
from dispatch.spoken_turns import spoken_turn

DIALOGUES: dict[Language, tuple[str, ...]] = {
    "en": (
        "The ambulance is there in fifteen minutes.",
        "The ambulance is there in fifty minutes.",
        "Give her one tablet, not two.",
        "Chew three hundred milligrams of aspirin.",
        "Push thirty times, then give two breaths.",
        "Is it house number fourteen or forty?",
        "You are at 27 Station Road, third floor.",
        "Call us back on 4 1 6 2 2 9 0.",
        "How many years old is he, sixteen or sixty?",
        "Do not give him more than 5 units of insulin.",
        "Wait 4 minutes before the second spray.",
        "There are 13 people, are there not?",
        "Go to platform eight, exit B.",
        "Take the second street to the right, number 90.",
        "It was at half past seven, yes?",
        "Use the blue injector with 0.3 milligrams.",
    ),
    "zh": (
        "救护车十五分钟后到。",
        "救护车五十分钟后到。",
        "给她吃一片，不是两片。",
        "嚼三百毫克阿司匹林。",
        "按压三十次，然后吹两口气。",
        "是十四号还是四十号？",
        "您在人民路二十七号三楼，对吗？",
        "请打电话六二二九零一七。",
        "他十六岁还是六十岁？",
        "胰岛素不要超过五个单位。",
        "等四分钟再喷第二次。",
        "一共有十三个人吗？",
        "请到八号站台二号出口。",
        "右边第二条街九十号。",
        "是七点半的时候吗？",
        "用蓝色的针，零点三毫克。",
    ),
}
SILENCE_S = 1.2
BLOCK_S = 0.1
LONGEST_S = 20.0


@dataclass(slots=True)
class Dialogue:
    """What came of the dialogues of one language.

    Attributes:
        sentences: How many were said.
        wrong: Those of which a number was heard as another, or was not heard.
        asked: Those of which something was to be confirmed.
        missed: Wrong ones that would have gone out unconfirmed: said, and heard.
    """

    sentences: int = 0
    wrong: int = 0
    asked: int = 0
    missed: list[tuple[str, str]] = field(default_factory=list)


async def play_dialogues(hears: Recognition, speaks: Synthesis) -> dict[Language, Dialogue]:
    """Say all sentences to the recogniser, one after the other."""
    found: dict[Language, Dialogue] = {}
    for language, sentences in DIALOGUES.items():
        found[language] = Dialogue()
        for sentence in sentences:
            heard = await _hear(hears, await _spoken(speaks, sentence, language), language)
            _judge(sentence, heard, language, found[language])
    return found


def _judge(sentence: str, heard: list[Heard], language: Language, into: Dialogue) -> None:
    into.sentences += 1
    turns = [spoken_turn("", one, 0, has_page=True) for one in heard if one.text]
    text = " ".join(turn.text for turn in turns)
    asked = any(turn.wait for turn in turns)
    wrong = numbers(text, language) != numbers(sentence, language)
    into.asked += asked
    into.wrong += wrong
    if wrong and text and not asked:
        into.missed.append((sentence, text))


def numbers(text: str, language: Language) -> list[str]:
    """Return the numbers of a text in digits, in their order."""
    if language == "zh":
        text = re.sub(MANDARIN, lambda found: f" {mandarin_value(found.group())} ", text)
    else:
        text = re.sub(
            ENGLISH, lambda found: f" {english_value(found.group())} ", text, flags=re.IGNORECASE
        )
    text = re.sub(r"(?<=\d)[\s-]+(?=\d)", "", text)
    return re.findall(r"\d+(?:\.\d+)?", text)


async def _spoken(speaks: Synthesis, sentence: str, language: Language) -> bytes:
    blocks = [block async for block in speaks.speak(sentence, language)]
    sound = np.frombuffer(b"".join(blocks), np.int16).astype(np.float64)
    count = len(sound) * HEARING_RATE_HZ // SPEAKING_RATE_HZ
    places = np.arange(count) * SPEAKING_RATE_HZ / HEARING_RATE_HZ
    return np.interp(places, np.arange(len(sound)), sound).astype(np.int16).tobytes()


async def _hear(hears: Recognition, pcm: bytes, language: Language) -> list[Heard]:
    voice = hears.listen(language)
    finals: list[Heard] = []

    async def note() -> None:
        async for heard in voice:
            if heard.final:
                finals.append(heard)  # noqa: PERF401 - read while it grows

    async with asyncio.TaskGroup() as group:
        group.create_task(note(), name="bench.dialogue")
        async for block in _in_real_time(pcm + bytes(round(2 * SILENCE_S * HEARING_RATE_HZ))):
            voice.feed(block)
        async with asyncio.timeout(LONGEST_S):
            while not finals:  # noqa: ASYNC110 - the list says when it is there
                await asyncio.sleep(BLOCK_S)
        voice.close()
    return finals


async def _in_real_time(pcm: bytes) -> AsyncIterator[bytes]:
    size = 2 * round(BLOCK_S * HEARING_RATE_HZ)
    for place in range(0, len(pcm), size):
        await asyncio.sleep(BLOCK_S)
        yield pcm[place : place + size]
