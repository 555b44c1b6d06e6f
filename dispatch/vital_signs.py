"""The vital signs of a case's patients: the newest of each, and its way here. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from streams.chain import Stored
from streams.messages import Numeric, Origin, Validity, Vitals

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
    """

    value: float | None
    at_ns: int
    validity: Validity
    reason: str | None
    origin: Origin


@dataclass(slots=True)
class Sign:
    """One vital sign: the newest value and its way here.

    Attributes:
        newest: The newest by the time of measuring.
        history: (at_ns, value) in the order of measuring; None where there is no valid value.
    """

    newest: Measured
    history: deque[tuple[int, float | None]] = field(default_factory=lambda: deque(maxlen=HISTORY))


VitalSigns = dict[str | None, dict[str, Sign]]
"""Per patient (None is *unassigned*) and sign, by the name of its field."""


def measure(vitals: VitalSigns, fact: Stored, body: Vitals) -> None:
    """Fold one set of measured vital signs in; an older one never replaces a newer."""
    signs = vitals.setdefault(fact.envelope.patient, {})
    for name in body.__struct_fields__:
        numeric = getattr(body, name)
        if not isinstance(numeric, Numeric):
            continue
        at_ns = numeric.measured_ns + offset_ns(fact)
        measured = Measured(
            numeric.value, at_ns, numeric.validity, numeric.reason, fact.envelope.origin
        )
        sign = signs.get(name)
        if sign is None:
            sign = signs[name] = Sign(measured)
        elif at_ns >= sign.newest.at_ns:
            sign.newest = measured
        else:
            continue  # an old one that was held up: the record has it
        usable = numeric.validity in ("valid", "questionable")
        if not sign.history or sign.history[-1][0] < at_ns:
            sign.history.append((at_ns, numeric.value if usable else None))


def offset_ns(fact: Stored) -> int:
    """Return what to add to a time that the fact's source stated, to get the hub's."""
    return fact.corrected_ns - fact.envelope.source_ns
