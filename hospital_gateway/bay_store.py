"""What was handed over at the bay and has not come from the hub yet, on disk.

The journal here is a replica of the hub's chain, numbered and hashed by the hub alone: what comes
past the hub must not stand in it. It stands in this file beside it until the hub's copy of the
same fact (the same id) comes; then only the id stays, so that a repeat is known.

SQLite in WAL mode with ``synchronous=FULL``: what the vehicle is told to be stored is on the disk.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from streams.bay_messages import Progress, Way
from streams.chain import Stored
from streams.codec import decode
from streams.sqlite_file import SqliteFile

PLACE = 2**40
"""Places in the case from here on are this file's own, given in the order of coming."""

_WAITING, _SAME, _DIFFERS = 0, 1, 2

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    name TEXT PRIMARY KEY, secret TEXT NOT NULL UNIQUE, way TEXT NOT NULL, unit TEXT NOT NULL,
    label TEXT NOT NULL, case_id TEXT NOT NULL, who TEXT NOT NULL, opened_ns INTEGER NOT NULL,
    shift_ns INTEGER NOT NULL, expected INTEGER NOT NULL, stored INTEGER NOT NULL DEFAULT 0,
    digest TEXT NOT NULL DEFAULT '', refused INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '', closed_ns INTEGER);
CREATE INDEX IF NOT EXISTS sessions_of_case ON sessions (case_id, opened_ns);
CREATE TABLE IF NOT EXISTS facts (
    place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, case_id TEXT NOT NULL,
    kind TEXT NOT NULL, case_sequence INTEGER NOT NULL, corrected_ns INTEGER NOT NULL,
    received_ns INTEGER NOT NULL, state INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS facts_of_case ON facts (case_id, state, kind);
"""


@dataclass(frozen=True, slots=True)
class Session:
    """One hand-over.

    Attributes:
        name: Its name for people, on board and tablet.
        secret: The hash of what the vehicle shows with each request.
        way: ``network`` or ``qr``.
        unit: The vehicle, as it says.
        label: Its name for people, as it says.
        case: The case.
        who: The seat that let it in.
        opened_ns: When, by the hub's clock as it is known here.
        shift_ns: What to add to the vehicle's wall clock to get that.
        expected: Facts that it announced.
        stored: Facts that were taken, from the first on.
        digest: Over these (``streams.bay_messages.digest_after``).
        refused: How many of these are no facts of this case.
        reason: Why the first of them is none.
        closed_ns: When the vehicle said that this was all; None before.
    """

    name: str
    secret: str
    way: Way
    unit: str
    label: str
    case: str
    who: str
    opened_ns: int
    shift_ns: int
    expected: int
    stored: int = 0
    digest: str = ""
    refused: int = 0
    reason: str = ""
    closed_ns: int | None = None

    def progress(self) -> Progress:
        """Return what the vehicle is told."""
        return Progress(
            stored=self.stored, expected=self.expected, digest=self.digest,
            closed=self.closed_ns is not None, refused=self.refused, reason=self.reason,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class BayFact:
    """A fact to be kept.

    Attributes:
        id: Its id.
        case: Its case.
        kind: Its kind.
        case_sequence: Its place in the case, where the hub had given it one; else 0.
        corrected_ns: When it was made, by the hub's clock as well as it is known.
        received_ns: When it came here.
        data: The encoded envelope.
    """

    id: str
    case: str
    kind: str
    case_sequence: int
    corrected_ns: int
    received_ns: int
    data: bytes


Outcome = Literal["same", "differs"]


class BayStore:
    """The file of one gateway. One process writes it, in one thread."""

    def __init__(self, path: Path) -> None:
        """Open or make the file at ``path``.

        Raises:
            StorageError: It cannot be opened or is damaged.
        """
        self._file = SqliteFile("bay store", path, _SCHEMA)
        rows = self._file.read("SELECT DISTINCT case_id FROM sessions")
        self.cases: set[str] = {row[0] for row in rows}

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    # --- sessions ----------------------------------------------------------------------------

    def open(self, session: Session) -> None:
        """Keep a session that begins.

        Raises:
            StorageError: The disk is full or fails; there is no session.
        """
        fields = {**_fields(session)}
        marks = ", ".join("?" for _ in fields)
        with self._file.writing():
            self._file.execute(f"INSERT INTO sessions VALUES ({marks})", tuple(fields.values()))  # noqa: S608
        self.cases.add(session.case)

    def find(self, secret: str) -> Session | None:
        """Return the session of a hashed secret."""
        return self._session("secret = ?", secret)

    def newest(self, case: str) -> Session | None:
        """Return the last session of a case."""
        return self._session("case_id = ? ORDER BY opened_ns DESC, rowid DESC LIMIT 1", case)

    def recent(self, after_ns: int) -> list[Session]:
        """Return the sessions opened after a time, the newest first."""
        rows = self._file.read(
            "SELECT * FROM sessions WHERE opened_ns > ? ORDER BY opened_ns DESC", (after_ns,)
        )
        return [Session(*row) for row in rows]

    def _session(self, which: str, value: str) -> Session | None:
        rows = self._file.read(f"SELECT * FROM sessions WHERE {which}", (value,))  # noqa: S608
        return Session(*rows[0]) if rows else None

    # --- facts -------------------------------------------------------------------------------

    def take(self, session: Session, facts: Sequence[BayFact]) -> int:
        """Store facts and how far the session is, or nothing; return how many are new.

        Args:
            session: As it is afterwards.
            facts: What is to be kept.

        Raises:
            StorageError: The disk is full or fails; nothing was stored.
        """
        new = 0
        with self._file.writing():
            for fact in facts:
                new += self._file.execute(
                    "INSERT OR IGNORE INTO facts (id, case_id, kind, case_sequence, corrected_ns, "
                    "received_ns, state, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        fact.id, fact.case, fact.kind, fact.case_sequence, fact.corrected_ns,
                        fact.received_ns, _WAITING, fact.data,
                    ),
                ).rowcount  # fmt: skip
            self._file.execute(
                "UPDATE sessions SET expected = ?, stored = ?, digest = ?, refused = ?, "
                "reason = ?, closed_ns = ? WHERE name = ?",
                (
                    session.expected, session.stored, session.digest, session.refused,
                    session.reason, session.closed_ns, session.name,
                ),
            )  # fmt: skip
        return new

    def settle(self, id_: str, data: bytes) -> Outcome | None:
        """Take the hub's copy of a fact for the true one; None if the fact is not waiting here.

        Where the two differ, the one from the bay is kept for whoever looks into it, and shown
        no more.

        Raises:
            StorageError: The disk is full or fails; it is settled at the next start.
        """
        rows = self._file.read("SELECT data FROM facts WHERE id = ? AND state = 0", (id_,))
        if not rows:
            return None
        same = rows[0][0] == data
        with self._file.writing():
            if same:
                values = (_SAME, id_)
                self._file.execute("UPDATE facts SET state = ?, data = x'' WHERE id = ?", values)
            else:
                self._file.execute("UPDATE facts SET state = ? WHERE id = ?", (_DIFFERS, id_))
        return "same" if same else "differs"

    def facts(
        self, case: str, kinds: Collection[str] | None = None, without: Collection[str] = ()
    ) -> list[Stored]:
        """Return the facts of a case that the hub has not confirmed, in the order of coming.

        Args:
            case: The case.
            kinds: Only these; None for all.
            without: Not these; what is left out is not read from the disk.
        """
        rows = self._file.read(
            "SELECT place, case_sequence, corrected_ns, received_ns, data FROM facts "
            "WHERE case_id = ? AND state = 0 AND kind NOT IN (SELECT value FROM json_each(?)) "
            "AND (? OR kind IN (SELECT value FROM json_each(?))) ORDER BY place",
            (case, json.dumps(list(without)), kinds is None, json.dumps(list(kinds or ()))),
        )
        return [_stored(row) for row in rows]

    def waiting(self, case: str) -> list[str]:
        """Return the ids of the facts of a case that the hub has not confirmed."""
        rows = self._file.read("SELECT id FROM facts WHERE case_id = ? AND state = 0", (case,))
        return [row[0] for row in rows]

    def counts(self, case: str) -> tuple[int, int]:
        """Return how many facts of a case wait for the hub, and how many differ from its copy."""
        rows = self._file.read(
            "SELECT state, count(*) FROM facts WHERE case_id = ? GROUP BY state", (case,)
        )
        found: dict[int, int] = dict(rows)
        return found.get(_WAITING, 0), found.get(_DIFFERS, 0)

    def forget(self, before_ns: int) -> int:
        """Remove what the hub has confirmed in full of hand-overs opened before a time."""
        done = (
            "SELECT case_id FROM sessions GROUP BY case_id HAVING max(opened_ns) < ? AND NOT "
            "EXISTS (SELECT 1 FROM facts WHERE facts.case_id = sessions.case_id AND state = 0)"
        )
        with self._file.writing():
            self._file.execute(f"DELETE FROM facts WHERE case_id IN ({done})", (before_ns,))  # noqa: S608
            gone = self._file.execute(
                f"DELETE FROM sessions WHERE case_id IN ({done})",  # noqa: S608
                (before_ns,),
            ).rowcount
        self.cases = {row[0] for row in self._file.read("SELECT DISTINCT case_id FROM sessions")}
        return gone


def _fields(session: Session) -> dict[str, object]:
    return {name: getattr(session, name) for name in Session.__slots__}


def _stored(row: Sequence[Any]) -> Stored:
    place, sequence, corrected_ns, received_ns, data = row
    at = sequence or PLACE + place
    return Stored(-place, decode(data), data, at, corrected_ns, received_ns, None, received_ns)
