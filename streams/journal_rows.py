"""Rows of the journal's tables to what they stand for and back; the database's own settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from streams.chain import GENESIS, Stored
from streams.codec import decode
from streams.errors import ForerunError
from streams.inbox import Inbox, Line
from streams.journal_tables import FACTS, PROGRESS

DAMAGED = (
    "; the file is damaged: keep it, and put a copy in its place; a hospital's may be left out, "
    "its cases in progress come again from the hub"
)


def in_words(error: BaseException) -> str:
    """Return what a database said, without its library's links, and what to do if it is damaged."""
    text = str(getattr(error, "orig", None) or error)
    return text + DAMAGED if "malformed" in text or "not a database" in text else text


def tune_sqlite(connection: Any, _record: Any) -> None:
    """Make a new connection write ahead and sync."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def note_progress(connection: sa.Connection, inbox: Inbox, lines: Iterable[Line]) -> None:
    """Write how far lines came."""
    for line in lines:
        key = {"source": line.source, "epoch": line.epoch, "lane": line.lane}
        row = sa.and_(*(PROGRESS.c[name] == value for name, value in key.items()))
        connection.execute(sa.delete(PROGRESS).where(row))
        stored, ahead = inbox.stored(line), inbox.ahead(line)
        connection.execute(sa.insert(PROGRESS).values(**key, stored=stored, ahead=ahead))


def is_unstorable(cause: BaseException | None) -> bool:
    """Whether the same fact would fail again on the best of disks."""
    if isinstance(cause, sa.exc.DBAPIError):
        return isinstance(cause, sa.exc.DataError)
    return isinstance(cause, ForerunError | ValueError | TypeError | ArithmeticError)


def head_of(connection: sa.Connection, case: str) -> tuple[int, bytes]:
    """Return number and chain value of the last fact of a case."""
    row = connection.execute(
        sa.select(FACTS.c.case_sequence, FACTS.c.hash)
        .where(FACTS.c.case_id == case)
        .order_by(FACTS.c.case_sequence.desc())
        .limit(1)
    ).first()
    return (row[0], row[1]) if row else (0, GENESIS)


def stored_fact(row: sa.Row[Any]) -> Stored:
    """Return the fact of a row."""
    return Stored(
        row.position, decode(row.data), row.data, row.case_sequence,
        row.corrected_ns, row.received_ns, row.hash, row.stored_ns,
    )  # fmt: skip


def begun_cases(begin: str, end: str, until: int | None = None) -> sa.Select[Any]:
    """Ask for the cases that have a fact of kind ``begin`` and none of ``end``, by their id.

    With ``until`` only facts up to this position are looked at.
    """
    ended = FACTS.alias()
    has_ended = sa.exists().where(ended.c.case_id == FACTS.c.case_id, ended.c.kind == end)
    query = sa.select(FACTS.c.case_id).where(FACTS.c.kind == begin)
    if until is not None:
        has_ended = has_ended.where(ended.c.position <= until)
        query = query.where(FACTS.c.position <= until)
    return query.where(~has_ended).distinct().order_by(FACTS.c.case_id)


def last_cases(kind: str, limit: int) -> sa.Select[Any]:
    """Ask for the cases that last got a fact of a kind, the newest first."""
    last = sa.func.max(FACTS.c.position)
    return (
        sa.select(FACTS.c.case_id)
        .where(FACTS.c.kind == kind, FACTS.c.case_id.is_not(None))
        .group_by(FACTS.c.case_id)
        .order_by(last.desc())
        .limit(limit)
    )
