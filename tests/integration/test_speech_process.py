"""An engine's process that crashes, hangs, talks nonsense or cannot start: a state, no exception.

The engine is a small script that speaks the same frames as ours, in a process of its own.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dispatch.speech.engine import EngineState
from dispatch.speech.engine_process import Patience
from dispatch.speech.recognition import Recognition
from dispatch.speech.settings import SpeechSettings
from dispatch.speech.synthesis import Synthesis
from tests.conftest import WaitFor

QUICK = Patience(
    start_s=30.0, ping_s=0.05, silent_s=20.0, stuck_s=5.0, again_s=0.05, again_most_s=0.2
)

ENGINE = """
import sys, time
from dispatch.speech import wire
from dispatch.speech.engine_output import take_standard_streams

requests, output = take_standard_streams()
print("a library prints this")
output.send(wire.Ready("a test", ("en",)))
texts = 0
while (request := wire.read_request(requests)) is not None:
    match request:
        case wire.Ping(number):
            output.send(wire.Pong(number, 0.0, 0.0))
        case wire.Sound(voice, at, pcm):
            word = bytes(pcm[:4])
            end = at + len(pcm) // 2
            if word == b"dies":
                sys.exit(3)
            if word == b"hang":
                time.sleep(60)
            if word == b"junk":
                output._stream.write(b"no frame at all, but text")
                output._stream.flush()
            if word == b"slow":
                output.send(wire.Pong(0, 0.0, 99.0))
            if word == b"late":
                output.send(wire.Pong(0, 9.0, 0.0))
                time.sleep(0.3)
            if word == b"text":
                texts += 1
                output.send(wire.Text(voice, texts, False, "a draft", "en", 0.8, at, end))
            if word == b"last":
                output.send(wire.Text(voice, texts, True, "a final", "en", 0.9, at, end))
        case wire.Say(voice, parts):
            for _ in range(3):
                output.send(wire.Spoken(voice, bytes(4800)))
            if parts[0][1] != "never ending":
                output.send(wire.AllSpoken(voice, True))
"""


@pytest.fixture
def engine(tmp_path: Path) -> list[str]:
    """The command of the script."""
    script = tmp_path / "engine.py"
    script.write_text(ENGINE)
    return [sys.executable, str(script)]


def order(word: str) -> bytes:
    """Returns 20 ms of sound that tells the script what to do."""
    return word.encode() + bytes(636)


async def usable(recognition: Recognition | Synthesis) -> EngineState:
    while not recognition.state.usable:
        await recognition.changed()
    return recognition.state


async def until(recognition: Recognition, condition: str) -> None:
    while recognition.state.condition != condition:
        await recognition.changed()


async def test_voice_is_heard_and_says_how_late_a_text_is(
    engine: list[str], tmp_path: Path
) -> None:
    now = 100.0
    async with Recognition(
        SpeechSettings(), tmp_path, command=engine, patience=QUICK, clock=lambda: now
    ) as hears:
        state = await usable(hears)
        assert (state.condition, state.engine, state.languages) == ("ready", "a test", ("en",))
        voice = hears.listen("en")
        texts = aiter(voice)
        assert voice.feed(order("text"))
        draft = await anext(texts)
        assert (draft.final, draft.text, draft.utterance) == (False, "a draft", 1)
        now = 101.5
        assert voice.feed(order("last"))
        final = await anext(texts)
        assert (final.final, final.text, final.latency_s) == (True, "a final", 0.0)
        assert (final.begin_s, final.end_s) == (0.02, 0.04)
        voice.close()
        assert [heard async for heard in texts] == []
        assert not voice.feed(order("text"))


@pytest.mark.parametrize(
    ("word", "why"), [("dies", "crashed"), ("junk", "crashed"), ("hang", "hung"), ("slow", "hung")]
)
async def test_engine_that_fails_is_started_again_and_hears_the_same_voices(
    engine: list[str], tmp_path: Path, word: str, why: str
) -> None:
    patience = replace(QUICK, silent_s=2.0 if word == "hang" else QUICK.silent_s)
    async with Recognition(SpeechSettings(), tmp_path, command=engine, patience=patience) as hears:
        await usable(hears)
        first = hears.pid
        voice = hears.listen("en")
        texts = aiter(voice)
        voice.feed(order("text"))
        assert not (await anext(texts)).final
        voice.feed(order(word))
        while hears.state.usable:
            await hears.changed()
        assert hears.state.condition == "starting"
        left = await anext(texts)
        assert (left.final, left.text, left.confidence) == (True, "a draft", 0.4)
        while hears.state.reason != why:
            await hears.changed()
        assert not voice.feed(order("text"))
        await usable(hears)
        assert hears.restarts >= 1
        assert hears.pid != first
        assert voice.feed(order("text"))
        again = await anext(texts)
        assert (again.final, again.text) == (False, "a draft")
        assert voice.dropped_s == pytest.approx(0.02)


async def test_engine_that_is_late_is_overloaded_and_recovers(
    engine: list[str], tmp_path: Path
) -> None:
    async with Recognition(SpeechSettings(), tmp_path, command=engine, patience=QUICK) as hears:
        await usable(hears)
        voice = hears.listen("en")
        voice.feed(order("late"))
        await until(hears, "overloaded")
        assert hears.state.reason == "late"
        assert str(hears.state).startswith("speech is late: ")
        await until(hears, "ready")
        assert hears.restarts == 0


async def test_engine_that_was_killed_leaves_no_exception(
    engine: list[str], tmp_path: Path
) -> None:
    async with Recognition(SpeechSettings(), tmp_path, command=engine, patience=QUICK) as hears:
        await usable(hears)
        assert hears.pid is not None
        os.kill(hears.pid, signal.SIGKILL)
        await until(hears, "starting")
        await usable(hears)


async def test_engine_without_its_packages_is_off_for_good_and_says_what_to_install(
    tmp_path: Path,
) -> None:
    hidden = (
        "import sys; sys.modules['faster_whisper'] = None; "
        "from dispatch.speech.recognition_worker import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", hidden, "{}", str(tmp_path)]
    async with Recognition(SpeechSettings(), tmp_path, command=command, patience=QUICK) as hears:
        await until(hears, "off")
        assert hears.state.reason == "not_installed"
        assert str(hears.state).startswith("speech is off: install the extra `speech`")
        voice = hears.listen("en")
        assert not voice.feed(order("text"))
        assert voice.state.condition == "off"
        voice.close()
        assert [heard async for heard in voice] == []
        assert hears.restarts == 0


async def test_program_that_is_not_there_is_tried_again_without_an_exception(
    tmp_path: Path, wait_for: WaitFor
) -> None:
    command = [str(tmp_path / "no-such-program")]
    async with Recognition(SpeechSettings(), tmp_path, command=command, patience=QUICK) as hears:
        await wait_for(lambda: hears.restarts >= 2, "a second try")
        assert hears.state.condition == "starting"


async def test_speech_that_is_switched_off_starts_no_process(tmp_path: Path) -> None:
    settings = SpeechSettings(recognition=False, synthesis=False)
    async with Recognition(settings, tmp_path) as hears, Synthesis(settings) as speaks:
        assert (hears.state.condition, hears.state.reason) == ("off", "switched_off")
        assert hears.pid is None
        spoken = speaks.speak("Help.", "en")
        assert [block async for block in spoken] == []
        assert not spoken.complete


async def test_voice_too_many_is_refused_and_the_others_are_heard(
    engine: list[str], tmp_path: Path
) -> None:
    settings = SpeechSettings(most_voices=1)
    async with Recognition(settings, tmp_path, command=engine, patience=QUICK) as hears:
        await usable(hears)
        first, second = hears.listen("en"), hears.listen("en")
        assert first.state.usable
        assert second.state.reason == "too_many_voices"
        assert first.feed(order("text"))
        assert not second.feed(order("text"))
        first.close()
        assert hears.listen("en").feed(order("text"))


async def test_text_is_spoken_in_blocks_and_a_canceled_one_is_silent_at_once(
    engine: list[str],
) -> None:
    async with Synthesis(SpeechSettings(), command=engine, patience=QUICK) as speaks:
        await usable(speaks)
        spoken = speaks.speak("Help.", "en")
        assert sum([len(block) async for block in spoken]) == 3 * 4800
        assert spoken.complete
        assert spoken.first_sound_s is not None
        endless = speaks.speak("never ending", "en")
        blocks = aiter(endless)
        await anext(blocks)
        endless.cancel()
        assert [block async for block in blocks] == []
        assert not endless.complete


async def test_text_in_the_making_ends_when_its_engine_dies(engine: list[str]) -> None:
    async with Synthesis(SpeechSettings(), command=engine, patience=QUICK) as speaks:
        await usable(speaks)
        endless = speaks.speak("never ending", "en")
        blocks = aiter(endless)
        await anext(blocks)
        assert speaks.pid is not None
        os.kill(speaks.pid, signal.SIGKILL)
        rest = [block async for block in blocks]
        assert len(rest) <= 2
        assert not endless.complete
        await usable(speaks)
        assert [block async for block in speaks.speak("Help.", "en")]


async def test_service_that_ends_leaves_no_process(
    engine: list[str], tmp_path: Path, wait_for: WaitFor
) -> None:
    async with Recognition(SpeechSettings(), tmp_path, command=engine, patience=QUICK) as hears:
        await usable(hears)
        pid = hears.pid
    assert pid is not None
    await wait_for(gone(pid), "the engine's process to be gone")


def gone(pid: int) -> Callable[[], bool]:
    def ask() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    return ask
