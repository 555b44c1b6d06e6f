"""Facts from an outbox over MQTT and the real broker, while the link is cut under them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from onboard.incoming import Incoming
from onboard.link import Link as VehicleLink
from onboard.logbook import Logbook
from onboard.outgoing import Outgoing
from onboard.uplinks import Member, Uplinks
from streams.clock import OffsetEstimate, SystemClock
from streams.codec import encode
from streams.delivery import Examined, examine
from streams.identity import new_id
from streams.inbox import Inbox
from streams.messages import CaseNote, EcgRecord, Envelope, Receipt, RunStarted
from streams.outbox import Draft, Outbox
from streams.transport.mqtt import MqttTransport
from streams.transport.nats import NatsTransport
from tests.integration.broker.tcp_link import BOUND_S, Link, linked

if TYPE_CHECKING:
    from tests.integration.broker.conftest import City

WaitFor = Callable[..., Awaitable[None]]

OLD, NEW = new_id(), new_id()


class Hub:
    """Takes facts as the hub does, and answers with receipts; what it stored is in ``stored``."""

    def __init__(self, transport: NatsTransport, folder: Path) -> None:
        self.stored: list[Envelope] = []
        self.came = 0
        self._transport = transport
        self._inbox = Inbox()
        self._outbox = Outbox(folder / "hub.sqlite", "hub-north", SystemClock())

    async def run(self) -> None:
        async with self._transport.subscribe("ems/north/unit-7/+") as messages:
            async for message in messages:
                found = examine(message.topic, message.data, time.time_ns(), "unit")
                if not isinstance(found, Examined):
                    continue
                if found.envelope.kind == "outbox_up":
                    await self._answer(found.envelope.source, found.envelope.epoch)
                elif found.arrived.line is not None:
                    await self._take(found)

    async def _take(self, found: Examined) -> None:
        line, envelope = found.arrived.line, found.envelope
        assert line is not None
        self.came += 1
        if not self._inbox.has(line, envelope.sequence):
            self.stored.append(envelope)
        self._inbox.take(line, envelope.sequence)
        await self._answer(line.source, line.epoch)

    async def _answer(self, source: str, epoch: str) -> None:
        receipt = Receipt(
            epoch=epoch,
            stored=self._inbox.lines(source, epoch),
            ahead=self._inbox.lines_ahead(source, epoch),
        )
        answer = self._outbox.envelope(Draft("receipt_down", receipt))
        await self._transport.publish("ems/north/unit-7/receipt_down", encode(answer))

    def close(self) -> None:
        self._outbox.close()


class Scene:
    """A vehicle and a hub, with a link between that can be stalled, narrowed and cut."""

    def __init__(self, hub: Hub, outgoing: Outgoing, outbox: Outbox, link: Link) -> None:
        self.hub, self.outgoing, self.outbox, self.link = hub, outgoing, outbox, link
        self.made: list[str] = []

    def make(self, *drafts: Draft) -> None:
        self.made += [envelope.id for envelope in self.outgoing.make(list(drafts))]

    def check_all_stored_once(self) -> None:
        found = [envelope.id for envelope in self.hub.stored]
        assert sorted(found) == sorted(self.made)

    def check_order(self, lane: str) -> None:
        numbers = [one.sequence for one in self.hub.stored if one.lane == lane]
        assert numbers == sorted(numbers)


@pytest.fixture
async def scene(city: City, tmp_path: Path) -> AsyncIterator[Scene]:
    clock, offset = SystemClock(), OffsetEstimate()
    outbox = Outbox(tmp_path / "outbox.sqlite", "unit-7", clock, offset)
    logbook = Logbook(tmp_path / "logbook.sqlite")
    outgoing = Outgoing(outbox, logbook)
    async with (
        linked(city.endpoints.mqtt_port) as link,
        city.nats("hub-north") as transport,
        contextlib.AsyncExitStack() as stack,
    ):
        hub = Hub(transport, tmp_path)
        stack.callback(hub.close)
        unit = city.credentials["unit-7"]
        uplinks = Uplinks([Member("", MqttTransport("127.0.0.1", link.port, unit, city.tls))])
        vehicle = VehicleLink(
            uplinks, address=("north", "unit-7"), outbox=outbox, outgoing=outgoing,
            incoming=Incoming(logbook, lambda _fact: None), offset=offset, clock=clock,
        )  # fmt: skip
        hearing = asyncio.create_task(hub.run())
        await stack.enter_async_context(uplinks)
        running = asyncio.create_task(vehicle.run())
        try:
            yield Scene(hub, outgoing, outbox, link)
        finally:
            for task in (running, hearing):
                task.cancel()
            await asyncio.wait({running, hearing})
    outbox.close()
    logbook.close()


def note(number: int) -> Draft:
    return Draft("case_note", CaseNote(text=f"note {number}", at_ns=1), case=NEW)


def block(case: str) -> Draft:
    return Draft("ecg_record", EcgRecord(setup_id="a", frames=[b"\x5a" * 3000]), case=case)


async def test_cut_in_the_middle_of_a_window_loses_and_doubles_nothing_and_urgent_goes_first(
    scene: Scene, wait_for: WaitFor
) -> None:
    scene.make(*(note(number) for number in range(10)))
    await wait_for(lambda: len(scene.hub.stored) == 10, "the first facts", BOUND_S)
    await wait_for(lambda: scene.outgoing.backlog().total == 0, "their receipts", BOUND_S)
    scene.link.stall()
    scene.make(*(note(number) for number in range(10, 110)))
    await wait_for(lambda: scene.outbox.count("hub", "facts") == 100, "a window under way")
    scene.make(*(block(NEW) for _ in range(5)))
    scene.make(Draft("run_started", RunStarted(), case=NEW))
    scene.link.cut()
    before = len(scene.hub.stored)
    scene.link.flow()
    await wait_for(lambda: scene.outgoing.backlog().total == 0, "all to arrive", 4 * BOUND_S)
    after = [envelope.kind for envelope in scene.hub.stored[before:]]
    assert "run_started" in after[:1], "the urgent fact made during the cut is the first out"
    scene.check_all_stored_once()
    for lane in ("facts", "record"):
        scene.check_order(lane)


@pytest.mark.parametrize("pause_s", [0.05, 0.4, 3.0])
async def test_link_that_breaks_again_and_again_loses_and_doubles_nothing(
    scene: Scene, wait_for: WaitFor, pause_s: float
) -> None:
    for turn in range(3):
        scene.make(*(note(30 * turn + number) for number in range(30)), block(OLD), block(NEW))
        await asyncio.sleep(pause_s / 3)
        scene.link.stall()
        await asyncio.sleep(pause_s)
        if turn % 2:
            scene.link.cut()
        scene.link.flow()
    await wait_for(lambda: scene.outgoing.backlog().total == 0, "all to arrive", 4 * BOUND_S)
    scene.check_all_stored_once()
    scene.check_order("facts")


async def test_backlog_on_a_narrow_link_does_not_hold_up_an_urgent_fact(
    scene: Scene, wait_for: WaitFor
) -> None:
    scene.link.bytes_per_s = 30_000
    scene.make(*(block(OLD) for _ in range(150)))
    await wait_for(lambda: len(scene.hub.stored) >= 5, "the backlog under way", BOUND_S)
    scene.make(Draft("run_started", RunStarted(), case=NEW))
    before = len(scene.hub.stored)
    await wait_for(
        lambda: "run_started" in [one.kind for one in scene.hub.stored], "the urgent", BOUND_S
    )
    kinds = [one.kind for one in scene.hub.stored[before:]]
    # The link here is a proxy that ends the vehicle's TCP: its buffers hold some blocks too.
    assert kinds.index("run_started") <= 20
    assert scene.outgoing.backlog().total > 100


async def test_record_of_the_newest_case_arrives_first_and_the_old_is_not_lost(
    scene: Scene, wait_for: WaitFor
) -> None:
    scene.link.stall()
    scene.make(*(block(OLD) for _ in range(60)))
    scene.make(*(block(NEW) for _ in range(40)))
    scene.link.cut()
    scene.link.flow()
    await wait_for(lambda: scene.outgoing.backlog().total == 0, "all to arrive", 4 * BOUND_S)
    scene.check_all_stored_once()
    cases = [one.case for one in scene.hub.stored if one.kind == "ecg_record"]
    # Blocks may be on the way when the first of the newest case is made: none was here.
    assert cases[:40].count(NEW) >= 39
    for case in (OLD, NEW):
        numbers = [one.sequence for one in scene.hub.stored if one.case == case]
        assert numbers == sorted(numbers), "within a case in order"
