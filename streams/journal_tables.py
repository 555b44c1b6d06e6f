"""The journal's tables and the indexes that let its views start without reading all of it."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()


def _position() -> sa.Column[int]:
    # SQLite counts rows only in a column of its own INTEGER type.
    kind = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    return sa.Column("position", kind, primary_key=True, autoincrement=True)


FACTS = sa.Table(
    "facts",
    METADATA,
    _position(),
    sa.Column("id", sa.String(26), nullable=False, unique=True),
    sa.Column("case_id", sa.String(26), index=True),
    sa.Column("case_sequence", sa.BigInteger),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("source", sa.String(40), nullable=False),
    sa.Column("corrected_ns", sa.BigInteger, nullable=False),
    sa.Column("received_ns", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.LargeBinary(32)),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("stored_ns", sa.BigInteger),
    sa.UniqueConstraint("case_id", "case_sequence"),
    # A case without its waveform blocks; a view is built from this.
    sa.Index("facts_by_case_kind", "case_id", "kind", "position"),
    # Which cases were opened and closed, and the newest of a kind of a unit; the case stands in
    # the index itself, so that the rows of a year are not touched.
    sa.Index("facts_by_kind_source", "kind", "source", "position", "case_id"),
)

PROGRESS = sa.Table(
    "progress",
    METADATA,
    sa.Column("source", sa.String(40), primary_key=True),
    sa.Column("epoch", sa.String(26), primary_key=True),
    sa.Column("lane", sa.String(10), primary_key=True),
    sa.Column("stored", sa.BigInteger, nullable=False),
    sa.Column("ahead", sa.JSON, nullable=False),
)

REFUSED = sa.Table(
    "refused",
    METADATA,
    _position(),
    sa.Column("received_ns", sa.BigInteger, nullable=False),
    sa.Column("topic", sa.String(200), nullable=False),
    sa.Column("reason", sa.String(40), nullable=False),
    sa.Column("text", sa.String(500), nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("source", sa.String(40), nullable=False, server_default=""),
    sa.Column("answered", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Index("refused_by_source", "source", "answered", "position"),
)

GONE = sa.Table(
    "gone",
    METADATA,
    _position(),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("source", sa.String(40), nullable=False),
    sa.Column("epoch", sa.String(26), nullable=False),
    sa.Column("lane", sa.String(10), nullable=False),
    sa.Column("first", sa.BigInteger, nullable=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Index("gone_by_line", "source", "epoch", "lane"),
)

READS = sa.Table(
    "reads",
    METADATA,
    _position(),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("who", sa.String(80), nullable=False),
    sa.Column("what", sa.String(200), nullable=False),
    sa.Column("case_id", sa.String(26), index=True),
)

_ADDED_LATER = {
    ("refused", "source"): "ALTER TABLE refused ADD COLUMN source VARCHAR(40) DEFAULT '' NOT NULL",
    ("refused", "answered"): "ALTER TABLE refused ADD COLUMN answered SMALLINT DEFAULT 0 NOT NULL",
    ("facts", "stored_ns"): "ALTER TABLE facts ADD COLUMN stored_ns BIGINT",
}
"""Columns that journals of before do not have, by table and name."""


def open_tables(engine: sa.Engine) -> None:
    """Make what is not there yet: tables, columns and indexes."""
    METADATA.create_all(engine)
    known = {
        (table, column["name"])
        for table in {table for table, _ in _ADDED_LATER}
        for column in sa.inspect(engine).get_columns(table)
    }
    with engine.begin() as connection:
        for name, statement in _ADDED_LATER.items():
            if name not in known:
                connection.execute(sa.text(statement))
        for table in METADATA.sorted_tables:
            for index in table.indexes:
                index.create(connection, checkfirst=True)
