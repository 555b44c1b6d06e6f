"""What a trial of ``forerun bench outage`` lost, doubled, mixed up and delayed, per vehicle.

Like ``bench.ledger`` it reads the databases and trusts no counter; unlike it, it accounts for
each vehicle alone, so that many trials can share one city.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.board_log import Seen
from bench.city import HUB, Unit
from bench.ledger import (
    EcgLedger,
    compare_with_vehicle,
    due_at_hospitals,
    duplicates,
    facts_made,
    read_facts,
    recorded_on_board,
)
from bench.running_city import facts_waiting
from bench.stage import Stage
from streams.chain import Stored
from streams.recordings import Recording, Recordings

MS = 1_000_000


@dataclass(slots=True)
class Tally:
    """Facts and samples of one vehicle's run, from the vehicle to the ER.

    Attributes:
        made: Facts that the vehicle made, and those of the hub for its case.
        lost: Made and neither journaled nor waiting, or due at the ER and not there.
        waiting: Still in the vehicle's outbox.
        duplicated: Facts that stand twice in a journal.
        out_of_order_hub: Facts that stand in the hub's journal behind a later one of the same
            source, lane and case.
        out_of_order_er: The same in the ER's journal.
        misrouted: Facts of the case at a hospital to which they were not due.
        samples: Samples that were recorded on board, over all leads.
        samples_missing: Of these, not at the ER.
        samples_differing: Samples at the ER that differ from the vehicle's own recording, or from
            the file that was played.
        hub_ms: How long facts took to be stored at the hub, per lane, ms.
        er_ms: The same, to be stored at the ER.
    """

    made: int = 0
    lost: int = 0
    waiting: int = 0
    duplicated: int = 0
    out_of_order_hub: int = 0
    out_of_order_er: int = 0
    misrouted: int = 0
    samples: int = 0
    samples_missing: int = 0
    samples_differing: int = 0
    hub_ms: dict[str, list[float]] = field(default_factory=dict)
    er_ms: dict[str, list[float]] = field(default_factory=dict)

    @property
    def wrong(self) -> int:
        """All that must be zero, added up."""
        order = self.out_of_order_hub + self.out_of_order_er
        samples = self.samples_missing + self.samples_differing
        return self.lost + self.waiting + self.duplicated + order + self.misrouted + samples


async def tally(stage: Stage, cases: Mapping[str, Sequence[str]]) -> dict[str, Tally]:
    """Account for vehicles whose agents have ended.

    Args:
        stage: Where the databases lie.
        cases: The cases of each vehicle, by its name.
    """
    hub = await read_facts(stage.journal(HUB))
    hospitals = {
        one.name: await read_facts(stage.journal(one.name)) for one in stage.city.hospitals
    }
    units = {unit.name: unit for unit in stage.city.units}
    return {
        name: tally_unit(units[name], stage.state(name), set(own), hub, hospitals)
        for name, own in cases.items()
    }


def tally_unit(
    unit: Unit,
    state: Path,
    cases: set[str],
    hub: Sequence[Stored],
    hospitals: Mapping[str, Sequence[Stored]],
) -> Tally:
    """Account for one vehicle.

    Args:
        unit: The vehicle.
        state: Its state directory; the agent has ended.
        cases: Its cases.
        hub: All facts of the hub's journal in its order.
        hospitals: The same of each hospital, by name.
    """
    own = [one for one in hub if one.envelope.source == unit.name]
    of_cases = [one for one in hub if one.envelope.case in cases]
    at_hub = {one.envelope.id for one in own}
    outbox = state / "outbox.sqlite"
    made = facts_made(outbox, unit.name)
    found = Tally(made=made + sum(one.envelope.source == HUB for one in of_cases))
    found.waiting = facts_waiting(outbox)
    found.lost = max(0, made - len(at_hub) - found.waiting)
    found.duplicated = duplicates(own)
    found.out_of_order_hub = out_of_order(own)
    found.hub_ms = _delays(own)
    due = due_at_hospitals(of_cases)
    arrived: list[Stored] = []
    for name, facts in hospitals.items():
        there = [one for one in facts if one.envelope.case in cases]
        ids = {one.envelope.id for one in there}
        found.lost += len(due.get(name, set()) - ids)
        found.misrouted += len(ids - due.get(name, set()))
        found.duplicated += duplicates(there)
        found.out_of_order_er += out_of_order(there)
        arrived += there
    found.er_ms = _delays([one for one in arrived if one.envelope.source == unit.name])
    _compare_samples(found, arrived, unit, state / "ecg", cases)
    return found


def out_of_order(facts: Iterable[Stored]) -> int:
    """Count the facts that stand behind a later one of the same source, lane and case."""
    reached: dict[tuple[str, str, str, str | None], int] = {}
    count = 0
    for fact in facts:
        envelope = fact.envelope
        if not envelope.sequence:
            continue
        key = (envelope.source, envelope.epoch, envelope.lane, envelope.case)
        count += envelope.sequence < reached.get(key, 0)
        reached[key] = max(envelope.sequence, reached.get(key, 0))
    return count


def _delays(facts: Iterable[Stored]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for fact in facts:
        delay_ms = (fact.received_ns - fact.corrected_ns) / MS
        found[fact.envelope.lane].append(max(0.0, delay_ms))
    return dict(found)


def _compare_samples(
    found: Tally, facts: Iterable[Stored], unit: Unit, folder: Path, cases: set[str]
) -> None:
    """Hold the ER's samples against the vehicle's own recordings and the file that was played."""
    by_case: dict[str, list[Stored]] = defaultdict(list)
    for fact in facts:
        by_case[fact.envelope.case or ""].append(fact)
    arrived: dict[tuple[str, str], Recording] = {}
    for case, one in by_case.items():
        recordings = Recordings()
        recordings.add_all(one)
        arrived |= {(case, each.setup.setup_id): each for each in recordings.all()}
    ledger = EcgLedger()
    for own in recorded_on_board(folder):
        case = own.header.case or ""
        if case in cases:
            there = arrived.get((case, own.header.started.setup.setup_id))
            compare_with_vehicle(ledger, own, there, unit.record)
    found.samples = ledger.samples_source
    found.samples_missing = max(0, ledger.samples_source - ledger.samples_received)
    found.samples_differing = ledger.samples_differing


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile by nearest rank; not a number where there is no value."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def board_delays(log: Iterable[Seen], wall_minus_monotonic_s: float) -> dict[str, list[float]]:
    """Return how old everything was when it came to the board, ms, by what it was.

    Args:
        log: What the board wrote.
        wall_minus_monotonic_s: Between this machine's clocks.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for seen in log:
        age_ms = (seen.at_s + wall_minus_monotonic_s) * 1000 - seen.true_ms
        found[seen.what].append(max(0.0, age_ms))
    return dict(found)


def back_after_s(log: Iterable[Seen], what: str, over_s: float, since_ms: float) -> float | None:
    """Return how long after the cause was over something fresh came to the board, s.

    Args:
        log: What the board wrote.
        what: ``vitals``, ``ecg`` or ``video``.
        over_s: Monotonic time at which the cause was over.
        since_ms: Fresh is what was true then or later, ms since 1970.

    Returns:
        None when nothing fresh came.
    """
    times = (
        seen.at_s for seen in log
        if seen.what == what and seen.at_s >= over_s and seen.true_ms >= since_ms
    )  # fmt: skip
    first = min(times, default=None)
    return None if first is None else first - over_s


def longest_silence_s(log: Iterable[Seen], what: str, begin_s: float, end_s: float) -> float:
    """Return the longest time within a span in which nothing of a kind came, s."""
    times = sorted(seen.at_s for seen in log if seen.what == what and begin_s <= seen.at_s <= end_s)
    edges = [begin_s, *times, end_s]
    return max(later - earlier for earlier, later in itertools.pairwise(edges))
