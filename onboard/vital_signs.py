"""The newest vital signs and their course, as the tablet shows them. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import msgspec

from streams.messages import Numeric, Origin, Vitals

HISTORY = 60
"""Points kept per value: for the arrow and the small curve."""

MS = 1_000_000
NAMES: tuple[str, ...] = tuple(
    one.name for one in msgspec.structs.fields(Vitals) if one.name != "device"
)


@dataclass(slots=True)
class _Sign:
    numeric: Numeric
    origin: Origin
    device: str
    history: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=HISTORY))


class VitalSigns:
    """Takes vitals as they come; keeps the newest of each name."""

    def __init__(self) -> None:
        """Begin knowing nothing."""
        self._signs: dict[str, _Sign] = {}

    def take(self, vitals: Vitals, origin: Origin) -> None:
        """Take what a device measured; a value older than the one known is left out."""
        for name in NAMES:
            numeric: Numeric | None = getattr(vitals, name)
            known = self._signs.get(name)
            if numeric is None or (known and numeric.measured_ns < known.numeric.measured_ns):
                continue
            history = known.history if known else deque(maxlen=HISTORY)
            if numeric.value is not None and numeric.validity in ("valid", "questionable"):
                history.append((numeric.measured_ns, numeric.value))
            self._signs[name] = _Sign(numeric, origin, vitals.device, history)

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
