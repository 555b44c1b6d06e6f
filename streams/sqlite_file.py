"""A file of SQLite that one process writes, in one thread: synced, and its errors with words."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from streams.errors import StorageError

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000")
"""What is committed is on the disk, and readers never wait for the writer."""


class SqliteFile:
    """One open file.

    Attributes:
        path: Where it is.
    """

    def __init__(
        self, name: str, path: Path, schema: str, upgrade: Sequence[tuple[str, str, str]] = ()
    ) -> None:
        """Open or make the file at ``path``.

        Args:
            name: What it is called in an error.
            path: Where it is.
            schema: Statements that make what is not there.
            upgrade: Columns that an older file may lack: table, name and definition.

        Raises:
            StorageError: It cannot be opened or is damaged.
        """
        self.path, self._name = path, name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None)
            for pragma in PRAGMAS:
                self._db.execute(f"PRAGMA {pragma}")
            for table, column, definition in upgrade:
                there = {row[1] for row in self._db.execute(f"PRAGMA table_info({table})")}
                if there and column not in there:
                    self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {definition}")
            self._db.executescript(schema)
        except (OSError, sqlite3.Error) as error:
            advice = (
                "move the file away to start anew, and keep it: what waits in it is nowhere else"
            )
            raise self._failed(error, advice) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def read(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query.

        Raises:
            StorageError: The disk fails; this and every other read may succeed later.
        """
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._failed(error, "look at the disk") from error

    def execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run a statement inside ``writing``."""
        return self._db.execute(statement, values)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Make one transaction of all that is executed inside: committed, or all taken back.

        Raises:
            StorageError: The disk is full or fails; nothing of it was written.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:  # a commit that fails (disk full) leaves the transaction open
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise self._failed(error, "free space on the disk") from error

    def _failed(self, error: Exception, advice: str) -> StorageError:
        return StorageError(f"{self._name} {self.path}: {error}; {advice}")
