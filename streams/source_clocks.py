"""When facts were made, where their source did not know yet; and the order of facts. Pure.

A vehicle that was switched on without coverage does not know the hub's time. Its facts carry its
monotonic clock all the same, and so does the first one that it makes after it has compared its
clock with the hub's: from that one, the time of all before follows. Nothing that is stored is
changed; ``place`` is applied wherever facts are read into a view.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

from streams.chain import Stored
from streams.clock import DRIFT_PPM
from streams.messages import Envelope

Order = tuple[int, str, int, int, int]
"""What sorts facts: time, source, the source's monotonic clock, its number, its place."""


@dataclass(slots=True)
class _Boot:
    """One life of a source's monotonic clock.

    Attributes:
        known: The first moment of it at which the hub's time was known: the monotonic time, what
            to add to it to get the hub's, and the uncertainty of that.
        cases: Cases with facts that were made without the hub's time.
    """

    known: tuple[int, int, int] | None = None
    cases: set[str] = field(default_factory=set)


class SourceClocks:
    """Follows the facts of a journal and knows when each was made.

    The same facts give the same times, whatever order they came in.
    """

    def __init__(self) -> None:
        self._boots: dict[tuple[str, str], _Boot] = defaultdict(_Boot)

    def take(self, fact: Stored) -> tuple[Stored, set[str]]:
        """Learn from a fact; return it with its time, and the cases whose facts got another one.

        These cases are to be read again.
        """
        envelope = fact.envelope
        if not envelope.boot:
            return self.place(fact), set()
        boot = self._boots[envelope.source, envelope.boot]
        if envelope.offset_ns is None:
            if envelope.case is not None:
                boot.cases.add(envelope.case)
            return self.place(fact), set()
        if boot.known is not None and boot.known[0] <= envelope.monotonic_ns:
            return fact, set()
        hub_ns = envelope.source_ns + envelope.offset_ns
        boot.known = (
            envelope.monotonic_ns, hub_ns - envelope.monotonic_ns, envelope.uncertainty_ns or 0
        )  # fmt: skip
        return fact, set(boot.cases)

    def place(self, fact: Stored) -> Stored:
        """Return a fact with the time that is known for it, and how well that is known."""
        if fact.envelope.offset_ns is not None:
            return fact
        known = self.made_ns(fact.envelope)
        if known is None:  # at least not later than it came
            earliest_ns = min(fact.corrected_ns, fact.received_ns)
            return replace(fact, corrected_ns=earliest_ns, time="unknown")
        return replace(fact, corrected_ns=known[0], time="estimated")

    def made_ns(self, envelope: Envelope) -> tuple[int, int] | None:
        """Return when a message without an offset was made and the uncertainty of that, ns."""
        boot = self._boots.get((envelope.source, envelope.boot)) if envelope.boot else None
        if boot is None or boot.known is None:
            return None
        at_ns, hub_minus_monotonic_ns, uncertainty_ns = boot.known
        made_ns = max(0, envelope.monotonic_ns + hub_minus_monotonic_ns)
        apart_ns = abs(envelope.monotonic_ns - at_ns)
        return made_ns, uncertainty_ns + apart_ns * DRIFT_PPM // 1_000_000


def order_of(fact: Stored, at_ns: int | None = None) -> Order:
    """Return what sorts a fact among others, whatever order they came in.

    Args:
        fact: The fact, placed.
        at_ns: When what it tells happened, by the hub's clock; None for when it was made.
    """
    envelope = fact.envelope
    return (
        fact.corrected_ns if at_ns is None else at_ns,
        envelope.source,
        envelope.monotonic_ns,
        envelope.sequence,
        fact.case_sequence or 0,
    )
