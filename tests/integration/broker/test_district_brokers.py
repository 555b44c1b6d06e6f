"""Brokers of neighbouring districts: what passes between them, and what does not."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client as NatsClient

from streams.authority import Authority
from streams.broker_neighbours import NeighbourSettings
from streams.broker_rights import told
from streams.credentials import issue, revoke
from streams.topics import kinds
from tests.neighbourhood import (
    BOUND_S,
    District,
    Neighbourhood,
    a_district,
    give,
    neighbours,
    settle,
)
from tests.waiting import until

KINDS = kinds("hub", "district")
Heard = dict[str, list[str]]


@contextlib.asynccontextmanager
async def everything_heard(
    town: Neighbourhood,
) -> AsyncIterator[tuple[dict[str, NatsClient], Heard]]:
    """A client of each hub's right, and all subjects that come to it of what it may read."""
    clients, heard = {}, defaultdict(list)
    async with contextlib.AsyncExitStack() as stack:
        for region in town.districts:
            client = await stack.enter_async_context(town[region].client())

            async def note(message: Any, region: str = region) -> None:
                heard[region].append(message.subject)

            for tree in ("dx", "drill-dx"):
                await client.subscribe(f"{tree}.*.{region}.*", cb=note)
            for tree in ("ems", "er", "drill-ems", "drill-er"):
                await client.subscribe(f"{tree}.{region}.>", cb=note)
            await settle(client)
            clients[region] = client
        yield clients, heard


async def say_until_heard(
    clients: dict[str, NatsClient], heard: Heard, by: str, to: str, what: str = "passes"
) -> None:
    """Tell a neighbour something until it hears it: interest takes a moment to spread."""
    subject = f"dx.{by}.{to}.district_state"
    before = heard[to].count(subject)

    async def said() -> bool:
        await clients[by].publish(subject, b"state")
        await settle(clients[by])
        await asyncio.sleep(0.02)
        return heard[to].count(subject) > before

    await until(said, f"what {by} tells {to} {what}", BOUND_S)


async def test_three_districts_hear_what_is_for_them_and_nothing_else(tmp_path: Path) -> None:
    pairs = (("north", "south"), ("north", "west"), ("south", "west"))
    async with neighbours(tmp_path, *pairs) as town:
        await town.joined()
        async with everything_heard(town) as (clients, heard):
            for one, other in pairs:
                await say_until_heard(clients, heard, one, other)
                await say_until_heard(clients, heard, other, one)
            await asyncio.sleep(0.1)
            for subjects in heard.values():
                subjects.clear()

            for by in town.districts:
                for to in set(town.districts) - {by}:
                    for subject in told(by, to):
                        await clients[by].publish(subject, b"told")
                await settle(clients[by])

            expected = {
                to: sorted(s for by in set(town.districts) - {to} for s in told(by, to))
                for to in town.districts
            }
            await until(
                lambda: all(len(heard[to]) >= len(expected[to]) for to in expected), "all is heard"
            )
            await asyncio.sleep(0.2)
            assert {to: sorted(heard[to]) for to in expected} == expected


async def test_broker_starts_without_its_neighbour_and_is_joined_when_that_comes(
    tmp_path: Path,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with a_district(tmp_path, "south") as south:
            port = south.endpoints.leaf_port
            settings = NeighbourSettings(
                region="south", url=f"tls://localhost:{port}",
                credential=str(give(tmp_path, "south", "north")),
                authority=str(south.endpoints.ca_path),
            )  # fmt: skip
        north = await stack.enter_async_context(a_district(tmp_path, "north", [settings]))
        assert north.broker.running()
        assert await north.leaves() == []

        again = south.broker
        await again.start()
        try:

            async def is_joined() -> bool:
                return bool(await north.leaves())

            await until(is_joined, "north is joined", BOUND_S)
        finally:
            await again.stop()


async def test_credential_made_while_all_runs_joins_two_that_were_strangers(tmp_path: Path) -> None:
    """Hubs that subscribed before there was a pair's account hear the neighbour all the same."""
    async with a_district(tmp_path, "south") as south:
        town = Neighbourhood(tmp_path, {"south": south})
        async with everything_heard(town) as (clients, heard):
            credential = give(tmp_path, "south", "north")
            settings = NeighbourSettings(
                region="south", url=f"tls://localhost:{south.endpoints.leaf_port}",
                credential=str(credential), authority=str(south.endpoints.ca_path),
            )  # fmt: skip
            async with a_district(tmp_path, "north", [settings]) as north:
                town.districts["north"] = north
                await town.joined(("north", "south"))
                async with everything_heard(town) as (others, heard_too):
                    clients["north"] = others["north"]
                    await say_until_heard(clients, heard, "north", "south")
                    await say_until_heard(clients, heard_too, "south", "north")
                assert len(await south.leaves()) == len(await north.leaves()) == 1


async def test_revoked_credential_ends_the_connection_and_nothing_passes(tmp_path: Path) -> None:
    async with neighbours(tmp_path, ("north", "south"), ("north", "west")) as town:
        await town.joined()
        async with everything_heard(town) as (clients, heard):
            for one, other in (("north", "south"), ("south", "north"), ("north", "west")):
                await say_until_heard(clients, heard, one, other)
            revoke(town["south"].credentials, "from-north")

            async def is_alone() -> bool:
                return not await town["south"].leaves()

            await until(is_alone, "south ended the connection", BOUND_S)
            for subjects in heard.values():
                subjects.clear()
            for one, other in (("north", "south"), ("south", "north")):
                await clients[one].publish(f"dx.{one}.{other}.district_fact", b"late")
            await say_until_heard(clients, heard, "north", "west", "still passes")
            await settle(clients["south"])
            await asyncio.sleep(1.2)  # north dials again every second, and is refused
            assert await is_alone()
            assert heard["south"] == []
            assert heard["north"] == []


async def test_credential_exchanged_for_another_ends_the_old_connection(tmp_path: Path) -> None:
    async with neighbours(tmp_path, ("north", "south")) as town:
        await town.joined()
        before = [leaf["id"] for leaf in await town["south"].leaves()]
        revoke(town["south"].credentials, "from-north")
        settings = NeighbourSettings(
            region="south", url=f"tls://localhost:{town['south'].endpoints.leaf_port}",
            credential=str(give(tmp_path, "south", "north")),
            authority=str(town["south"].endpoints.ca_path),
        )  # fmt: skip

        async def is_ended() -> bool:
            return not any(leaf["id"] in before for leaf in await town["south"].leaves())

        await until(is_ended, "the old connection is ended", BOUND_S)
        async with a_district(tmp_path / "moved", "north", [settings]) as north:

            async def is_joined() -> bool:
                return bool(await north.leaves())

            await until(is_joined, "north is joined with the new one", BOUND_S)
            now = [leaf["id"] for leaf in await town["south"].leaves()]
            assert len(now) == 1
            assert not set(now) & set(before), "it is another connection"


async def test_two_that_both_dial_are_joined_once(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    ports = {"north": free_port(), "south": free_port()}

    def other(region: str, at: str) -> NeighbourSettings:
        ca = Authority(tmp_path / region / "authority").ensure()
        return NeighbourSettings(
            region=region, url=f"tls://localhost:{ports[region]}",
            credential=str(give(tmp_path, region, at)), authority=str(ca),
        )  # fmt: skip

    both = {"north": other("south", "north"), "south": other("north", "south")}
    async with (
        a_district(tmp_path, "south", [both["south"]], leaf_port=ports["south"]) as south,
        a_district(tmp_path, "north", [both["north"]], leaf_port=ports["north"]) as north,
    ):
        town = Neighbourhood(tmp_path, {"south": south, "north": north})
        await town.joined(("north", "south"))
        async with everything_heard(town) as (clients, heard):
            await say_until_heard(clients, heard, "north", "south")
            await say_until_heard(clients, heard, "south", "north")
            heard["south"].clear()
            await clients["north"].publish("dx.north.south.district_fact", b"once")
            await until(lambda: heard["south"], "it comes")
            await asyncio.sleep(0.2)
        assert heard["south"] == ["dx.north.south.district_fact"]
        assert [leaf["is_spoke"] for leaf in await north.leaves()] == [True]
        assert [leaf["is_spoke"] for leaf in await south.leaves()] == [False]


class Intruder:
    """A leaf node of nobody's making: it says what it likes to a neighbour's port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, line: str, payload: bytes | None = None) -> None:
        data = line.encode() + b"\r\n" + (b"" if payload is None else payload + b"\r\n")
        self.writer.write(data)
        await self.writer.drain()

    async def lines(self) -> list[str]:
        """All lines until the server has answered a ping, or closed."""
        found: list[str] = []
        with contextlib.suppress(ConnectionError):
            await self.say("PING")
            async with asyncio.timeout(BOUND_S):
                while line := (await self.reader.readline()).decode().strip():
                    if line == "PONG":
                        break
                    if line == "PING":
                        await self.say("PONG")
                    found.append(line)
        return found


@contextlib.asynccontextmanager
async def intruding(at: District, user: str, secret: str) -> AsyncIterator[tuple[Intruder, str]]:
    """Connect to a leaf-node port; gives what the server says to CONNECT too."""
    reader, writer = await asyncio.open_connection("127.0.0.1", at.endpoints.leaf_port)
    try:
        async with asyncio.timeout(BOUND_S):
            info = (await reader.readline()).decode()
            assert info.startswith("INFO")
            await writer.start_tls(at.tls, server_hostname="localhost")
        intruder = Intruder(reader, writer)
        connect = {"user": user, "pass": secret, "name": "intruder", "server_id": "INTRUDER",
                   "remote_account": "x", "version": "2.15.1"}  # fmt: skip
        await intruder.say(f"CONNECT {json.dumps(connect)}")
        yield intruder, "\n".join(await intruder.lines())
    finally:
        writer.transport.abort()


async def test_neighbour_that_breaks_the_rules_reads_and_writes_nothing_but_its_pair(
    tmp_path: Path,
) -> None:
    """Whatever its own server would filter: the neighbour speaks the protocol itself."""
    async with neighbours(tmp_path, ("west", "south")) as town:
        await town.joined()
        south = town["south"]
        held = give(tmp_path, "south", "north")
        await south.broker.reload()
        secret = issue(south.credentials, "from-north", "district", "south", place="north").secret
        assert held.exists()
        async with everything_heard(town) as (clients, heard):
            await say_until_heard(clients, heard, "west", "south")
            await clients["south"].jetstream().add_stream(name="s", subjects=["er.south.h.k"])
            heard["south"].clear()
            async with intruding(south, "from-north", secret) as (north, answer):
                assert "-ERR" not in answer
                wanted = [
                    ">", "ems.>", "er.>", "ems.south.>", "er.south.>", "$JS.>", "$JS.API.>",
                    "$SYS.>", "_INBOX.>", "_INBOX_hub.>", "dx.>", "dx.west.south.*",
                    "dx.south.west.*", "dx.south.*.*", *told("south", "north"),
                ]  # fmt: skip
                for subject in wanted:
                    await north.say(f"LS+ {subject}")
                answers = await north.lines()
                for subject in (*told("south", "west"), "ems.south.u.position", "er.south.h.x"):
                    with contextlib.suppress(nats.errors.Error):
                        await clients["south"].publish(subject, b"not for north")
                await clients["west"].publish("dx.west.south.district_fact", b"not for north")
                for subject in told("south", "north"):
                    await clients["south"].publish(subject, b"for north")
                await settle(clients["south"])
                await until(lambda: "dx.west.south.district_fact" in heard["south"], "west's came")
                answers += await north.lines()
                came = [line.split()[1] for line in answers if line.startswith("LMSG")]
            assert sorted(came) == sorted(told("south", "north"))

            heard["south"].clear()
            refused = [
                "ems.south.u.receipt_down", "er.south.h.case_fact", "dx.west.south.district_fact",
                "dx.south.north.district_fact", "dx.north.west.district_fact",
                "dx.north.south.other", "$JS.API.STREAM.DELETE.s", "$SYS.REQ.SERVER.PING",
                "_INBOX_hub.x",
            ]  # fmt: skip
            for subject in refused:
                async with intruding(south, "from-north", secret) as (north, _):
                    await north.say(f"LMSG {subject} 2", b"{}")
                    await north.lines()
            async with intruding(south, "from-north", secret) as (north, _):
                for subject in told("north", "south"):
                    await north.say(f"LMSG {subject} 2", b"{}")
                await north.lines()
            await until(lambda: len(heard["south"]) >= len(told("north", "south")), "its own come")
            await settle(clients["south"])
            assert sorted(heard["south"]) == sorted(told("north", "south"))
            assert (await clients["south"].jetstream().stream_info("s")).config.name == "s"


async def test_who_has_no_district_s_credential_does_not_get_in_by_the_leaf_node_port(
    tmp_path: Path,
) -> None:
    async with a_district(tmp_path, "south") as south:
        issue(south.credentials, "unit-7", "unit", "south")
        given = issue(south.credentials, "from-north", "district", "south", place="north")
        await south.broker.reload()
        hub = south.hub
        unit = issue(south.credentials, "unit-7", "unit", "south")
        tries = [("hub", hub.secret), ("unit-7", unit.secret), ("nobody", "x"), ("NOBODY", ""),
                 ("BROKER", "x"), ("from-north", "wrong"), ("from-north", "")]  # fmt: skip
        for user, secret in tries:
            async with intruding(south, user, secret) as (_, answer):
                assert "Authorization Violation" in answer, user
        assert await south.leaves() == []
        async with intruding(south, "from-north", given.secret) as (_, answer):
            assert "Authorization" not in answer

        with pytest.raises(nats.errors.Error):
            await nats.connect(
                south.endpoints.nats_url, user="from-north", password=given.secret,
                tls=south.tls, allow_reconnect=False, connect_timeout=BOUND_S,
            )  # fmt: skip


async def test_neighbour_with_a_certificate_of_another_authority_is_not_joined(
    tmp_path: Path,
) -> None:
    other = Authority(tmp_path / "other")
    async with a_district(tmp_path, "south") as south:
        settings = NeighbourSettings(
            region="south", url=f"tls://localhost:{south.endpoints.leaf_port}",
            credential=str(give(tmp_path, "south", "north")), authority=str(other.ensure()),
        )  # fmt: skip
        async with a_district(tmp_path, "north", [settings]) as north:
            log = north.broker._log
            await until(
                lambda: any("certificate" in line or "x509" in line for line in log.last),
                "north says why it does not trust south", BOUND_S,
            )  # fmt: skip
            assert await north.leaves() == []
            assert await south.leaves() == []
