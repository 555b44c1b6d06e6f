"""NMEA 0183 sentences to epochs: what a receiver said about one moment. Pure.

Sentences of the same time of day belong together, whoever the talker is (GP, GN, BD, GB, GA,
GL ...). GGA, GLL and GNS carry no date and need none here: an epoch has a time of day, and the
distance between two epochs follows from it across midnight.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, time, timedelta

from pynmeagps import NMEAMessage, NMEAReader

KNOT_MPS = 1852 / 3600
LONGEST_LINE = 1024
"""NMEA allows 82 characters; receivers write more, but no sentence is longer than this."""

ROLLOVER = timedelta(weeks=1024)
"""The 10-bit week number of GPS starts again after it (IS-GPS-200, section 20.3.3.3.1.1)."""

_MEASURED_QUALITIES = frozenset({1, 2, 3, 4, 5, 6})
"""GGA: GPS, DGPS, PPS, RTK, float RTK, dead reckoning. 7 is manual, 8 simulated."""

_MEASURED_MODES = frozenset("ADEFPR")
"""FAA mode: autonomous, differential, estimated, float, precise, RTK. N none, M, S as above."""


@dataclass(slots=True)
class Epoch:
    """One moment of a receiver.

    Attributes:
        time_of_day_s: Seconds since midnight UTC; None where the receiver knows no time.
        date: Date, where a sentence had one.
        refusal: Why the position is no fix; None where it is one.
        latitude_deg: None where no sentence had one.
        longitude_deg: None where no sentence had one.
        speed_mps: Over ground.
        heading_deg: Course over ground from true north, 0 to below 360.
        hdop: Horizontal dilution of precision.
        deviations_m: Standard deviations north and east (GST).
    """

    time_of_day_s: float | None = None
    date: date | None = None
    refusal: str | None = None
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None
    hdop: float | None = None
    deviations_m: tuple[float, float] | None = None
    kinds: set[str] = field(default_factory=set)

    @property
    def has_fix(self) -> bool:
        """Whether it has a position that the receiver stands for."""
        return (
            self.refusal is None
            and self.latitude_deg is not None
            and self.longitude_deg is not None
        )


class NmeaEpochs:
    """Groups sentences into epochs, and counts what it cannot read.

    Attributes:
        refused: How many lines were skipped, by reason: ``checksum``, ``malformed``, ``long``.
        sentences: How many sentences were read.
    """

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self.sentences = 0
        self._epoch: Epoch | None = None

    def feed(self, line: bytes) -> Epoch | None:
        """Take one line; return the epoch before, when the line begins a new one."""
        message = self._parse(line)
        if message is None:
            return None
        self.sentences += 1
        kind = str(message.msgID)
        reading = _READERS.get(kind)
        if reading is None:
            return None
        finished = self._turn_over(kind, getattr(message, "time", None), kind in _TIMED)
        assert self._epoch is not None
        try:
            reading(self._epoch, message)
        except AttributeError:  # a sentence that ends early has no such fields
            self.refused["malformed"] += 1
        else:
            self._epoch.kinds.add(kind)
        return finished

    def close(self) -> Epoch | None:
        """Return the last epoch."""
        finished, self._epoch = self._epoch, None
        return finished if finished is not None and finished.kinds & _TIMED else None

    def _parse(self, line: bytes) -> NMEAMessage | None:
        start = line.find(b"$")
        if start < 0 or line.startswith(b"#"):
            return None
        if len(line) > LONGEST_LINE:
            self.refused["long"] += 1
            return None
        if b"*" not in line[start:]:  # pynmeagps passes over it as over an unknown sentence
            self.refused["malformed"] += 1
            return None
        try:
            return NMEAReader.parse(line[start:].rstrip() + b"\r\n")
        except Exception as error:  # on garbage pynmeagps raises more kinds than its own
            self.refused["checksum" if "checksum" in str(error) else "malformed"] += 1
            return None

    def _turn_over(self, kind: str, at: object, timed: bool) -> Epoch | None:
        """Begin a new epoch if this sentence is of another moment; return the one before."""
        if self._epoch is None:
            self._epoch = Epoch()
        if not timed:
            return None
        seconds = _seconds(at)
        current = self._epoch
        if not current.kinds & _TIMED:
            current.time_of_day_s = seconds
            return None
        # A receiver that knows no time yet repeats its sentences: each round is a moment.
        same = seconds == current.time_of_day_s and (
            seconds is not None or kind not in current.kinds
        )
        if same:
            return None
        self._epoch = Epoch(time_of_day_s=seconds)
        return current


def _seconds(at: object) -> float | None:
    if not isinstance(at, time):
        return None
    return at.hour * 3600 + at.minute * 60 + at.second + at.microsecond / 1e6


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _place(epoch: Epoch, message: NMEAMessage) -> None:
    latitude, longitude = _number(message.lat), _number(message.lon)
    if latitude is None or longitude is None:
        return
    if abs(latitude) > 90 or abs(longitude) > 180:
        _refuse(epoch, "position out of range")
    elif epoch.latitude_deg is None:
        epoch.latitude_deg, epoch.longitude_deg = latitude, longitude


def _refuse(epoch: Epoch, reason: str) -> None:
    epoch.refusal = epoch.refusal or reason


def _read_mode(epoch: Epoch, modes: object) -> None:
    """FAA mode indicators, one letter per constellation in GNS; missing in old receivers."""
    if isinstance(modes, str) and modes and not _MEASURED_MODES & set(modes):
        _refuse(epoch, "no fix")


def _read_rmc(epoch: Epoch, message: NMEAMessage) -> None:
    if message.status != "A":
        _refuse(epoch, "no fix")
    _read_mode(epoch, getattr(message, "posMode", None))
    if isinstance(message.date, date):
        epoch.date = message.date
    _place(epoch, message)
    speed_knots = _number(message.spd)
    if speed_knots is not None:
        epoch.speed_mps = speed_knots * KNOT_MPS
    _read_course(epoch, message.cog)


def _read_course(epoch: Epoch, value: object) -> None:
    course = _number(value)
    if course is not None and 0 <= course <= 360:
        epoch.heading_deg = course % 360


def _read_gga(epoch: Epoch, message: NMEAMessage) -> None:
    if message.quality not in _MEASURED_QUALITIES:
        _refuse(epoch, "no fix")
    _place(epoch, message)
    epoch.hdop = _number(message.HDOP) or epoch.hdop


def _read_gll(epoch: Epoch, message: NMEAMessage) -> None:
    if message.status != "A":
        _refuse(epoch, "no fix")
    _read_mode(epoch, getattr(message, "posMode", None))
    _place(epoch, message)


def _read_gns(epoch: Epoch, message: NMEAMessage) -> None:
    _read_mode(epoch, message.posMode)
    _place(epoch, message)
    epoch.hdop = _number(message.HDOP) or epoch.hdop


def _read_gst(epoch: Epoch, message: NMEAMessage) -> None:
    north, east = _number(message.stdLat), _number(message.stdLong)
    if north is not None and east is not None:
        epoch.deviations_m = (north, east)


def _read_vtg(epoch: Epoch, message: NMEAMessage) -> None:
    speed_knots = _number(message.sogn)
    if speed_knots is not None and epoch.speed_mps is None:
        epoch.speed_mps = speed_knots * KNOT_MPS
    if epoch.heading_deg is None:
        _read_course(epoch, message.cogt)


def _read_gsa(epoch: Epoch, message: NMEAMessage) -> None:
    epoch.hdop = epoch.hdop or _number(message.HDOP)


def _read_zda(epoch: Epoch, message: NMEAMessage) -> None:
    try:
        epoch.date = epoch.date or date(int(message.year), int(message.month), int(message.day))
    except (TypeError, ValueError):
        return


_READERS = {
    "RMC": _read_rmc,
    "GGA": _read_gga,
    "GLL": _read_gll,
    "GNS": _read_gns,
    "GST": _read_gst,
    "VTG": _read_vtg,
    "GSA": _read_gsa,
    "ZDA": _read_zda,
}
_TIMED = frozenset({"RMC", "GGA", "GLL", "GNS"})
