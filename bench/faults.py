"""The numbered faults of ``forerun bench outage``: one table, each a sentence that can be tried.

A fault either is a script for the network in a box, or does something to the city's processes.
Its cause is *over* at a stated moment, from which the time to recover counts: the return of the
link; of a process that is killed, the killing itself, since whoever watches over it starts it
again at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from bench.boxed_city import BROKER, OutageCity
from bench.city import HUB
from bench.frame import BenchError
from bench.full_disk import keep_full, let_video_make_room
from bench.network_conditions import (
    AddressChange,
    Change,
    Conditions,
    CutChange,
    Link,
    LinkChange,
    Script,
)
from bench.outage_trial import Trial
from bench.private_disk import private_disk
from bench.sleeping_browser import sleeping_browser
from bench.viewers import find_browser
from bench.wrong_clock import set_error

Need = Literal["box", "mounts"]

USUAL = Link.alike(Conditions(delay_ms=25.0))
"""A vehicle's link while nothing is wrong with it: a round trip of 50 ms."""

SUPERVISOR_S = 0.5
"""After so long a killed process is started again."""

DISK_BYTES = 24 * 1024 * 1024
HOUR_S = 3600.0


@dataclass(slots=True)
class Scene:
    """Where a fault is played.

    Attributes:
        city: The city.
        trial: The vehicle that is watched.
        lasts_s: How long the fault lasts.
    """

    city: OutageCity
    trial: Trial
    lasts_s: float

    @property
    def name(self) -> str:
        """The vehicle."""
        return self.trial.unit.name


@dataclass(frozen=True, slots=True)
class Over:
    """The end of a fault's cause.

    Attributes:
        at_s: Monotonic time.
        back_s: After how long vitals, live ECG and video were shown again, where the fault has
            a board of its own; None: it is read off the trial's board.
    """

    at_s: float
    back_s: dict[str, float | None] | None = None


Make = Callable[[str, float], Script]
Act = Callable[[Scene], Awaitable[Over]]


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table.

    Attributes:
        number: Its number, which does not change.
        title: What happens.
        lasts_s: How long; 0 for what happens in a moment.
        quick_s: How long with ``--quick``.
        script: What happens to the link, from the vehicle's name and the length; its last
            change is the end of the cause.
        act: What is done else.
        was_cut: Whether nothing passed until then.
        touches_all: Whether others in the city notice, so that it is played alone.
        needs: What this machine must give.
        clock_error_s: By how much the vehicle's wall clock is wrong afterwards.
    """

    number: int
    title: str
    lasts_s: float = 0.0
    quick_s: float = 0.0
    script: Make | None = None
    act: Act | None = None
    was_cut: bool = False
    touches_all: bool = False
    needs: frozenset[Need] = frozenset()
    clock_error_s: float = 0.0


def title_of(fault: Fault, *, quick: bool) -> str:
    """Return what happens, and how long where it was shortened."""
    seconds = length_of(fault, quick=quick)
    return fault.title if seconds == fault.lasts_s else f"{fault.title}, here {seconds:g} s"


def length_of(fault: Fault, *, quick: bool) -> float:
    """Return how long a fault lasts, s."""
    return fault.quick_s if quick else fault.lasts_s


async def play(fault: Fault, scene: Scene) -> Over:
    """Let a fault happen; return when its cause was over.

    Raises:
        BenchError: It cannot be played here.
        NetworkBoxError: The box refuses its script.
    """
    if fault.script is not None:
        if scene.city.box is None:
            raise BenchError(f"fault {fault.number} needs the network in a box")
        script = fault.script(scene.name, scene.lasts_s)
        effects = await (await scene.city.box.play(script)).finished()
        return Over(effects[-1].at_s)
    assert fault.act is not None
    return await fault.act(scene)


def prepare(fault: Fault, city: OutageCity, name: str) -> tuple[str, ...]:
    """Prepare the vehicle for a fault; return what runs its agent in place of Python alone.

    Raises:
        DiskError: There can be no disk of its own here.
    """
    if fault.act in (_fill_disk, _fill_disk_under_video):
        city.stage.disks[name] = private_disk(city.stage.folder / name, DISK_BYTES)
    if fault.act is _set_clock_back:
        file = city.stage.folder / f"clock-{name}"
        set_error(file, 0.0)
        return ("bench.wrong_clock", str(file))
    return ()


# --- links ---------------------------------------------------------------------------------------


def _cut(name: str, seconds: float) -> Script:
    return [(0.0, CutChange(name)), (seconds, CutChange(name, cut=None))]


def _cut_down(name: str, seconds: float) -> Script:
    return [(0.0, CutChange(name, up=False)), (seconds, CutChange(name, cut=None))]


def _flap(name: str, seconds: float) -> Script:
    times = [4.0 * number for number in range(max(1, int(seconds / 4)))]
    pairs: list[list[tuple[float, Change]]] = [
        [(at_s, CutChange(name)), (at_s + 2.0, CutChange(name, cut=None))] for at_s in times
    ]
    return [change for pair in pairs for change in pair]


def _move(name: str, _: float) -> Script:
    return [(0.0, AddressChange(name))]


def _while(up: Conditions, down: Conditions) -> Make:
    def make(name: str, seconds: float) -> Script:
        usual = LinkChange(name, up=USUAL.up, down=USUAL.down)
        return [(0.0, LinkChange(name, up=up, down=down)), (seconds, usual)]

    return make


def _alike(conditions: Conditions) -> Make:
    return _while(conditions, conditions)


# --- processes -----------------------------------------------------------------------------------


def _kill(who: Callable[[Scene], str]) -> Act:
    async def act(scene: Scene) -> Over:
        over_s = time.monotonic()
        await scene.city.kill(who(scene))
        await asyncio.sleep(SUPERVISOR_S)
        await scene.city.start(who(scene))
        return Over(over_s)

    return act


async def _wipe_broker(scene: Scene) -> Over:
    over_s = time.monotonic()
    await scene.city.kill(BROKER)
    scene.city.wipe_broker()
    await asyncio.sleep(SUPERVISOR_S)
    await scene.city.start(BROKER)
    return Over(over_s)


async def _stop_hub(scene: Scene) -> Over:
    await scene.city.end(HUB)
    await asyncio.sleep(scene.lasts_s)
    over_s = time.monotonic()
    await scene.city.start(HUB)
    return Over(over_s)


async def _kill_agent_in_a_cut(scene: Scene) -> Over:
    box = scene.city.box
    assert box is not None
    await box.apply(CutChange(scene.name))
    await asyncio.sleep(scene.lasts_s / 2)
    await scene.city.kill(scene.name)
    await asyncio.sleep(SUPERVISOR_S)
    await scene.city.start(scene.name)
    await asyncio.sleep(scene.lasts_s / 2)
    effect = await box.apply(CutChange(scene.name, cut=None))
    return Over(effect.at_s)


async def _fill_disk(scene: Scene) -> Over:
    return Over(await keep_full(scene.city.stage.disks[scene.name], scene.lasts_s))


async def _fill_disk_under_video(scene: Scene) -> Over:
    """Video makes room first; then the disk is filled whatever makes room."""
    running, disk = scene.city.running, scene.city.stage.disks[scene.name]
    await running.client.act(running.urls[scene.name], "record", on=True)
    await let_video_make_room(disk)
    return Over(await keep_full(disk, scene.lasts_s))


async def _set_clock_back(scene: Scene) -> Over:
    over_s = time.monotonic()
    set_error(scene.city.stage.folder / f"clock-{scene.name}", -HOUR_S)
    return Over(over_s)


async def _put_board_to_sleep(scene: Scene) -> Over:
    """Stop a page in Chromium; without one, the process of the board that writes."""
    browser = find_browser()
    if browser is not None:
        async with sleeping_browser(scene.city, scene.trial, browser) as page:
            return Over(*await page.sleep(scene.lasts_s))
    process = scene.trial.board.process
    process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(scene.lasts_s)
    finally:
        over_s = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
    return Over(over_s)


def _agent(scene: Scene) -> str:
    return scene.name


def _hospital(scene: Scene) -> str:
    return scene.trial.played.hospital


_BOX: frozenset[Need] = frozenset({"box"})

FAULTS: tuple[Fault, ...] = (
    Fault(1, "cut of 1 s", 1, 1, script=_cut, was_cut=True, needs=_BOX),
    Fault(2, "cut of 10 s", 10, 4, script=_cut, was_cut=True, needs=_BOX),
    Fault(3, "cut of 30 s", 30, 8, script=_cut, was_cut=True, needs=_BOX),
    Fault(4, "cut of 120 s", 120, 12, script=_cut, was_cut=True, needs=_BOX),
    Fault(5, "change of address", script=_move, needs=_BOX),
    Fault(6, "20 % of the packets lost both ways, 30 s", 30, 8, needs=_BOX,
          script=_alike(Conditions(delay_ms=25, loss=0.2))),
    Fault(7, "round trip of 3 s, 30 s", 30, 12, needs=_BOX,
          script=_alike(Conditions(delay_ms=1500))),
    Fault(8, "a quarter of the packets overtaken by up to 100 ms, 30 s", 30, 8, needs=_BOX,
          script=_alike(Conditions(delay_ms=25, reordered=0.25, reorder_ms=100))),
    Fault(9, "64 kbit/s up, 256 kbit/s down, 30 s", 30, 12, needs=_BOX,
          script=_while(Conditions(delay_ms=25, rate_kbps=64),
                        Conditions(delay_ms=25, rate_kbps=256))),
    Fault(10, "kill -9 of the agent", act=_kill(_agent)),
    Fault(11, "kill -9 of the hub", act=_kill(lambda _: HUB), touches_all=True),
    Fault(12, "kill -9 of the gateway", act=_kill(_hospital), touches_all=True),
    Fault(13, "kill -9 of the broker", act=_kill(lambda _: BROKER), touches_all=True),
    Fault(14, "kill -9 of the broker, and its store wiped", act=_wipe_broker, touches_all=True),
    Fault(15, "disk of the vehicle full, 20 s", 20, 6, act=_fill_disk,
          needs=frozenset({"mounts"})),
    Fault(16, "vehicle's clock set back by one hour", act=_set_clock_back,
          clock_error_s=-HOUR_S),
    Fault(17, "hub down for 10 min", 600, 15, act=_stop_hub, touches_all=True),
    Fault(18, "board asleep for 60 s", 60, 8, act=_put_board_to_sleep, touches_all=True),
    Fault(19, "link up and down every 2 s, 40 s", 40, 12, script=_flap, was_cut=True, needs=_BOX),
    Fault(20, "only the way down cut, 20 s", 20, 6, script=_cut_down, needs=_BOX),
    Fault(21, "agent killed in the middle of a cut of 20 s", 20, 6, act=_kill_agent_in_a_cut,
          was_cut=True, needs=_BOX),
    Fault(22, "disk of the vehicle full while it keeps video, 20 s", 20, 6,
          act=_fill_disk_under_video, needs=frozenset({"mounts"})),
)  # fmt: skip


def chosen(text: str | None) -> tuple[Fault, ...]:
    """Return the faults that a list such as ``3,7`` names; all when there is none.

    Raises:
        BenchError: A number is none of the table's.
    """
    if not text:
        return FAULTS
    known = {str(fault.number): fault for fault in FAULTS}
    try:
        return tuple(known[part.strip()] for part in text.split(","))
    except KeyError as error:
        raise BenchError(
            f"--faults {text}: there is no fault {error.args[0]!r}; there are 1 to {len(FAULTS)}"
        ) from None
