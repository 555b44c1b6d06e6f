"""A hub's part towards its neighbours, without pages and media: record, outbox, districts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dispatch.case_record import CaseRecord
from dispatch.district_picture import picture
from dispatch.districts import Districts
from dispatch.gap_asking import GapAsking
from dispatch.ingest import Ingest
from dispatch.neighbours import Neighbour, NeighbourSettings
from dispatch.units import Fleet, HospitalSettings, UnitSettings, place
from streams.chain import Stored
from streams.clock import SystemClock
from streams.codec import decode, encode, open_body
from streams.district_messages import DistrictFact
from streams.journal import Journal
from streams.messages import CaseNote, Position
from streams.outbox import Draft, Outbox
from streams.transport.nats import NatsTransport
from tests.neighbourhood import BOUND_S, District

CLOCK = SystemClock()


@dataclass
class DistrictHub:
    """A hub that tells its neighbours facts and keeps what they tell.

    Attributes:
        told: Texts that it told, by region, in order.
        taken: (region, text) of what its follower was given, in order.
    """

    region: str
    districts: Districts
    journal: Journal
    outbox: Outbox
    record: CaseRecord
    transport: NatsTransport
    told: dict[str, list[str]] = field(default_factory=dict)
    taken: list[tuple[str, str]] = field(default_factory=list)

    def tell(self, region: str, text: str, *, urgent: bool = False) -> None:
        """Tell a neighbour a note."""
        self.districts.send(region, note(self.region, self.outbox, text, urgent=urgent))
        self.told.setdefault(region, []).append(text)

    def heard_from(self, region: str) -> list[str]:
        """Texts that its follower was given of a neighbour."""
        return [text for by, text in self.taken if by == region]

    async def stored_from(self, region: str) -> list[str]:
        """Texts of a neighbour that stand in its journal, in its order."""
        facts = await self.journal.facts(kinds={"district_fact"}, limit=None)
        found = [(open_body(f.envelope, DistrictFact).region, text_of(f)) for f in facts]
        return [text for by, text in found if by == region]

    def neighbour(self, region: str) -> Neighbour:
        found = self.districts.neighbours.get(region)
        assert found is not None
        return found

    def waiting_for(self, region: str) -> int:
        """Facts that a neighbour has not said to have."""
        return sum(self.outbox.depth(f"district/{region}").waiting.values())

    def move_unit(self, latitude_deg: float) -> None:
        """Have its unit be somewhere, now."""
        now_ns = CLOCK.wall_ns()
        position = Position(
            latitude_deg=latitude_deg, longitude_deg=121.0, measured_ns=now_ns, source="gnss"
        )
        unit = self.record.fleet.units[f"unit-{self.region}"]
        place(unit, position, 0, "live")
        unit.heard_ns = now_ns

    async def take(self, region: str, fact: Stored) -> None:
        """Follow what neighbours tell."""
        self.taken.append((region, text_of(fact)))


def note(region: str, outbox: Outbox, text: str, *, urgent: bool = False) -> Draft:
    """A draft that carries a note of the hub."""
    inner = outbox.envelope(
        Draft("case_note", CaseNote(text=text, at_ns=1), case="0" * 26), "facts", 1
    )
    body = DistrictFact(region=region, fact=encode(inner), case=inner.case)
    return Draft("district_fact", body, lane="urgent" if urgent else "facts")


def text_of(fact: Stored) -> str:
    """The text of a note that was carried."""
    return open_body(decode(open_body(fact.envelope, DistrictFact).fact), CaseNote).text


@contextlib.asynccontextmanager
async def a_hub(
    at: District, neighbours: Sequence[str], *, follows: bool = True, state: Path | None = None
) -> AsyncIterator[DistrictHub]:
    """Run a hub at a district's broker; its state lasts in the district's folder."""
    region, folder = at.region, (state or at.state) / "hub"
    hospital = HospitalSettings(
        name=f"hospital-{region}", label=f"Hospital {region}", latitude_deg=31.2, longitude_deg=121
    )
    unit = UnitSettings(name=f"unit-{region}", label=f"Ambulance {region}", abilities=("neonatal",))
    async with contextlib.AsyncExitStack() as stack:
        url = f"sqlite:///{folder / 'journal.sqlite'}"
        journal = await stack.enter_async_context(Journal(url))
        outbox = Outbox(folder / "outbox.sqlite", "hub", CLOCK)
        stack.callback(outbox.close)
        transport = await stack.enter_async_context(at.transport())
        record = CaseRecord(journal, outbox, Fleet((unit,), (hospital,)), CLOCK)
        districts = Districts(
            [NeighbourSettings(region=one) for one in neighbours],
            region=region, record=record, journal=journal, outbox=outbox, transport=transport,
            clock=CLOCK, picture=lambda: picture(record.fleet, record.book, CLOCK.wall_ns()),
        )  # fmt: skip
        ingest = Ingest(
            record, journal, outbox, region=region, publish=transport.publish, clock=CLOCK
        )
        gaps = GapAsking(journal, record.fleet, ingest.send_receipt, CLOCK)
        hub = DistrictHub(region, districts, journal, outbox, record, transport)
        if follows:
            districts.follow(hub.take)
        await record.restore()
        await transport.wait_connected(BOUND_S)
        async with asyncio.TaskGroup() as group:
            work = group.create_task(_work(districts, gaps), name=f"{region}.hub")
            try:
                yield hub
            finally:
                work.cancel()


async def _work(districts: Districts, gaps: GapAsking) -> None:
    async with asyncio.TaskGroup() as group:
        districts.start(group)
        group.create_task(gaps.run(), name="gaps")
