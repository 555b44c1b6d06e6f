"""The order in which facts go: by cases in the record lane, and with patience on slow lines."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.clock import SystemClock
from streams.codec import decode
from streams.identity import new_id
from streams.inbox import MOST_RANGES, Inbox, Line
from streams.messages import CaseNote, EcgRecord, Receipt, RunStarted
from streams.outbox import Draft, Outbox
from streams.send_plan import RESEND_NS, WINDOW, SendPlan

OLD, MIDDLE, NEW = (new_id() for _ in range(3))
SECOND_NS = 1_000_000_000


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    opened = Outbox(tmp_path / "outbox.sqlite", "unit-7", SystemClock())
    yield opened
    opened.close()


def block(case: str | None) -> Draft:
    return Draft("ecg_record", EcgRecord(setup_id="a", frames=[b"x"]), case=case)


def note() -> Draft:
    return Draft("case_note", CaseNote(text="n", at_ns=1), case=NEW)


def send(plan: SendPlan, outbox: Outbox, now_ns: int = 0) -> list[int]:
    """Send all that may go now; return the sequences."""
    sent = []
    while entries := plan.next(outbox, "hub", now_ns):
        for entry in entries:
            plan.sent(entry)
            sent.append(entry.sequence)
    return sent


def receipt_of(outbox: Outbox, inbox: Inbox) -> Receipt:
    source, epoch = outbox.source, outbox.epoch
    return Receipt(
        epoch=epoch,
        stored=inbox.lines(source, epoch),
        ahead=inbox.lines_ahead(source, epoch),
    )


def record_line(outbox: Outbox) -> Line:
    return Line(outbox.source, outbox.epoch, "record")


def test_plan_by_case_sends_the_newest_case_first_and_each_in_its_order(outbox: Outbox) -> None:
    for case in (OLD, OLD, MIDDLE, None, NEW, NEW):
        outbox.add("hub", block(case))
    assert send(SendPlan(newest_case_first=True), outbox) == [5, 6, 4, 3, 1, 2]


def test_plan_by_case_goes_on_with_the_old_when_the_new_is_on_the_way(outbox: Outbox) -> None:
    for case in [OLD] * 30 + [NEW] * 3:
        outbox.add("hub", block(case))
    plan = SendPlan(newest_case_first=True)
    first = send(plan, outbox)
    assert first == [31, 32, 33, *range(1, WINDOW["record"] - 2)]
    outbox.add("hub", block(NEW))
    inbox = Inbox()
    for sequence in first[:5]:
        inbox.take(record_line(outbox), sequence)
    plan.take_receipt(receipt_of(outbox, inbox), 1)
    outbox.take_receipt("hub", receipt_of(outbox, inbox))
    assert send(plan, outbox, 1)[0] == 34, "the block made just now goes before the old ones"


def test_receipt_with_ranges_frees_what_is_beyond_the_gap(outbox: Outbox) -> None:
    for case in [OLD] * 3 + [NEW] * 3:
        outbox.add("hub", block(case))
    inbox = Inbox()
    for sequence in (4, 5, 6):
        inbox.take(record_line(outbox), sequence)
    assert outbox.take_receipt("hub", receipt_of(outbox, inbox)) == 3
    assert [entry.sequence for entry in outbox.waiting("hub", "record", 0, 9)] == [1, 2, 3]
    assert outbox.count("hub", "record") == 3
    assert outbox.depth("hub").waiting == {"record": 3}


def test_plan_by_case_towards_one_who_tells_no_ranges_goes_by_number(outbox: Outbox) -> None:
    for case in [OLD] * 20 + [NEW] * 20:
        outbox.add("hub", block(case))
    plan, stored, now_ns = SendPlan(newest_case_first=True), 0, 0
    arrived: set[int] = set()
    for _ in range(30):
        arrived.update(send(plan, outbox, now_ns))
        while stored + 1 in arrived:
            stored += 1
        receipt = Receipt(epoch=outbox.epoch, stored={"record": stored})
        outbox.take_receipt("hub", receipt)
        plan.take_receipt(receipt, now_ns)
        now_ns += plan.wake_after_ns(now_ns)
    assert outbox.count("hub", "record") == 0


def test_plan_begins_nothing_of_lanes_that_are_held(outbox: Outbox) -> None:
    outbox.add("hub", note())
    plan = SendPlan()
    assert plan.next(outbox, "hub", 0, held=("vitals", "facts", "record")) == []
    outbox.add("hub", Draft("run_started", RunStarted(), case=NEW))
    found = plan.next(outbox, "hub", 0, held=("vitals", "facts", "record"))
    assert [entry.kind for entry in found] == ["run_started"]


def test_plan_with_a_largest_block_lets_a_larger_one_wait_with_all_behind_it(
    outbox: Outbox,
) -> None:
    for size in (100, 5000, 100):
        body = EcgRecord(setup_id="a", frames=[b"x" * size])
        outbox.add("hub", Draft("ecg_record", body, case=NEW))
    outbox.add("hub", note())
    plan = SendPlan(newest_case_first=True)
    plan.largest_record = 1000
    assert send(plan, outbox) == [1, 1], "the note, and the block before the large one"
    plan.largest_record = None
    assert send(plan, outbox) == [2, 3]


def test_plan_on_a_line_with_slow_receipts_stops_sending_everything_twice(outbox: Outbox) -> None:
    """Receipts take 3.2 s, longer than the usual patience."""
    plan, now_ns = SendPlan(), 0
    step_ns, takes_ns = SECOND_NS // 10, 32 * SECOND_NS // 10
    under_way: list[tuple[int, int]] = []
    stored = 0
    for step in range(600):
        now_ns = step * step_ns
        if step % 10 == 0:
            outbox.add("hub", note())
        if step == 300:
            resent = plan.resent
        for entry in plan.next(outbox, "hub", now_ns):
            plan.sent(entry)
            under_way.append((now_ns + takes_ns, entry.sequence))
        while under_way and under_way[0][0] <= now_ns:
            _, sequence = under_way.pop(0)
            stored = max(stored, sequence)
            receipt = Receipt(epoch=outbox.epoch, stored={"facts": stored}, ahead={})
            outbox.take_receipt("hub", receipt)
            plan.take_receipt(receipt, now_ns)
    assert plan.resent == resent <= 10, "nothing is sent twice once the time is known"
    assert stored >= 55


def test_plan_knows_its_usual_patience_again_after_the_line_is_fast(outbox: Outbox) -> None:
    plan = SendPlan()
    for takes_ns in [4 * SECOND_NS] * 3 + [SECOND_NS // 20] * 30:
        outbox.add("hub", note())
        (sequence,) = send(plan, outbox, 0)[-1:]
        plan.take_receipt(Receipt(epoch=outbox.epoch, stored={"facts": sequence}), takes_ns)
        outbox.take_receipt("hub", Receipt(epoch=outbox.epoch, stored={"facts": sequence}))
    outbox.add("hub", note())
    send(plan, outbox, 0)
    assert plan.wake_after_ns(0) == RESEND_NS


def test_outbox_of_an_earlier_release_is_opened_and_its_facts_go(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    first = Outbox(path, "unit-7", SystemClock())
    first.add("hub", block(OLD))
    first.close()
    db = sqlite3.connect(path)
    db.execute("DROP INDEX facts_by_case")
    db.execute("ALTER TABLE facts DROP COLUMN case_id")
    db.commit()
    db.close()
    outbox = Outbox(path, "unit-7", SystemClock())
    outbox.add("hub", block(NEW))
    assert send(SendPlan(newest_case_first=True), outbox) == [2, 1]
    outbox.close()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_delivery_by_cases_over_a_bad_line_stores_everything_once_and_frees_it(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Blocks and receipts are lost, repeated, late; both sides start anew; at last all is there."""
    folder = tmp_path_factory.mktemp("o")
    outbox = Outbox(folder / "o.sqlite", "unit-7", SystemClock())
    plan, inbox = SendPlan(newest_case_first=True), Inbox()
    line = record_line(outbox)
    cases = data.draw(st.lists(st.sampled_from([OLD, MIDDLE, NEW, None]), max_size=40))
    made, stored, now_ns = 0, list[str](), 0
    draw: Callable[[st.SearchStrategy[int]], int] = data.draw
    for trial in range(200):
        fair = trial > 60  # a line that is bad for ever delivers nothing
        for _ in range(len(cases) if fair else draw(st.integers(0, 2))):
            if made < len(cases):
                outbox.add("hub", block(cases[made]))
                made += 1
        for entry in plan.next(outbox, "hub", now_ns):
            plan.sent(entry)
            for _ in range(1 if fair else draw(st.integers(0, 2))):
                if not inbox.has(line, entry.sequence):
                    stored.append(decode(entry.data).id)
                inbox.take(line, entry.sequence)
        if fair or draw(st.integers(0, 2)) == 0:
            receipt = receipt_of(outbox, inbox)
            outbox.take_receipt("hub", receipt)
            plan.take_receipt(receipt, now_ns)
        if not fair and draw(st.integers(0, 9)) == 0:
            plan.restart()
        if not fair and draw(st.integers(0, 9)) == 0:
            plan = SendPlan(newest_case_first=True)
        now_ns += plan.wake_after_ns(now_ns) if draw(st.integers(0, 1)) or fair else 1
    assert outbox.depth("hub").waiting == {}
    assert len(stored) == len(set(stored)) == len(cases)
    assert inbox.lines_ahead("unit-7", outbox.epoch) == {}
    outbox.close()


def test_inbox_tells_no_more_ranges_than_a_receipt_takes() -> None:
    inbox, line = Inbox(), Line("unit-7", "e", "record")
    for sequence in range(2, 10 * MOST_RANGES, 2):
        inbox.take(line, sequence)
    told = inbox.lines_ahead("unit-7", "e")["record"]
    assert len(told) == MOST_RANGES
    assert told[0] == (2, 2)
