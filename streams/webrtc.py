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
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import aiohttp
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)

from streams.errors import CredentialError, TransportError

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
    """

    addresses: tuple[str, ...] = ()
    ice_servers: tuple[IceServer, ...] = ()


class PeerConnection(RTCPeerConnection):
    """An aiortc peer connection that keeps to its settings' addresses and servers.

    It uses one internal of aioice, ``Connection.get_component_candidates``, to replace the
    list of addresses (aioice 0.13 has no setting for it).
    """

    def __init__(self, settings: PeerSettings | None = None) -> None:
        """Make a peer connection with one transport for all its media."""
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
        for connection in connections:
            self._keep_to_addresses(connection)
        await super().setLocalDescription(sessionDescription)
        if connections and not any(c.local_candidates for c in connections):
            raise TransportError(
                f"no interface to offer for WebRTC: {', '.join(self._settings.addresses) or 'none'}"
            )

    def _ice_connections(self) -> list[Any]:
        transports = {t.receiver.transport.transport for t in self.getTransceivers()}
        if self.sctp is not None:
            transports.add(self.sctp.transport.transport)
        return [transport._connection for transport in transports]

    def _keep_to_addresses(self, connection: Any) -> None:
        if not self._settings.addresses:
            return
        gather = connection.get_component_candidates
        stated = list(self._settings.addresses)

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
        timeout_s: For each request.
    """

    url: str
    token: str = ""
    tls: ssl.SSLContext | None = None
    timeout_s: float = 5.0

    async def post(self, offer: str) -> tuple[str, str]:
        """Post an offer; return the answer and the absolute URL of the session.

        Raises:
            CredentialError: The token is refused (401, 403).
            TransportError: Not reachable, or anything but 201 with a description.
        """
        timeout = aiohttp.ClientTimeout(total=self.timeout_s)
        headers = self._headers() | {"Content-Type": SDP_TYPE, "Accept": SDP_TYPE}
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
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
        timeout = aiohttp.ClientTimeout(total=min(2.0, self.timeout_s))
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.delete(session_url, headers=self._headers(), ssl=self._ssl()),
            ):
                return
        except (aiohttp.ClientError, TimeoutError, OSError):
            return

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def _ssl(self) -> ssl.SSLContext | bool:
        return True if self.tls is None else self.tls


async def connect_peer(peer: PeerConnection, signalling: Signalling) -> str:
    """Offer what ``peer`` has to a WHIP or WHEP endpoint and apply the answer.

    Returns:
        The URL of the session, for its end.

    Raises:
        CredentialError: The token is refused.
        TransportError: There is no path, or the answer is unusable.
    """
    await peer.setLocalDescription(await peer.createOffer())
    answer, session_url = await signalling.post(peer.localDescription.sdp)
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
