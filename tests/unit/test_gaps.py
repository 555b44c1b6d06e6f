"""Gaps: seen, asked for, sent again before anything else, and told."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from streams.clock import SystemClock
from streams.gaps import ASK_AFTER_NS, ASK_EVERY_NS, GapWatch, gaps_in_words
from streams.inbox import Inbox, Line
from streams.messages import CaseNote, Receipt
from streams.outbox import Draft, Outbox
from streams.send_plan import SendPlan

SECOND_NS = 1_000_000_000
LINE = Line("unit-1", "0" * 26, "facts")
KEY = (LINE.source, LINE.epoch)


def inbox_with(*numbers: int, line: Line = LINE) -> Inbox:
    inbox = Inbox()
    for number in numbers:
        inbox.take(line, number)
    return inbox


def test_gap_that_closes_by_itself_is_not_asked_for() -> None:
    watch, inbox = GapWatch(), inbox_with(1, 3)
    assert watch.look(inbox, 0) == {}
    inbox.take(LINE, 2)
    assert watch.look(inbox, 2 * SECOND_NS) == {}
    assert watch.missing(2 * SECOND_NS) == []


def test_gap_that_stands_is_asked_for_and_again_and_told() -> None:
    watch, inbox = GapWatch(), inbox_with(1, 3, 7)
    watch.look(inbox, 0)
    assert watch.missing(0) == []
    ask = {KEY: {"facts": [(2, 2), (4, 6)]}}
    assert watch.look(inbox, ASK_AFTER_NS) == ask
    assert watch.look(inbox, ASK_AFTER_NS + SECOND_NS) == {}
    now_ns = ASK_AFTER_NS + ASK_EVERY_NS
    assert watch.look(inbox, now_ns) == ask
    (missing,) = watch.missing(now_ns + SECOND_NS)
    assert (missing.facts, missing.asked) == (4, 2)
    words = gaps_in_words([missing], now_ns + 3 * SECOND_NS)
    assert words == "4 facts of unit-1 are missing, asked again 3 s ago"


def test_gap_in_the_record_lane_means_not_yet_here() -> None:
    record = Line("unit-1", "0" * 26, "record")
    watch, inbox = GapWatch(), inbox_with(5, 9, line=record)
    for at_ns in (0, 10 * SECOND_NS):
        assert watch.look(inbox, at_ns) == {}
    assert watch.missing(10 * SECOND_NS) == []


def test_gaps_of_several_lanes_are_one_line_for_people() -> None:
    watch, inbox = GapWatch(), inbox_with(2)
    inbox.take(Line("unit-1", "0" * 26, "vitals"), 4)
    watch.look(inbox, 0)
    assert set(watch.look(inbox, 5 * SECOND_NS)[KEY]) == {"facts", "vitals"}
    (missing,) = watch.missing(5 * SECOND_NS)
    assert missing.facts == 4


def outbox_with(folder: Path, facts: int) -> Outbox:
    outbox = Outbox(folder / "outbox.sqlite", "unit-1", SystemClock())
    for _ in range(facts):
        outbox.add("hub", Draft("case_note", CaseNote(text="n", at_ns=1), case="0" * 26))
    return outbox


def send_all(plan: SendPlan, outbox: Outbox, now_ns: int) -> list[int]:
    sent: list[int] = []
    while entries := plan.next(outbox, "hub", now_ns):
        for entry in entries:
            plan.sent(entry)
            sent.append(entry.sequence)
    return sent


def test_asked_facts_go_first_and_at_once_without_waiting_for_patience(tmp_path: Path) -> None:
    outbox, plan = outbox_with(tmp_path, 8), SendPlan()
    assert send_all(plan, outbox, 0) == list(range(1, 9))
    for _ in range(2):
        outbox.add("hub", Draft("case_note", CaseNote(text="n", at_ns=1), case="0" * 26))
    asked = Receipt(epoch=outbox.epoch, stored={"facts": 2}, asked={"facts": [(3, 4), (6, 6)]})
    outbox.take_receipt("hub", asked)
    plan.take_receipt(asked, 1000)
    assert send_all(plan, outbox, 1000) == [3, 4, 6, 9, 10]
    assert plan.resent == 3
    outbox.close()


def test_asked_facts_go_though_the_window_is_full(tmp_path: Path) -> None:
    outbox, plan = outbox_with(tmp_path, 80), SendPlan()
    assert len(send_all(plan, outbox, 0)) == 64
    asked = Receipt(epoch=outbox.epoch, stored={}, asked={"facts": [(1, 1)]})
    plan.take_receipt(asked, 1000)
    assert send_all(plan, outbox, 1000) == [1]
    outbox.close()


def test_asked_facts_that_are_not_there_stop_nothing(tmp_path: Path) -> None:
    outbox, plan = outbox_with(tmp_path, 3), SendPlan()
    send_all(plan, outbox, 0)
    stored = Receipt(epoch=outbox.epoch, stored={"facts": 3})
    outbox.take_receipt("hub", stored)
    plan.take_receipt(stored, 0)
    plan.take_receipt(Receipt(epoch=outbox.epoch, stored={}, asked={"facts": [(1, 2**62)]}), 0)
    outbox.add("hub", Draft("case_note", CaseNote(text="n", at_ns=1), case="0" * 26))
    assert send_all(plan, outbox, 1000) == [4]
    outbox.close()


@given(lost=st.lists(st.booleans(), min_size=1, max_size=150), seed=st.integers(0, 2**16))
def test_whatever_is_lost_comes_when_it_is_asked_for(lost: list[bool], seed: int) -> None:
    """Facts lost on the way once; the receiver asks; every fact is there, each asked few times."""
    numbers = list(range(1, len(lost) + 1))
    watch, inbox = GapWatch(), Inbox()
    for number, gone in zip(numbers, lost, strict=True):
        if not gone:
            inbox.take(LINE, number)
    last = max((number for number in numbers if inbox.has(LINE, number)), default=0)
    now_ns, rounds = seed, 0
    watch.look(inbox, now_ns)
    while watch.look(inbox, now_ns) or inbox.torn():
        now_ns += ASK_EVERY_NS
        rounds += 1
        for lanes in watch.look(inbox, now_ns).values():
            for first, until in lanes["facts"]:
                for number in range(first, until + 1):
                    inbox.take(LINE, number)
        assert rounds < 5
    assert inbox.stored(LINE) == last
    assert watch.missing(now_ns + 10 * SECOND_NS) == []
