"""The UDP port of a call's text, with a gateway's socket at the other side."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from dispatch.rtp import MARKER, build_header
from dispatch.rtt.endpoint import PACKETS_PER_S, End, TextEndpoint, TextMedia, open_text_endpoint
from dispatch.rtt.payload import Block, write_redundant
from dispatch.rtt.receiver import Received, TextReceiver
from dispatch.rtt.sender import TextBacklogError
from streams.t140 import MISSING, T140Display
from tests.conftest import WaitFor

TEXT, RED = 98, 99
ANY_PORT = ("127.0.0.1", 0)


class Heard:
    """What an endpoint tells."""

    def __init__(self) -> None:
        self.display, self.ends = T140Display(), list[End]()

    def text(self, received: Received) -> None:
        """Take text."""
        self.display.take(received.text)

    def end(self, reason: End) -> None:
        """Take the end."""
        self.ends.append(reason)


@pytest.fixture
def gateway() -> Iterator[socket.socket]:
    """A gateway's UDP socket on a free port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(ANY_PORT)
        opened.setblocking(False)
        yield opened


def packet(number: int, text: str, *, marker: bool = False, payload_type: int = TEXT) -> bytes:
    """A packet without redundancy."""
    header = build_header(0, MARKER if marker else 0, payload_type, number, number * 300, 5)
    return header + text.encode()


async def hear(gateway: socket.socket, seconds: float) -> list[bytes]:
    """Datagrams that the gateway gets until nothing comes for so long."""
    loop, got = asyncio.get_running_loop(), []
    while True:
        try:
            async with asyncio.timeout(seconds):
                got.append(await loop.sock_recv(gateway, 2000))
        except TimeoutError:
            return got


async def test_text_from_a_gateway_is_told_as_it_comes(
    gateway: socket.socket, wait_for: WaitFor
) -> None:
    heard = Heard()
    media = TextMedia(TEXT, RED, remote=gateway.getsockname(), wait_s=0.2)
    async with open_text_endpoint(ANY_PORT, media, on_text=heard.text, on_end=heard.end) as port:
        gateway.sendto(packet(1, "救", marker=True), port.local)
        await wait_for(lambda: heard.display.text == "救", "the first character is told")
        red = build_header(0, 0, RED, 3, 900, 5) + write_redundant(
            (Block("命".encode(), 300), Block(b"!")), TEXT
        )
        gateway.sendto(red, port.local)
        await wait_for(lambda: heard.display.text == "救命!", "a lost one is recovered")
        gateway.sendto(packet(6, "x"), port.local)
        await wait_for(lambda: heard.display.text == f"救命!{MISSING}x", "a gap is marked")
    assert heard.ends == ["closed"]


async def test_our_text_goes_out_with_two_generations_of_redundancy(
    gateway: socket.socket, wait_for: WaitFor
) -> None:
    heard = Heard()
    media = TextMedia(TEXT, RED, remote=gateway.getsockname())
    async with open_text_endpoint(ANY_PORT, media, on_text=heard.text, on_end=heard.end) as port:
        port.send("Where are you?")
        await wait_for(lambda: port.is_sent, "all is sent and repeated", 5)
        got = await hear(gateway, 0.5)
    # Whichever of the packets is lost, the text comes.
    for lost in range(len(got)):
        receiver, display = TextReceiver(text_type=TEXT, red_type=RED), T140Display()
        for number, data in enumerate(got):
            if number != lost:
                for found in receiver.take(data, 0.0):
                    display.take(found.text)
        for found in receiver.finish():
            display.take(found.text)
        assert display.text == "Where are you?"


async def test_address_of_the_other_side_is_taken_from_its_first_text(
    gateway: socket.socket,
) -> None:
    heard = Heard()
    media = TextMedia(TEXT, RED)
    async with open_text_endpoint(ANY_PORT, media, on_text=heard.text, on_end=heard.end) as port:
        port.send("hello")
        gateway.sendto(b"noise", port.local)
        assert await hear(gateway, 0.1) == []
        gateway.sendto(packet(1, "a", marker=True), port.local)
        got = await hear(gateway, 0.5)
        assert any(b"hello" in data for data in got)
        assert port.refused.by_field == {"rtp": 1}


async def test_datagrams_from_elsewhere_and_floods_are_not_read(
    gateway: socket.socket, wait_for: WaitFor
) -> None:
    heard = Heard()
    media = TextMedia(TEXT, remote=("127.0.0.2", 9))
    async with open_text_endpoint(ANY_PORT, media, on_text=heard.text, on_end=heard.end) as port:
        gateway.sendto(packet(1, "a", marker=True), port.local)
        await wait_for(lambda: port.refused.foreign == 1, "a foreign datagram is counted")
    media = TextMedia(TEXT, remote=gateway.getsockname())
    async with open_text_endpoint(ANY_PORT, media, on_text=heard.text, on_end=heard.end) as port:
        for number in range(5 * PACKETS_PER_S // 2):
            gateway.sendto(packet(number, "x", marker=True), port.local)
        await wait_for(lambda: port.refused.flooded > PACKETS_PER_S // 2, "a flood is counted")
    assert heard.display.text.count("x") < 2 * PACKETS_PER_S


async def test_call_from_which_nothing_comes_is_over(wait_for: WaitFor) -> None:
    heard = Heard()
    media = TextMedia(TEXT, silence_s=0.2)
    async with open_text_endpoint(ANY_PORT, media, on_text=heard.text, on_end=heard.end) as port:
        await wait_for(lambda: heard.ends, "the end is told")
        with pytest.raises(TextBacklogError):
            port.send("x" * 20_000)
    assert heard.ends == ["silence"]


async def test_end_tells_what_waited_behind_a_gap(
    gateway: socket.socket, wait_for: WaitFor
) -> None:
    heard = Heard()
    media = TextMedia(TEXT, remote=gateway.getsockname(), wait_s=60)
    async with open_text_endpoint(ANY_PORT, media, on_text=heard.text, on_end=heard.end) as port:
        gateway.sendto(packet(1, "a", marker=True), port.local)
        gateway.sendto(packet(3, "c"), port.local)
        await wait_for(lambda: port.receiver.counts.received == 2, "both packets came")
        assert heard.display.text == "a"
    assert heard.display.text == f"a{MISSING}c"
    assert isinstance(port, TextEndpoint)


async def test_port_that_is_taken_is_said(gateway: socket.socket) -> None:
    heard = Heard()
    with pytest.raises(OSError, match="in use"):
        async with open_text_endpoint(
            gateway.getsockname(), TextMedia(TEXT), on_text=heard.text, on_end=heard.end
        ):
            pass
    assert heard.ends == []
