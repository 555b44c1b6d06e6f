"""What is gone, in the journal's tables; and what came under a number that was answered before."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from streams.chain import Arrived
from streams.inbox import Line
from streams.journal_tables import FACTS, GONE, REFUSED
from streams.losses import Lost


def keep(connection: sa.Connection, lost: Sequence[Lost]) -> None:
    """Write down what is gone."""
    for one in lost:
        connection.execute(
            sa.insert(GONE).values(
                at_ns=one.at_ns, source=one.line.source, epoch=one.line.epoch,
                lane=one.line.lane, first=one.first, last=one.last,
            )
        )  # fmt: skip


def read(connection: sa.Connection) -> list[Lost]:
    """Return all that is gone, in the order in which it was found."""
    rows = connection.execute(sa.select(GONE).order_by(GONE.c.position))
    return [
        Lost(Line(row.source, row.epoch, row.lane), row.first, row.last, row.at_ns) for row in rows
    ]


def came_after_all(connection: sa.Connection, line: Line, sequence: int) -> None:
    """Take a number from what is gone: the broker still had it."""
    of_line = (
        (GONE.c.source == line.source) & (GONE.c.epoch == line.epoch) & (GONE.c.lane == line.lane)
    )
    covers = of_line & (GONE.c.first <= sequence) & (GONE.c.last >= sequence)
    for row in connection.execute(sa.select(GONE).where(covers)).all():
        connection.execute(sa.delete(GONE).where(GONE.c.position == row.position))
        parts = ((row.first, sequence - 1), (sequence + 1, row.last))
        left = [Lost(line, low, high, row.at_ns) for low, high in parts if low <= high]
        keep(connection, left)


def is_unknown(connection: sa.Connection, item: Arrived, fact_id: str) -> bool:
    """Whether a fact whose number is answered is not here all the same.

    So it is with what was given up and comes late, and with what a source made under a number
    that it had given away before it was set back to an older copy of its outbox. What was
    refused is known.
    """
    known = sa.select(FACTS.c.position).where(FACTS.c.id == fact_id)
    if connection.execute(known).first() is not None or item.line is None:
        return False
    refused = (
        sa.select(REFUSED.c.position)
        .where(
            REFUSED.c.source == item.line.source,
            REFUSED.c.answered == 1,
            REFUSED.c.data == item.data,
        )
        .limit(1)
    )
    return connection.execute(refused).first() is None
