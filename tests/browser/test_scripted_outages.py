"""Scripted calls in which something is away: the network, the hub, for a while the ambulance.

See ``tests.scripted_call``; ``FORERUN_CALLS`` says how often each is played.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from dispatch.text_settings import HelpSettings
from tests.scripted_call import AS_SAID_AND_CLOSED, Player, ScriptedCall


@pytest.fixture
def player(chromium_path: str, tmp_path: Path) -> Player:
    return Player(chromium_path, tmp_path)


NO_NETWORK = """\
said:
  dispatcher: Leave the house, now. [corrected]
  caller: the smoke comes from the kitchen
  caller: we are two on the stairs
  caller: we are out
done:
  case opened
  call rang
  call answered by seat-1
  case: 3 Mill Street, smoke in the house, red
  caller's page opened
  caller's page lost
  caller's page opened
  call hung_up by seat-1
  case closed: treated
"""


async def test_network_lost_in_mid_sentence_leaves_the_sentence_whole_and_the_answer_corrected(
    player: Player,
) -> None:
    async def script(call: ScriptedCall) -> None:
        seat, caller = call.seat, call.caller
        await call.begins("3 Mill Street", "smoke in the house")
        await caller.types("the smoke comes from the kit")
        await seat.reads("the smoke comes from the kit")
        await caller.is_offline()
        await seat.sees("the caller's page does not answer")
        await seat.writes("Stay in the house.")
        await seat.corrects("Stay in the house.", "Leave the house, now.")
        await caller.types("chen\nwe are two on the stai")
        await caller.is_online()
        await caller.reads("Leave the house, now.")
        await seat.reads("we are two on the stai")
        await caller.types("rs\n")
        await seat.reads("we are two on the stairs")
        await seat.sees_an_end()
        await caller.types("we are out\n")
        await seat.reads("we are out")
        await seat.hangs_up()
        await call.closes("treated", caller)

    assert await player.outcome(script) == NO_NETWORK + AS_SAID_AND_CLOSED


ARREST = """\
said:
  caller: my father fell. 9 Garden Road
  dispatcher: The ambulance is in your street. Go on.
needs:
  deaf
done:
  case opened
  call rang
  call answered by seat-1
  caller's page opened
  profile: deaf (caller)
  case: 9 Garden Road, collapsed, red
  unit-1 sent
  run started
  en route
  guide started -> entry:awake
  guide answered no -> entry:breathing
  guide answered no -> entry:age
  guide answered adult -> cardiac_arrest_adult:flat
  guide done -> cardiac_arrest_adult:hands
  guide done -> cardiac_arrest_adult:push
  guide answered pushing -> cardiac_arrest_adult:help
  on scene
  guide stopped -> the crew takes over
  call hung_up by seat-1
  case closed: handed_over
crew's tablet:
  deaf: use text
  Caller wrote: my father fell. 9 Garden Road
  Unit assigned
  Run started
  En route
  Caller told: Is the person awake? Do they answer when you speak to them?
  Caller answered: No. Told: Look at the chest and belly for up to 10 seconds. Is the breathing \
normal?
  Caller answered: No breathing. Told: How old is the person?
  Caller answered: Adult or teenager. Told: I will help you. Put the phone where you see it, on \
loudspeaker if you can hear, and lay them flat on their back on the floor. · arrest recognised
  Caller told: Kneel beside the chest. Put the heel of one hand on the middle of the chest, the \
other hand on top.
  Caller told: Arms straight: push down hard and fast, 5 to 6 centimetres, and let the chest come \
up each time.
  Caller answered: Pushing now. Told: Good, do not stop. Is there someone who can fetch an AED? · \
hands on chest
  Dispatch wrote: The ambulance is in your street. Go on.
  On scene
  First aid by telephone ended
"""


async def test_cardiac_arrest_is_guided_in_writing_and_the_crew_reads_it_before_it_arrives(
    player: Player,
) -> None:
    async def script(call: ScriptedCall) -> None:
        seat, caller = call.seat, call.caller
        async with call.crew() as crew:
            await call.rings()
            await seat.answers()
            await caller.opens(call.link)
            await seat.sees("the caller's page is open")
            await caller.says_of_himself("I cannot hear")
            await seat.sees_of_the_caller("deaf")
            await caller.types("my father fell. 9 Garden Road\n")
            await seat.reads("9 Garden Road")
            await seat.notes("9 Garden Road", "collapsed")
            await seat.sends_a_unit()
            await crew.is_sent("9 Garden Road")
            await crew.reads("Caller wrote: my father fell. 9 Garden Road")
            await crew.begins_the_run()
            await seat.sees_on_the_timeline("started the run")
            await crew.stamps("En route")
            await seat.sees_on_the_timeline("on the way")
            await seat.starts_the_guide()
            await caller.is_told("Is the person awake?")
            for key in ("2", "2", "1", "Enter", "Enter"):  # no, no, adult, done, done: push
                await caller.is_told(await seat.guides(key))
            await caller.is_told("110 / min")
            await caller.is_told(await seat.guides("1"))  # he pushes now
            await seat.sees_that_it_is_timed("hands on chest")
            await crew.reads("Caller answered: Pushing now")
            await crew.reads("hands on chest")
            await seat.writes("The ambulance is in your street. Go on.")
            await caller.reads("The ambulance is in your street. Go on.")
            await crew.reads("Dispatch wrote: The ambulance is in your street. Go on.")
            await crew.stamps("On scene")
            await seat.sees_on_the_timeline("on scene")
            await seat.ends_the_guide("the crew takes over")
            await crew.reads("First aid by telephone ended")
            await seat.hangs_up()
        await call.closes("handed_over", caller)

    assert await player.outcome(script) == ARREST + AS_SAID_AND_CLOSED


KILLED = """\
said:
  caller: fire at 6 Oak Avenue
  dispatcher: Are you out of the house?
  caller: no we are on the second floor
  caller: we are three
  dispatcher: Go down, do not take the lift.
  caller: we are out
needs:
  deaf
done:
  case opened
  call rang
  call answered by seat-1
  profile: deaf (caller)
  call hung_up by seat-1
  case closed: treated
"""


async def test_hub_killed_in_mid_call_comes_back_and_nothing_is_lost_or_twice(
    player: Player,
) -> None:
    async def script(call: ScriptedCall) -> None:
        seat, caller = call.seat, call.caller
        await call.comes_by_the_door()
        await seat.answers()
        await seat.leaves_the_form()
        await caller.says_of_himself("I cannot hear")
        await caller.types("fire at 6 Oak Avenue\n")
        await seat.reads("fire at 6 Oak Avenue")
        await seat.writes("Are you out of the house?")
        await caller.reads("Are you out of the house?")
        await seat.begins("Go down, ")
        await caller.reads_along("Go down,")
        await caller.types("no we are on the sec")
        await seat.reads("no we are on the sec")
        await call.hub_process.kill()
        await caller.sees_no_connection()
        await caller.types("ond floor\nwe are th")
        await seat.cannot_say()
        await call.hub_process.start()
        await seat.reads("we are th")
        await caller.types("ree\n")
        await seat.reads("we are three")
        await seat.ends("do not take the lift.")
        await caller.reads("Go down, do not take the lift.")
        await caller.types("we are out\n")
        await seat.reads("we are out")
        await seat.hangs_up()
        await call.closes("treated", caller)

    player.as_process = True
    player.settings = {"help": HelpSettings(on=True)}
    player.unsaid = frozenset({"caller's page lost", "caller's page opened"})
    assert await player.outcome(script) == KILLED + AS_SAID_AND_CLOSED
