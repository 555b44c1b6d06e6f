"""Delivery: urgent first, again after silence, and a clear word for what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import delivery, topics
from streams.chain import Refused
from streams.clock import SystemClock
from streams.codec import decode, encode, encode_body
from streams.delivery import Examined, Sender, examine
from streams.ecg_block import Lead, describe, encode_frame
from streams.errors import TransportError
from streams.identity import new_id
from streams.inbox import Inbox, Line
from streams.messages import CaseNote, EcgEnded, EcgRecord, Position, Receipt, RunStarted
from streams.outbox import Draft, Outbox
from streams.send_plan import RESEND_NS, WINDOW, SendPlan

CASE = new_id()
NOTE = Draft("case_note", CaseNote(text="n", at_ns=1), case=CASE)
START = Draft("run_started", RunStarted(), case=CASE)
BLOCK = Draft("ecg_record", EcgRecord(setup_id="a", frames=[b"x"]), case=CASE)
TOPIC = topics.path("unit", "north", "unit-7", "case_note")


def frame_from(first_sample: int) -> bytes:
    setup = describe(500.0, (Lead("II", 200.0),))
    frame = encode_frame(setup, 0, np.zeros((50, 1), np.int32))
    return frame[:4] + first_sample.to_bytes(8, "little", signed=True) + frame[12:]


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    opened = Outbox(tmp_path / "outbox.sqlite", "unit-7", SystemClock())
    yield opened
    opened.close()


def drain(plan: SendPlan, outbox: Outbox, now_ns: int) -> list[str]:
    kinds = []
    while entries := plan.next(outbox, "hub", now_ns):
        for entry in entries:
            plan.sent(entry)
            kinds.append(entry.kind)
    return kinds


def test_plan_sends_urgent_facts_before_a_backlog(outbox: Outbox) -> None:
    for _ in range(10):
        outbox.add("hub", BLOCK)
    outbox.add("hub", NOTE)
    plan = SendPlan()
    first = plan.next(outbox, "hub", 0)
    assert [entry.kind for entry in first] == ["case_note"]
    plan.sent(first[0])
    block = plan.next(outbox, "hub", 0)
    assert [entry.kind for entry in block] == ["ecg_record"], "one block at a time"
    plan.sent(block[0])
    outbox.add("hub", START)
    assert [entry.kind for entry in plan.next(outbox, "hub", 0)] == ["run_started"]


def test_plan_stops_at_the_window_until_a_receipt_comes(outbox: Outbox) -> None:
    for _ in range(WINDOW["record"] + 5):
        outbox.add("hub", BLOCK)
    plan = SendPlan()
    assert len(drain(plan, outbox, 0)) == WINDOW["record"]
    receipt = Receipt(epoch=outbox.epoch, stored={"record": 4})
    outbox.take_receipt("hub", receipt)
    plan.take_receipt(receipt, 1)
    assert len(drain(plan, outbox, 1)) == 4


def test_plan_sends_again_after_silence_and_waits_longer_each_time(outbox: Outbox) -> None:
    outbox.add("hub", NOTE)
    plan = SendPlan()
    assert drain(plan, outbox, 0) == ["case_note"]
    assert drain(plan, outbox, RESEND_NS - 1) == []
    assert plan.wake_after_ns(RESEND_NS - 1) == 1
    assert drain(plan, outbox, RESEND_NS) == ["case_note"]
    assert drain(plan, outbox, 2 * RESEND_NS) == [], "patience has doubled"
    assert drain(plan, outbox, 3 * RESEND_NS) == ["case_note"]
    assert plan.resent == 2


def test_plan_on_a_new_path_sends_everything_without_a_receipt_at_once(outbox: Outbox) -> None:
    outbox.add("hub", NOTE)
    plan = SendPlan()
    assert drain(plan, outbox, 0) == ["case_note"]
    plan.restart()
    assert drain(plan, outbox, 1) == ["case_note"]


def test_plan_of_a_new_process_goes_on_behind_what_was_freed(outbox: Outbox) -> None:
    for _ in range(WINDOW["facts"] * 3):
        outbox.add("hub", NOTE)
    outbox.take_receipt("hub", Receipt(epoch=outbox.epoch, stored={"facts": 150}))
    plan = SendPlan()
    assert len(drain(plan, outbox, 0)) == 42


@given(st.data())
def test_delivery_over_a_bad_line_ends_with_everything_stored_once(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Messages and receipts are lost, repeated and reordered at will; at last all is there."""
    outbox = Outbox(tmp_path_factory.mktemp("o") / "o.sqlite", "unit-7", SystemClock())
    plan, inbox = SendPlan(), Inbox()
    drafts = data.draw(st.lists(st.sampled_from([NOTE, START, BLOCK]), max_size=8))
    for draft in drafts:
        outbox.add("hub", draft)
    stored: list[str] = []
    now_ns = 0
    for trial in range(60):
        fair = trial > 20  # a line that is bad for ever delivers nothing
        for entry in plan.next(outbox, "hub", now_ns):
            plan.sent(entry)
            for _ in range(1 if fair else data.draw(st.integers(0, 2))):
                envelope = decode(entry.data)
                line = Line(envelope.source, envelope.epoch, envelope.lane)
                if not inbox.has(line, envelope.sequence):
                    stored.append(envelope.id)
                inbox.take(line, envelope.sequence)
        if fair or data.draw(st.booleans()):
            receipt = Receipt(epoch=outbox.epoch, stored=inbox.lines("unit-7", outbox.epoch))
            outbox.take_receipt("hub", receipt)
            plan.take_receipt(receipt, now_ns)
        now_ns += plan.wake_after_ns(now_ns)
    assert outbox.depth("hub").waiting == {}
    assert len(stored) == len(set(stored)) == len(drafts)
    outbox.close()


async def test_sender_waits_without_a_path_and_delivers_when_it_is_back(outbox: Outbox) -> None:
    outbox.add("hub", NOTE)
    path_is_up = False
    arrived: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
    tried = asyncio.Event()

    async def publish(kind: str, data: bytes) -> None:
        tried.set()
        if not path_is_up:
            raise TransportError("no path")
        arrived.put_nowait((kind, data))

    sender = Sender(outbox, "hub", publish, SystemClock())
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(sender.run())
        await tried.wait()
        path_is_up = True
        sender.path_is_new()
        kind, data = await arrived.get()
        assert kind == "case_note"
        sender.take_receipt(Receipt(epoch=new_id(), stored={"facts": 1}))
        assert outbox.depth("hub").waiting == {"facts": 1}, "a receipt for another epoch"
        sender.take_receipt(Receipt(epoch=outbox.epoch, stored={"facts": 1}))
        assert outbox.depth("hub").waiting == {}
        assert decode(data).sequence == 1
        task.cancel()


async def test_sender_whose_disk_fails_at_a_receipt_goes_on_and_frees_at_the_next(
    outbox: Outbox,
) -> None:
    outbox.add("hub", NOTE)
    left = asyncio.Event()

    async def publish(kind: str, data: bytes) -> None:
        del kind, data
        left.set()

    sender = Sender(outbox, "hub", publish, SystemClock())
    task = asyncio.create_task(sender.run())
    await asyncio.wait_for(left.wait(), 5)
    task.cancel()
    receipt = Receipt(epoch=outbox.epoch, stored={"facts": 1})
    outbox._file._db.execute("PRAGMA query_only = ON")
    sender.take_receipt(receipt)
    assert outbox.depth("hub").waiting == {"facts": 1}
    outbox._file._db.execute("PRAGMA query_only = OFF")
    sender.take_receipt(receipt)
    assert outbox.depth("hub").waiting == {}


async def test_sender_whose_outbox_cannot_be_read_goes_on_when_it_can(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "DISK_RETRY_S", 0.01)
    outbox.add("hub", NOTE)
    arrived: asyncio.Queue[str] = asyncio.Queue()

    async def publish(kind: str, data: bytes) -> None:
        del data
        arrived.put_nowait(kind)

    outbox._file._db.execute("ALTER TABLE facts RENAME TO hidden")
    sender = Sender(outbox, "hub", publish, SystemClock())
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(sender.run())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not task.done()
        outbox._file._db.execute("ALTER TABLE hidden RENAME TO facts")
        assert await arrived.get() == "case_note"
        task.cancel()


def test_examine_good_fact_gives_its_line_and_the_corrected_time(outbox: Outbox) -> None:
    envelope = msgspec.structs.replace(outbox.add("hub", NOTE), offset_ns=-5)
    examined = examine(TOPIC, encode(envelope), 99, "unit")
    assert isinstance(examined, Examined)
    assert examined.arrived.line == Line("unit-7", outbox.epoch, "facts")
    assert examined.arrived.corrected_ns == envelope.source_ns - 5
    assert examined.arrived.received_ns == 99


@pytest.mark.parametrize(
    ("topic", "maker", "reason"),
    [
        ("nonsense", "unit", "unknown_topic"),
        (TOPIC.replace("case_note", "horoscope"), "unit", "unknown_kind"),
        (TOPIC.replace("case_note", "run_started"), "unit", "malformed"),
        (TOPIC.replace("unit-7", "unit-8"), "unit", "malformed"),
        (topics.path("unit", "north", "unit-7", "case_note", drill=True), "unit", "malformed"),
    ],
)
def test_examine_fact_in_the_wrong_place_is_refused_and_answers_no_number(
    outbox: Outbox, topic: str, maker: topics.Party, reason: str
) -> None:
    refused = examine(topic, encode(outbox.add("hub", NOTE)), 1, maker)
    assert isinstance(refused, Refused)
    assert refused.reason == reason
    assert refused.line is None, "a forger must not use up another source's numbers"


def test_examine_maker_without_the_right_is_refused(outbox: Outbox) -> None:
    topic = topics.path("unit", "north", "unit-7", "case_opened")
    body = encode_body(CaseNote(text="", at_ns=0))
    forged = msgspec.structs.replace(
        outbox.add("hub", START), kind="case_opened", lane="urgent", body=body
    )
    refused = examine(topic, encode(forged), 1, "unit")
    assert isinstance(refused, Refused)
    assert "does not make" in refused.text


def test_examine_bad_body_is_refused_and_answers_its_number(outbox: Outbox) -> None:
    envelope = msgspec.structs.replace(outbox.add("hub", NOTE), body=msgspec.Raw(b"\x80"))
    refused = examine(TOPIC, encode(envelope), 1, "unit")
    assert isinstance(refused, Refused)
    assert refused.sequence == 1
    assert refused.line is not None


@pytest.mark.parametrize(
    "draft",
    [
        Draft("ecg_ended", EcgEnded(setup_id="a", samples=2**40), case=CASE),
        Draft("ecg_record", EcgRecord(setup_id="a", frames=[frame_from(2**40)]), case=CASE),
        Draft("ecg_record", EcgRecord(setup_id="a", frames=[frame_from(-5)]), case=CASE),
    ],
)
def test_examine_sample_number_that_no_recording_reaches_is_refused(
    outbox: Outbox, draft: Draft
) -> None:
    topic = topics.path("unit", "north", "unit-7", draft.kind)
    refused = examine(topic, encode(outbox.add("hub", draft)), 1, "unit")
    assert isinstance(refused, Refused)
    assert "sample" in refused.text
    assert refused.line is not None, "its source is answered, and the bytes are kept"


@pytest.mark.parametrize("offset_ns", [1, 2**62, 2**63, -(2**62) - 1])
def test_examine_time_that_is_none_is_refused_and_answered(outbox: Outbox, offset_ns: int) -> None:
    """A corrected time beyond 63 bits once kept a whole city's journal from storing."""
    late = msgspec.structs.replace(
        outbox.add("hub", NOTE), source_ns=2**63 - 1, offset_ns=offset_ns
    )
    refused = examine(TOPIC, msgspec.msgpack.encode(late), 1, "unit")
    assert isinstance(refused, Refused)
    assert refused.reason == "malformed"


def test_examine_stream_has_no_line(outbox: Outbox) -> None:
    here = Position(latitude_deg=1, longitude_deg=2, measured_ns=3, source="gnss")
    envelope = outbox.envelope(Draft("position", here))
    topic = topics.path("unit", "north", "unit-7", "position")
    examined = examine(topic, encode(envelope), 1, "unit")
    assert isinstance(examined, Examined)
    assert examined.arrived.line is None


@given(st.text(max_size=40), st.binary(max_size=200))
def test_examine_any_garbage_is_refused_with_words(topic: str, data: bytes) -> None:
    refused = examine(topic, data, 1, "unit")
    assert isinstance(refused, Refused)
    assert refused.text
