"""The newest vital signs and their course, as the tablet shows them. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import msgspec

from onboard.hearing import Heard
from streams.messages import Numeric, Origin, Vitals
from streams.topics import find

HISTORY = 60
"""Points kept per value: for the arrow and the small curve."""

MS = 1_000_000
_SILENT_NS = int((find("vitals").stale_after_s or 0) * 1e9)
NAMES: tuple[str, ...] = tuple(
    one.name for one in msgspec.structs.fields(Vitals) if one.name != "device"
)


@dataclass(slots=True)
class _Sign:
    numeric: Numeric
    origin: Origin
    device: str
    heard: Heard
    history: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=HISTORY))


class VitalSigns:
    """Takes vitals as they come; keeps the newest of each name."""

    def __init__(self) -> None:
        """Begin knowing nothing."""
        self._signs: dict[str, _Sign] = {}

    def take(self, vitals: Vitals, origin: Origin, sensor: str, now_ns: int) -> None:
        """Take what a device measured; what is older than another sensor's is left out.

        Args:
            vitals: As the sensor gave them.
            origin: live, replay or synthetic.
            sensor: Its name; each sensor's values come in order.
            now_ns: Monotonic time.
        """
        for name in NAMES:
            numeric: Numeric | None = getattr(vitals, name)
            if numeric is None:
                continue
            known, heard = self._signs.get(name), Heard(sensor, numeric.measured_ns, now_ns)
            if not heard.replaces(known.heard if known else None, _SILENT_NS):
                continue
            history = known.history if known else deque(maxlen=HISTORY)
            if numeric.value is not None and numeric.validity in ("valid", "questionable"):
                while history and history[-1][0] > numeric.measured_ns:
                    history.pop()  # by a clock that has been set back since
                history.append((numeric.measured_ns, numeric.value))
            self._signs[name] = _Sign(numeric, origin, vitals.device, heard, history)

    def clear(self) -> None:
        """Forget all: another patient follows."""
        self._signs.clear()

    def view(self, offset_ns: int) -> dict[str, Any]:
        """Return each sign by name, as the page takes it.

        Args:
            offset_ns: What to add to this machine's wall clock to get the page's.
        """
        return {
            name: {
                "value": sign.numeric.value,
                "at_ms": (sign.numeric.measured_ns + offset_ns) // MS,
                "validity": sign.numeric.validity,
                "reason": sign.numeric.reason,
                "origin": sign.origin,
                "device": sign.device,
                "history": [
                    {"atMs": (at_ns + offset_ns) // MS, "value": value}
                    for at_ns, value in sign.history
                ],
            }
            for name, sign in self._signs.items()
        }
