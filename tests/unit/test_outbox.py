"""The outbox: on disk before it is sent, freed only by the receiver's own word."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.clock import OffsetEstimate, SystemClock
from streams.codec import decode, open_body
from streams.errors import OversizedError, StorageError
from streams.identity import new_id
from streams.messages import CaseNote, EcgRecord, Receipt, RunStarted
from streams.outbox import Draft, Outbox

CASE = new_id()
NOTE = Draft("case_note", CaseNote(text="late", at_ns=1), case=CASE)
START = Draft("run_started", RunStarted(), case=CASE)
BLOCK = Draft("ecg_record", EcgRecord(setup_id="a", frames=[b"x"]), case=CASE)


def open_outbox(folder: Path) -> Outbox:
    return Outbox(folder / "outbox.sqlite", "unit-7", SystemClock())


def test_outbox_numbers_each_lane_and_destination_from_one(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    made = [outbox.add("hub", draft) for draft in (NOTE, START, NOTE, BLOCK)]
    made.append(outbox.add("hospital/first", NOTE))
    assert [(one.lane, one.sequence) for one in made] == [
        ("facts", 1), ("urgent", 1), ("facts", 2), ("record", 1), ("facts", 1),
    ]  # fmt: skip
    assert outbox.depth("hub").waiting == {"facts": 2, "urgent": 1, "record": 1}
    assert outbox.depth("hub").made == 4
    assert outbox.destinations() == ["hospital/first", "hub"]
    outbox.close()


def test_outbox_reopened_has_everything_and_goes_on_counting(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    first = outbox.add("hub", NOTE)
    outbox.close()
    outbox = open_outbox(tmp_path)
    second = outbox.add("hub", NOTE)
    waiting = [decode(entry.data) for entry in outbox.waiting("hub", "facts", 0, 10)]
    assert [one.id for one in waiting] == [first.id, second.id]
    assert waiting[1].sequence == 2
    assert waiting[0].epoch == waiting[1].epoch == outbox.epoch
    assert open_body(waiting[0], CaseNote).text == "late"
    outbox.close()


def test_outbox_receipt_frees_only_what_is_stored(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    for _ in range(3):
        outbox.add("hub", NOTE)
    assert outbox.take_receipt("hub", Receipt(epoch=outbox.epoch, stored={"facts": 2})) == 2
    assert [entry.sequence for entry in outbox.waiting("hub", "facts", 0, 10)] == [3]
    assert outbox.take_receipt("hub", Receipt(epoch=new_id(), stored={"facts": 3})) == 0
    assert outbox.take_receipt("hub", Receipt(epoch=outbox.epoch, stored={"stream": 9})) == 0
    assert outbox.take_receipt("hub", Receipt(epoch=outbox.epoch, stored={"facts": 99})) == 1
    assert outbox.add("hub", NOTE).sequence == 4, "numbers are never used again"
    outbox.close()


def test_outbox_of_another_source_is_refused(tmp_path: Path) -> None:
    open_outbox(tmp_path).close()
    with pytest.raises(StorageError, match="belongs to 'unit-7'"):
        Outbox(tmp_path / "outbox.sqlite", "unit-8", SystemClock())


def test_outbox_on_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "outbox.sqlite").write_bytes(b"not a database" * 500)
    with pytest.raises(StorageError, match="move the file away"):
        open_outbox(tmp_path)


def test_outbox_too_large_a_fact_is_refused_and_takes_no_number(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    huge = Draft("ecg_record", EcgRecord(setup_id="a", frames=[bytes(600_000)]), case=CASE)
    with pytest.raises(OversizedError):
        outbox.add_all([("hub", BLOCK), ("hub", huge)], mark=("forwarded", 7))
    assert outbox.depth("hub").made == 0
    assert outbox.mark("forwarded") == 0
    assert outbox.add("hub", BLOCK).sequence == 1
    outbox.close()


def test_outbox_on_a_full_disk_says_so_and_works_again_with_space(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    outbox.add("hub", BLOCK)
    pages = outbox._file._db.execute("PRAGMA page_count").fetchone()[0]
    outbox._file._db.execute(f"PRAGMA max_page_count={pages}")
    block = Draft("ecg_record", EcgRecord(setup_id="a", frames=[bytes(200_000)]), case=CASE)
    with pytest.raises(StorageError, match="full"):
        outbox.add("hub", block)
    outbox._file._db.execute("PRAGMA max_page_count=1000000")
    assert outbox.add("hub", block).sequence == 2
    outbox.close()


@pytest.mark.parametrize(
    "read",
    [
        lambda box: box.waiting("hub", "facts", 0, 1),
        lambda box: box.waiting_by_case("hub", "record", (), 1),
        lambda box: box.count("hub", "facts"),
        lambda box: box.depth("hub"),
        lambda box: box.destinations(),
        lambda box: box.mark("forwarded"),
    ],
)
def test_outbox_on_a_disk_that_cannot_be_read_says_so_and_may_work_later(
    tmp_path: Path, read: Callable[[Outbox], object]
) -> None:
    box = open_outbox(tmp_path)
    before = read(box)
    other = sqlite3.connect(tmp_path / "outbox.sqlite")
    for table in ("facts", "numbering", "marks"):
        other.execute(f"ALTER TABLE {table} RENAME TO hidden_{table}")
    with pytest.raises(StorageError, match=r"outbox\.sqlite"):
        read(box)
    for table in ("facts", "numbering", "marks"):
        other.execute(f"ALTER TABLE hidden_{table} RENAME TO {table}")
    other.close()
    assert read(box) == before


def test_outbox_mark_is_kept_with_the_facts(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    outbox.add_all([("hub", NOTE)], mark=("forwarded", 41))
    outbox.add_all([], mark=("forwarded", 42))
    outbox.close()
    outbox = open_outbox(tmp_path)
    assert outbox.mark("forwarded") == 42
    assert outbox.mark("nothing") == 0
    outbox.close()


def test_outbox_puts_the_clock_estimate_into_the_envelope(tmp_path: Path) -> None:
    offset = OffsetEstimate()
    outbox = Outbox(tmp_path / "o.sqlite", "unit-7", SystemClock(), offset)
    assert outbox.add("hub", NOTE).offset_ns is None
    clock = SystemClock()
    now = clock.wall_ns()
    offset.add(now, now + 5_000_000_000, now + 5_000_000_000, now + 2, clock.monotonic_ns())
    estimate = outbox.add("hub", NOTE).offset_ns
    assert estimate is not None
    assert abs(estimate - 5_000_000_000) < 1_000_000_000
    outbox.close()


def test_outbox_of_a_killed_process_has_every_fact_it_reported(tmp_path: Path) -> None:
    """A process prints each sequence after ``add``; it is killed; all printed ones are there."""
    program = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from streams.clock import SystemClock
        from streams.messages import CaseNote
        from streams.outbox import Draft, Outbox
        outbox = Outbox(Path(sys.argv[1]), "unit-7", SystemClock())
        note = Draft("case_note", CaseNote(text="n", at_ns=1), case=sys.argv[2])
        while True:
            print(outbox.add("hub", note).sequence, flush=True)
        """
    )
    path = tmp_path / "outbox.sqlite"
    command = [sys.executable, "-c", program, str(path), CASE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = [int(process.stdout.readline()) for _ in range(50)]
        os.kill(process.pid, signal.SIGKILL)
        printed += [int(line) for line in process.stdout.read().split("\n")[:-1] if line]
    outbox = Outbox(path, "unit-7", SystemClock())
    kept = [entry.sequence for entry in outbox.waiting("hub", "facts", 0, 100_000)]
    assert kept[: len(printed)] == printed
    assert kept == list(range(1, len(kept) + 1))
    outbox.close()


def test_outbox_writes_with_the_stated_sync_policy(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    assert outbox._file._db.execute("PRAGMA synchronous").fetchone() == (2,), "2 is FULL"
    outbox.close()
    with sqlite3.connect(tmp_path / "outbox.sqlite") as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()


@given(st.lists(st.one_of(st.just("add"), st.integers(0, 30)), max_size=40))
def test_outbox_any_order_of_adds_and_receipts_keeps_the_rest_without_gap(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str | int]
) -> None:
    outbox = open_outbox(tmp_path_factory.mktemp("outbox"))
    made = freed = 0
    for step in steps:
        if isinstance(step, str):
            made = outbox.add("hub", NOTE).sequence
        else:
            outbox.take_receipt("hub", Receipt(epoch=outbox.epoch, stored={"facts": step}))
            freed = max(freed, min(step, made))
    kept = [entry.sequence for entry in outbox.waiting("hub", "facts", 0, 100)]
    assert kept == list(range(freed + 1, made + 1))
    outbox.close()
