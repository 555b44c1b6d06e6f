"""Narrow uplinks with the video on: how old everything is at the board, and when all is full again.

Per bit rate a vehicle of ours and one with plain aiomqtt and aiortc, each on an uplink of its
own, play the same film. Both links become narrow at one moment and wide again at another.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from bench.board_log import Seen, read_log
from bench.boxed_city import OutageCity
from bench.city import HUB
from bench.client import RefusedError
from bench.faults import USUAL
from bench.ledger import read_facts
from bench.network_conditions import Link, LinkChange
from bench.outage_ledger import board_delays
from bench.outage_trial import Account, Trial, begin_trial, end_trial, take_stock
from bench.outage_trial import wall_minus_monotonic_s as clocks_apart_s
from bench.peer_vehicle import Peers, start_receiver
from streams.codec import open_body
from streams.messages import QualityStep
from streams.topics import TOPICS

RATES_KBPS = (800, 500, 400, 250, 64)
QUICK_RATES_KBPS = (400, 64)

FULL_S = 10.0
"""Before the link narrows everything runs at full quality for so long."""

NARROW_S, QUICK_NARROW_S = 45.0, 20.0
WIDE_S = 25.0
"""So long the return to full quality is watched."""

NOTE_EVERY_S = 2.0
"""The crew writes a note so often: a fact like any other."""

CAMERA = {"width": 640, "height": 480, "fps": 25.0, "sound": False, "most_bps": 1_500_000}
"""As a vehicle's camera is set unless told otherwise, but for the sound: nobody speaks."""

STEPS_S = 10.0
"""The ladder's promise: at most one step up and one down in so long."""

_STOCK = "stock"
_CALM = ("urgent", "facts")


@dataclass(slots=True, kw_only=True)
class Narrow(Account):
    """What was found at one bit rate.

    Attributes:
        rate_kbps: Of the uplink.
        peer_ms: How old everything of the plain peers was, ms: ``vitals`` and ``ecg``. Their
            picture has no time code: only how many came is known.
        narrow_s: How long the link was narrow.
        steps: The ladder's moves as (s since the link became narrow, rung, change).
        full_s: After how long the first rung held again, s; None: not while it was watched.
    """

    rate_kbps: int
    narrow_s: float = 0.0
    peer_ms: dict[str, list[float]] = field(default_factory=dict)
    steps: list[tuple[float, int, str]] = field(default_factory=list)
    full_s: float | None = None

    @property
    def facts_ms(self) -> list[float]:
        """Ages of the facts that are neither vital signs nor record."""
        return [age for kind, ages in self.delays_ms.items() if _is_calm(kind) for age in ages]

    def pictures_per_s(self, ages_ms: dict[str, list[float]]) -> float:
        """Return how many pictures a second came of what was taken on the narrow link."""
        return len(ages_ms.get("video", [])) / self.narrow_s if self.narrow_s else 0.0

    @property
    def most_steps(self) -> int:
        """Most moves in one direction within ``STEPS_S``."""
        return most_within(self.steps, STEPS_S)


def _is_calm(kind: str) -> bool:
    return kind in TOPICS and TOPICS[kind].lane in _CALM


def most_within(steps: Sequence[tuple[float, int, str]], seconds: float) -> int:
    """Return how many moves in one direction there were at most within so many seconds."""
    times: dict[str, list[float]] = defaultdict(list)
    for at_s, _, change in steps:
        times[change].append(at_s)
    return max(
        (sum(begin <= at_s < begin + seconds for at_s in one)
         for direction, one in times.items() if direction != "start" for begin in one),
        default=0,
    )  # fmt: skip


def delays_between(seen: Iterable[Seen], begin_s: float, end_s: float) -> dict[str, list[float]]:
    """Return the ages at arrival of all that was *made* between two moments, ms.

    Args:
        seen: What the board wrote.
        begin_s: Monotonic time.
        end_s: The same; what came later but was made before counts.
    """
    apart_s = clocks_apart_s()
    during = [
        one for one in seen if (begin_s + apart_s) * 1000 <= one.true_ms < (end_s + apart_s) * 1000
    ]
    return board_delays(during, apart_s)


async def measure_narrow(
    city: OutageCity, rates_kbps: Sequence[int], *, quick: bool, said: Callable[[str], None]
) -> list[Narrow]:
    """Drive one bit rate after the other, so that nothing but the link is short.

    Args:
        city: The city in the box, with a vehicle for each.
        rates_kbps: The bit rates.
        quick: Shorter.
        said: Takes a sentence for each.
    """
    assert city.box is not None
    peers = await start_receiver(city)
    await city.box.add_vehicle(_STOCK, (USUAL,))
    found = [
        Narrow(vehicle=unit.name, rate_kbps=rate)
        for unit, rate in zip(city.stage.city.units, rates_kbps, strict=True)
    ]
    for one in found:
        await _measure(city, peers, one, QUICK_NARROW_S if quick else NARROW_S)
        full = "not" if one.full_s is None else f"after {one.full_s:.1f} s"
        said(f"{one.rate_kbps} kbit/s: full quality again {full}")
    await take_stock(city, found)
    return found


async def _measure(city: OutageCity, peers: Peers, found: Narrow, narrow_s: float) -> None:
    assert city.box is not None
    name = found.vehicle
    city.links[name] = (USUAL,)
    trial = await begin_trial(city, name)
    found.cases.append(trial.played.case)
    await peers.start(_STOCK, trial.unit.video)
    await asyncio.sleep(FULL_S)
    up = msgspec.structs.replace(USUAL.up, rate_kbps=float(found.rate_kbps))
    began_s = await _let(city, (name, _STOCK), Link(up=up, down=USUAL.down))
    async with asyncio.TaskGroup() as group:
        notes = group.create_task(_write_notes(city, trial), name="outage.notes")
        await asyncio.sleep(narrow_s)
        notes.cancel()
    found.narrow_s = narrow_s
    wide_s = await _let(city, (name, _STOCK), USUAL)
    await asyncio.sleep(WIDE_S)
    found.arrived = await end_trial(city, trial)
    await peers.end(_STOCK)
    found.delays_ms = delays_between(trial.seen(), began_s, wide_s)
    found.peer_ms = delays_between(read_log(peers.log(_STOCK)), began_s, wide_s)
    found.steps = await _steps(city, found.cases[0], began_s)
    found.full_s = full_after_s(found.steps, wide_s - began_s)


def full_after_s(steps: Sequence[tuple[float, int, str]], wide_s: float) -> float | None:
    """Return how long after the link was wide the last move led to the first rung, s.

    Args:
        steps: The moves in order.
        wide_s: When the link was wide, s on the steps' clock.

    Returns:
        0 when it never left the first rung, None when it did not come back to it.
    """
    if not steps or steps[-1][1] != 0:
        return None
    return max(0.0, steps[-1][0] - wide_s)


async def _let(city: OutageCity, names: Iterable[str], link: Link) -> float:
    """Let uplinks be so from now on; return the monotonic time at which the last one was."""
    assert city.box is not None
    effects = [await city.box.apply(LinkChange(name, up=link.up, down=link.down)) for name in names]
    return max(effect.at_s for effect in effects)


async def _write_notes(city: OutageCity, trial: Trial) -> None:
    url = city.stage.url(trial.unit.name)
    number = 0
    while True:
        number += 1
        with contextlib.suppress(RefusedError):
            await city.running.client.act(url, "note", text=f"note {number}")
        await asyncio.sleep(NOTE_EVERY_S)


async def _steps(city: OutageCity, case: str, began_s: float) -> list[tuple[float, int, str]]:
    facts = await read_facts(city.stage.journal(HUB))
    began_ns = (began_s + clocks_apart_s()) * 1e9
    found = [
        ((one.corrected_ns - began_ns) / 1e9, step.rung, step.change)
        for one in facts
        if one.envelope.case == case and one.envelope.kind == "quality_step"
        for step in [open_body(one.envelope, QualityStep)]
    ]
    return sorted(found)
