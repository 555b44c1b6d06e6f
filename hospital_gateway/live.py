"""Streams to the pages: live ECG, positions, times of arrival. The freshest wins, nothing is kept.

Only what belongs to a patient who is coming here goes on; everything else is dropped and
counted, whoever sent it. ECG frames stay coded: the page decodes what somebody looks at.

A frame for the pages, little-endian:

    0   u8    version, 1
    1   u8    flags: bit 0 is set when the frame is a past one, sent so that a page that has
              just begun to look does not start blank; it says nothing about latency;
              bit 1 is set on the newest frame of a recording from which nothing comes live:
              it is drawn as one that has just come, and says nothing about latency either;
              bits 4-7 are n - 1 where the frame holds every n-th sample of the recording:
              its sample k is number k * n there
    2   26s   the case's id, ASCII
    28  f64   time of the newest sample, ms since 1970 by the hub's clock
    36  u8    length of the setup's id, then the id in UTF-8
    ..  the coded frame (``streams.ecg_block``)
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hospital_gateway.board import Board, Eta
from hospital_gateway.cards import milliseconds
from streams.codec import decode, open_body
from streams.errors import ForerunError, MalformedError
from streams.health import DROPPED, REFUSED
from streams.messages import Arrival, EcgLive, Envelope, Origin, Position
from streams.topics import parse

FRAME_VERSION = 1
PAST = 0x01
"""Flag of a frame that was live before the page began to look."""

RECORDED = 0x02
"""Flag of the newest frame of a recording from which nothing comes live."""

EVERY_SHIFT = 4
"""Where in the flags it stands that only every n-th sample is there."""

KEPT_FRAMES = 40
"""Frames kept per case for a page that begins to look: 4 s at 10 frames a second."""

_HEAD = struct.Struct("<BB26sdB")


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """A frame, ready for the pages."""

    case: str
    data: bytes

    def as_past(self) -> bytes:
        """Return the same frame marked as a past one."""
        return self._flagged(PAST)

    def as_recorded(self) -> bytes:
        """Return the same frame marked as the newest of a recording that does not go on."""
        return self._flagged(RECORDED)

    def _flagged(self, flag: int) -> bytes:
        return self.data[:1] + bytes((self.data[1] | flag,)) + self.data[2:]


@dataclass(frozen=True, slots=True)
class LiveState:
    """A position or an estimate, as a JSON message for the pages."""

    case: str
    message: dict[str, Any]


def build_frame(case: str, newest_ms: float, setup_id: str, frame: bytes, every: int = 1) -> bytes:
    """Return a frame for the pages.

    Args:
        case: The case.
        newest_ms: Time of the newest sample.
        setup_id: Of the recording.
        frame: The coded frame.
        every: It holds every n-th sample, 1 to 16.

    Raises:
        MalformedError: The setup's id is longer than 255 bytes.
    """
    name = setup_id.encode()
    if len(name) > 255:
        raise MalformedError("ecg_live: the setup's id is longer than 255 bytes")
    flags = (every - 1) << EVERY_SHIFT
    return _HEAD.pack(FRAME_VERSION, flags, case.encode(), newest_ms, len(name)) + name + frame


class LiveStreams:
    """Turns stream messages into what the pages get; no network of its own."""

    def __init__(self, board: Board, frame_out: Callable[[LiveFrame], None]) -> None:
        """Prepare.

        Args:
            board: Knows which cases are coming here.
            frame_out: Takes each live frame.
        """
        self._board = board
        self._frame_out = frame_out
        self._past: dict[str, deque[LiveFrame]] = {}
        self._positions: dict[str, int] = {}

    def take(self, topic: str, data: bytes) -> LiveState | None:
        """Take a stream message; return what all pages are to be told, if anything."""
        try:
            address, envelope = parse(topic), decode(data)
            if envelope.kind != address.topic.kind or envelope.drill != address.drill:
                raise MalformedError(f"a {envelope.kind} came on {topic}")
            return self._take(envelope)
        except ForerunError as error:
            REFUSED.labels("live", error.reason).inc()
            return None

    def past(self, case: str) -> list[bytes]:
        """Return the last seconds of a case's ECG, oldest frame first, marked as past."""
        return [frame.as_past() for frame in self._past.get(case, ())]

    def end(self, case: str) -> None:
        """Forget a case that is no longer coming here."""
        self._past.pop(case, None)
        self._positions.pop(case, None)

    def _take(self, envelope: Envelope) -> LiveState | None:
        case = self._case_of(envelope)
        if case is None:
            DROPPED.labels("not_current").inc()
            return None
        match envelope.kind:
            case "ecg_live":
                self._take_ecg(case, envelope, open_body(envelope, EcgLive))
                return None
            case "position":
                return self._take_position(case, envelope, open_body(envelope, Position))
            case "arrival":
                return self._take_eta(case, open_body(envelope, Arrival), envelope.origin)
            case kind:
                raise MalformedError(f"{kind} is no stream for the pages")

    def _case_of(self, envelope: Envelope) -> str | None:
        """Return the current case of a message, or None if it is not this hospital's business.

        What a vehicle sends counts only if the vehicle is assigned to that case, as the case's
        own journal says.
        """
        arrivals = self._board.arrivals
        found = arrivals.get(envelope.case) if envelope.case else arrivals.of_unit(envelope.source)
        if found is None or not found.is_current:
            return None
        if envelope.kind != "arrival" and envelope.source not in found.units:
            return None
        return found.case

    def _take_ecg(self, case: str, envelope: Envelope, body: EcgLive) -> None:
        newest_ms = milliseconds(max(0, body.newest_ns + (envelope.offset_ns or 0)))
        data = build_frame(case, newest_ms, body.setup_id, body.frame, body.every)
        frame = LiveFrame(case, data)
        self._past.setdefault(case, deque(maxlen=KEPT_FRAMES)).append(frame)
        self._frame_out(frame)

    def _take_position(self, case: str, envelope: Envelope, body: Position) -> LiveState | None:
        measured_ns = max(0, body.measured_ns + (envelope.offset_ns or 0))
        if measured_ns < self._positions.get(case, 0):
            DROPPED.labels("position_late").inc()
            return None
        self._positions[case] = measured_ns
        message = {
            "type": "position",
            "case": case,
            "unit": envelope.source,
            "at_ms": milliseconds(measured_ns),
            "latitude_deg": body.latitude_deg,
            "longitude_deg": body.longitude_deg,
            "speed_mps": body.speed_mps,
            "origin": envelope.origin,
        }
        return LiveState(case, message)

    def _take_eta(self, case: str, body: Arrival, origin: Origin) -> LiveState | None:
        eta = Eta(
            milliseconds(body.at_ns), milliseconds(body.position_ns), body.distance_m, body.method,
            origin,
        )  # fmt: skip
        if not self._board.take_eta(case, eta):
            DROPPED.labels("arrival_late").inc()
            return None
        message = {
            "type": "eta",
            "case": case,
            "eta": {
                "at_ms": eta.at_ms,
                "position_ms": eta.position_ms,
                "distance_m": eta.distance_m,
                "method": eta.method,
                "origin": eta.origin,
            },
        }
        return LiveState(case, message)
