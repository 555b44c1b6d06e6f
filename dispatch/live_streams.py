"""Streams through the hub: position, live ECG, arrival, time. The freshest wins, nothing is kept.

A unit's live data goes to the hospital of the case that binds the unit now, and to no other;
without one it goes nowhere. The bytes go on as they came. ECG samples are never decoded here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from dispatch.arrival import Leg, Travel, estimate
from dispatch.case_record import CaseRecord
from dispatch.cases import Case, position_of
from dispatch.units import Unit, place
from streams import topics
from streams.chain import Stored
from streams.clock import Clock
from streams.codec import decode, encode, open_body
from streams.delivery import Examined, examine
from streams.errors import ForerunError, MalformedError, TransportError
from streams.health import DROPPED, REFUSED
from streams.link_messages import OutboxState
from streams.messages import (
    Arrival,
    Envelope,
    Position,
    Receipt,
    TimeReply,
    TimeRequest,
    least_real,
)
from streams.outbox import Draft, Outbox
from streams.topics import Party, Scope
from streams.transport import Delivery

ARRIVAL_NS = 2_000_000_000
"""Estimates go out every two seconds at the most."""

SILENCE_NS = 3_000_000_000
"""A party that is heard after so long a silence may have come back from a broken link."""

ECG_WAITING = 64
"""Live frames of all units that may wait for the broker; beyond, the oldest is dropped."""

Publish = Callable[[str, bytes], Awaitable[None]]
log = structlog.get_logger(__name__)


class LiveStreams:
    """Takes what units and hospitals stream, and sends on what is somebody's business."""

    def __init__(
        self,
        record: CaseRecord,
        outbox: Outbox,
        *,
        region: str,
        publish: Publish,
        clock: Clock,
        travel: Travel,
        take_receipt: Callable[[str, Receipt], None],
        take_held: Callable[[Scope, str, OutboxState], Awaitable[None]],
        heard_again: Callable[[str], None],
        unit_changed: Callable[[str], None],
    ) -> None:
        """Prepare.

        Args:
            record: The cases and units.
            outbox: Gives the hub's own messages their envelope.
            region: For the topics.
            publish: Sends to the broker.
            clock: The hub's clocks.
            travel: How fast units get through the town.
            take_receipt: Takes receipts with who sent them (``unit/<name>``).
            take_held: Takes what units and hospitals say that they still hold.
            heard_again: Told who is heard after a silence.
            unit_changed: Told a unit whose position or estimate changed.
        """
        self._record = record
        self._outbox = outbox
        self._region = region
        self._publish = publish
        self._clock = clock
        self._travel = travel
        self._take_receipt = take_receipt
        self._take_held = take_held
        self._heard_again = heard_again
        self._unit_changed = unit_changed
        self._heard_ns: dict[str, int] = {}
        self._told_ns: dict[str, int] = {}
        self._ecg: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(ECG_WAITING)

    def fact_stored(self, fact: Stored) -> None:
        """Note that a stage or a hospital is new: the next position gives a new estimate."""
        case = self._record.book.get(fact.envelope.case)
        if fact.envelope.kind in ("milestone", "hospital_chosen") and case and case.unit:
            self._told_ns.pop(case.unit, None)

    async def take(self, delivery: Delivery, maker: Party) -> None:
        """Take one stream message of a unit or hospital; what is wrong with it is counted."""
        examined = examine(delivery.topic, delivery.data, self._clock.wall_ns(), maker)
        if not isinstance(examined, Examined):
            REFUSED.labels("hub", examined.reason).inc()
            return
        self._note_heard(examined.address.scope, examined.address.name)
        match examined.envelope.kind:
            case "receipt_up":
                party = f"{examined.address.scope}/{examined.address.name}"
                self._take_receipt(party, open_body(examined.envelope, Receipt))
            case "outbox_up":
                address = examined.address
                state = open_body(examined.envelope, OutboxState)
                await self._take_held(address.scope, address.name, state)
            case "time_request":
                await self._answer_time(examined)
            case "position":
                await self._take_position(examined)
            case kind:
                REFUSED.labels("hub", "unexpected").inc()
                log.info("stream not taken", kind=kind, source=examined.address.name)

    def take_ecg(self, unit: str, data: bytes) -> None:
        """Take a live frame that came over the relay's data channel of ``unit``.

        Only its envelope is looked at: version, size, kind, and that it is the unit's own.
        It goes to the hospital of the case that binds the unit, or is dropped and counted.
        """
        try:
            envelope = decode(data)
            if envelope.kind != "ecg_live" or envelope.source != unit:
                raise MalformedError(f"{envelope.kind} of {envelope.source} from {unit}")
        except ForerunError as error:
            REFUSED.labels("hub", error.reason).inc()
            return
        self._note_heard("unit", unit)
        hospital = self._hospital_for(unit, envelope)
        if hospital is None:
            return
        if self._ecg.full():
            self._ecg.get_nowait()
            DROPPED.labels("hub.ecg_live").inc()
        self._ecg.put_nowait((topics.path("hospital", self._region, hospital, "ecg_live"), data))

    async def send_ecg(self) -> None:
        """Send live frames to the broker until cancelled."""
        while True:
            topic, data = await self._ecg.get()
            await self._send(topic, data, "hub.ecg_live")

    async def _take_position(self, examined: Examined) -> None:
        name = examined.address.name
        unit = self._record.fleet.units.get(name)
        if unit is None:
            REFUSED.labels("hub", "unknown").inc()
            return
        position = open_body(examined.envelope, Position)
        envelope = examined.envelope
        if not place(unit, position, envelope.offset_ns or 0, envelope.origin):
            DROPPED.labels("hub.position").inc()
            return
        hospital = self._hospital_for(name, examined.envelope)
        if hospital is not None:
            topic = topics.path("hospital", self._region, hospital, "position")
            await self._send(topic, examined.arrived.data, "hub.position")
            await self._send_arrival(unit, hospital)
        self._unit_changed(name)

    def _hospital_for(self, unit: str, envelope: Envelope) -> str | None:
        """Return who may see this live message now; None for nobody."""
        case = self._record.book.of_unit(unit)
        if case is None or case.hospital is None or case.drill or envelope.drill:
            return None
        if envelope.case not in (None, case.id):  # made for a case that the unit has left
            DROPPED.labels("hub.other_case").inc()
            return None
        return case.hospital

    async def _send_arrival(self, unit: Unit, hospital: str) -> None:
        now_ns, case = self._clock.wall_ns(), self._record.book.of_unit(unit.name)
        if case is None or now_ns - self._told_ns.get(unit.name, 0) < ARRIVAL_NS:
            return
        arrival = self._estimate(unit, case, hospital, now_ns)
        unit.arrival = (case.id, arrival) if arrival is not None else None
        if arrival is None:
            return
        self._told_ns[unit.name] = now_ns
        origin = least_real(case.opened_as, unit.position_origin)
        draft = Draft("arrival", arrival, origin=origin, case=case.id)
        await self._send_own("hospital", hospital, draft)
        await self._send_own("unit", unit.name, draft)

    def _estimate(self, unit: Unit, case: Case, hospital: str, now_ns: int) -> Arrival | None:
        to = self._record.fleet.hospitals.get(hospital)
        if to is None or unit.place is None or unit.position is None:
            return None
        leg = Leg(
            at=unit.place,
            at_ns=unit.position.measured_ns,
            scene=position_of(case),
            hospital=to.place,
            stage=case.stage,
            on_scene_ns=case.stages.get("on_scene"),
            heading_deg=unit.heading_deg,
        )
        return estimate(leg, self._travel, now_ns)

    async def _answer_time(self, examined: Examined) -> None:
        """Answer with the hub's clock (RFC 5905, section 8); t3 as late as can be."""
        t2_ns = examined.arrived.received_ns
        request = open_body(examined.envelope, TimeRequest)
        reply = TimeReply(t1_ns=request.t1_ns, t2_ns=t2_ns, t3_ns=self._clock.wall_ns())
        address = examined.address
        await self._send_own(address.scope, address.name, Draft("time_reply", reply))

    async def _send_own(self, scope: Scope, name: str, draft: Draft) -> None:
        envelope = self._outbox.envelope(draft)
        topic = topics.path(scope, self._region, name, draft.kind)
        await self._send(topic, encode(envelope), f"hub.{draft.kind}")

    async def _send(self, topic: str, data: bytes, place_of_drop: str) -> None:
        try:
            await self._publish(topic, data)
        except TransportError:
            DROPPED.labels(place_of_drop).inc()

    def _note_heard(self, scope: Scope, name: str) -> None:
        now_ns = self._clock.monotonic_ns()
        party = f"{scope}/{name}"
        before_ns = self._heard_ns.get(party)
        self._heard_ns[party] = now_ns
        unit = self._record.fleet.units.get(name)
        if scope == "unit" and unit is not None:
            unit.heard_ns = self._clock.wall_ns()
        if before_ns is None or now_ns - before_ns > SILENCE_NS:
            self._heard_again(party)
