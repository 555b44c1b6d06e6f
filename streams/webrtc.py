"""WebRTC set-up that all sides share: which interfaces, which servers, and WHIP/WHEP signalling.

Unlike aiortc's defaults, nothing outside is contacted unless it is configured (aiortc would
ask a public STUN server), all media share one transport (max-bundle), and the interfaces that
are offered can be stated: aioice never offers 127.0.0.1 by itself.

A browser on the same machine needs nothing special to reach a relay that offers 127.0.0.1 or a
LAN address: it is the *browser's* loopback interface that Chrome hides, not the relay's
(``--allow-loopback-in-peer-connection`` is for a machine without any other interface).
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)

from streams.errors import CredentialError, TransportError
from streams.transport.dialing import Dialer, Path
from streams.transport.http_path import PathConnector
from streams.transport.source import ANY_SOURCE, AddressWatch, Source

REACH_S = 15.0
"""The endpoint is dialled for so long before the caller hears that there is no answer."""

ROUND_TRIPS = 8
"""A new path has so many round trips of signalling to stand, ICE, DTLS and SCTP together: at 3 s
each a fixed time of 10 s would never be enough."""

SDP_TYPE = "application/sdp"
_MDNS_CANDIDATE = re.compile(r"^a=candidate:(?:\S+ ){4}\S+\.local .*\r?\n", re.MULTILINE)
_END_OF_CANDIDATES = re.compile(r"^a=end-of-candidates\r?\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server.

    Attributes:
        url: As in RFC 7064 and RFC 7065, such as ``turn:host:3478?transport=udp``.
        username: For TURN.
        credential: For TURN, the password.
    """

    url: str
    username: str = ""
    credential: str = ""


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """Where a peer connection may listen and whom it may ask.

    Attributes:
        addresses: Local addresses to offer, such as ``("127.0.0.1",)``; empty means all of the
            machine's but loopback.
        ice_servers: STUN and TURN servers; empty means none are asked.
        choose: Asked at each new path for the addresses to offer instead, for who has several
            uplinks; an empty answer leaves it at ``addresses``.
    """

    addresses: tuple[str, ...] = ()
    ice_servers: tuple[IceServer, ...] = ()
    choose: Callable[[], tuple[str, ...]] = tuple

    @property
    def offered(self) -> tuple[str, ...]:
        """The addresses to offer now."""
        return self.choose() or self.addresses


class PeerConnection(RTCPeerConnection):
    """An aiortc peer connection that keeps to its settings' addresses and servers.

    It uses one internal of aioice, ``Connection.get_component_candidates``, to replace the
    list of addresses (aioice 0.13 has no setting for it).
    """

    def __init__(self, settings: PeerSettings | None = None) -> None:
        """Make a peer connection with one transport for all its media."""
        self.round_trip_s = 0.0
        """Of its signalling: from the opening packet to its answer."""
        self.address: AddressWatch | None = None
        """Tells when what goes to the endpoint would start at another address than it did."""
        self._settings = settings or PeerSettings()
        servers = [
            RTCIceServer(
                urls=server.url,
                username=server.username or None,
                credential=server.credential or None,
            )
            for server in self._settings.ice_servers
        ]
        super().__init__(
            RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )

    async def setLocalDescription(  # noqa: N802 - the name is WebRTC's
        self,
        sessionDescription: RTCSessionDescription | None = None,  # noqa: N803
    ) -> None:
        """Set the local description, gathering only on the stated addresses.

        Raises:
            TransportError: None of the stated addresses can be bound.
        """
        connections = self._ice_connections()
        offered = list(self._settings.offered)
        for connection in connections:
            self._keep_to_addresses(connection, offered)
        await super().setLocalDescription(sessionDescription)
        if connections and not any(c.local_candidates for c in connections):
            raise TransportError(
                f"no interface to offer for WebRTC: {', '.join(offered) or 'none'}"
            )

    def check_address(self, now_s: float) -> None:
        """Refuse to go on with a path that starts where this vehicle is no more.

        Raises:
            TransportError: The address is another one, or another uplink is in use.
        """
        moved_to = self.address.moved_to(now_s) if self.address is not None else None
        if moved_to is not None:
            raise TransportError(f"this side's address is now {moved_to}")

    def _ice_connections(self) -> list[Any]:
        transports = {t.receiver.transport.transport for t in self.getTransceivers()}
        if self.sctp is not None:
            transports.add(self.sctp.transport.transport)
        return [transport._connection for transport in transports]

    @property
    def set_up_s(self) -> float:
        """How long a new path may take at least, by the round trip of its signalling."""
        return ROUND_TRIPS * self.round_trip_s

    @staticmethod
    def _keep_to_addresses(connection: Any, stated: list[str]) -> None:
        if not stated:
            return
        gather = connection.get_component_candidates

        async def gather_on_stated(component: int, addresses: list[str]) -> Any:
            del addresses  # what aioice found; the stated ones count
            return await gather(component=component, addresses=stated)

        connection.get_component_candidates = gather_on_stated


def without_mdns(sdp: str) -> str:
    """Remove from an offer the candidates that only multicast DNS could resolve.

    A browser hides its addresses behind ``.local`` names; resolving them would hold up the
    answer and send multicast. The browser's own checks reveal its address to the server. The
    end-of-candidates line goes too, since the list is no longer complete.
    """
    return _END_OF_CANDIDATES.sub("", _MDNS_CANDIDATE.sub("", sdp))


@dataclass(frozen=True, slots=True)
class Signalling:
    """One WHIP or WHEP endpoint and how to speak to it.

    Attributes:
        url: Of the endpoint, such as ``https://hub:8443/whip/unit-7/cabin``.
        token: Bearer token; empty for none.
        tls: Context that knows the local authority; None for the system's.
        timeout_s: For each request, once the endpoint is reached.
        source: Asked at each request where to start from.
    """

    url: str
    token: str = ""
    tls: ssl.SSLContext | None = None
    timeout_s: float = 5.0
    source: Callable[[], Source] = lambda: ANY_SOURCE

    async def reach(self, timeout_s: float = REACH_S) -> Path:
        """Connect to the endpoint, with overlapping attempts while the link is away.

        Raises:
            TransportError: It refuses, or does not answer in time.
        """
        place = urlsplit(self.url)
        port = place.port or (443 if place.scheme == "https" else 80)
        dialer = Dialer(place.hostname or "", port, None, self.source)
        try:
            return await dialer.dial(timeout_s)
        except TransportError as error:
            raise TransportError(f"{self.url}: {error}") from error

    async def post(self, offer: str, path: Path | None = None) -> tuple[str, str]:
        """Post an offer; return the answer and the absolute URL of the session.

        Args:
            offer: The description.
            path: From ``reach``; it is used up. None connects anew.

        Raises:
            CredentialError: The token is refused (401, 403).
            TransportError: Not reachable, or anything but 201 with a description.
        """
        path = path or await self.reach()
        # Two round trips, TLS and the request itself; each may have to be repeated.
        timeout = aiohttp.ClientTimeout(total=max(self.timeout_s, 4 * path.round_trip_s))
        headers = self._headers() | {"Content-Type": SDP_TYPE, "Accept": SDP_TYPE}
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, connector=PathConnector(path)) as http,
                http.post(self.url, data=offer, headers=headers, ssl=self._ssl()) as response,
            ):
                text = await response.text()
                if response.status in (401, 403):
                    raise CredentialError(f"{self.url}: {response.status} {text.strip()}")
                location = response.headers.get("Location")
                if response.status != 201 or location is None:
                    raise TransportError(f"{self.url}: {response.status} {text.strip()[:200]}")
                return text, urljoin(str(response.url), location)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TransportError(f"{self.url}: {error or type(error).__name__}") from error

    async def delete(self, session_url: str) -> None:
        """End a session; an endpoint that is gone or does not know it any more is no error."""
        limit_s = min(2.0, self.timeout_s)
        timeout = aiohttp.ClientTimeout(total=limit_s)
        try:
            connector = PathConnector(await self.reach(limit_s))
            async with (
                aiohttp.ClientSession(timeout=timeout, connector=connector) as http,
                http.delete(session_url, headers=self._headers(), ssl=self._ssl()),
            ):
                return
        except (aiohttp.ClientError, TransportError, TimeoutError, OSError):
            return

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def _ssl(self) -> ssl.SSLContext | bool:
        return True if self.tls is None else self.tls


async def connect_peer(peer: PeerConnection, signalling: Signalling) -> str:
    """Offer what ``peer`` has to a WHIP or WHEP endpoint and apply the answer.

    The endpoint is reached before the offer is made: by then it is known which uplink lives, and
    STUN servers, if any, are not asked over a link that is away.

    Returns:
        The URL of the session, for its end.

    Raises:
        CredentialError: The token is refused.
        TransportError: There is no path, or the answer is unusable.
    """
    path = await signalling.reach()
    peer.round_trip_s, peer.address = path.round_trip_s, path.watch_address()
    try:
        await peer.setLocalDescription(await peer.createOffer())
    except BaseException:
        path.abort()
        raise
    answer, session_url = await signalling.post(peer.localDescription.sdp, path)
    try:
        await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
    except Exception as error:
        # aiortc raises whatever its parser stumbles over: assertions, lookups, values.
        raise TransportError(f"{signalling.url}: unusable answer: {error}") from error
    return session_url


async def close_peer(peer: RTCPeerConnection, timeout_s: float = 5.0) -> None:
    """Close a peer connection, but do not wait for it for ever."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await peer.close()


def count_received_bytes(peer: RTCPeerConnection) -> int:
    """Return the bytes that arrived over a peer connection's transport, media and data.

    STUN is not counted: this moves only when the application at the other side lives.
    """
    if peer.sctp is not None:
        transport: Any = peer.sctp.transport
    else:
        transport = peer.getTransceivers()[0].sender.transport
    (stats,) = transport._get_stats().values()
    return int(stats.bytesReceived)


@dataclass(slots=True)
class Progress:
    """Whether a count still grows; aiortc itself notices a dead path only after about 30 s.

    It asks for *progress*, not for freshness: on a congested link old answers still count.

    Attributes:
        silence_s: After this time without growth the path counts as dead.
    """

    silence_s: float = 2.0
    _count: int = -1
    _grew_at: float = 0.0

    def is_dead(self, count: int, now: float) -> bool:
        """Take the present count at monotonic time ``now`` (s); return whether it stands still."""
        if count > self._count:
            self._count, self._grew_at = count, now
        return now - self._grew_at > self.silence_s
