"""A client of RFC 8865 for tests: aiortc, a data channel of T.140, and nothing of ours but HTTP."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
from aiortc import RTCDataChannel, RTCSessionDescription

from streams.t140 import T140Display
from streams.webrtc import SDP_TYPE, PeerConnection, PeerSettings, close_peer
from tests.hub_town import BOUND_S, Town
from tests.waiting import until

LOOPBACK = PeerSettings(addresses=("127.0.0.1",))


class TextPhone:
    """A foreign client: it types T.140, and shows what comes.

    Attributes:
        display: What it shows.
        location: The session's address at the hub.
        answer: The hub's session description.
    """

    def __init__(self, peer: PeerConnection, channel: RTCDataChannel) -> None:
        self.peer = peer
        self.channel = channel
        self.display = T140Display()
        self.received: list[str] = []
        self.location = self.answer = ""
        channel.on("message", self._take)

    def _take(self, data: str) -> None:
        self.received.append(data)
        self.display.take(data)

    def type(self, text: str) -> None:
        """Send one T140block."""
        self.channel.send(text)

    async def shows(self, text: str) -> None:
        """Wait until a text stands on the display."""
        await until(
            lambda: text in self.display.text, f"{text!r} in {self.display.text!r}", BOUND_S
        )


def a_client(
    *, negotiated: int | None = None, protocol: str = "t140", settings: PeerSettings = LOOPBACK,
    **options: bool | int,
) -> TextPhone:  # fmt: skip
    """Make a client that has not offered yet."""
    peer = PeerConnection(settings)
    if negotiated is not None:
        options |= {"negotiated": True, "id": negotiated}
    channel = peer.createDataChannel("text", protocol=protocol, **options)  # type: ignore[arg-type]
    return TextPhone(peer, channel)


Detour = Callable[[str], Awaitable[str]]
"""Leads an answer's candidate through another port."""


async def offer(
    town: Town, case: str, phone: TextPhone, *, query: str = "", lines: str = "",
    status: int = 201, detour: Detour | None = None,
) -> str:  # fmt: skip
    """Offer to the hub; apply the answer where there is one, and return the body."""
    await phone.peer.setLocalDescription(await phone.peer.createOffer())
    sdp = phone.peer.localDescription.sdp + lines
    if detour is not None:  # else the hub finds the direct way to the client
        sdp = re.sub(r"a=(candidate:|end-of-candidates).*\r\n", "", sdp)
    url = f"{town.hub.link_for(case)}/rtc{query}"
    headers = {"Content-Type": SDP_TYPE}
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=sdp, headers=headers, ssl=town.trust) as answer,
    ):
        text = await answer.text()
        assert answer.status == status, (answer.status, text)
        if status == 201:
            phone.location, phone.answer = answer.headers["Location"], text
            text = await detour(text) if detour is not None else text
            await phone.peer.setRemoteDescription(RTCSessionDescription(sdp=text, type="answer"))
        return text


@contextlib.asynccontextmanager
async def a_text_phone(
    town: Town, case: str, *, query: str = "", lines: str = "", negotiated: int | None = None
) -> AsyncIterator[TextPhone]:
    """A client whose channel is open."""
    phone = a_client(negotiated=negotiated)
    try:
        await offer(town, case, phone, query=query, lines=lines)
        await until(lambda: phone.channel.readyState == "open", "the channel is open", BOUND_S)
        yield phone
    finally:
        await close_peer(phone.peer)


async def hang_up(phone: TextPhone) -> None:
    """Close the channel as a client does that is done."""
    phone.channel.close()
    await until(lambda: phone.channel.readyState == "closed", "the channel is closed", BOUND_S)
