"""Whole hubs of neighbouring districts, each at its own real broker, with pages and a seat."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from dispatch import server
from dispatch.hub import Hub
from dispatch.intake import Ring
from dispatch.neighbours import Neighbour, NeighbourSettings
from dispatch.server import serving
from dispatch.settings import BrokerSettings, Calls, Listen, Media, Settings
from dispatch.speech.settings import SpeechSettings
from dispatch.units import HospitalSettings, UnitSettings, place
from streams.chain import Stored
from streams.clock import SystemClock
from streams.codec import decode, open_body
from streams.credentials import Credential, credential_path, issue
from streams.district_messages import DistrictFact
from streams.errors import ForerunError
from streams.identity import new_id
from streams.messages import Position
from tests.neighbourhood import BOUND_S, District, Neighbourhood
from tests.waiting import until

OVERFLOW_S = 0.5
ANSWER_S = 60.0
"""Bound of a wait for a neighbour's answer: of a hundred at once the last comes late."""
PLACES = {"north": 31.30, "south": 31.10, "west": 31.20}
CLOCK = SystemClock()


class Office:
    """A district's hub, and what its seats were told."""

    def __init__(self, at: District, hub: Hub) -> None:
        self.at, self.hub, self.region = at, hub, at.region
        self.told: dict[str, dict[str, Any]] = {}
        before = hub.desk.told

        def told(asked: Any, answer: Any) -> None:
            self.told[asked.request] = msgspec.to_builtins(answer) | {"seat": asked.seat}
            before(asked, answer)

        hub.desk.told = told

    def neighbour(self, region: str) -> Neighbour:
        found = self.hub.districts.neighbours.get(region)
        assert found is not None
        return found

    def seat(self, name: str) -> Credential:
        return issue(self.at.credentials, name, "seat", self.region, place="hub")

    async def ring(self, call: str, line: str = "voice", number: str = "") -> str:
        told = Ring(call=call, number=number or "+8613800000001", line=line)  # type: ignore[arg-type]
        return await self.hub.calls.ring(told)

    async def act(self, action: str, seat: str = "seat-1", **fields: Any) -> dict[str, Any]:
        """Have a seat do something; the error instead where it is refused."""
        fields.setdefault("id", new_id())
        data = msgspec.json.encode({"action": action, **fields})
        try:
            return await self.hub.desk.act(data, seat) | {"id": fields["id"]}
        except ForerunError as error:
            return self.hub.desk.describe(error) | {"id": fields["id"]}

    async def done(self, action: str, seat: str = "seat-1", **fields: Any) -> dict[str, Any]:
        """Have a seat do something with a neighbour's case; return what its home answers."""
        sent = await self.act(action, seat, **fields)
        if not sent["ok"]:
            return sent
        await until(lambda: sent["id"] in self.told, f"{action} is answered", ANSWER_S)
        return self.told[sent["id"]]

    def shows(self, case: str) -> bool:
        found = self.hub.desk.foreign.get(case)
        return found is not None and found.is_shown

    async def facts(self, case: str) -> list[bytes]:
        """Facts of a case of our own, as the journal has them."""
        return [fact.data for fact in await self.hub_journal.facts(case=case, limit=None)]

    @property
    def hub_journal(self) -> Any:
        return self.hub._parts.journal

    async def foreign_facts(self, case: str) -> list[tuple[int, bytes]]:
        """Facts of a neighbour's case in our journal, by their numbers; a double stands twice."""
        facts: list[Stored] = await self.hub_journal.facts(kinds={"district_fact"}, limit=None)
        bodies = [open_body(fact.envelope, DistrictFact) for fact in facts]
        return sorted((one.number, one.fact) for one in bodies if one.case == case)

    def put_unit(self, name: str, latitude_deg: float, longitude_deg: float = 121.4) -> None:
        """Have a unit be somewhere, now."""
        now_ns = CLOCK.wall_ns()
        position = Position(
            latitude_deg=latitude_deg, longitude_deg=longitude_deg, measured_ns=now_ns,
            source="gnss",
        )  # fmt: skip
        unit = self.hub.record.fleet.units[name]
        place(unit, position, 0, "live")
        unit.heard_ns = now_ns


def kinds(facts: Sequence[bytes]) -> list[str]:
    return [decode(fact).kind for fact in facts]


def settings(at: District, others: Sequence[str], state: Path, **changes: Any) -> Settings:
    """A hub's settings: one unit, one hospital, all others as neighbours."""
    where, region = at.endpoints, at.region
    latitude_deg = PLACES.get(region, 31.2)
    hospital = HospitalSettings(
        name=f"hospital-{region}", label=f"{region.title()} Hospital",
        latitude_deg=latitude_deg, longitude_deg=121.42,
    )  # fmt: skip
    units = tuple(
        UnitSettings(name=f"unit-{region}-{number}", label=f"{region.title()} {number}")
        for number in (1, 2)
    )
    made = Settings(
        region=region,
        state=str(state),
        credential=str(credential_path(at.credentials, "hub")),
        roster=str(at.credentials),
        authority=str(where.ca_path),
        broker=BrokerSettings(url=where.nats_url),
        listen=Listen(port=0),
        media=Media(addresses=("127.0.0.1",)),
        speech=SpeechSettings(recognition=False, synthesis=False),
        calls=Calls(overflow_s=OVERFLOW_S, seat_grace_s=600.0),
        units=units,
        hospitals=(hospital,),
        neighbours=tuple(
            NeighbourSettings(region=one, label=f"{one.title()} district") for one in others
        ),
    )
    return msgspec.structs.replace(made, **changes)


@contextlib.asynccontextmanager
async def an_office(at: District, others: Sequence[str], **changes: Any) -> AsyncIterator[Office]:
    """Run a district's hub; its state lasts in the district's folder."""
    # One process is one hub, whose figures have one registry; here each hub has its own.
    server.REGISTRY = CollectorRegistry()  # type: ignore[attr-defined]
    async with serving(settings(at, others, at.state / "hub-state", **changes)) as hub:
        await asyncio.wait_for(hub.link.ready.wait(), BOUND_S)
        yield Office(at, hub)


@contextlib.asynccontextmanager
async def offices(town: Neighbourhood, **changes: Any) -> AsyncIterator[dict[str, Office]]:
    """Run a hub in each district; they see each other."""
    async with contextlib.AsyncExitStack() as stack:
        found: dict[str, Office] = {}
        for region in town.districts:
            others = [one for one in town.districts if one != region]
            office = await stack.enter_async_context(an_office(town[region], others, **changes))
            found[region] = office
        await until(lambda: all_connected(found), "all see each other", BOUND_S)
        yield found


def all_connected(found: dict[str, Office]) -> bool:
    return all(
        one.connected for office in found.values() for one in office.hub.districts.neighbours.all()
    )
