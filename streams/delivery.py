"""Delivery: what the outbox holds reaches the other application, which says so itself.

``Sender`` is the task around ``streams.send_plan``, which decides. ``examine`` is the other end:
bytes from a topic become a fact to store, or a refusal that says why.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

import structlog

from streams.announcing import Announcing
from streams.cancellation import heed_cancellation
from streams.chain import Arrived, Refused
from streams.clock import Clock
from streams.codec import any_body, decode
from streams.district_messages import DistrictBody
from streams.ecg_block import EcgBlockError, frame_span
from streams.errors import ForerunError, MalformedError, StorageError, TransportError
from streams.inbox import Line
from streams.link_messages import OutboxState
from streams.messages import Body, EcgEnded, EcgRecord, Envelope, Lane, Receipt
from streams.outbox import Entry, Outbox
from streams.send_plan import SECOND_NS, SendPlan
from streams.topics import LANES, Address, Party, parse

MOST_SAMPLES = 24 * 3600 * 10_000
"""Highest sample number that is taken: a day at 10 kHz."""

MOST_SOURCE = 40
"""Characters of a source's name in the journal."""

ROOM_EVERY_S = 0.025
"""How often a path without room is asked again."""

DISK_RETRY_S = 1.0
"""Pause after the outbox could not be read."""

_CAN_WAIT = frozenset(LANES[1:])
"""All lanes but the urgent one."""

log = structlog.get_logger(__name__)


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
        *,
        has_room: Callable[[], bool] = lambda: True,
        newest_case_first: bool = False,
        say: Callable[[OutboxState], Awaitable[None]] | None = None,
        waits_for_answer: bool = False,
    ) -> None:
        """Prepare a sender.

        Args:
            outbox: Where the facts wait.
            destination: For whom they wait.
            publish: Sends ``(kind, data)``; raises ``TransportError`` when there is no path.
            clock: Only its monotonic clock is used.
            has_room: Whether what can wait may be handed over now; urgent facts always are.
            newest_case_first: See ``SendPlan``.
            say: Sends the word of what is still held; raises ``TransportError`` when there is
                no path. None: it is not told.
            waits_for_answer: Whether facts wait on a new path until there is a receipt, see
                ``streams.announcing``; only together with ``say``.
        """
        self._say = say
        self._announcing = Announcing(waits=waits_for_answer)
        self._highest: dict[Lane, int] = {}
        self.plan = SendPlan(newest_case_first=newest_case_first)
        self._has_room = has_room
        self._outbox = outbox
        self._destination = destination
        self._publish = publish
        self._clock = clock
        self._wake = asyncio.Event()
        self._held: frozenset[Lane] = frozenset()

    def hold(self, lanes: Collection[Lane]) -> None:
        """Begin nothing of these lanes until they are no longer held: the link is full."""
        held = frozenset(lanes)
        if held != self._held:
            self._held = held
            self._wake.set()

    def wake(self) -> None:
        """Say that a new fact waits."""
        self._wake.set()

    def path_is_new(self) -> None:
        """Say that the path was lost and is back."""
        self.plan.restart()
        self._announcing.path_is_new(self._clock.monotonic_ns())
        self._wake.set()

    def take_receipt(self, receipt: Receipt) -> None:
        """Take a receipt that came for this source.

        Where the outbox's disk fails nothing is freed; the next receipt says the same and more.
        """
        if receipt.epoch != self._outbox.epoch:
            return
        try:
            self._outbox.take_receipt(self._destination, receipt, self._highest)
            self._announcing.take_receipt(receipt, self._outbox.held(self._destination))
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
            pause_ns = await self.step()
            if pause_ns is not None:
                await self._wait(pause_ns)

    async def step(self) -> int | None:
        """Send what may go now; return after how long to look again, ns; None is at once."""
        now_ns = self._clock.monotonic_ns()
        full = not self._has_room()
        held: Collection[Lane] = _CAN_WAIT if full else self._held
        try:
            if not await self._announce(now_ns):
                return SECOND_NS // 2
            if self._say is not None and self._announcing.holds_back(now_ns):
                held = LANES
            entries = self.plan.next(self._outbox, self._destination, now_ns, held=held)
        except StorageError as error:
            log.error("outbox not read", destination=self._destination, error=str(error))  # noqa: TRY400 -- the text says all
            return round(DISK_RETRY_S * SECOND_NS)
        if not await self._send(entries):
            return SECOND_NS // 2
        return None if entries else self._pause_ns(full=full)

    def _pause_ns(self, *, full: bool) -> int:
        now_ns = self._clock.monotonic_ns()
        pause_ns = self.plan.wake_after_ns(now_ns)
        if self._say is not None and (due_ns := self._announcing.wake_after_ns(now_ns)) is not None:
            pause_ns = min(pause_ns, due_ns)
        return min(pause_ns, round(ROOM_EVERY_S * SECOND_NS)) if full else pause_ns

    async def _announce(self, now_ns: int) -> bool:
        """Say what is still held, if it is time to; return False where there is no path."""
        if self._say is None or not self._announcing.is_due(now_ns):
            return True
        held = self._outbox.held(self._destination)
        try:
            await self._say(OutboxState(epoch=self._outbox.epoch, held=held))
        except TransportError as error:
            log.debug("no path", destination=self._destination, error=str(error))
            return False
        self._announcing.said(now_ns)
        return True

    async def _send(self, entries: list[Entry]) -> bool:
        for entry in entries:
            if entry.lane in _CAN_WAIT and not self._has_room():
                break  # the others are found again
            self._highest[entry.lane] = max(entry.sequence, self._highest.get(entry.lane, 0))
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
        line, sequence = _line(address, envelope), envelope.sequence
        body = any_body(envelope)
        _check_waveform(body)
        _check_region(address, body)
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


def _check_waveform(body: Body) -> None:
    """Refuse sample numbers that no recording reaches: a reader would make room for them."""
    last = 0
    if isinstance(body, EcgEnded):
        last = body.samples
    elif isinstance(body, EcgRecord):
        for frame in body.frames:
            with contextlib.suppress(EcgBlockError):  # damaged ones are kept, and counted there
                first, length = frame_span(frame)
                if first < 0:
                    raise MalformedError(f"a frame begins at sample {first}")
                last = max(last, first + length)
    if last > MOST_SAMPLES:
        raise MalformedError(f"sample {last} is beyond what any recording has ({MOST_SAMPLES})")


def _check_place(address: Address, envelope: Envelope, maker: Party) -> None:
    if maker not in address.topic.makers:
        raise MalformedError(f"a {maker} does not make {address.topic.kind}")
    if envelope.kind != address.topic.kind:
        raise MalformedError(f"a {envelope.kind} came on the topic of {address.topic.kind}")
    if envelope.drill != address.drill:
        raise MalformedError("an exercise and the real thing do not share topics")
    if maker != "hub" and envelope.source != address.name:
        raise MalformedError(f"{envelope.source!r} may not speak for {address.name!r}")


def _check_region(address: Address, body: Body) -> None:
    """Refuse what one district tells in the name of another."""
    if isinstance(body, DistrictBody) and body.region != address.region:
        raise MalformedError(f"{address.region!r} may not speak for {body.region!r}")


def line_source(address: Address, source: str) -> str:
    """Return under which name the facts of a maker are numbered here.

    Hubs of two districts may have the same name, and the region in the topic is what the broker
    vouches for: a neighbour's hub is ``<region>/<hub>``.

    Raises:
        MalformedError: The two together are too long.
    """
    if address.scope != "district":
        return source
    name = f"{address.region}/{source}"
    if len(name) > MOST_SOURCE:
        raise MalformedError(f"{name}: region and hub have more than {MOST_SOURCE - 1} characters")
    return name


def _line(address: Address, envelope: Envelope) -> Line | None:
    if not envelope.sequence:
        return None
    return Line(line_source(address, envelope.source), envelope.epoch, envelope.lane)
