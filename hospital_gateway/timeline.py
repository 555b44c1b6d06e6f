"""The case's timeline: what happened when, and who said so. Pure.

Vital signs, ECG blocks and tracks have views of their own and no line here. A line carries the
fact's body as it is, so that the page can put it into words in its own language.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Any

import msgspec

from streams.chain import Stored
from streams.lateness import came_late_ns
from streams.messages import Body, CaseNote, DeviceEvent, EcgStarted, Milestone, Origin
from streams.source_clocks import Order, order_of

KEPT = 500
"""Lines of one case at the most; beyond, the oldest are left out and the journal has them."""

_OTHER_VIEWS = frozenset(
    {"vitals", "ecg_record", "track", "case_fact"}
    # dispatch's own matters
    | {"partner_told", "partner_answered"}
    | {"text_turn", "text_channel", "text_spoken"}
    | {"call_step", "caller_position", "location_refused", "caller_message", "case_linked"}
    | {"case_shared", "case_unshared", "unit_asked", "unit_unasked", "unit_answered", "unit_lent"}
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line.

    Attributes:
        id: The fact's id.
        sequence: Its place in the case.
        kind: Its kind.
        at_ns: When it happened, by the hub's clock.
        noted_ns: When it was written down, by the hub's clock.
        source: Who said so: a unit, the hub, a hospital.
        patient: The patient's label, or None.
        origin: live, replay or synthetic.
        said: The body, as JSON can carry it.
        order: What sorts it among the others, whatever came first.
        late_ns: How late it came to the hub; 0 when in time.
        late_here_ns: How late it came here, if this hospital was to get it then.
        time: How well ``noted_ns`` is known, as in ``streams.chain.Stored``.
    """

    id: str
    sequence: int
    kind: str
    at_ns: int
    noted_ns: int
    source: str
    patient: str | None
    origin: Origin
    said: dict[str, Any]
    order: Order
    late_ns: int
    late_here_ns: int
    time: str


class Timeline:
    """The lines of one case, oldest first; the newest ``KEPT`` whatever order they come in."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What is kept, oldest first."""
        return tuple(self._entries)

    def add(self, entry: Entry) -> None:
        """Take a line; one that is known changes nothing."""
        place = bisect.bisect_left(self._entries, entry.order, key=lambda known: known.order)
        if place < len(self._entries) and self._entries[place].order == entry.order:
            return
        self._entries.insert(place, entry)
        del self._entries[:-KEPT]


def entry_of(fact: Stored, body: Body) -> Entry | None:
    """Return the timeline's line of a fact, or None for kinds that have another view.

    Args:
        fact: A fact of a case, its time placed (``streams.source_clocks``).
        body: Its decoded body.
    """
    envelope = fact.envelope
    if envelope.kind in _OTHER_VIEWS or fact.case_sequence is None:
        return None
    shift_ns = fact.corrected_ns - envelope.source_ns
    at_ns = fact.corrected_ns
    if isinstance(body, Milestone | CaseNote | DeviceEvent):
        at_ns = max(0, body.at_ns + shift_ns)
    return Entry(
        id=envelope.id,
        sequence=fact.case_sequence,
        kind=envelope.kind,
        at_ns=at_ns,
        noted_ns=fact.corrected_ns,
        source=envelope.source,
        patient=envelope.patient,
        origin=envelope.origin,
        said=_said(body),
        order=order_of(fact, at_ns),
        late_ns=came_late_ns(fact),
        late_here_ns=came_late_ns(fact, 0),
        time=fact.time,
    )


def _said(body: Body) -> dict[str, Any]:
    if isinstance(body, EcgStarted):  # the scales of the leads are the strip's business
        return {
            "device": body.device,
            "purpose": body.purpose,
            "leads": len(body.setup.leads),
            "sampling_frequency_hz": body.setup.sampling_frequency_hz,
        }
    said: dict[str, Any] = msgspec.to_builtins(body)
    return said
