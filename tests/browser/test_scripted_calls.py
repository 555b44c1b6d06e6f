"""Calls from ring to close as scripts, in writing; ``FORERUN_CALLS`` says how often each is played.

Each asserts the whole of what is left: what was said in its order, who the caller is, every fact of
the case, what the pages showed. Those in which somebody speaks are in ``test_spoken_calls``.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.call_pages import counts
from tests.call_sources import Outside
from tests.scripted_call import AS_SAID_AND_CLOSED, Player, ScriptedCall


@pytest.fixture
def player(chromium_path: str, tmp_path: Path) -> Player:
    return Player(chromium_path, tmp_path)


CHILD = """\
said:
  caller: 昏迷 · Unconscious
  caller: 在家里 · At home
  caller: 一人 · One
  caller: mummy fell down
  dispatcher by canned: Is the person awake? Does the person answer when touched?
  caller: no
  caller: she is on the side now
done:
  case opened
  call rang
  call answered by seat-1
  caller's page opened
  guide started -> entry:awake
  guide answered no -> entry:breathing
  guide answered yes -> unconscious_breathing:hurt
  guide answered no -> unconscious_breathing:roll
  guide done -> unconscious_breathing:tilt
  guide done -> unconscious_breathing:watch
  guide stopped -> her breathing is steady
  call hung_up by seat-1
  case closed: treated
"""


async def test_child_whose_mother_does_not_wake_up_is_led_to_put_her_on_the_side(
    player: Player,
) -> None:
    async def script(call: ScriptedCall) -> None:
        seat, child = call.seat, call.caller
        await call.begins()
        await child.taps("Unconscious")
        await child.taps("At home")
        await child.taps("One")
        await seat.reads("一人 · One")
        await child.types("mamy fel douwn")
        await seat.reads("mamy fel douwn")
        await child.erases(len("mamy fel douwn"))
        await child.types("mummy fell down\n")
        await seat.reads("mummy fell down")
        await seat.sees_an_end()
        await child.reads(await seat.replies("5"))  # is she awake?
        await child.types("no\n")
        await seat.reads("no")
        await seat.starts_the_guide()
        await child.is_told("Is the person awake?")
        for key in ("2", "1", "1", "Enter", "Enter"):  # not awake, breathes, did not fall, done …
            await child.is_told(await seat.guides(key))
        await child.types("she is on the side now\n")
        await seat.reads("she is on the side now")
        await seat.ends_the_guide("her breathing is steady")
        await seat.hangs_up()
        await call.closes("treated", child)

    assert await player.outcome(script) == CHILD + AS_SAID_AND_CLOSED


SILENT = """\
said:
  caller: he is in the next room, he hit my son
  dispatcher: Do not speak. Is your son awake?
  caller: yes he bleeds. 8 Long Street, 2nd floor
needs:
  cannot_speak
done:
  case opened
  call rang
  call answered by seat-1
  call silent by seat-1
  message asked
  message sent
  caller's page opened
  profile: cannot_speak (caller)
  case: 8 Long Street, 2nd floor, child hit, bleeds; attacker there, red
  unit-1 sent
  caller's page closed
  call hung_up by seat-1
  case closed: handed_over
console:
  as said"""


async def test_silent_caller_gets_a_link_and_writes_what_may_not_be_heard(player: Player) -> None:
    async def script(call: ScriptedCall) -> None:
        seat, caller = call.seat, call.caller
        await call.rings()
        await seat.answers()
        await seat.leaves_the_form()
        await seat.marks_the_call_silent()
        await seat.sends_the_link()
        _, message = await asyncio.wait_for(call.messages.get(), 20)
        assert message["to"] == "+8613800000001"
        (link,) = re.findall(r"https://\S+", message["text"])
        await caller.opens(link)
        await seat.sees("the caller's page is open")
        await caller.says_of_himself("I cannot speak")
        await seat.sees_of_the_caller("cannot speak")
        await caller.types("he is in the next room, he hit my son\n")
        await seat.reads("he hit my son")
        await seat.begins("Do not speak. Is your ")
        await caller.reads_along("Do not speak. Is your")
        await seat.ends("son awake?")
        await caller.reads("Do not speak. Is your son awake?")
        await caller.types("yes he bleeds. 8 Long Street, 2nd floor\n")
        await seat.reads("8 Long Street, 2nd floor")
        await seat.notes("8 Long Street, 2nd floor", "child hit, bleeds; attacker there")
        await seat.sends_a_unit()
        await caller.leaves()
        await seat.sees("the caller left the page")
        await seat.hangs_up()
        await call.closes("handed_over")

    assert await player.outcome(script) == SILENT


HUNG_UP = """\
said:
  caller: my left arm too
  caller: it gets wor [unfinished]
done:
  case opened
  call rang
  call answered by seat-1
  case: 12 River Road, chest pain, red
  caller's page opened
  call hung_up
  caller's page lost
  call called_back by seat-1
  call unanswered by seat-1
  unit-1 sent
  call gave_up by seat-1 no answer, the crew is on its way
  case closed: handed_over
console:
  as said"""


async def test_caller_who_hangs_up_in_mid_word_is_called_back_and_help_still_goes(
    player: Player,
) -> None:
    async def script(call: ScriptedCall) -> None:
        seat, caller = call.seat, call.caller
        await call.begins("12 River Road", "chest pain")
        await caller.types("my left arm too\nit gets wor")
        await seat.reads("it gets wor")
        await Outside(call.town).step("pbx-1", "hung_up")
        await caller.page.close()
        await seat.is_in("ended")
        await seat.sees("the caller's page does not answer")
        await seat.press("b")
        await seat.is_in("calling")
        await seat.press("x")
        await seat.is_in("lost")
        await seat.sends_a_unit()
        await seat.gives_up("no answer, the crew is on its way")
        await call.closes("handed_over")

    assert await player.outcome(script) == HUNG_UP


TWO_PHONES = """\
said:
  caller: I am his neighbour
  caller: he burned both hands
  dispatcher: Hold them under cool water.
  caller: we do
done:
  case opened
  call rang
  call answered by seat-1
  case: 5 Hill Lane, burn, red
  caller's page opened
  caller's page opened
  caller's page closed
  call hung_up by seat-1
  case closed: treated
"""


async def test_link_opened_on_two_phones_is_one_conversation(player: Player) -> None:
    async def script(call: ScriptedCall) -> None:
        seat, wife, neighbour = call.seat, call.caller, await call.another_caller()
        await call.begins("5 Hill Lane", "burn")
        await wife.types("he burned both han")
        await seat.reads("he burned both han")
        await neighbour.opens(call.link)
        await neighbour.types("I am his neighbour\n")
        await seat.reads("I am his neighbour")
        await wife.types("ds\n")
        await counts(seat.page.locator(".turn.caller", has_text="he burned both hands"), 1)
        await seat.begins("Hold them under ")
        await wife.reads_along("Hold them under")
        await neighbour.reads_along("Hold them under")
        await seat.ends("cool water.")
        await wife.reads("Hold them under cool water.")
        await neighbour.reads("Hold them under cool water.")
        await wife.leaves()
        await neighbour.types("we do\n")
        await seat.reads("we do")
        await seat.sees("the caller's page is open")
        await seat.hangs_up()
        await call.closes("treated", neighbour)

    assert await player.outcome(script) == TWO_PHONES + AS_SAID_AND_CLOSED
