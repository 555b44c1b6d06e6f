"""The journal: stored once, chained, synced before anybody is told."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest
import sqlalchemy as sa

from streams import refusals
from streams.chain import Arrived, Refused, verify
from streams.clock import SystemClock
from streams.codec import encode
from streams.errors import StorageError
from streams.identity import new_id
from streams.inbox import Line
from streams.journal import Journal
from streams.messages import CaseNote
from streams.outbox import Draft, Outbox

CASE = new_id()


class Source:
    """Makes facts as a unit's outbox does."""

    def __init__(self, folder: Path) -> None:
        self.outbox = Outbox(folder / "outbox.sqlite", "unit-7", SystemClock())
        self.line = Line("unit-7", self.outbox.epoch, "facts")

    def note(self, text: str = "n", case: str | None = CASE) -> Arrived:
        draft = Draft("case_note", CaseNote(text=text, at_ns=1), case=case)
        envelope = self.outbox.add("hub", draft)
        return Arrived(encode(envelope), 2_000, 1_000, self.line, envelope.sequence)


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'journal.sqlite'}"


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path)


async def test_journal_stores_in_order_and_chains_per_case(tmp_path: Path, source: Source) -> None:
    other = new_id()
    async with Journal(url(tmp_path)) as journal:
        arrived = [source.note(), source.note(case=other), source.note()]
        stored = await journal.append_all(arrived)
        assert [one and one.case_sequence for one in stored] == [1, 1, 2]
        facts = await journal.facts(case=CASE)
        assert verify(iter(facts)) == facts[-1].hash
        assert [fact.data for fact in facts] == [arrived[0].data, arrived[2].data]
        assert len(await journal.facts()) == 3
        assert len(await journal.facts(after=facts[0].position)) == 2


async def test_journal_repeat_is_stored_once_and_counted(tmp_path: Path, source: Source) -> None:
    note = source.note()
    async with Journal(url(tmp_path)) as journal:
        assert await journal.append(note) is not None
        assert await journal.append(note) is None
        assert await journal.append_all([note, note]) == [None, None]
        assert journal.duplicates == 3
        assert await journal.count() == {"facts": 1, "refused": 0, "reads": 0}


async def test_journal_same_fact_on_another_line_is_stored_once(
    tmp_path: Path, source: Source
) -> None:
    note = source.note()
    again = dataclasses.replace(note, line=Line("unit-7", new_id(), "facts"))
    async with Journal(url(tmp_path)) as journal:
        await journal.append_all([note, again])
        assert len(await journal.facts()) == 1
        assert again.line is not None
        assert journal.inbox.stored(again.line) == 1, "the sender must be told that it is stored"


async def test_journal_reopened_knows_what_it_has(tmp_path: Path, source: Source) -> None:
    notes = [source.note() for _ in range(5)]
    async with Journal(url(tmp_path)) as journal:
        await journal.append_all([notes[0], notes[1], notes[3]])
        assert journal.inbox.stored(source.line) == 2
    async with Journal(url(tmp_path)) as journal:
        assert journal.inbox.stored(source.line) == 2
        assert journal.inbox.missing(source.line) == [(3, 3)]
        await journal.append_all(notes)
        assert journal.inbox.stored(source.line) == 5
        facts = await journal.facts(case=CASE)
        assert [fact.case_sequence for fact in facts] == [1, 2, 3, 4, 5]
        verify(iter(facts))


async def test_journal_refused_message_is_kept_and_its_number_answered(
    tmp_path: Path, source: Source
) -> None:
    note = source.note()
    refused = Refused(1, "a/topic", "case", "not assigned", note.data, source.line, note.sequence)
    async with Journal(url(tmp_path)) as journal:
        await journal.refuse(refused)
        assert journal.inbox.stored(source.line) == 1
        assert (await journal.count())["refused"] == 1
        assert await journal.facts() == []


async def test_journal_replica_has_the_same_chain_whatever_the_order(
    tmp_path: Path, source: Source
) -> None:
    async with Journal(url(tmp_path / "hub")) as hub:
        originals = [one for one in await hub.append_all([source.note() for _ in range(4)]) if one]
    async with Journal(url(tmp_path / "er")) as replica:
        line = Line("hub", new_id(), "facts")
        for number in (2, 0, 3, 1):
            one = originals[number]
            await replica.append(
                Arrived(one.data, one.received_ns, one.corrected_ns, line, number + 1,
                        one.case_sequence, one.hash)
            )  # fmt: skip
        facts = sorted(await replica.facts(case=CASE), key=lambda fact: fact.case_sequence or 0)
        assert verify(iter(facts)) == originals[-1].hash


async def test_journal_number_taken_by_another_fact_is_refused(
    tmp_path: Path, source: Source
) -> None:
    first, second = source.note(), source.note("forged")
    async with Journal(url(tmp_path)) as journal:
        for one in (first, second):
            await journal.append(dataclasses.replace(one, case_sequence=1, hash=bytes(32)))
        assert len(await journal.facts()) == 1
        assert (await journal.count())["refused"] == 1


async def test_journal_changed_or_missing_fact_breaks_the_chain(
    tmp_path: Path, source: Source
) -> None:
    async with Journal(url(tmp_path)) as journal:
        await journal.append_all([source.note(), source.note(), source.note()])
        facts = await journal.facts(case=CASE)
    changed = dataclasses.replace(facts[1], corrected_ns=facts[1].corrected_ns + 1)
    with pytest.raises(StorageError, match=r"fact 2 of the case .* was changed"):
        verify(iter([facts[0], changed, facts[2]]))
    with pytest.raises(StorageError, match="fact 2 of the case is missing"):
        verify(iter([facts[0], facts[2]]))


async def test_journal_many_writers_share_commits_and_lose_nothing(
    tmp_path: Path, source: Source
) -> None:
    notes = [source.note() for _ in range(300)]
    async with Journal(url(tmp_path)) as journal:
        async with asyncio.TaskGroup() as group:
            for note in notes:
                group.create_task(journal.append(note))
        assert len(await journal.facts()) == 300
        assert journal.inbox.stored(source.line) == 300


async def test_journal_that_cannot_write_says_so_and_nothing_counts_as_stored(
    tmp_path: Path, source: Source
) -> None:
    async with Journal(url(tmp_path)) as journal:
        with sa.create_engine(url(tmp_path)).begin() as connection:
            connection.execute(sa.text("ALTER TABLE facts RENAME TO hidden"))
        note = source.note()
        with pytest.raises(StorageError):
            await journal.append(note)
        assert journal.inbox.stored(source.line) == 0
        with sa.create_engine(url(tmp_path)).begin() as connection:
            connection.execute(sa.text("ALTER TABLE hidden RENAME TO facts"))
        assert await journal.append(note) is not None


async def test_journal_fact_that_cannot_be_stored_blocks_no_neighbour(
    tmp_path: Path, source: Source
) -> None:
    before, bad, after = source.note(), source.note(), source.note()
    bad = dataclasses.replace(bad, corrected_ns=2**63)
    async with Journal(url(tmp_path)) as journal:
        stored = await journal.append_all([before, bad, after])
        assert [one is not None for one in stored] == [True, False, True]
        assert journal.inbox.stored(source.line) == 3, "the source must not send it again for ever"
        assert (await journal.count())["refused"] == 1
        facts = await journal.facts(case=CASE)
        verify(iter(facts))


async def test_journal_with_a_second_writer_loses_and_refuses_nothing(
    tmp_path: Path, source: Source
) -> None:
    async with Journal(url(tmp_path)) as one, Journal(url(tmp_path)) as other:
        stored = [await journal.append(source.note()) for journal in (one, other, one, one, other)]
        assert [fact and fact.case_sequence for fact in stored] == [1, 2, 3, 4, 5]
        assert (await one.count())["refused"] == 0
        verify(iter(await one.facts(case=CASE)))


async def test_journal_broken_rule_is_an_error_and_never_an_answer(
    tmp_path: Path, source: Source
) -> None:
    note = source.note()
    async with Journal(url(tmp_path)) as journal:
        with sa.create_engine(url(tmp_path)).begin() as connection:
            connection.execute(
                sa.text(
                    "CREATE TRIGGER taken BEFORE INSERT ON facts "
                    "BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed'); END"
                )
            )
        with pytest.raises(StorageError, match="UNIQUE"):
            await journal.append(note)
        assert journal.inbox.stored(source.line) == 0, "the source keeps it"


async def test_journal_appending_several_tells_only_when_all_are_decided(
    tmp_path: Path, source: Source
) -> None:
    async with Journal(url(tmp_path)) as journal:
        notes = [source.note() for _ in range(20)]
        appending = asyncio.create_task(journal.append_all(notes), name="appending")
        await asyncio.sleep(0)
        appending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await appending
        await journal.settle()
        count = (await journal.count())["facts"]
        assert count == journal.inbox.stored(source.line), "the rows say what became of it"
        await asyncio.sleep(0)
        assert (await journal.count())["facts"] == count


async def test_journal_refused_fact_is_kept_whole_and_garbage_is_cut(
    tmp_path: Path, source: Source
) -> None:
    long = bytes(100_000)
    topic = "ems/north/unit-7/ecg_record"
    async with Journal(url(tmp_path)) as journal:
        await journal.refuse(Refused(1, topic, "case", "not assigned", long, source.line, 1))
        await journal.refuse(Refused(1, topic, "malformed", "no message", long))
    with sa.create_engine(url(tmp_path)).begin() as connection:
        sizes = connection.execute(sa.text("SELECT length(data), source FROM refused")).all()
    assert [tuple(row) for row in sizes] == [(100_000, "unit-7"), (4096, "unit-7")]


async def test_journal_garbage_of_one_source_fills_no_disk_and_pushes_out_no_fact(
    tmp_path: Path, source: Source
) -> None:
    mad, other = "ems/north/unit-7/vitals", "ems/north/unit-8/vitals"
    async with Journal(url(tmp_path)) as journal:
        await journal.refuse(Refused(1, mad, "case", "not assigned", b"fact", source.line, 1))
        await journal.refuse(Refused(1, other, "malformed", "no message", b"other"))
        flood = [Refused(n, mad, "malformed", "no message", b"x") for n in range(1000)]
        await journal.append_all(flood)
        assert (await journal.count())["refused"] == refusals.GARBAGE_KEPT + 2
    with sa.create_engine(url(tmp_path)).begin() as connection:
        newest = connection.execute(sa.text("SELECT max(received_ns) FROM refused")).scalar()
    assert newest == 999


async def test_journal_of_before_gets_its_new_columns_and_indexes(
    tmp_path: Path, source: Source
) -> None:
    async with Journal(url(tmp_path)) as journal:
        await journal.append(source.note())
    with sa.create_engine(url(tmp_path)).begin() as connection:
        for statement in (
            "DROP INDEX refused_by_source",
            "DROP INDEX facts_by_case_kind",
            "ALTER TABLE refused DROP COLUMN source",
            "ALTER TABLE refused DROP COLUMN answered",
        ):
            connection.execute(sa.text(statement))
    async with Journal(url(tmp_path)) as journal:
        await journal.refuse(Refused(1, "a/topic", "malformed", "no message", b"x"))
        assert len(await journal.facts(case=CASE, kinds={"case_note"})) == 1
    names = {
        index["name"] for index in sa.inspect(sa.create_engine(url(tmp_path))).get_indexes("facts")
    }
    assert {"facts_by_case_kind", "facts_by_kind_source"} <= names


async def test_journal_reads_are_in_the_audit_log(tmp_path: Path) -> None:
    async with Journal(url(tmp_path)) as journal:
        await journal.note_read("seat-1", "case page", CASE, 5)
        assert (await journal.count())["reads"] == 1


async def test_journal_on_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"garbage" * 1000)
    with pytest.raises(StorageError, match="not a database"):
        async with Journal(url(tmp_path)):
            pass
