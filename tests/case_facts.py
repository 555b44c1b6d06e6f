"""Stored facts for tests of the hub's pure modules: a journal in memory, without its disk."""

from __future__ import annotations

import msgspec

from streams.chain import GENESIS, Stored, link
from streams.codec import encode_body
from streams.identity import new_id
from streams.messages import VERSION, Body, Envelope, Origin
from streams.topics import find

START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000


class Pages:
    """Numbers and chains facts as the journal does."""

    def __init__(self) -> None:
        self.facts: list[Stored] = []
        self._heads: dict[str, tuple[int, bytes]] = {}
        self._line: dict[tuple[str, str], int] = {}

    def add(
        self,
        kind: str,
        body: Body,
        *,
        case: str | None,
        source: str = "hub",
        at_s: float = 0,
        offset_s: float | None = 0,
        late_s: float = 0,
        monotonic_s: float = 0,
        patient: str | None = None,
        origin: Origin = "live",
        fact_id: str | None = None,
        drill: bool = False,
    ) -> Stored:
        """Store a fact.

        Args:
            kind: Its kind.
            body: Its body.
            case: Its case.
            source: Who made it.
            at_s: When, by the source's clock.
            offset_s: What the hub's clock is ahead; None where the source did not know.
            late_s: How much later it is stored.
            monotonic_s: The source's monotonic clock.
            patient: Whose it is.
            origin: live, replay or synthetic.
            fact_id: Its id; None makes one.
            drill: Whether it is of an exercise.
        """
        lane = find(kind).lane
        number = self._line[source, lane] = self._line.get((source, lane), 0) + 1
        made_ns = START_NS + round(at_s * SECOND_NS)
        corrected_ns = made_ns + round((offset_s or 0) * SECOND_NS)
        received_ns = corrected_ns + round(late_s * SECOND_NS)
        envelope = Envelope(
            version=VERSION, kind=kind, id=fact_id or new_id(), source=source, epoch="0" * 26,
            lane=lane, sequence=number, source_ns=made_ns,
            monotonic_ns=round(monotonic_s * SECOND_NS),
            offset_ns=None if offset_s is None else corrected_ns - made_ns,
            uncertainty_ns=None if offset_s is None else 0, origin=origin,
            body=encode_body(body), case=case, patient=patient, drill=drill,
            boot=f"boot-of-{source}",
        )  # fmt: skip
        data = msgspec.msgpack.encode(envelope)
        position = len(self.facts) + 1
        sequence, chained = None, None
        if case is not None:
            last, previous = self._heads.get(case, (0, GENESIS))
            sequence = last + 1
            chained = link(previous, sequence, corrected_ns, received_ns, data)
            self._heads[case] = (sequence, chained)
        stored = Stored(position, envelope, data, sequence, corrected_ns, received_ns, chained)
        self.facts.append(stored)
        return stored
