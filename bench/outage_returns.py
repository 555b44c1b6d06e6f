"""How long until all is back after a cut and after a change of address, over many repeats.

Several vehicles, each with its own link and its own cuts, so that twenty cuts of 30 s take
minutes; in each vehicle plain aiomqtt and plain aiortc use the same link (``outage_peers``).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.board_log import read_log
from bench.boxed_city import OutageCity
from bench.faults import USUAL
from bench.network_conditions import AddressChange, CutChange, Script
from bench.outage_ledger import Tally, back_after_s, tally
from bench.outage_trial import (
    LIVE,
    VITALS_FRESH_S,
    Trial,
    begin_trial,
    end_trial,
    returns_s,
    wall_minus_monotonic_s,
)
from bench.peer_vehicle import Peers, start_receiver

VEHICLES = 4
CUT_S, QUICK_CUT_S = 30.0, 5.0
WATCHED_S, QUICK_WATCHED_S = 20.0, 10.0
"""So long each return is watched; what is not back then counts as not back."""

HELD_MS = 300.0
"""A frame that comes within this time after a change of address was there before it."""

KINDS = ("cut", "address")
PEERS = {"vitals": "plain aiomqtt", "ecg": "plain aiortc, data channel", "video": "plain aiortc"}


def _empty() -> dict[str, dict[str, list[float]]]:
    return {kind: {what: [] for what in LIVE} for kind in KINDS}


@dataclass(slots=True)
class Returns:
    """What was found.

    Attributes:
        cut_s: Length of the cuts.
        watched_s: How long each return was watched.
        ours: Per kind and per what was live: after how long it was back, s; infinite: not.
        peers: The same of the peers.
        tallies: The accounts of the vehicles.
    """

    cut_s: float
    watched_s: float
    ours: dict[str, dict[str, list[float]]] = field(default_factory=_empty)
    peers: dict[str, dict[str, list[float]]] = field(default_factory=_empty)
    tallies: list[Tally] = field(default_factory=list)


async def measure_returns(
    city: OutageCity, repeats: int, *, quick: bool, said: Callable[[str], None]
) -> Returns:
    """Cut and move the links of all vehicles until every kind was repeated so often.

    Args:
        city: The city in the box, with ``VEHICLES`` vehicles.
        repeats: How often, of each kind, over all vehicles.
        quick: Shorter cuts.
        said: Takes a sentence for each return.
    """
    found = Returns(CUT_S, WATCHED_S) if not quick else Returns(QUICK_CUT_S, QUICK_WATCHED_S)
    peers = await start_receiver(city)
    names = [unit.name for unit in city.stage.city.units]
    for name in names:
        city.links[name] = (USUAL,)
    cases: dict[str, list[str]] = {}

    async def one(name: str, times: int) -> None:
        trial = await begin_trial(city, name)
        cases[name] = [trial.played.case]
        for _ in range(times):
            for kind in KINDS:
                await peers.start(name)
                await _once(trial, kind, found, peers)
                last = ", ".join(f"{what} {found.ours[kind][what][-1]:.1f} s" for what in LIVE)
                said(f"{name} after {'a cut' if kind == 'cut' else 'a new address'}: {last}")
        await end_trial(city, trial)

    async with asyncio.TaskGroup() as group:
        for place, name in enumerate(names):
            times = len(range(place, repeats, len(names)))
            group.create_task(one(name, times), name=f"outage.returns[{name}]")
    found.tallies = list((await tally(city.stage, cases)).values())
    return found


async def _once(trial: Trial, kind: str, found: Returns, peers: Peers) -> None:
    box = peers.city.box
    assert box is not None
    name, was_cut = trial.unit.name, kind == "cut"
    script: Script = [(0.0, AddressChange(name))]
    if was_cut:
        script = [(0.0, CutChange(name)), (found.cut_s, CutChange(name, cut=None))]
    effects = await (await box.play(script)).finished()
    over_s = effects[-1].at_s
    await asyncio.sleep(found.watched_s)
    ours = returns_s(trial, over_s, was_cut=was_cut)
    theirs = _peers_back_s(peers.log(name), over_s, was_cut=was_cut)
    for what in LIVE:
        found.ours[kind][what].append(_or_never(ours[what]))
        found.peers[kind][what].append(_or_never(theirs[what]))


def _peers_back_s(log: Path, over_s: float, *, was_cut: bool) -> dict[str, float | None]:
    """As ``returns_s`` for ours.

    A plain frame has no time code: its arrival counts, but for what the receiver still held.
    """
    over_ms = (over_s + wall_minus_monotonic_s()) * 1000
    allowed_ms = {"vitals": 1000 * VITALS_FRESH_S if was_cut else 0.0, "video": -HELD_MS}
    seen = read_log(log)
    return {
        what: back_after_s(seen, what, over_s, over_ms - allowed_ms.get(what, 0.0)) for what in LIVE
    }


def _or_never(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds
