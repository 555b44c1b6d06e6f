"""The hub's clock goes on where its journal ends, whatever the machine's clock says."""

from __future__ import annotations

from pathlib import Path

from dispatch.hub_clock import check_clock, hub_clock
from streams.chain import Arrived
from streams.clock import SteadyClock, SystemClock
from streams.codec import encode
from streams.identity import new_id
from streams.journal import Journal
from streams.messages import CaseNote
from streams.outbox import Draft, Outbox
from tests.case_facts import START_NS

HOUR_NS = 3600 * 1_000_000_000


class Machine:
    def __init__(self, wall_ns: int) -> None:
        self.now_ns = wall_ns

    def wall_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return 1_000


async def journal_with_a_fact(folder: Path, at_ns: int) -> Journal:
    outbox = Outbox(folder / "outbox.sqlite", "hub", SystemClock())
    envelope = outbox.add("hub", Draft("case_note", CaseNote(text="n", at_ns=1), case=new_id()))
    outbox.close()
    journal = Journal(f"sqlite:///{folder / 'journal.sqlite'}")
    async with journal:
        await journal.append(Arrived(encode(envelope), at_ns, at_ns))
    return Journal(f"sqlite:///{folder / 'journal.sqlite'}")


async def test_hub_started_after_its_clock_was_set_back_goes_on(tmp_path: Path) -> None:
    async with await journal_with_a_fact(tmp_path, START_NS) as journal:
        clock = await hub_clock(journal, Machine(START_NS - HOUR_NS))
        assert clock.wall_ns() == START_NS
        assert "set back by 3600 s" in check_clock(clock)["text"]


async def test_hub_whose_journal_is_days_ahead_takes_the_machines_clock(tmp_path: Path) -> None:
    async with await journal_with_a_fact(tmp_path, START_NS + 48 * HOUR_NS) as journal:
        assert (await hub_clock(journal, Machine(START_NS))).wall_ns() == START_NS


async def test_hub_with_a_right_clock_or_an_empty_journal_takes_it(tmp_path: Path) -> None:
    async with await journal_with_a_fact(tmp_path, START_NS - HOUR_NS) as journal:
        clock = await hub_clock(journal, Machine(START_NS))
        assert clock.wall_ns() == START_NS
        assert check_clock(clock) == {"ok": True, "text": "goes with the machine's"}
    async with Journal(f"sqlite:///{tmp_path / 'other.sqlite'}") as empty:
        assert (await hub_clock(empty, Machine(START_NS))).wall_ns() == START_NS


def test_clock_of_the_machine_set_forward_is_told_by_healthz() -> None:
    machine = Machine(START_NS)
    clock = SteadyClock(machine)
    machine.now_ns += HOUR_NS
    assert clock.wall_ns() < START_NS + 1_000_000
    assert "set forward by 3600 s" in check_clock(clock)["text"]
