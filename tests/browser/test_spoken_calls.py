"""Calls from ring to close as scripts in which somebody speaks: real engines, recorded voices.

``FORERUN_CALLS`` says how often each is played, see ``tests.scripted_call``.
"""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.speech_clips import errors_of
from dispatch.speech.engine import HEARING_RATE_HZ
from dispatch.speech.hanzi import Simplifier
from tests.scripted_call import AS_SAID_AND_CLOSED, Player, ScriptedCall
from tests.speech_bridge import MANDARIN, SPEECH, clips_of, need_extra

TEN_OF_CLUBS = "001.wav"
MISHEARD = 34.0
"""Per cent of a recording's words or characters that may be heard as others: whisper base is not
the same twice on sound that begins a few milliseconds later, and errs on our Mandarin clip."""
SECOND = bytes(2 * HEARING_RATE_HZ)
"""Of silence."""


@pytest.fixture
def player(chromium_path: str, tmp_path: Path) -> Player:
    need_extra()
    made = Player(chromium_path, tmp_path)
    made.settings = {"speech": SPEECH}
    return made


@pytest.fixture
def recorded(shared_data: Path, tmp_path: Path, player: Player) -> Callable[[str], None]:
    """A function that has the seat's microphone hear a recording, and then nothing."""
    clips = clips_of(shared_data)

    def hears(name: str) -> None:
        clip = clips[name]
        player.sound = tmp_path / "microphone.wav"
        with wave.open(str(player.sound), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(HEARING_RATE_HZ)
            file.writeframes(SECOND + clip.pcm + SECOND * 30)

        def as_meant(text: str) -> str:
            errors = errors_of(clip, text, Simplifier())
            return f"{clip.text} (understood)" if errors.percent <= MISHEARD else text

        player.as_meant = as_meant

    return hears


DEAF = """\
said:
  caller: how many tablets do I take
  dispatcher by speech: Take 10 of them.
  caller: ten, ok
spoken to the seat:
  how many tablets do I take
  ten, ok
needs:
  deaf
done:
  case opened
  call rang
  call answered by seat-1
  case: 14 Station Road, breathing badly, yellow
  caller's page opened
  profile: deaf (caller)
  call hung_up by seat-1
  case closed: treated
"""


async def test_deaf_caller_reads_what_the_dispatcher_says_once_its_number_is_confirmed(
    player: Player, recorded: Callable[[str], None]
) -> None:
    async def script(call: ScriptedCall) -> None:
        seat, caller = call.seat, call.caller
        await call.begins("14 Station Road", "breathing badly", "yellow")
        await caller.says_of_himself("I cannot hear")
        await seat.sees_of_the_caller("deaf")
        await seat.can_speak()
        await caller.types("how many tablets do I take\n")
        await seat.reads("how many tablets do I take")
        await call.has_heard("how many tablets do I take")
        await seat.presses_the_microphone()
        await seat.looks_at_the_number("10")
        await caller.reads_along("▢▢")
        await caller.has_read(0)
        await seat.says_instead("Take 10 of them.")
        await caller.reads("Take 10 of them.")
        await seat.releases_the_microphone()
        await caller.types("ten, ok\n")
        await seat.reads("ten, ok")
        await call.has_heard("ten, ok")
        await seat.hangs_up()
        await call.closes("treated", caller)

    recorded(TEN_OF_CLUBS)
    assert await player.outcome(script) == DEAF + AS_SAID_AND_CLOSED


FOREIGN = """\
said:
  caller: 胸痛 · Chest pain
  caller: 在家里 · At home
  caller: 一人 · One
  caller: 我爸爸胸口痛
  dispatcher by speech: 广州市房地产中介协会分析 (understood)
  caller: 好
spoken to the seat:
  胸痛 · Chest pain
  在家里 · At home
  一人 · One
  我爸爸胸口痛
  好
needs:
  foreign_language
done:
  case opened
  call rang
  call answered by seat-1
  caller's page opened
  profile: foreign_language (seat-1)
  call hung_up by seat-1
  case closed: treated
caller's page:
  as said
console:
  as said
caller's page at the end:
  事件已结束，不再显示您的位置。"""


async def test_foreign_caller_writes_chinese_and_reads_what_is_said_in_chinese(
    player: Player, recorded: Callable[[str], None]
) -> None:
    async def script(call: ScriptedCall) -> None:
        seat, caller = call.seat, call.caller
        await call.begins()
        await seat.can_speak()
        await caller.taps("胸痛")
        await caller.taps("在家里")
        await caller.taps("一人")
        await seat.reads("一人 · One")
        await call.has_heard("一人 · One")
        await seat.notes_of_the_caller("other language")
        await caller.composes("w", "wo", "wo ba ba", chosen="我爸爸")
        await seat.reads("我爸爸")
        await caller.composes("x", "xiong", "xiong kou tong", chosen="胸口痛")
        await caller.types("\n")
        await seat.reads("我爸爸胸口痛")
        await seat.sees_an_end()
        await call.has_heard("我爸爸胸口痛")
        await seat.speaks_mandarin()
        await seat.presses_the_microphone()
        await seat.says_what_was_heard()
        await caller.reads("广州")
        await seat.releases_the_microphone()
        await caller.composes("h", "hao", chosen="好")
        await caller.types("\n")
        await seat.reads("好")
        await call.has_heard("好")
        await seat.hangs_up()
        await call.closes("treated", caller)

    player.language = "zh-CN"
    recorded(MANDARIN)
    assert await player.outcome(script) == FOREIGN


WHILE_IT_SOUNDS = """\
said:
  caller: My baby swallowed a small battery a moment ago. She coughs and drools. She is blue!
  caller: Hurry please.
  dispatcher: Is she awake?
  caller: yes
spoken to the seat:
  My baby swallowed a small battery a moment ago.
  She coughs and drools.
  She is blue!
  Hurry please.
  yes
done:
  case opened
  call rang
  call answered by seat-1
  case: 2 Bridge Street, choking, red
  caller's page opened
  call hung_up by seat-1
  case closed: treated
"""


async def test_caller_who_types_on_while_the_speech_plays_is_heard_whole_and_in_order(
    player: Player,
) -> None:
    async def script(call: ScriptedCall) -> None:
        seat, caller = call.seat, call.caller
        await call.begins("2 Bridge Street", "choking")
        await seat.can_speak()
        await caller.writes_at_once("My baby swallowed a small battery a moment ago. ")
        await call.has_heard("My baby swallowed a small battery a moment ago.")
        await caller.writes_at_once("She coughs and drools. ")
        await caller.writes_at_once("She is blau")
        await caller.erases(2)
        await caller.writes_at_once("ue!\n")
        await seat.reads("My baby swallowed a small battery a moment ago. She coughs and drools. ")
        await seat.sees_an_end()
        await seat.begins("Is she ")
        await caller.reads_along("Is she")
        await caller.writes_at_once("Hurry please.\n")
        await seat.ends("awake?")
        await caller.reads("Is she awake?")
        await call.has_heard("Hurry please.")
        await caller.types("yes\n")
        await call.has_heard("yes")
        await seat.hangs_up()
        await call.closes("treated", caller)

    assert await player.outcome(script) == WHILE_IT_SOUNDS + AS_SAID_AND_CLOSED
