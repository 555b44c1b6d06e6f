"""Export: a case leaves the journal as files that wfdb and anybody's JSON reader read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import msgpack
import numpy as np
import pytest
import wfdb

from streams.chain import Arrived
from streams.clock import SystemClock
from streams.codec import encode
from streams.ecg_block import encode_frame
from streams.ecg_leads import Lead, Samples, describe
from streams.errors import ConfigError, StorageError
from streams.export import command, export_case, utc, write_case
from streams.identity import new_id
from streams.inbox import Line
from streams.journal import Journal
from streams.messages import Body, CaseNote, EcgEnded, EcgRecord, EcgStarted, Numeric, Vitals
from streams.outbox import Draft, Outbox

SETUP = describe(
    500.0,
    (
        Lead("II", 204.8, baseline=1024, physical_unit="mV", invalid=-32768),
        Lead("PLETH", 12.5, physical_unit="NU", invalid=-32768),
    ),
)
_FRAME = bytearray(encode_frame(SETUP, 0, np.zeros((50, 2), np.int32)))
_FRAME[4:12] = (-5).to_bytes(8, "little", signed=True)
NEGATIVE = bytes(_FRAME)
START_NS = 1_700_000_000 * 10**9


class Case:
    """One case whose facts come from a unit's outbox."""

    def __init__(self, folder: Path) -> None:
        self.id = new_id()
        self.url = f"sqlite:///{folder / 'journal.sqlite'}"
        self._outbox = Outbox(folder / "outbox.sqlite", "unit-7", SystemClock())
        self.facts: list[Arrived] = []

    def make(self, kind: str, body: object) -> None:
        draft = Draft(kind, body, origin="replay", case=self.id)  # type: ignore[arg-type]
        envelope = self._outbox.add("hub", draft)
        line = Line("unit-7", self._outbox.epoch, envelope.lane)
        now_ns = envelope.source_ns
        self.facts.append(Arrived(encode(envelope), now_ns, now_ns, line, envelope.sequence))

    def record(self, samples: Samples, missing: int | None = None) -> None:
        """Record samples in facts of two frames of 50 samples; one frame may be missing."""
        started = EcgStarted(setup=SETUP, start_ns=START_NS, device="replay of 100")
        self.make("ecg_started", started)
        for first in range(0, len(samples), 100):
            frames = [
                encode_frame(SETUP, at, samples[at : at + 50])
                for at in (first, first + 50)
                if at != missing
            ]
            self.make("ecg_record", EcgRecord(setup_id=SETUP.setup_id, frames=frames))
        self.make("ecg_ended", EcgEnded(setup_id=SETUP.setup_id, samples=len(samples)))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


@pytest.fixture
def samples() -> Samples:
    made = np.random.default_rng(7).integers(-2000, 2000, (600, 2)).astype(np.int32)
    made[10:20, 1] = -32768
    return made


def as_is(facts: list[Arrived]) -> list[Arrived]:
    return facts


def backwards(facts: list[Arrived]) -> list[Arrived]:
    return facts[::-1]


@pytest.mark.parametrize("order", [as_is, backwards])
async def test_export_record_read_by_wfdb_equals_what_was_recorded(
    tmp_path: Path,
    case: Case,
    samples: Samples,
    order: Callable[[list[Arrived]], list[Arrived]],
) -> None:
    case.record(samples)
    async with Journal(case.url) as journal:
        await journal.append_all(order(case.facts))
        summary = await export_case(journal, case.id, tmp_path / "out")
    read = wfdb.rdrecord(str(tmp_path / "out" / "ecg-1"), physical=False)
    assert np.array_equal(read.d_signal, samples)
    assert (read.sig_name, read.units) == (["II", "PLETH"], ["mV", "NU"])
    assert (read.adc_gain, read.baseline, read.fs) == ([204.8, 12.5], [1024, 0], 500)
    assert summary["recordings"][0]["missing"] == []
    assert summary["recordings"][0]["samples"] == summary["recordings"][0]["recorded"] == 600


async def test_export_missing_frames_are_marked_and_listed(
    tmp_path: Path, case: Case, samples: Samples
) -> None:
    case.record(samples, missing=250)
    async with Journal(case.url) as journal:
        await journal.append_all(case.facts)
        summary = await export_case(journal, case.id, tmp_path / "out")
    assert summary["recordings"][0]["missing"] == [(250, 300)]
    read = wfdb.rdrecord(str(tmp_path / "out" / "ecg-1"), physical=False)
    assert (read.d_signal[250:300] == -32768).all()
    assert np.array_equal(read.d_signal[300:], samples[300:])


@pytest.mark.parametrize(
    "absurd",
    [
        EcgEnded(setup_id=SETUP.setup_id, samples=2**40),
        EcgRecord(
            setup_id=SETUP.setup_id,
            frames=[encode_frame(SETUP, 2**40, np.zeros((50, 2), np.int32))],
        ),
        EcgRecord(setup_id=SETUP.setup_id, frames=[NEGATIVE]),
        EcgRecord(setup_id="nobody-knows", frames=[]),
        EcgStarted(
            setup=describe(1e-9, (Lead("II", 200.0),)), start_ns=START_NS, device="slow clock"
        ),
    ],
)
async def test_export_whatever_a_unit_says_of_its_waveforms_the_case_comes_out(
    tmp_path: Path, case: Case, samples: Samples, absurd: Body
) -> None:
    case.record(samples)
    kinds = {EcgEnded: "ecg_ended", EcgRecord: "ecg_record", EcgStarted: "ecg_started"}
    case.make(kinds[type(absurd)], absurd)
    async with Journal(case.url) as journal:
        await journal.append_all(case.facts)
        summary = await export_case(journal, case.id, tmp_path / "out")
    read = wfdb.rdrecord(str(tmp_path / "out" / "ecg-1"), physical=False)
    assert np.array_equal(read.d_signal, samples)
    told = summary["recordings"][0]
    if isinstance(absurd, EcgRecord):
        assert told["damaged_frames"] + summary["blocks_without_description"] == 1
    if isinstance(absurd, EcgEnded):
        assert told["recorded"] is None


async def test_export_of_a_number_that_is_none_writes_json_that_every_reader_takes(
    tmp_path: Path, case: Case
) -> None:
    numeric = Numeric(value=math.nan, measured_ns=1)
    case.make("vitals", Vitals(device="m", heart_rate_per_min=numeric))
    async with Journal(case.url) as journal:
        await journal.append_all(case.facts)
        await export_case(journal, case.id, tmp_path / "out")
    (line,) = (tmp_path / "out" / "timeline.jsonl").read_text(encoding="utf-8").splitlines()

    def refuse(word: str) -> None:
        pytest.fail(f"{word} is no JSON")

    assert "unreadable" in json.loads(line, parse_constant=refuse)["body"]


async def test_export_timeline_and_chain_have_every_fact(tmp_path: Path, case: Case) -> None:
    case.make("case_note", CaseNote(text="病人意识清楚", at_ns=START_NS))
    case.make("case_note", CaseNote(text="second", at_ns=START_NS))
    async with Journal(case.url) as journal:
        await journal.append_all(case.facts)
        summary = await export_case(journal, case.id, tmp_path / "out")
        facts = await journal.facts(case=case.id)
    lines = (tmp_path / "out" / "timeline.jsonl").read_text(encoding="utf-8").splitlines()
    timeline = [json.loads(line) for line in lines]
    assert [entry["case_sequence"] for entry in timeline] == [1, 2]
    assert timeline[0]["body"] == {"text": "病人意识清楚", "at_ns": START_NS}
    assert timeline[0]["origin"] == "replay"
    with (tmp_path / "out" / "case.msgpack").open("rb") as file:
        raw = list(msgpack.Unpacker(file))
    assert [entry[4] for entry in raw] == [fact.data for fact in facts]
    assert summary["chain_head"] == raw[-1][3].hex()


async def test_export_never_writes_a_case_over_another_ones(tmp_path: Path, case: Case) -> None:
    case.make("case_note", CaseNote(text="first", at_ns=START_NS))
    async with Journal(case.url) as journal:
        await journal.append_all(case.facts)
        for _ in range(2):
            await export_case(journal, case.id, tmp_path)
        facts = await journal.facts(case=case.id)
    before = (tmp_path / "summary.json").read_bytes()
    with pytest.raises(ConfigError, match=f"holds case {case.id}; name another folder"):
        write_case(new_id(), facts, tmp_path)
    assert (tmp_path / "summary.json").read_bytes() == before


async def test_export_of_an_unknown_case_names_those_that_are_there(
    tmp_path: Path, case: Case
) -> None:
    case.make("case_note", CaseNote(text="n", at_ns=1))
    async with Journal(case.url) as journal:
        await journal.append_all(case.facts)
        with pytest.raises(ConfigError, match=case.id):
            await export_case(journal, new_id(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_export_from_a_journal_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file .*none\.sqlite"):
        command(["X", "--to", str(tmp_path), "--journal", str(tmp_path / "none.sqlite")])
    with pytest.raises(ConfigError, match=r"there is no file .*journal\.sqlite"):
        command(["X", "--to", str(tmp_path), "--journal", str(tmp_path)])


def test_export_list_of_a_journal_without_a_case_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "journal.sqlite").touch()
    assert command(["list", "--journal", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "this journal holds no case\n"


def test_export_from_a_damaged_journal_says_what_to_do_and_names_no_foreign_page(
    tmp_path: Path,
) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"no journal at all" * 1000)
    with pytest.raises(StorageError, match="the file is damaged: keep it") as told:
        command(["list", "--journal", str(tmp_path)])
    assert "http" not in str(told.value)


def test_utc_is_iso_8601_whatever_the_time_zone_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    assert utc(START_NS + 1_234_567) == "2023-11-14T22:13:20.001234Z"
