"""The ledger of a run: the vehicle's own recording is what a hospital's copy is held against."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.ledger import EcgLedger, account_ecg
from onboard.recorder import Header, Recorder
from streams.chain import Arrived, Stored
from streams.ecg_block import Lead, describe, encode_frame
from streams.identity import new_id
from streams.journal import Journal
from streams.messages import (
    CaseOpened,
    EcgEnded,
    EcgRecord,
    EcgStarted,
    HospitalChosen,
    HospitalStoodDown,
)
from tests.case_facts import START_NS, Pages

SETUP = describe(500.0, (Lead("I", 200.0), Lead("II", 200.0)))
SAMPLES = np.random.default_rng(3).integers(-900, 900, (200, 2)).astype(np.int32)
HERE, THERE = "first-hospital", "second-hospital"


class Run:
    """A run of one vehicle: what it recorded, and what the hub and the hospitals have."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pages = Pages()
        self.case = new_id()
        self.hub("case_opened", CaseOpened(address="a", complaint="", alias="b"))
        self.hub("hospital_chosen", HospitalChosen(hospital=HERE, name="First"))
        started = EcgStarted(setup=SETUP, start_ns=START_NS, device="m")
        header = Header(started=started, origin="synthetic", case=self.case)
        segment = Recorder(folder / "ecg").begin(header)
        self.frames = [encode_frame(SETUP, at, SAMPLES[at : at + 50]) for at in range(0, 200, 50)]
        for number, frame in enumerate(self.frames):
            segment.append(number * 50, 50, frame)
        segment.end()
        self.started = started

    def hub(self, kind: str, body: object) -> Stored:
        return self.pages.add(kind, body, case=self.case)  # type: ignore[arg-type]

    def send(self, frames: list[bytes], *, ended: int = 200) -> None:
        """Have the waveform at the hub."""
        for kind, body in (
            ("ecg_started", self.started),
            ("ecg_record", EcgRecord(setup_id=SETUP.setup_id, frames=frames)),
            ("ecg_ended", EcgEnded(setup_id=SETUP.setup_id, samples=ended)),
        ):
            self.pages.add(kind, body, case=self.case, source="unit-1")

    async def account(self, *, without: str = "") -> EcgLedger:
        """Compare; a hospital's journal has what the hub's has, but for a kind."""
        urls = {name: f"sqlite:///{self.folder / name}.sqlite" for name in ("hub", HERE, THERE)}
        for name in ("hub", HERE):
            async with Journal(urls[name]) as journal:
                for fact in self.pages.facts:
                    if name == "hub" or not fact.envelope.kind.startswith(without or "-"):
                        await journal.append(
                            Arrived(
                                fact.data, fact.received_ns, fact.corrected_ns,
                                case_sequence=fact.case_sequence, hash=fact.hash,
                            )
                        )  # fmt: skip
        hospitals = {name: urls[name] for name in (HERE, THERE)}
        folders = {"unit-1": self.folder / "ecg"}
        return await account_ecg(urls["hub"], hospitals, folders, {"unit-1": None})


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


async def test_ecg_that_arrived_whole_equals_the_vehicles_recording(run: Run) -> None:
    run.send(run.frames)
    ledger = await run.account()
    assert (ledger.samples_source, ledger.samples_received) == (400, 400)
    assert (ledger.samples_differing, ledger.recordings) == (0, 1)


async def test_ecg_recording_that_never_arrived_is_missing(run: Run) -> None:
    run.send(run.frames)
    ledger = await run.account(without="ecg_")
    assert (ledger.samples_source, ledger.samples_received, ledger.recordings) == (400, 0, 1)


async def test_ecg_recording_whose_end_was_told_too_low_is_missing_samples(run: Run) -> None:
    run.send(run.frames[:2], ended=100)
    ledger = await run.account()
    assert (ledger.samples_source, ledger.samples_received) == (400, 200)


async def test_ecg_samples_that_differ_from_the_vehicles_are_counted(run: Run) -> None:
    changed = SAMPLES[50:100].copy()
    changed[7, 1] += 1
    run.send([run.frames[0], encode_frame(SETUP, 50, changed), *run.frames[2:]])
    ledger = await run.account()
    assert (ledger.samples_received, ledger.samples_differing) == (400, 1)


async def test_ecg_of_a_case_that_no_hospital_has_is_not_due_anywhere(run: Run) -> None:
    run.send(run.frames)
    run.hub("hospital_stood_down", HospitalStoodDown(hospital=HERE))
    ledger = await run.account(without="ecg_")
    assert (ledger.samples_source, ledger.recordings) == (0, 0)
