"""A file of SQLite: all of a transaction or nothing, and errors that say what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from streams.errors import StorageError
from streams.sqlite_file import SqliteFile

SCHEMA = "CREATE TABLE IF NOT EXISTS beds (name TEXT PRIMARY KEY, free INTEGER);"


def test_transaction_that_raises_leaves_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    file = SqliteFile("bed list", tmp_path / "deep" / "beds.sqlite", SCHEMA)
    with pytest.raises(ValueError, match="of a caller"), file.writing():
        file.execute("INSERT INTO beds VALUES ('a', 1)")
        raise ValueError("of a caller")
    with file.writing():
        file.execute("INSERT INTO beds VALUES ('b', 2)")
    file.close()
    assert SqliteFile("bed list", file.path, SCHEMA).read("SELECT * FROM beds") == [("b", 2)]


def test_full_disk_is_told_with_name_and_advice_and_is_no_end(tmp_path: Path) -> None:
    file = SqliteFile("bed list", tmp_path / "beds.sqlite", SCHEMA)
    ((pages,),) = file.read("PRAGMA page_count")
    file.read(f"PRAGMA max_page_count={pages}")
    full = pytest.raises(StorageError, match=r"bed list .*beds\.sqlite: .*full; free space")
    with full, file.writing():
        for number in range(1000):
            file.execute("INSERT INTO beds VALUES (?, 1)", (f"{number:>100}",))
    assert file.read("SELECT count(*) FROM beds") == [(0,)]
    file.read("PRAGMA max_page_count=1000000")
    with file.writing():
        file.execute("INSERT INTO beds VALUES ('a', 1)")


def test_older_file_gets_the_columns_that_it_lacks_once(tmp_path: Path) -> None:
    older = SqliteFile("bed list", tmp_path / "beds.sqlite", SCHEMA)
    with older.writing():
        older.execute("INSERT INTO beds VALUES ('a', 1)")
    older.close()
    added = (("beds", "ward", "TEXT NOT NULL DEFAULT ''"),)
    newer = SCHEMA + "CREATE INDEX IF NOT EXISTS by_ward ON beds (ward);"
    for _ in range(2):
        file = SqliteFile("bed list", older.path, newer, added)
        assert file.read("SELECT name, ward FROM beds") == [("a", "")]
        file.close()


def test_damaged_file_and_a_folder_in_its_place_are_refused_with_words(tmp_path: Path) -> None:
    damaged = tmp_path / "beds.sqlite"
    damaged.write_bytes(b"no database at all" * 1000)
    for path in (damaged, tmp_path):
        with pytest.raises(StorageError, match=r"bed list .*; move the file away to start anew"):
            SqliteFile("bed list", path, SCHEMA)
    assert damaged.read_bytes().startswith(b"no database"), "nothing was overwritten"


def test_query_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    file = SqliteFile("bed list", tmp_path / "beds.sqlite", SCHEMA)
    with sqlite3.connect(file.path) as other:
        other.execute("DROP TABLE beds")
    with pytest.raises(StorageError, match=r"bed list .*no such table: beds; look at the disk"):
        file.read("SELECT * FROM beds")
