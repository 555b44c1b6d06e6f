"""The journal: facts appended, chained by hash per case, synced, never changed.

One table through SQLAlchemy Core: SQLite (WAL, ``synchronous=FULL``) by default, PostgreSQL by
URL. Facts are written in group commits: while one commit is on its way to the disk the next
group gathers, so a lone fact is stored in milliseconds and a crowd shares the sync. Only after
the commit does ``append`` return and may the source be told.

The chain itself is in ``streams.chain``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog

from streams import journal_losses, refusals
from streams.chain import Arrived, Gone, Refused, Stored, link
from streams.codec import decode
from streams.errors import ConfigError, StorageError
from streams.health import REFUSED as REFUSED_MESSAGES
from streams.inbox import Inbox, Line
from streams.journal_rows import (
    begun_cases,
    head_of,
    in_words,
    is_unstorable,
    last_cases,
    note_progress,
    stored_fact,
    tune_sqlite,
)
from streams.journal_tables import FACTS, PROGRESS, READS, REFUSED, open_tables
from streams.losses import Lost, tell

GROUP = 500
"""Facts in one commit at the most."""

WAITING = 10_000
"""Facts that may wait for a commit; beyond, ``append`` waits for room."""

HEADS = 10_000
"""Chain heads kept in memory; the others are read when their case goes on."""

ATTEMPTS = 5
"""Tries of a commit that another writer's came before."""

log = structlog.get_logger(__name__)

_Item = Arrived | Refused | Gone
_Outcome = Stored | tuple[Lost, ...] | None


class Journal:
    """The record of one hub or gateway. One process writes it.

    Use it as ``async with Journal(url) as journal``.

    Attributes:
        inbox: What came of each line.
        lost: What was freed by acknowledgements that this journal does not remember.
        duplicates: Facts that came again.
    """

    def __init__(self, url: str) -> None:
        """Prepare the journal at a database URL.

        Args:
            url: ``sqlite:////path/journal.sqlite`` or ``postgresql+psycopg://…``.
        """
        self.inbox = Inbox()
        self.lost: list[Lost] = []
        self.duplicates = 0
        self._url = sa.engine.make_url(url)
        self._engine: sa.Engine
        self._chains: dict[str, tuple[int, bytes]] = {}
        self._queue: asyncio.Queue[tuple[_Item, asyncio.Future[Any]]]
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._writer: asyncio.Task[None]

    async def __aenter__(self) -> Journal:
        self._queue = asyncio.Queue(WAITING)
        await self._in_thread(self._open)
        self._writer = asyncio.create_task(self._write(), name="journal.writer")
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await asyncio.wait_for(self._queue.join(), 10)
        finally:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
            await self._in_thread(self._engine.dispose)
            self._thread.shutdown()

    async def append(self, arrived: Arrived) -> Stored | None:
        """Store a fact; return it once it is on the disk, or None if it was there before.

        Raises:
            StorageError: The database refuses; the fact is not stored, the source will repeat.
        """
        stored: Stored | None = await self._enqueue(arrived)
        return stored

    async def append_all(self, arrived: Sequence[Arrived | Refused]) -> list[Stored | None]:
        """Store several facts in order; like ``append`` for each, sharing commits.

        Raises:
            StorageError: The database refuses; some may be stored, the sources will repeat.
        """
        futures = [await self._put(one) for one in arrived]
        if not futures:
            return []
        await asyncio.wait(futures)  # all of them, or what was told would not be all that is done
        for future in futures:
            future.exception()  # each is looked at; the first is raised
        return [future.result() for future in futures]

    async def settle(self) -> None:
        """Wait until all that was handed in is committed or refused.

        Who was cancelled while it appended does not know what became of it; after this the
        journal's rows say it.
        """
        await self._queue.join()

    async def refuse(self, refused: Refused) -> None:
        """Keep a message that was not taken; its number on its line counts as answered.

        Raises:
            StorageError: The database refuses.
        """
        await self._enqueue(refused)

    async def give_up(self, known: Sequence[Gone]) -> dict[Line, list[tuple[int, int]]]:
        """Take what sources do not hold any more, and is not here, as gone: loudly, and for good.

        Args:
            known: What sources said of their lines.

        Returns:
            What was given up, as inclusive ranges by line; empty where nothing is missing.

        Raises:
            StorageError: The database refuses; nothing was given up.
        """
        ahead = self.inbox.copy()
        if not any(ahead.give_up(one.line, one.below) for one in known):
            return {}
        found = [await self._enqueue(one) for one in known]
        return {
            one.line: [(each.first, each.last) for each in lost]
            for one, lost in zip(known, found, strict=True)
            if lost
        }

    async def note_read(self, who: str, what: str, case: str | None, at_ns: int) -> None:
        """Write into the audit log that somebody read patient data.

        Raises:
            StorageError: The database refuses: then the data must not be shown.
        """
        row = {"at_ns": at_ns, "who": who, "what": what, "case_id": case}
        await self._in_thread(self._execute, sa.insert(READS).values(row))

    async def facts(
        self,
        *,
        case: str | None = None,
        source: str | None = None,
        kinds: Collection[str] | None = None,
        after: int = 0,
        beyond: int = 0,
        until: int | None = None,
        limit: int | None = 1000,
    ) -> list[Stored]:
        """Return facts in the order of the journal.

        Args:
            case: Only this case's.
            source: Only those that it made.
            kinds: Only these; with a case, what is left out is not even touched on the disk.
            after: Only those with a position above this.
            beyond: Only those with a ``case_sequence`` above this.
            until: Only those with a position up to this.
            limit: At most this many.
        """
        query = sa.select(FACTS).where(FACTS.c.position > after)
        if case is not None:
            query = query.where(FACTS.c.case_id == case)
        if source is not None:
            query = query.where(FACTS.c.source == source)
        if kinds is not None:
            query = query.where(FACTS.c.kind.in_(kinds))
        if beyond:
            query = query.where(FACTS.c.case_sequence > beyond)
        if until is not None:
            query = query.where(FACTS.c.position <= until)
        query = query.order_by(FACTS.c.position).limit(limit)
        rows = await self._in_thread(self._fetch, query)
        return [stored_fact(row) for row in rows]

    async def newest(self, kind: str, source: str, limit: int) -> list[Stored]:
        """Return the last facts of a kind that a source made, in the order of the journal."""
        query = (
            sa.select(FACTS)
            .where(FACTS.c.kind == kind, FACTS.c.source == source)
            .order_by(FACTS.c.position.desc())
            .limit(limit)
        )
        rows = await self._in_thread(self._fetch, query)
        return [stored_fact(row) for row in reversed(rows)]

    async def find(self, fact_id: str) -> Stored | None:
        """Return the fact with an id, or None."""
        rows = await self._in_thread(self._fetch, sa.select(FACTS).where(FACTS.c.id == fact_id))
        return stored_fact(rows[0]) if rows else None

    async def last_position(self) -> int:
        """Return the position of the newest fact; 0 when there is none."""
        rows = await self._in_thread(self._fetch, sa.select(sa.func.max(FACTS.c.position)))
        return int(rows[0][0] or 0)

    async def last_number(self, case: str, until: int) -> int:
        """Return the highest ``case_sequence`` of a case up to a position; 0 when none is there."""
        query = (
            sa.select(FACTS.c.case_sequence)
            .where(FACTS.c.case_id == case, FACTS.c.position <= until)
            .order_by(FACTS.c.case_sequence.desc())
            .limit(1)
        )
        rows = await self._in_thread(self._fetch, query)
        return int(rows[0][0]) if rows else 0

    async def hashes(self, case: str) -> dict[int, bytes]:
        """Return the chain's values of the facts of a case that are here, by ``case_sequence``."""
        query = sa.select(FACTS.c.case_sequence, FACTS.c.hash).where(FACTS.c.case_id == case)
        rows = await self._in_thread(self._fetch, query.order_by(FACTS.c.case_sequence))
        return {row.case_sequence: row.hash for row in rows}

    async def begun_cases(self, begin: str, end: str, until: int | None = None) -> list[str]:
        """Return the cases that have a fact of kind ``begin`` and none of ``end``, by their id.

        With ``until`` as it was at that position.
        """
        query = begun_cases(begin, end, until)
        return [row.case_id for row in await self._in_thread(self._fetch, query)]

    async def last_cases(self, kind: str, limit: int) -> list[str]:
        """Return the cases that last got a fact of a kind, the newest first."""
        query = last_cases(kind, limit)
        return [row.case_id for row in await self._in_thread(self._fetch, query)]

    async def cases(self) -> list[str]:
        """Return the ids of all cases; they sort by the time of their opening."""
        query = sa.select(FACTS.c.case_id).where(FACTS.c.case_id.is_not(None)).distinct()
        rows = await self._in_thread(self._fetch, query.order_by(FACTS.c.case_id))
        return [row.case_id for row in rows]

    async def count(self) -> dict[str, int]:
        """Return how many facts, refused messages and reads are kept."""
        tables = {"facts": FACTS, "refused": REFUSED, "reads": READS}
        return {
            name: int(
                (await self._in_thread(self._fetch, sa.select(sa.func.count()).select_from(table)))[
                    0
                ][0]
            )
            for name, table in tables.items()
        }

    async def _enqueue(self, item: _Item) -> Any:
        return await (await self._put(item))

    async def _put(self, item: _Item) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        await self._queue.put((item, future))
        return future

    async def _write(self) -> None:
        while True:
            group = [await self._queue.get()]
            while len(group) < GROUP and not self._queue.empty():
                group.append(self._queue.get_nowait())
            outcomes = await self._in_thread(self._commit_apart, [item for item, _ in group])
            for outcome, (_, future) in zip(outcomes, group, strict=True):
                self._queue.task_done()
                if future.cancelled():
                    continue
                if isinstance(outcome, StorageError):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, function, *arguments)

    # What follows runs in the journal's own thread.

    def _open(self) -> None:
        try:
            if self._url.database and self._url.get_backend_name() == "sqlite":
                Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)
            self._engine = sa.create_engine(self._url)
            if self._url.get_backend_name() == "sqlite":
                sa.event.listen(self._engine, "connect", tune_sqlite)
            open_tables(self._engine)
            with self._engine.connect() as connection:
                self._restore(connection)
        except (OSError, sa.exc.SQLAlchemyError) as error:
            raise StorageError(f"journal {self._url!r}: {in_words(error)}") from error
        except ImportError as error:
            raise ConfigError(
                f"journal {self._url!r}: its driver {error.name} is not installed; "
                "pip install 'forerun[postgresql]'"
            ) from error

    def _restore(self, connection: sa.Connection) -> None:
        for source, epoch, lane, stored, ahead in connection.execute(sa.select(PROGRESS)):
            self.inbox.restore(Line(source, epoch, lane), stored, ahead)
        self.lost = journal_losses.read(connection)

    def _commit_apart(self, group: list[_Item]) -> list[_Outcome | StorageError]:
        """Store a group; where it fails as a whole, each alone, so that one cannot block others.

        What the database cannot hold at any time (a number too large) is kept as refused and
        answered. Everything else is an error, and the source repeats: a disk that is full or
        gone, and also a rule of the tables that was broken because somebody else wrote.
        """
        try:
            return list(self._commit_again(group))
        except StorageError as error:
            if not is_unstorable(error.__cause__):
                return [error] * len(group)
            if len(group) > 1:
                return [outcome for item in group for outcome in self._commit_apart([item])]
            (item,) = group
            if not isinstance(item, Arrived):
                return [error]
            text = f"cannot be stored: {error.__cause__}"
            refused = Refused(
                item.received_ns, "", "unstorable", text, item.data, item.line, item.sequence
            )
            log.error("fact refused", reason="unstorable", text=text[:300])  # noqa: TRY400
            REFUSED_MESSAGES.labels("journal", "unstorable").inc()
            try:
                return list(self._commit([refused]))
            except StorageError as again:
                return [again]

    def _commit_again(self, group: list[_Item]) -> list[_Outcome]:
        """Store a group, several times where another writer took its numbers meanwhile."""
        for _ in range(ATTEMPTS - 1):
            try:
                return self._commit(group)
            except StorageError as error:
                if not isinstance(error.__cause__, sa.exc.IntegrityError):
                    raise
                self._chains.clear()  # they are not the heads any more
        return self._commit(group)

    def _commit(self, group: list[_Item]) -> list[_Outcome]:
        """Store a group in one transaction; memory changes only after the commit."""
        heads: dict[str, tuple[int, bytes]] = {}
        inbox = self.inbox.copy()
        lines: set[Line] = set()
        results: list[_Outcome] = []
        touches_lost = bool(self.lost) or any(isinstance(item, Gone) for item in group)
        try:
            with self._engine.begin() as connection:
                for item in group:
                    if isinstance(item, Gone):
                        lines.add(item.line)
                        results.append(self._give_up(connection, item, inbox))
                        continue
                    if item.line is not None:
                        if inbox.has(item.line, item.sequence):
                            results.append(self._store_late(connection, item, heads))
                            continue
                        inbox.take(item.line, item.sequence)
                        lines.add(item.line)
                    results.append(self._store(connection, item, heads))
                refusals.trim(connection, [one for one in group if isinstance(one, Refused)])
                note_progress(connection, inbox, lines)
                lost = journal_losses.read(connection) if touches_lost else self.lost
        except Exception as error:  # whatever it is, nothing of the group was stored
            raise StorageError(f"journal {self._url!r}: {in_words(error)}") from error
        self.inbox, self.lost = inbox, lost
        tell([one for found in results if isinstance(found, tuple) for one in found])
        self._chains.update(heads)
        if len(self._chains) > HEADS:
            self._chains = heads
        self.duplicates += sum(
            isinstance(item, Arrived) and result is None
            for item, result in zip(group, results, strict=True)
        )
        return results

    @staticmethod
    def _give_up(connection: sa.Connection, item: Gone, inbox: Inbox) -> tuple[Lost, ...]:
        ranges = inbox.give_up(item.line, item.below)
        lost = tuple(Lost(item.line, *one, item.at_ns) for one in ranges)
        journal_losses.keep(connection, lost)
        return lost

    def _store_late(
        self,
        connection: sa.Connection,
        item: Arrived | Refused,
        heads: dict[str, tuple[int, bytes]],
    ) -> Stored | None:
        """Look at a fact whose number was answered before: mostly it is a repeat."""
        if isinstance(item, Refused) or item.line is None:
            return None
        if not journal_losses.is_unknown(connection, item, decode(item.data).id):
            return None
        journal_losses.came_after_all(connection, item.line, item.sequence)
        log.warning("fact under an answered number stored", line=item.line, number=item.sequence)
        return self._store(connection, item, heads)

    def _store(
        self,
        connection: sa.Connection,
        item: Arrived | Refused,
        heads: dict[str, tuple[int, bytes]],
    ) -> Stored | None:
        if isinstance(item, Refused):
            refusals.keep(connection, item)
            return None
        envelope = decode(item.data)
        same = FACTS.c.id == envelope.id
        if item.case_sequence is not None:  # numbered elsewhere: that number may be taken only once
            same |= (FACTS.c.case_id == envelope.case) & (
                FACTS.c.case_sequence == item.case_sequence
            )
        known = connection.execute(sa.select(FACTS.c.id).where(same)).scalars().all()
        if known and envelope.id not in known:
            text = f"number {item.case_sequence} of the case is taken by another fact"
            refused = Refused(item.received_ns, "", "conflict", text, item.data, item.line)
            refusals.keep(connection, refused)
        if known:
            return None
        case_sequence, chained = self._chain(connection, envelope.case, item, heads)
        inserted = connection.execute(
            sa.insert(FACTS).values(
                id=envelope.id, case_id=envelope.case, case_sequence=case_sequence,
                kind=envelope.kind, source=envelope.source, corrected_ns=item.corrected_ns,
                received_ns=item.received_ns, hash=chained, data=item.data,
                stored_ns=item.stored_ns,
            )
        )  # fmt: skip
        (position,) = inserted.inserted_primary_key or (0,)
        return Stored(
            position, envelope, item.data, case_sequence,
            item.corrected_ns, item.received_ns, chained, item.stored_ns,
        )  # fmt: skip

    def _chain(
        self,
        connection: sa.Connection,
        case: str | None,
        item: Arrived,
        heads: dict[str, tuple[int, bytes]],
    ) -> tuple[int | None, bytes | None]:
        if case is None:
            return None, None
        if item.case_sequence is not None:
            return item.case_sequence, item.hash
        last, previous = heads.get(case) or self._chains.get(case) or head_of(connection, case)
        chained = link(previous, last + 1, item.corrected_ns, item.received_ns, item.data)
        heads[case] = (last + 1, chained)
        return last + 1, chained

    def _execute(self, statement: sa.Executable) -> None:
        try:
            with self._engine.begin() as connection:
                connection.execute(statement)
        except sa.exc.SQLAlchemyError as error:
            raise StorageError(f"journal {self._url!r}: {in_words(error)}") from error

    def _fetch(self, query: sa.Select[Any]) -> list[sa.Row[Any]]:
        try:
            with self._engine.connect() as connection:
                return list(connection.execute(query))
        except sa.exc.SQLAlchemyError as error:
            raise StorageError(f"journal {self._url!r}: {in_words(error)}") from error
