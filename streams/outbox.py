"""The outbox: every fact is on disk before it is sent, and stays until the other side has it.

SQLite in WAL mode with ``synchronous=FULL``: ``add`` returns after the commit is synced, so a
fact that was made survives a power cut. Rows leave only when the receiving application says
that it stored them (``streams.messages.Receipt``); a broker's acknowledgement frees nothing.

Each (destination, lane) numbers its facts from 1 without a gap, so the other side sees what
is missing. A new file has a new epoch and starts again at 1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from streams.clock import Clock, Offset, OffsetEstimate, boot_name
from streams.codec import decode, encode, encode_body
from streams.errors import StorageError
from streams.identity import new_id
from streams.messages import VERSION, Body, Envelope, Lane, Origin, Receipt
from streams.sqlite_file import SqliteFile
from streams.topics import LANES, find

_NO_NUMBER = 2**62
"""No receipt tells of so many facts."""

log = structlog.get_logger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS epoch (id TEXT NOT NULL, source TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS numbering (
    destination TEXT NOT NULL, lane INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (destination, lane)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (
    destination TEXT NOT NULL, lane INTEGER NOT NULL, sequence INTEGER NOT NULL,
    id TEXT NOT NULL, kind TEXT NOT NULL, made_ns INTEGER NOT NULL, data BLOB NOT NULL,
    case_id TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (destination, lane, sequence)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS facts_by_case ON facts (destination, lane, case_id, sequence);
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""

_ADDED = (("facts", "case_id", "TEXT NOT NULL DEFAULT ''"),)
"""What waits in a file of before there was such a column counts as of no case."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A moment on this source's two clocks, ns."""

    wall_ns: int
    monotonic_ns: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A fact to be made.

    Attributes:
        kind: Kind of the table of topics.
        body: Its body.
        origin: live, replay or synthetic.
        case: The case, if any.
        patient: The patient it is bound to; None is unassigned.
        drill: True for exercises.
        lane: Other lane than the table's; only ``case_fact`` has one.
        id: Its id, where whoever asks for it has chosen one; else it gets a new one.
        made: When it was made, where the disk did not take it then; None is now.
    """

    kind: str
    body: Body
    origin: Origin = "live"
    case: str | None = None
    patient: str | None = None
    drill: bool = False
    lane: Lane | None = None
    id: str | None = None
    made: Stamp | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact that waits for its receipt.

    Attributes:
        lane: Its lane.
        sequence: Its number in (destination, lane).
        kind: Its kind.
        made_ns: Wall clock when it was made.
        data: The encoded envelope.
    """

    lane: Lane
    sequence: int
    kind: str
    made_ns: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Depth:
    """How much waits for one destination.

    Attributes:
        waiting: Facts per lane that have no receipt.
        made: Facts ever made.
        oldest_ns: Wall clock of the oldest that waits; None when nothing waits.
    """

    waiting: dict[Lane, int]
    made: int
    oldest_ns: int | None


class Outbox:
    """The facts of one source that are not yet stored at their destinations.

    One process writes it. Not safe for several threads at once.
    """

    def __init__(
        self,
        path: Path,
        source: str,
        clock: Clock,
        offset: OffsetEstimate | None = None,
        *,
        boot: str | None = None,
    ) -> None:
        """Open or make the outbox at ``path``.

        Args:
            path: The SQLite file; its folder is made.
            source: Name of this source; stands in every envelope.
            clock: This machine's clocks.
            offset: Estimate of the offset to the hub; None at the hub itself, whose time it is.
            boot: Name of the life of the monotonic clock; None is this machine's present one.

        Raises:
            StorageError: The file cannot be opened, is damaged, or belongs to another source.
        """
        self.path = path
        self.source = source
        self._clock = clock
        self._offset = offset
        self._boot = boot_name() if boot is None else boot
        self._file = SqliteFile("outbox", path, _SCHEMA, _ADDED)
        rows = self._file.read("SELECT id, source FROM epoch")
        if not rows:
            rows = [(new_id(), source)]
            with self._file.writing():
                self._file.execute("INSERT INTO epoch VALUES (?, ?)", rows[0])
        self.epoch: str = rows[0][0]
        owner = rows[0][1]
        if owner != source:
            self._file.close()
            raise StorageError(f"outbox {path} belongs to {owner!r}, not to {source!r}")
        rows = self._file.read("SELECT destination, lane, last FROM numbering")
        self._opened = {(name, LANES[rank]): last for name, rank, last in rows}

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def stamp(self) -> Stamp:
        """Return this moment, for a draft that may have to wait."""
        return Stamp(self._clock.wall_ns(), self._clock.monotonic_ns())

    def envelope(self, draft: Draft, lane: Lane = "stream", sequence: int = 0) -> Envelope:
        """Put an envelope around a draft, with this source's clocks; used alone for streams."""
        stamp = draft.made or self.stamp()
        wall_ns, monotonic_ns = stamp.wall_ns, stamp.monotonic_ns
        estimate = self._offset.at(wall_ns, monotonic_ns) if self._offset else Offset(0, 0)
        return Envelope(
            version=VERSION,
            kind=draft.kind,
            id=draft.id or new_id(),
            source=self.source,
            epoch=self.epoch,
            lane=lane,
            sequence=sequence,
            source_ns=wall_ns,
            monotonic_ns=monotonic_ns,
            offset_ns=estimate.offset_ns if estimate else None,
            uncertainty_ns=estimate.uncertainty_ns if estimate else None,
            origin=draft.origin,
            body=encode_body(draft.body),
            case=draft.case,
            patient=draft.patient,
            drill=draft.drill,
            boot=self._boot,
        )

    def add(self, destination: str, draft: Draft) -> Envelope:
        """Write one fact; when this returns it is on the disk.

        Raises:
            StorageError: The disk is full or fails; the fact was not made.
            OversizedError: The body is too large for its kind.
        """
        return self.add_all([(destination, draft)])[0]

    def add_all(
        self, drafts: Iterable[tuple[str, Draft]], mark: tuple[str, int] | None = None
    ) -> list[Envelope]:
        """Write several facts, and optionally a mark, in one synced transaction: all or none.

        Args:
            drafts: Pairs of destination and draft.
            mark: A named number that is kept with them (see ``mark``).

        Raises:
            StorageError: The disk is full or fails; none was made.
            OversizedError: A body is too large for its kind; none was made.
        """
        with self._file.writing():
            made = [self._insert(destination, draft) for destination, draft in drafts]
            if mark:
                self._file.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", mark)
        return made

    def _insert(self, destination: str, draft: Draft) -> Envelope:
        lane = draft.lane or find(draft.kind).lane
        rank = LANES.index(lane)
        (sequence,) = self._file.execute(
            "INSERT INTO numbering (destination, lane, last) VALUES (?, ?, 1) "
            "ON CONFLICT DO UPDATE SET last = last + 1 RETURNING last",
            (destination, rank),
        ).fetchone()
        envelope = self.envelope(draft, lane, sequence)
        self._file.execute(
            "INSERT INTO facts (destination, lane, sequence, id, kind, made_ns, data, case_id) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                destination, rank, sequence, envelope.id, envelope.kind,
                envelope.source_ns, encode(envelope), envelope.case or "",
            ),
        )  # fmt: skip
        return envelope

    def mark(self, name: str) -> int:
        """Return the number kept under ``name`` by ``add_all``; 0 when there is none.

        Raises:
            StorageError: The disk fails; this and every other read may succeed later.
        """
        rows = self._file.read("SELECT value FROM marks WHERE name = ?", (name,))
        return int(rows[0][0]) if rows else 0

    def waiting(self, destination: str, lane: Lane, after: int, limit: int) -> list[Entry]:
        """Return what waits in a lane with a sequence above ``after``, in order.

        Raises:
            StorageError: The disk fails.
        """
        rows = self._file.read(
            "SELECT sequence, kind, made_ns, data FROM facts "
            "WHERE destination = ? AND lane = ? AND sequence > ? ORDER BY sequence LIMIT ?",
            (destination, LANES.index(lane), after, limit),
        )
        return [Entry(lane, *row) for row in rows]

    def waiting_by_case(
        self, destination: str, lane: Lane, without: Collection[int], limit: int
    ) -> list[Entry]:
        """Return what waits in a lane, of the newest case that has something: its oldest first.

        The newest case is that of the newest fact; facts of no case are a case together.

        Args:
            destination: For whom.
            lane: The lane.
            without: Sequences that are left out, such as those on the way; few.
            limit: Most entries.

        Raises:
            StorageError: The disk fails.
        """
        place, most = (destination, LANES.index(lane)), len(without) + 1
        newest = self._file.read(
            "SELECT sequence, case_id FROM facts WHERE destination = ? AND lane = ? "
            "ORDER BY sequence DESC LIMIT ?",
            (*place, most),
        )
        case = next((case for sequence, case in newest if sequence not in without), None)
        if case is None:
            return []
        found = self._file.read(
            "SELECT sequence FROM facts WHERE destination = ? AND lane = ? AND case_id = ? "
            "ORDER BY sequence LIMIT ?",
            (*place, case, most + limit),
        )
        chosen = [sequence for (sequence,) in found if sequence not in without][:limit]
        return [entry for one in chosen for entry in self.waiting(destination, lane, one - 1, 1)]

    def count(self, destination: str, lane: Lane) -> int:
        """Return how many facts of a lane have no receipt.

        Raises:
            StorageError: The disk fails.
        """
        ((number,),) = self._file.read(
            "SELECT count(*) FROM facts INDEXED BY facts_by_case "
            "WHERE destination = ? AND lane = ?",
            (destination, LANES.index(lane)),
        )
        return int(number)

    def held(self, destination: str) -> dict[Lane, int]:
        """Return per lane the lowest number that may still come: all below has its receipt.

        Only lanes that ever had a fact for ``destination``.

        Raises:
            StorageError: The disk fails.
        """
        rows = self._file.read(
            "SELECT lane, coalesce((SELECT min(sequence) FROM facts WHERE "
            "facts.destination = numbering.destination AND facts.lane = numbering.lane), last + 1) "
            "FROM numbering WHERE destination = ? ORDER BY lane",
            (destination,),
        )
        return {LANES[rank]: lowest for rank, lowest in rows}

    def take_receipt(
        self, destination: str, receipt: Receipt, sent: Mapping[Lane, int] | None = None
    ) -> int:
        """Free what the receipt says is stored; return how many facts that were.

        A receipt for another epoch, or for more than was made, frees nothing beyond what is
        there. One for more than was sent since this file was opened, and was in it then, tells
        that the file is an older copy of what it was: numbers were given away that it does not
        know of. What was made since then gets other numbers, above those.

        Args:
            destination: Whose receipt it is.
            receipt: The receipt.
            sent: The highest number that was sent since the file was opened, per lane; None
                where that is not known.

        Raises:
            StorageError: The disk fails; nothing was freed, the next receipt frees it.
        """
        if receipt.epoch != self.epoch:
            return 0
        freed = 0
        with self._file.writing():
            for lane, stored in receipt.stored.items():
                if lane not in LANES:
                    continue
                if sent is not None:
                    self._number_anew(destination, lane, receipt, sent.get(lane, 0))
                key = (destination, LANES.index(lane), stored)
                freed += self._file.execute(
                    "DELETE FROM facts WHERE destination = ? AND lane = ? AND sequence <= ?",
                    key,
                ).rowcount
                for first, last in (receipt.ahead or {}).get(lane, ()):
                    freed += self._file.execute(
                        "DELETE FROM facts WHERE destination = ? AND lane = ? "
                        "AND sequence BETWEEN ? AND ?",
                        (*key[:2], first, last),
                    ).rowcount
        return freed

    def _number_anew(self, destination: str, lane: Lane, receipt: Receipt, sent: int) -> None:
        """Give other numbers to facts whose numbers the receiver knows from an earlier life."""
        answered = [last for _, last in (receipt.ahead or {}).get(lane, ())]
        highest = max([receipt.stored[lane], *answered])
        opened = self._opened.get((destination, lane), 0)
        if not max(opened, sent) < highest < _NO_NUMBER:
            return
        key = (destination, LANES.index(lane))
        rows = self._file.execute(
            "DELETE FROM facts WHERE destination = ? AND lane = ? AND sequence > ? "
            "RETURNING sequence, id, kind, made_ns, data, case_id",
            (*key, opened),
        ).fetchall()
        self._file.execute(
            "INSERT INTO numbering VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET last = excluded.last",
            (*key, highest + len(rows)),
        )
        for number, (_, name, kind, made_ns, data, case) in enumerate(sorted(rows), highest + 1):
            again = encode(msgspec.structs.replace(decode(data), sequence=number))
            self._file.execute(
                "INSERT INTO facts (destination, lane, sequence, id, kind, made_ns, data, case_id) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*key, number, name, kind, made_ns, again, case),
            )
        self._opened[destination, lane] = highest
        log.error(
            "this outbox is an older copy of itself",
            destination=destination, lane=lane, known_there=highest, known_here=opened,
            numbered_anew=len(rows),
        )  # fmt: skip

    def destinations(self) -> list[str]:
        """Return every destination that ever had a fact.

        Raises:
            StorageError: The disk fails.
        """
        rows = self._file.read("SELECT DISTINCT destination FROM numbering ORDER BY destination")
        return [row[0] for row in rows]

    def depth(self, destination: str) -> Depth:
        """Count what waits for ``destination``.

        Raises:
            StorageError: The disk fails.
        """
        rows = self._file.read(
            "SELECT lane, count(*), min(made_ns) FROM facts WHERE destination = ? GROUP BY lane",
            (destination,),
        )
        ((made,),) = self._file.read(
            "SELECT coalesce(sum(last), 0) FROM numbering WHERE destination = ?", (destination,)
        )
        return Depth(
            waiting={LANES[rank]: count for rank, count, _ in rows},
            made=made,
            oldest_ns=min((oldest for _, _, oldest in rows), default=None),
        )
