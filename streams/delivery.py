"""Delivery: what the outbox holds reaches the other application, which says so itself.

``SendPlan`` is the pure core: which waiting fact goes next, and when silence means *again*.
``Sender`` is the task around it. ``examine`` is the other end: bytes from a topic become a
fact to store, or a refusal that says why.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from streams.cancellation import heed_cancellation
from streams.chain import Arrived, Refused
from streams.clock import Clock
from streams.codec import any_body, decode
from streams.errors import ForerunError, MalformedError, StorageError, TransportError
from streams.inbox import Line
from streams.messages import Envelope, Lane, Receipt
from streams.outbox import Entry, Outbox
from streams.topics import LANES, Address, Party, parse

SECOND_NS = 1_000_000_000

WINDOW: dict[Lane, int] = {"urgent": 64, "vitals": 64, "facts": 64, "record": 16}
"""Facts per lane that may be on the way without a receipt."""

RESEND_NS = 2 * SECOND_NS
"""Silence after which facts on the way are sent again; doubled each time, up to the limit."""

RESEND_LIMIT_NS = 30 * SECOND_NS

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _LaneState:
    stored: int = 0
    sent: int = 0
    quiet_since_ns: int = 0
    patience_ns: int = RESEND_NS


class SendPlan:
    """Decides what to send; pure, the time is an argument.

    Lanes are served in the order of the table: as long as an urgent fact may be sent, nothing
    else is. Within a lane facts go in order; without progress for ``RESEND_NS`` the lane
    starts again behind the last receipt.
    """

    def __init__(self) -> None:
        self._lanes: dict[Lane, _LaneState] = {lane: _LaneState() for lane in LANES}
        self.resent = 0

    def restart(self) -> None:
        """Take everything without a receipt as lost: the path is a new one."""
        for state in self._lanes.values():
            self.resent += state.sent - state.stored
            state.sent, state.patience_ns = state.stored, RESEND_NS

    def take_receipt(self, receipt: Receipt, now_ns: int) -> None:
        """Note what the other side has."""
        for lane, stored in receipt.stored.items():
            state = self._lanes.get(lane)
            if state is not None and stored > state.stored:
                state.stored, state.sent = stored, max(stored, state.sent)
                state.quiet_since_ns, state.patience_ns = now_ns, RESEND_NS

    def next(self, outbox: Outbox, destination: str, now_ns: int) -> list[Entry]:
        """Return what to send now: from one lane, at most a few, so that urgent facts cut in."""
        for lane in LANES:
            state = self._lanes[lane]
            self._lose_patience(state, now_ns)
            room = WINDOW[lane] - (state.sent - state.stored)
            if room <= 0:
                continue
            entries = outbox.waiting(destination, lane, state.sent, 1 if lane == "record" else room)
            if entries:
                if state.sent == state.stored:
                    state.quiet_since_ns = now_ns
                return entries
        return []

    def sent(self, entry: Entry) -> None:
        """Note that an entry left."""
        state = self._lanes[entry.lane]
        if state.stored == 0 and entry.sequence > 1 and state.sent == 0:
            state.stored = entry.sequence - 1  # freed in an earlier life of this process
        state.sent = max(state.sent, entry.sequence)

    def wake_after_ns(self, now_ns: int) -> int:
        """Return after how long ``next`` may have something even if nothing happens."""
        due = [
            state.quiet_since_ns + state.patience_ns - now_ns
            for state in self._lanes.values()
            if state.sent > state.stored
        ]
        return max(0, min(due, default=RESEND_LIMIT_NS))

    def _lose_patience(self, state: _LaneState, now_ns: int) -> None:
        if state.sent > state.stored and now_ns - state.quiet_since_ns >= state.patience_ns:
            self.resent += state.sent - state.stored
            state.sent, state.quiet_since_ns = state.stored, now_ns
            state.patience_ns = min(2 * state.patience_ns, RESEND_LIMIT_NS)


class Sender:
    """Sends what waits for one destination until its receipts say that it is stored there.

    Run it as a task: ``group.create_task(sender.run(), name="unit-7.sender")``.
    """

    def __init__(
        self,
        outbox: Outbox,
        destination: str,
        publish: Callable[[str, bytes], Awaitable[None]],
        clock: Clock,
    ) -> None:
        """Prepare a sender.

        Args:
            outbox: Where the facts wait.
            destination: For whom they wait.
            publish: Sends ``(kind, data)``; raises ``TransportError`` when there is no path.
            clock: Only its monotonic clock is used.
        """
        self.plan = SendPlan()
        self._outbox = outbox
        self._destination = destination
        self._publish = publish
        self._clock = clock
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Say that a new fact waits."""
        self._wake.set()

    def path_is_new(self) -> None:
        """Say that the path was lost and is back."""
        self.plan.restart()
        self._wake.set()

    def take_receipt(self, receipt: Receipt) -> None:
        """Take a receipt that came for this source.

        Where the outbox's disk fails nothing is freed; the next receipt says the same and more.
        """
        if receipt.epoch != self._outbox.epoch:
            return
        try:
            self._outbox.take_receipt(self._destination, receipt)
        except StorageError as error:
            log.error("receipt not taken", destination=self._destination, error=str(error))  # noqa: TRY400 -- the text says all
            return
        self.plan.take_receipt(receipt, self._clock.monotonic_ns())
        for refusal in receipt.refused:
            log.error("fact refused", id=refusal.id, reason=refusal.reason, text=refusal.text)
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            heed_cancellation()
            self._wake.clear()
            entries = self.plan.next(self._outbox, self._destination, self._clock.monotonic_ns())
            if not await self._send(entries):
                await self._wait(SECOND_NS // 2)
            elif not entries:
                await self._wait(self.plan.wake_after_ns(self._clock.monotonic_ns()))

    async def _send(self, entries: list[Entry]) -> bool:
        for entry in entries:
            try:
                await self._publish(entry.kind, entry.data)
            except TransportError as error:
                log.debug("no path", destination=self._destination, error=str(error))
                return False
            self.plan.sent(entry)
        return True

    async def _wait(self, at_most_ns: int) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_ns / SECOND_NS):
                await self._wake.wait()


@dataclass(frozen=True, slots=True)
class Examined:
    """A message that came on a topic and is what it says.

    Attributes:
        address: The topic taken apart.
        envelope: The decoded envelope.
        arrived: What the journal takes.
    """

    address: Address
    envelope: Envelope
    arrived: Arrived


def examine(topic: str, data: bytes, received_ns: int, maker: Party) -> Examined | Refused:
    """Check a message against its topic: size, version, kind, types, and that the maker is right.

    Never raises: whatever came, it is a fact to store or a refusal that says why.

    Args:
        topic: Where it came, with ``/``.
        data: The bytes.
        received_ns: When, by this machine's wall clock.
        maker: Who publishes on the topics that are read here.
    """
    line, sequence = None, 0
    try:
        address = parse(topic)
        envelope = decode(data)
        _check_place(address, envelope, maker)
        # From here on it is the maker's own, so a refusal answers its number.
        line, sequence = _line(envelope), envelope.sequence
        any_body(envelope)
        corrected_ns = _corrected_ns(envelope)
    except ForerunError as error:
        return Refused(received_ns, topic, error.reason, str(error), data, line, sequence)
    arrived = Arrived(data, received_ns, corrected_ns, line, sequence)
    return Examined(address, envelope, arrived)


def _corrected_ns(envelope: Envelope) -> int:
    corrected_ns = envelope.source_ns + (envelope.offset_ns or 0)
    if not 0 <= corrected_ns < 2**63:
        raise MalformedError(f"{envelope.kind}: made at {corrected_ns} ns is no time")
    return corrected_ns


def _check_place(address: Address, envelope: Envelope, maker: Party) -> None:
    if maker not in address.topic.makers:
        raise MalformedError(f"a {maker} does not make {address.topic.kind}")
    if envelope.kind != address.topic.kind:
        raise MalformedError(f"a {envelope.kind} came on the topic of {address.topic.kind}")
    if envelope.drill != address.drill:
        raise MalformedError("an exercise and the real thing do not share topics")
    if maker != "hub" and envelope.source != address.name:
        raise MalformedError(f"{envelope.source!r} may not speak for {address.name!r}")


def _line(envelope: Envelope) -> Line | None:
    return Line(envelope.source, envelope.epoch, envelope.lane) if envelope.sequence else None
