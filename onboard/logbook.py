"""The vehicle's logbook: the facts of its runs, its own and the hub's, each once, on disk.

The outbox forgets a fact when the hub has it and the hub's facts come only once; what the crew
sees after a restart is folded from here. Waveforms, vitals and tracks do not stand in it.

SQLite in WAL mode with ``synchronous=FULL``: what was acknowledged to the hub, or shown to
the crew as made, is still here after a power cut.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from onboard.situation import Fact
from streams.codec import decode, encode
from streams.errors import MessageError, StorageError
from streams.inbox import Inbox, Line
from streams.messages import CaseFact, Envelope, Lane
from streams.sqlite_file import SqliteFile

KINDS = frozenset(
    {
        "run_started",
        "run_ended",
        "milestone",
        "pre_alert",
        "case_note",
        "bay_handover",
        "video_recording",
    }
)
"""Own facts that are kept; all are rare and small."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, case_id TEXT, own INTEGER NOT NULL,
    lane TEXT NOT NULL, sequence INTEGER NOT NULL, at_hub_ns INTEGER NOT NULL,
    delivered_hub_ns INTEGER, data BLOB NOT NULL, case_sequence INTEGER);
CREATE INDEX IF NOT EXISTS waiting ON facts (lane, sequence)
    WHERE own = 1 AND delivered_hub_ns IS NULL;
CREATE TABLE IF NOT EXISTS progress (
    source TEXT NOT NULL, epoch TEXT NOT NULL, lane TEXT NOT NULL, stored INTEGER NOT NULL,
    ahead TEXT NOT NULL, PRIMARY KEY (source, epoch, lane)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gone (
    position INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, source TEXT NOT NULL,
    epoch TEXT NOT NULL, lane TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS reads (
    position INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, who TEXT NOT NULL, case_id TEXT NOT NULL,
    what TEXT NOT NULL DEFAULT 'shown');
"""

_ADDED = (
    ("facts", "case_sequence", "INTEGER"),
    ("reads", "what", "TEXT NOT NULL DEFAULT 'shown'"),
)


class Logbook:
    """The facts of this vehicle's runs. One process writes it, in one thread."""

    def __init__(self, path: Path) -> None:
        """Open or make the logbook at ``path``.

        Raises:
            StorageError: The file cannot be opened or is damaged.
        """
        self.inbox = Inbox()
        self._file = SqliteFile("logbook", path, _SCHEMA, _ADDED)
        rows = self._file.read("SELECT source, epoch, lane, stored, ahead FROM progress")
        for source, epoch, lane, stored, ahead in rows:
            self.inbox.restore(Line(source, epoch, lane), stored, json.loads(ahead))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def add_own(self, envelope: Envelope) -> bool:
        """Keep a fact that this vehicle made; return False if it was here before.

        Raises:
            StorageError: The disk is full or fails.
        """
        at_hub_ns = envelope.source_ns + (envelope.offset_ns or 0)
        with self._file.writing():
            return self._insert(envelope, encode(envelope), own=True, at_hub_ns=at_hub_ns)

    def take(self, line: Line, sequence: int, fact: Envelope, carried: CaseFact) -> bool:
        """Keep a fact of the hub and note its number; return False if it was here before.

        Args:
            line: The hub's line on which it came.
            sequence: Its number there.
            fact: The fact inside.
            carried: The same, encoded, with its place in the case's journal.

        Raises:
            StorageError: The disk is full or fails; nothing was kept, the hub will repeat.
        """
        if self.inbox.has(line, sequence) and self.find(fact.id) is not None:
            return False  # under an answered number may come what was given up, or a new fact
        ahead = self.inbox.copy()
        ahead.take(line, sequence)
        with self._file.writing():
            new = self._insert(
                fact, carried.fact, own=False, at_hub_ns=carried.corrected_ns,
                case_sequence=carried.case_sequence,
            )  # fmt: skip
            self._note_progress(ahead, line)
        self.inbox = ahead
        return new

    def pass_over(self, line: Line, sequence: int) -> None:
        """Count a number of the hub's as answered without keeping anything.

        Raises:
            StorageError: The disk is full or fails.
        """
        ahead = self.inbox.copy()
        ahead.take(line, sequence)
        with self._file.writing():
            self._note_progress(ahead, line)
        self.inbox = ahead

    def give_up(self, line: Line, below: int, at_ns: int) -> list[tuple[int, int]]:
        """Take what is missing of a line below a number as gone; return it as ranges.

        Raises:
            StorageError: The disk is full or fails; nothing was given up.
        """
        ahead = self.inbox.copy()
        gone = ahead.give_up(line, below)
        if not gone:
            return []
        with self._file.writing():
            for first, last in gone:
                self._file.execute(
                    "INSERT INTO gone (at_ns, source, epoch, lane, first, last) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (at_ns, line.source, line.epoch, line.lane, first, last),
                )
            self._note_progress(ahead, line)
        self.inbox = ahead
        return gone

    def deliver(self, stored: dict[Lane, int], at_hub_ns: int) -> set[str]:
        """Note own facts as delivered: all up to a number in each lane; return their ids.

        Raises:
            StorageError: The disk is full or fails.
        """
        ids: set[str] = set()
        with self._file.writing():
            for lane, number in stored.items():
                rows = self._file.execute(
                    "UPDATE facts SET delivered_hub_ns = ? WHERE own = 1 AND "
                    "delivered_hub_ns IS NULL AND lane = ? AND sequence <= ? RETURNING id",
                    (at_hub_ns, lane, number),
                )
                ids.update(row[0] for row in rows.fetchall())
        return ids

    def note_read(self, who: str, case: str, at_ns: int, what: str = "shown") -> None:
        """Write into the audit log that somebody is shown a case, or does something with it.

        Args:
            who: The seat.
            case: The case; "" without one.
            at_ns: When, by the hub's clock.
            what: ``shown``, or ``action`` and its name.

        Raises:
            StorageError: It cannot be written: then it must be neither shown nor done.
        """
        with self._file.writing():
            self._file.execute(
                "INSERT INTO reads (at_ns, who, case_id, what) VALUES (?, ?, ?, ?)",
                (at_ns, who, case, what),
            )

    def facts(self) -> Iterator[Fact]:
        """Give all facts in the order in which they came.

        Raises:
            StorageError: The disk fails, or a fact is damaged.
        """
        return self._read("ORDER BY position")

    def _read(self, which: str, values: tuple[str, ...] = ()) -> Iterator[Fact]:
        columns = "own, at_hub_ns, delivered_hub_ns, data, case_sequence"
        rows = self._file.read(f"SELECT {columns} FROM facts {which}", values)  # noqa: S608 - no text of others
        for own, at_hub_ns, delivered_hub_ns, data, case_sequence in rows:
            try:
                envelope = decode(data)
            except MessageError as error:
                raise StorageError(f"logbook {self._file.path}: {error}; move it away") from error
            yield Fact(envelope, bool(own), at_hub_ns, delivered_hub_ns, case_sequence)

    def of_case(self, case: str) -> list[tuple[int, int, bytes]]:
        """Return the facts of a case as (place in its journal, time at the hub in ns, bytes).

        Those of the hub in their order, then the vehicle's own, whose place and time are 0.

        Raises:
            StorageError: The disk fails.
        """
        return self._file.read(
            "SELECT coalesce(case_sequence, 0) AS place, iif(own, 0, at_hub_ns), data "
            "FROM facts WHERE case_id = ? ORDER BY own, place, position",
            (case,),
        )

    def find(self, name: str) -> Fact | None:
        """Return the fact that has this id, own or the hub's.

        Raises:
            StorageError: The disk fails.
        """
        for fact in self._read("WHERE id = ?", (name,)):
            return fact
        return None

    def forget(self, before_hub_ns: int, keep: Iterable[str]) -> int:
        """Remove cases whose newest fact is older than a time; return how many facts went.

        Args:
            before_hub_ns: The time.
            keep: Cases that stay however old they are.

        Raises:
            StorageError: The disk fails.
        """
        kept = json.dumps(list(keep))
        with self._file.writing():
            return self._file.execute(
                "DELETE FROM facts WHERE case_id IN (SELECT case_id FROM facts GROUP BY case_id "
                "HAVING max(at_hub_ns) < ?) AND case_id NOT IN (SELECT value FROM json_each(?)) "
                "AND (own = 0 OR delivered_hub_ns IS NOT NULL)",
                (before_hub_ns, kept),
            ).rowcount

    def _insert(
        self, envelope: Envelope, data: bytes, *, own: bool, at_hub_ns: int,
        case_sequence: int | None = None,
    ) -> bool:  # fmt: skip
        inserted = self._file.execute(
            "INSERT OR IGNORE INTO facts (id, case_id, own, lane, sequence, at_hub_ns, data, "
            "case_sequence) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                envelope.id, envelope.case, own, envelope.lane, envelope.sequence, at_hub_ns, data,
                case_sequence,
            ),
        )  # fmt: skip
        return inserted.rowcount == 1

    def _note_progress(self, inbox: Inbox, line: Line) -> None:
        self._file.execute(
            "INSERT OR REPLACE INTO progress VALUES (?, ?, ?, ?, ?)",
            (
                line.source, line.epoch, line.lane, inbox.stored(line),
                json.dumps(inbox.ahead(line)),
            ),
        )  # fmt: skip
