"""A receiver with an empty disk: the ER's cases in progress come back, the hub goes on loudly."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from hospital_gateway.gateway import serve
from hospital_gateway.settings import Settings
from streams.chain import verify
from streams.credentials import credential_path
from streams.journal import Journal
from streams.messages import CaseNote
from streams.outbox import Draft
from tests.conftest import WaitFor
from tests.hub_town import REGION, Town, Vehicle, a_town

HERE = "first-hospital"


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


def settings(town: Town) -> Settings:
    where = town.broker.endpoints
    given = {
        "name": HERE, "label": "First ER", "region": REGION, "state": str(town.state / HERE),
        "hub": "https://127.0.0.1:1", "roster": str(where.credentials),
        "credential": str(credential_path(Path(where.credentials), HERE)),
        "authority": str(where.ca_path), "broker": {"url": where.nats_url},
        "roles": ["charge nurse"], "listen": {"port": 0},
    }  # fmt: skip
    return msgspec.convert(given, Settings)


@contextlib.asynccontextmanager
async def gateway(town: Town) -> AsyncIterator[None]:
    """Run the hospital's gateway while the block runs."""
    task = asyncio.create_task(serve(settings(town)), name="gateway")
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait({task})


def stored_at_hospital(town: Town) -> int:
    """Count the facts in the gateway's journal."""
    db = sqlite3.connect(town.state / HERE / "journal.sqlite")
    with contextlib.closing(db):
        return int(db.execute("SELECT count(*) FROM facts").fetchone()[0])


def note(case: str) -> Draft:
    return Draft("case_note", CaseNote(text="n", at_ns=1), case=case)


async def test_gateway_with_an_empty_disk_gets_its_cases_back_and_proves_them(
    town: Town, tmp_path: Path, wait_for: WaitFor
) -> None:
    unit = Vehicle("unit-1", tmp_path)
    async with town.open_hub() as hub, town.join(unit):
        case = await town.open_case()
        await town.act("assign_unit", case=case, unit="unit-1")
        async with gateway(town):
            await town.act("choose_hospital", case=case, hospital=HERE)
            for _ in range(5):
                unit.make(note(case))
            await wait_for(
                lambda: hub.forwarder.reached(f"hospital/{HERE}", case, 8), "all at the hospital"
            )
        shutil.rmtree(town.state / HERE)
        async with gateway(town):
            unit.make(note(case))  # what is behind the numbers that it once acknowledged
            await wait_for(
                lambda: hub.forwarder.reached(f"hospital/{HERE}", case, 9), "the next at it", 30
            )
            await wait_for(lambda: stored_at_hospital(town) == 9, "all of it again", 30)
            known = await hub._parts.journal.facts(kinds=["copy_lost"])
            assert [one.envelope.source for one in known] == [HERE]
        async with Journal(settings(town).journal_url) as journal:
            facts = await journal.facts(case=case, limit=None)
            lost = sum(one.facts for one in journal.lost)
    assert len(facts) == 9
    verify(iter(sorted(facts, key=lambda fact: fact.case_sequence or 0)))
    assert lost == 8


async def test_hub_with_an_older_journal_goes_on_and_tells_what_is_gone(
    town: Town, tmp_path: Path, wait_for: WaitFor
) -> None:
    unit = Vehicle("unit-1", tmp_path)
    async with town.open_hub(), town.join(unit):
        case = await town.open_case()
        await town.act("assign_unit", case=case, unit="unit-1")
        for _ in range(2):
            unit.make(note(case))
        await wait_for(lambda: unit.waiting() == 0, "all is stored")
    backup = tmp_path / "backup"
    shutil.copytree(town.state / "hub", backup)
    unit = Vehicle("unit-1", tmp_path)
    async with town.open_hub(), town.join(unit):
        for _ in range(3):
            unit.make(note(case))
        await wait_for(lambda: unit.waiting() == 0, "more is stored")
    shutil.rmtree(town.state / "hub")
    shutil.copytree(backup, town.state / "hub")
    unit = Vehicle("unit-1", tmp_path)
    async with town.open_hub() as hub, town.join(unit):
        unit.make(note(case))
        await wait_for(lambda: unit.waiting() == 0, "it goes on", 30)
        (lost,) = hub._parts.journal.lost
        assert (lost.line.source, lost.first, lost.last) == ("unit-1", 3, 5)
        assert hub.gaps.for_page()[0]["facts"] == 3
