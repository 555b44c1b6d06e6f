"""The logbook: each fact once, and the same after a restart."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from onboard.logbook import Logbook
from onboard.outgoing import HUB, Outgoing
from streams.clock import SystemClock
from streams.codec import encode, encode_body
from streams.errors import StorageError
from streams.identity import new_id
from streams.inbox import Line
from streams.messages import VERSION, CaseFact, Envelope, Receipt, RunStarted, UnitAssigned
from streams.outbox import Draft, Outbox

CASE = new_id()
LINE = Line("hub", new_id(), "urgent")


def hub_fact() -> Envelope:
    return Envelope(
        version=VERSION, kind="unit_assigned", id=new_id(), source="hub", epoch=LINE.epoch,
        lane="urgent", sequence=1, source_ns=5, monotonic_ns=0, offset_ns=None,
        uncertainty_ns=None, origin="live", body=encode_body(UnitAssigned(unit="unit-1")),
        case=CASE,
    )  # fmt: skip


def carried(fact: Envelope, sequence: int) -> CaseFact:
    return CaseFact(
        case_sequence=sequence, hash=bytes(32), corrected_ns=7, received_ns=7, fact=encode(fact)
    )


@pytest.fixture
def logbook(tmp_path: Path) -> Logbook:
    return Logbook(tmp_path / "logbook.sqlite")


def test_logbook_repeated_fact_is_kept_once(logbook: Logbook) -> None:
    fact = hub_fact()
    assert logbook.take(LINE, 1, fact, carried(fact, 1))
    assert not logbook.take(LINE, 1, fact, carried(fact, 1))
    assert not logbook.take(LINE, 2, fact, carried(fact, 2))  # the same fact on another number
    assert len(list(logbook.facts())) == 1
    assert logbook.inbox.lines("hub", LINE.epoch) == {"urgent": 2}
    logbook.close()


def test_logbook_reopened_knows_facts_and_numbers(logbook: Logbook, tmp_path: Path) -> None:
    first, third = hub_fact(), hub_fact()
    logbook.take(LINE, 1, first, carried(first, 1))
    logbook.take(LINE, 3, third, carried(third, 3))
    logbook.close()
    again = Logbook(tmp_path / "logbook.sqlite")
    assert [fact.envelope.id for fact in again.facts()] == [first.id, third.id]
    assert [fact.case_sequence for fact in again.facts()] == [1, 3]
    assert again.inbox.lines("hub", LINE.epoch) == {"urgent": 1}
    assert again.inbox.missing(LINE) == [(2, 2)]
    again.close()


def test_logbook_forget_keeps_the_current_case_and_what_waits(logbook: Logbook) -> None:
    fact = hub_fact()
    logbook.take(LINE, 1, fact, carried(fact, 1))
    assert logbook.forget(100, [CASE]) == 0
    assert logbook.forget(100, []) == 1
    logbook.close()


def test_logbook_of_an_older_release_is_read_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "logbook.sqlite"
    Logbook(path).close()
    with contextlib.closing(sqlite3.connect(path)) as older:
        older.execute("ALTER TABLE facts DROP COLUMN case_sequence")
        older.execute("ALTER TABLE reads DROP COLUMN what")
    logbook, fact = Logbook(path), hub_fact()
    assert logbook.take(LINE, 1, fact, carried(fact, 4))
    logbook.note_read("crew", "a case", 5, "action note")
    logbook.close()
    again = Logbook(path)
    assert [fact.case_sequence for fact in again.facts()] == [4]
    again.close()


def test_logbook_damaged_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "logbook.sqlite").write_bytes(b"no database at all, however long this is" * 50)
    with pytest.raises(StorageError, match=r"logbook\.sqlite"):
        Logbook(tmp_path / "logbook.sqlite")


def test_recover_fact_only_in_the_outbox_comes_into_the_logbook(
    logbook: Logbook, tmp_path: Path
) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", "unit-1", SystemClock())
    made = outbox.add(HUB, Draft("run_started", RunStarted(), case=CASE))
    outgoing = Outgoing(outbox, logbook)
    outgoing.recover(9)
    (fact,) = logbook.facts()
    assert (fact.envelope.id, fact.own, fact.delivered_hub_ns) == (made.id, True, None)
    outbox.close()
    logbook.close()


def test_recover_receipt_lost_in_a_crash_is_taken_as_delivered(
    logbook: Logbook, tmp_path: Path
) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", "unit-1", SystemClock())
    outgoing = Outgoing(outbox, logbook)
    outgoing.make([Draft("run_started", RunStarted(), case=CASE)])
    outbox.take_receipt(HUB, Receipt(epoch=outbox.epoch, stored={"urgent": 1}))
    outgoing.recover(9)
    (fact,) = logbook.facts()
    assert fact.delivered_hub_ns == 9
    outbox.close()
    logbook.close()


def test_backlog_counts_what_waits_also_after_a_restart(logbook: Logbook, tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", "unit-1", SystemClock())
    outgoing = Outgoing(outbox, logbook)
    for _ in range(5):
        outgoing.make([Draft("run_started", RunStarted(), case=CASE)])
    outbox.take_receipt(HUB, Receipt(epoch=outbox.epoch, stored={"urgent": 2}))
    assert outgoing.backlog().waiting == {"urgent": 3}
    again = Outgoing(outbox, logbook)
    again.recover(9)
    assert again.backlog().waiting == {"urgent": 3}
    assert again.waiting("urgent") == 3
    outbox.close()
    logbook.close()
