"""The timeline of a case: what each fact says, in a form that a page puts into words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from streams.chain import Stored
from streams.codec import any_body
from streams.lateness import came_late_ns
from streams.messages import Body, CaseNote, DeviceEvent, EcgStarted, Milestone, Origin
from streams.source_clocks import Order, order_of

SILENT = frozenset({"ecg_record", "track", "vitals", "caller_position", "text_turn", "text_spoken"})
"""Kinds that come by the hundred and have their own place on a page."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a timeline.

    Attributes:
        id: The fact's id.
        case_sequence: Its place in the case.
        kind: Kind of the table of topics; with ``data`` it makes the words.
        at_ns: When it happened, by the hub's clock.
        noted_ns: When it was written down, by the hub's clock.
        source: Who said so.
        origin: live, replay or synthetic.
        data: The body's fields, without times and bytes.
        order: What sorts it among the others.
        late_ns: How late it came to the hub; 0 when in time.
        time: How well ``noted_ns`` is known, as in ``streams.chain.Stored``.
    """

    id: str
    case_sequence: int
    kind: str
    at_ns: int
    noted_ns: int
    source: str
    origin: Origin
    data: dict[str, Any]
    order: Order
    late_ns: int
    time: str


def entry_of(fact: Stored, body: Body | None = None) -> Entry | None:
    """Return the line that a fact adds to its case's timeline, or None.

    Args:
        fact: A stored fact of a case, its time placed (``streams.source_clocks``).
        body: Its body, where the caller has decoded it already.
    """
    envelope = fact.envelope
    if envelope.kind in SILENT or fact.case_sequence is None:
        return None
    body = body if body is not None else any_body(envelope)
    at_ns = fact.corrected_ns
    if isinstance(body, (Milestone, CaseNote, DeviceEvent)):
        at_ns = body.at_ns + fact.corrected_ns - envelope.source_ns
    return Entry(
        id=envelope.id,
        case_sequence=fact.case_sequence,
        kind=envelope.kind,
        at_ns=at_ns,
        noted_ns=fact.corrected_ns,
        source=envelope.source,
        origin=envelope.origin,
        data=_fields(body),
        order=order_of(fact, at_ns),
        late_ns=came_late_ns(fact),
        time=fact.time,
    )


def _fields(body: Body) -> dict[str, Any]:
    if isinstance(body, EcgStarted):  # its scales and gains are for the decoder, not for a page
        leads = [lead.name for lead in body.setup.leads]
        return {"device": body.device, "purpose": body.purpose, "leads": leads}
    fields: dict[str, Any] = msgspec.to_builtins(body)
    fields.pop("at_ns", None)
    return fields
