"""WebRTC's signalling over a link that is away, and media of a vehicle whose address changes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from streams.errors import TransportError
from streams.service import listening
from streams.transport.source import Source
from streams.transport.webrtc import DataUplink
from streams.webrtc import PeerSettings, Signalling

BOUND_S = 20.0
LOOPBACK = PeerSettings(addresses=("127.0.0.1",))


async def test_uplink_whose_vehicle_gets_another_address_builds_a_new_path_from_there(
    serve_relay: Any, wait_for: Any
) -> None:
    here = ["127.0.0.2"]
    async with serve_relay() as site:
        signalling = replace(site.whip("unit-7/data"), source=lambda: Source(address=here[0]))
        peer = PeerSettings(choose=lambda: (here[0],))
        # The silence alone would take longer than the test waits.
        uplink = DataUplink(signalling, label="ecg", peer=peer, silence_s=10 * BOUND_S)
        async with uplink:
            await uplink.wait_connected(BOUND_S)
            here[0] = "127.0.0.3"
            await wait_for(lambda: uplink.connections == 2, "a path from there", BOUND_S)
            await wait_for(lambda: uplink.send(b"from there"), "it is open", BOUND_S)
            await wait_for(lambda: site.messages, "a frame over it", BOUND_S)
            assert site.messages[-1][2] == b"from there"


def test_peer_settings_offer_what_is_chosen_and_else_what_is_stated() -> None:
    chosen: list[str] = []
    peer = replace(LOOPBACK, choose=lambda: tuple(chosen))
    assert peer.offered == ("127.0.0.1",)
    chosen.append("127.0.0.9")
    assert peer.offered == ("127.0.0.9",)


async def test_signalling_to_an_endpoint_that_answers_nothing_ends_at_its_time() -> None:
    held: list[asyncio.StreamWriter] = []

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        with contextlib.suppress(OSError):
            await reader.read()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(BOUND_S):
            with pytest.raises(TransportError):
                await Signalling(f"http://127.0.0.1:{port}/whip/x", timeout_s=0.5).post("offer")
    finally:
        for writer in held:
            writer.close()
        server.close()
        await server.wait_closed()


async def test_signalling_path_is_used_once_and_starts_where_it_is_told() -> None:
    callers: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        callers.append(request.remote)
        return web.Response(status=201, text="answer", headers={"Location": "/session/1"})

    app = web.Application()
    app.router.add_post("/whip/x", answer)
    async with listening(app, "127.0.0.1", 0, None) as port, asyncio.timeout(BOUND_S):
        signalling = Signalling(
            f"http://127.0.0.1:{port}/whip/x", source=lambda: Source(address="127.0.0.4")
        )
        path = await signalling.reach()
        found = await signalling.post("offer", path)
        assert found == ("answer", f"http://127.0.0.1:{port}/session/1")
        assert callers == ["127.0.0.4"]
        assert path.connection.fileno() == -1, "nothing stays open"


async def test_signalling_to_a_port_where_nobody_listens_says_so_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with asyncio.timeout(BOUND_S):
        with pytest.raises(TransportError, match="failed"):
            await Signalling(f"http://127.0.0.1:{port}/whip/x").reach(10 * BOUND_S)
