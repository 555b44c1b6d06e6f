"""The ledger of a run: what was made, what arrived, what differs. Read from the databases.

It trusts none of the services' own counters: it counts the numbers that outboxes gave away
against the rows in the journals, follows the routing from the hub's facts by itself, and
compares the ER's samples with the vehicles' own recordings and the file that the monitor played.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.city import HUB
from bench.running_city import facts_waiting
from onboard.recorder import Found, read
from streams.chain import Stored
from streams.clock import SystemClock
from streams.codec import open_body
from streams.ecg_block import decode_frame
from streams.ecg_leads import Samples
from streams.export import pages
from streams.journal import Journal
from streams.messages import HospitalChosen, HospitalStoodDown
from streams.outbox import Outbox
from streams.recordings import Recording, Recordings
from streams.waveform_record import read_wfdb


@dataclass(slots=True)
class FactLedger:
    """Facts of a whole run.

    Attributes:
        made: Facts that vehicles, gateways and the hub wrote into their outbox or journal.
        journaled: Of these, in the hub's journal.
        refused: Of these, refused by the hub with a reason.
        waiting: Of these, still in the outbox of their maker, on disk.
        lost: Made and nowhere, or due at a hospital and not there.
        duplicated: Facts that stand twice in a journal.
        misrouted: Facts at a hospital to which they were not due.
        due_at_hospitals: Facts that hospitals were to get.
        at_hospitals: Of these, there.
    """

    made: int = 0
    journaled: int = 0
    refused: int = 0
    waiting: int = 0
    lost: int = 0
    duplicated: int = 0
    misrouted: int = 0
    due_at_hospitals: int = 0
    at_hospitals: int = 0


@dataclass(slots=True)
class EcgLedger:
    """Samples of a whole run, counted over all leads.

    Attributes:
        samples_source: Samples in the vehicles' own segment files, of cases that a hospital has.
        samples_received: Samples that the hospital has of these.
        samples_differing: Received samples that differ from the vehicle's, or from the file that
            was played.
        recordings: How many recordings the vehicles made of these cases.
        compared_with: What they were compared with, and how many recordings each.
    """

    samples_source: int = 0
    samples_received: int = 0
    samples_differing: int = 0
    recordings: int = 0
    compared_with: dict[str, int] = field(default_factory=dict)

    def count(self, compared_with: str) -> None:
        """Note what one recording was compared with."""
        self.compared_with[compared_with] = self.compared_with.get(compared_with, 0) + 1


async def account_facts(
    hub: str, hospitals: Mapping[str, str], outboxes: Mapping[str, Path]
) -> FactLedger:
    """Count the facts of a run that has ended.

    Args:
        hub: Database URL of the hub's journal.
        hospitals: Database URL of each hospital's journal, by name.
        outboxes: Outbox file of each unit and hospital, by name.
    """
    ledger = FactLedger()
    facts = await read_facts(hub)
    async with Journal(hub) as journal:
        ledger.refused = (await journal.count())["refused"]
    by_source: dict[str, int] = defaultdict(int)
    for fact in facts:
        by_source[fact.envelope.source] += 1
    made = {name: facts_made(path, name) for name, path in outboxes.items()}
    ledger.waiting = sum(facts_waiting(path) for path in outboxes.values())
    ledger.journaled = len(facts)
    ledger.made = sum(made.values()) + by_source[HUB]
    missing = sum(max(0, count - by_source[name]) for name, count in made.items())
    ledger.lost = max(0, missing - ledger.refused - ledger.waiting)
    ledger.duplicated = duplicates(facts)
    due = due_at_hospitals(facts)
    for name, url in hospitals.items():
        there = await read_facts(url)
        ids = {fact.envelope.id for fact in there}
        expected = due.get(name, set())
        ledger.due_at_hospitals += len(expected)
        ledger.at_hospitals += len(ids & expected)
        ledger.lost += len(expected - ids)
        ledger.misrouted += len(ids - expected)
        ledger.duplicated += duplicates(there)
    return ledger


def due_at_hospitals(facts: list[Stored]) -> dict[str, set[str]]:
    """Return the ids of the facts due at each hospital, from the hub's facts in order."""
    due: dict[str, set[str]] = defaultdict(set)
    so_far: dict[str, list[str]] = defaultdict(list)
    current: dict[str, str] = {}
    for fact in facts:
        case, identifier = fact.envelope.case, fact.envelope.id
        if case is None:
            continue
        so_far[case].append(identifier)
        if fact.envelope.kind == "hospital_stood_down":
            left = open_body(fact.envelope, HospitalStoodDown).hospital
            due[left].add(identifier)
            if current.get(case) == left:
                del current[case]
        elif fact.envelope.kind == "hospital_chosen":
            current[case] = open_body(fact.envelope, HospitalChosen).hospital
            due[current[case]].update(so_far[case])
        elif case in current:
            due[current[case]].add(identifier)
    return dict(due)


def hospital_of_cases(facts: list[Stored]) -> dict[str, str]:
    """Return the hospital that receives each case in the end, from the hub's facts in order."""
    current: dict[str, str] = {}
    for fact in facts:
        case = fact.envelope.case or ""
        if fact.envelope.kind == "hospital_chosen":
            current[case] = open_body(fact.envelope, HospitalChosen).hospital
        elif fact.envelope.kind == "hospital_stood_down":
            left = open_body(fact.envelope, HospitalStoodDown).hospital
            if current.get(case) == left:
                del current[case]
    return current


async def account_ecg(
    hub: str,
    hospitals: Mapping[str, str],
    folders: Mapping[str, Path],
    records: Mapping[str, Path | None],
) -> EcgLedger:
    """Compare every sample in the vehicles' recordings with what the receiving hospital has.

    Args:
        hub: Database URL of the hub's journal; it says which hospital received which case.
        hospitals: Database URL of each hospital's journal, by name.
        folders: Folder of each unit's onboard recordings, by name; the agents have ended.
        records: The WFDB record that each unit's monitor played, or None for a synthetic one.
    """
    ledger = EcgLedger()
    receiving = hospital_of_cases(await read_facts(hub))
    arrived: dict[tuple[str, str, str, str], Recording] = {}
    for name, url in hospitals.items():
        by_case: dict[str, list[Stored]] = defaultdict(list)
        for fact in await read_facts(url):
            by_case[fact.envelope.case or ""].append(fact)
        for case, facts in by_case.items():
            recordings = Recordings()
            recordings.add_all(facts)
            for one in recordings.all():
                arrived[name, case, one.source, one.setup.setup_id] = one
    for unit, folder in folders.items():
        for found in recorded_on_board(folder):
            case = found.header.case or ""
            if case in receiving:
                key = (receiving[case], case, unit, found.header.started.setup.setup_id)
                compare_with_vehicle(ledger, found, arrived.get(key), records.get(unit))
    return ledger


def recorded_on_board(folder: Path) -> list[Found]:
    """Return a vehicle's recordings, those that a kill left open too."""
    return [read(path) for ending in ("ecg", "part") for path in sorted(folder.glob(f"*.{ending}"))]


def compare_with_vehicle(
    ledger: EcgLedger, found: Found, recording: Recording | None, record: Path | None
) -> None:
    """Add one recording of a vehicle to the ledger.

    Args:
        ledger: Where to.
        found: What the vehicle has.
        recording: What the hospital has of it; None for nothing.
        record: The WFDB record that the monitor played, if any.
    """
    setup = found.header.started.setup
    ledger.recordings += 1
    ledger.samples_source += found.samples * len(setup.leads)
    if recording is None:
        ledger.count("the vehicle's recording")
        return
    played = _source_of(recording, record)
    named = "the vehicle's recording"
    ledger.count(named if played is None or record is None else f"{named} and {record.name}")
    on_board = {one.first_sample: one.frame for one in found.frames}
    for first, frame in recording.frames.items():
        ledger.samples_received += frame.samples.size
        wrong = np.ones(frame.samples.shape, np.bool_)
        if first in on_board:
            own = decode_frame(setup, on_board[first]).samples
            if own.shape == frame.samples.shape:
                wrong = own != frame.samples
        if played is not None:
            part = played[first : first + len(frame.samples)]
            wrong[: len(part)] |= part != frame.samples[: len(part)]
        ledger.samples_differing += int(np.count_nonzero(wrong))


def _source_of(recording: Recording, record: Path | None) -> Samples | None:
    if record is None or recording.origin != "replay":
        return None
    names = [lead.name for lead in recording.setup.leads]
    for part in read_wfdb(record).parts:
        if [lead.name for lead in part.setup.leads] == names:
            return part.samples
    return None


async def read_facts(url: str) -> list[Stored]:
    """Return all facts of a journal in its order."""
    async with Journal(url) as journal:
        return [fact async for page in pages(journal) for fact in page]


def facts_made(path: Path, source: str) -> int:
    """Return how many numbers an outbox gave away; its owner has ended."""
    outbox = Outbox(path, source, SystemClock())
    try:
        return outbox.depth(HUB).made
    finally:
        outbox.close()


def duplicates(facts: list[Stored]) -> int:
    """Count the facts that stand twice: by their id, or by their number at their source."""
    numbered = [
        (one.envelope.source, one.envelope.epoch, one.envelope.lane, one.envelope.sequence)
        for one in facts
        if one.envelope.sequence
    ]
    ids = [one.envelope.id for one in facts]
    return (len(ids) - len(set(ids))) + (len(numbered) - len(set(numbered)))


def as_report(facts: FactLedger, ecg: EcgLedger) -> dict[str, Any]:
    """Return both as they stand in the demonstration's report."""
    return {"facts": asdict(facts), "ecg": asdict(ecg)}
