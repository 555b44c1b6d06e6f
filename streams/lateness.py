"""What is late, in one place. Pure.

A fact is late when it was older, as it was stored, than its kind may be to count as current:
its topic's staleness limit, or ``EVENT_S`` for events, which have none. Blocks of the ECG's
record and tracks come behind everything else on purpose and are never called late.

What is late lands at its true time and is marked; it never raises an alarm, and it is never
shown as of now, because a page takes the age of a value from when it was measured.
"""

from __future__ import annotations

from streams.chain import Stored
from streams.topics import find

EVENT_S = 30.0
"""An event that needs longer than this to be stored is late."""

SECOND_NS = 1_000_000_000


def late_after_s(kind: str) -> float | None:
    """Return the age (s) from which a fact of this kind is late; None for never.

    Raises:
        UnknownKindError: The table of topics does not have it.
    """
    topic = find(kind)
    if topic.lane in ("record", "stream"):
        return None
    return topic.stale_after_s or EVENT_S


def came_late_ns(fact: Stored, since_ns: int | None = None) -> int:
    """Return how late a stored fact came, ns; 0 when it was in time.

    Args:
        fact: The fact, its time placed (``streams.source_clocks``).
        since_ns: From when on this party was to get such facts, by the hub's clock: for those
            made later, when they came *here* counts too. None: what counts is the hub.
    """
    if fact.time == "unknown":
        return 0
    late = late_ns(fact.envelope.kind, fact.corrected_ns, fact.received_ns)
    if since_ns is not None and fact.stored_ns is not None and fact.corrected_ns >= since_ns:
        late = max(late, late_ns(fact.envelope.kind, fact.corrected_ns, fact.stored_ns))
    return late


def late_ns(kind: str, made_ns: int, stored_ns: int) -> int:
    """Return how late a fact came, ns; 0 when it was in time.

    Args:
        kind: Its kind.
        made_ns: When it was made, by the hub's clock.
        stored_ns: When it was stored, by the same clock.
    """
    limit_s, age_ns = late_after_s(kind), stored_ns - made_ns
    return age_ns if limit_s is not None and age_ns > limit_s * SECOND_NS else 0
