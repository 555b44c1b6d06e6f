"""The vital signs of a case's patients: the newest of each, and its way here. Pure."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

from streams.chain import Stored
from streams.lateness import came_late_ns
from streams.messages import Numeric, Origin, Validity, Vitals
from streams.source_clocks import Order, order_of

HISTORY = 120
"""Points of a vital sign kept for its trend: ten minutes at the declared rate of 0.2 Hz."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The newest value of one vital sign of one patient.

    Attributes:
        value: None when unavailable.
        at_ns: When it was measured, by the hub's clock.
        validity: As the device said.
        reason: The device's word for anything but valid.
        origin: live, replay or synthetic.
        order: What sorts it among the others.
        late_ns: How late it came to the hub; 0 when in time.
    """

    value: float | None
    at_ns: int
    validity: Validity
    reason: str | None
    origin: Origin
    order: Order
    late_ns: int

    @property
    def drawn(self) -> float | None:
        """The value that a curve may show; None, a gap, for what is not to be trusted."""
        return self.value if self.validity in ("valid", "questionable") else None


@dataclass(slots=True)
class Sign:
    """One vital sign: the newest value and its way here.

    Attributes:
        values: The last ones in the order of measuring, whenever they came; never empty.
    """

    values: list[Measured] = field(default_factory=list)

    @property
    def newest(self) -> Measured:
        """The one that was measured last."""
        return self.values[-1]

    def take(self, measured: Measured) -> None:
        """Put a value where it belongs; one of the same moment as another is left out."""
        place = bisect.bisect_left(self.values, measured.order, key=lambda known: known.order)
        beside = self.values[max(0, place - 1) : place + 1]
        if all(known.at_ns != measured.at_ns for known in beside):
            self.values.insert(place, measured)
            del self.values[:-HISTORY]
        elif place == len(self.values):
            self.values[-1] = measured


VitalSigns = dict[str | None, dict[str, Sign]]
"""Per patient (None is *unassigned*) and sign, by the name of its field."""


def measure(vitals: VitalSigns, fact: Stored, body: Vitals) -> None:
    """Fold one set of measured vital signs in; one that was held up lands where it belongs.

    No value is later than the fact that tells it: a device whose clock runs ahead would push
    everything that is true out of the trend.
    """
    signs = vitals.setdefault(fact.envelope.patient, {})
    late_ns = came_late_ns(fact)
    for name in body.__struct_fields__:
        numeric = getattr(body, name)
        if not isinstance(numeric, Numeric):
            continue
        at_ns = max(0, min(numeric.measured_ns + offset_ns(fact), fact.corrected_ns))
        measured = Measured(
            numeric.value, at_ns, numeric.validity, numeric.reason, fact.envelope.origin,
            order_of(fact, at_ns), late_ns,
        )  # fmt: skip
        signs.setdefault(name, Sign()).take(measured)


@dataclass(frozen=True, slots=True)
class LateSpan:
    """Values that came late: of when, and by how much at the most; times by the hub's clock."""

    from_ns: int
    until_ns: int
    most_ns: int


def late_span(signs: dict[str, Sign]) -> LateSpan | None:
    """Return what of a patient's kept values came late; None when all came in time."""
    late = [one for sign in signs.values() for one in sign.values if one.late_ns]
    if not late:
        return None
    times = [one.at_ns for one in late]
    return LateSpan(min(times), max(times), max(one.late_ns for one in late))


def offset_ns(fact: Stored) -> int:
    """Return what to add to a time that the fact's source stated, to get the hub's."""
    return fact.corrected_ns - fact.envelope.source_ns
