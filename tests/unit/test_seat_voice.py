"""The voice that a seat's page hears, with a synthesiser that gives sound at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import msgspec
import pytest

from dispatch.seat_voice import AHEAD_S, WAITING, SeatVoice, Wanted, spoken_text
from dispatch.speech.engine import SPEAKING_RATE_HZ, EngineState, Language, Speaking
from dispatch.text_desk import Sentence
from streams.web import PageSocket
from tests.waiting import until

BLOCK = bytes(2 * SPEAKING_RATE_HZ // 10)


class Page:
    """A page that keeps what it is sent."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.frames: list[bytes] = []

    def send_state(self, text: str) -> None:
        self.told.append(msgspec.json.decode(text))

    def send_frame(self, frame: bytes) -> None:
        self.frames.append(frame)

    def kinds(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.told if one["type"] == kind]


class Sound:
    """A text that is spoken: so many blocks of 100 ms, at once."""

    complete = True
    first_sound_s = 0.0

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self.blocks):
            yield BLOCK


class Voices:
    """A synthesiser."""

    def __init__(self, blocks: int = 3) -> None:
        self.state = EngineState("ready")
        self.said: list[tuple[str, Language]] = []
        self.blocks = blocks

    async def changed(self) -> EngineState:
        return self.state

    def speak(self, text: str, language: Language) -> Speaking:
        self.said.append((text, language))
        return cast(Speaking, Sound(self.blocks))


def a_voice(voices: Voices) -> tuple[SeatVoice, Page]:
    page = Page()
    return SeatVoice(cast(PageSocket, page), voices), page


def sentence(text: str, **fields: Any) -> Wanted:
    return Wanted(text, "sentence", Sentence(text, "turn", 1, **fields))


async def test_sentences_are_spoken_in_their_order_each_with_its_number() -> None:
    voices = Voices()
    voice, page = a_voice(voices)
    voice.follow("case", "zh")
    voice.add(sentence("一。"))
    voice.add(sentence("二。"))
    task = asyncio.create_task(voice.run())
    await until(lambda: len(page.kinds("spoken")) == 2, "both spoken")
    assert voices.said == [("一。", "zh"), ("二。", "zh")]
    numbers = [int.from_bytes(frame[:4], "big") for frame in page.frames]
    assert numbers == [1, 1, 1, 2, 2, 2]
    began = voice.started(1)
    assert began is not None
    assert (began.case, began.sentence and began.sentence.text) == ("case", "一。")
    assert voice.started(1) is None
    voice.end()
    await task


async def test_sound_goes_no_further_ahead_than_a_stop_allows() -> None:
    voices = Voices(blocks=1000)
    voice, page = a_voice(voices)
    voice.add(Wanted("long", "again", language="en"))
    task = asyncio.create_task(voice.run())
    most = round(AHEAD_S * 10) + 1
    await until(lambda: len(page.frames) >= most, "as much as it may have")
    assert len(page.frames) <= most + 5
    voice.end()
    await task
    assert not page.kinds("spoken")[0]["complete"] or len(page.frames) < 1000


async def test_what_falls_behind_is_left_out_the_oldest_first_and_said() -> None:
    voice, page = a_voice(Voices())
    for number in range(WAITING + 2):
        voice.add(Wanted("text", "sentence", Sentence("text", f"turn-{number}", 1)))
    assert [one["turn"] for one in page.kinds("unspoken")] == ["turn-0", "turn-1"]
    voice.follow("another", "en")
    voices_left = asyncio.create_task(voice.run())
    voice.end()
    await voices_left
    assert not page.frames, "of another case nothing is spoken"


@pytest.mark.parametrize(("language", "before"), [("en", "Correction: "), ("zh", "更正：")])
def test_sentence_that_was_changed_says_so(language: Language, before: str) -> None:
    assert spoken_text(sentence("x", corrects=True), language) == f"{before}x"
    assert spoken_text(sentence("x"), language) == "x"


async def test_without_an_engine_the_page_is_told_why() -> None:
    voices = Voices()
    voices.state = EngineState("off", "not_installed", "install it")
    voice, page = a_voice(voices)
    voice.add(sentence("Help."))
    task = asyncio.create_task(voice.run())
    await until(lambda: page.told, "an answer")
    assert page.told == [{"type": "unspoken", "turn": "turn", "why": "not_installed"}]
    voice.end()
    await task
