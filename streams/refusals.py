"""What was refused, kept for whoever looks into it: so much of each source, and no more.

A fact whose number is answered leaves its maker's outbox: what is kept here is its only copy,
so it is kept whole, and many of them. Of what is no message at all the first bytes are kept,
and few: a device gone mad must not fill the disk of everybody's record.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
import structlog

from streams.chain import Refused
from streams.errors import ForerunError
from streams.health import DROPPED
from streams.journal_tables import REFUSED
from streams.topics import parse

ANSWERED_KEPT = 10_000
"""Refused facts kept of each source; at one block of 2 s that is five hours of ECG."""

GARBAGE_KEPT = 200
"""Messages kept of each source that were no facts of it."""

GARBAGE_BYTES = 4096
"""Bytes kept of each of these."""

log = structlog.get_logger(__name__)


def source_of(refused: Refused) -> str:
    """Return whose message it was, by its line or else by its topic; empty if neither says."""
    if refused.line is not None:
        return refused.line.source
    try:
        return parse(refused.topic).name
    except ForerunError:
        return ""


def keep(connection: sa.Connection, refused: Refused) -> None:
    """Write one refused message."""
    answered = refused.line is not None
    data = refused.data if answered else refused.data[:GARBAGE_BYTES]
    connection.execute(
        sa.insert(REFUSED).values(
            received_ns=refused.received_ns, topic=refused.topic[:200], reason=refused.reason,
            text=refused.text[:500], data=data,
            source=source_of(refused), answered=int(answered),
        )
    )  # fmt: skip


def trim(connection: sa.Connection, written: Iterable[Refused]) -> int:
    """Drop the oldest beyond what is kept of the sources of ``written``; return how many."""
    dropped = 0
    for source, answered in {(source_of(one), int(one.line is not None)) for one in written}:
        of_source = (REFUSED.c.source == source) & (REFUSED.c.answered == answered)
        most = ANSWERED_KEPT if answered else GARBAGE_KEPT
        newest_over = (
            sa.select(REFUSED.c.position)
            .where(of_source)
            .order_by(REFUSED.c.position.desc())
            .offset(most)
            .limit(1)
            .scalar_subquery()
        )
        over = of_source & (REFUSED.c.position <= newest_over)
        count = connection.execute(sa.delete(REFUSED).where(over)).rowcount
        if count:
            DROPPED.labels("refused").inc(count)
            log.warning("refused messages dropped", source=source, facts=bool(answered), n=count)
        dropped += count
    return dropped
