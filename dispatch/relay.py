"""The hub's media relay: publishers in by WHIP, viewers out by WHEP, nothing decoded.

    async with Relay(RelaySettings(peer=PeerSettings(addresses=("127.0.0.1",)))) as relay:
        add_relay_routes(app, relay, authorise)        # dispatch.whip_whep
        ...
        relay.snapshot().resources["unit-7/cabin"].live

A *resource* is a name such as ``unit-7/cabin``. It has at most one source: a new one takes over
the moment its connection stands, the old one is closed, and viewers go on after a key frame
with continuous sequence and clock. Viewers may come before the source and stay after it.
Any standard WHIP/WHEP server can stand in the relay's place; nothing else knows of this class.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import structlog
from aiortc import RTCSessionDescription

from dispatch.offers import Offer, OfferError, Role, read_offer
from dispatch.relay_resource import Resource
from dispatch.relay_sessions import OnMessage, SourceSession, ViewerSession
from dispatch.relay_stats import RelayStats
from streams.errors import ForerunError, TransportError
from streams.webrtc import PeerConnection, PeerSettings, close_peer, without_mdns

Session = SourceSession | ViewerSession

_TICK_S = 0.25
_REPORT_EVERY = 2  # ticks: receiver reports and heartbeats twice a second
_ANSWER_TIMEOUT_S = 10.0

log = structlog.get_logger("dispatch.relay")


class RelayFullError(ForerunError):
    """The relay has as many sessions as it may."""

    retry = True
    reason = "relay_full"


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """Limits of a relay.

    Attributes:
        peer: Interfaces to offer and ICE servers to ask.
        max_sources: Publishing sessions at once.
        max_viewers: Viewing sessions at once, over all resources.
        max_bitrate_bps: The most a source is told to send as video.
        connect_timeout_s: A session that has no connection by then is closed.
        viewer_silence_s: A viewer that was sent media and reported nothing for so long is
            closed (ICE's own consent takes about 30 s to expire).
    """

    peer: PeerSettings = field(default_factory=PeerSettings)
    max_sources: int = 64
    max_viewers: int = 256
    max_bitrate_bps: int = 1_500_000
    connect_timeout_s: float = 15.0
    viewer_silence_s: float = 15.0


class Relay:
    """All resources and their sessions; use it as an async context."""

    def __init__(
        self, settings: RelaySettings | None = None, *, on_message: OnMessage | None = None
    ) -> None:
        """Make a relay.

        Args:
            settings: Its limits.
            on_message: Takes publishers' data-channel messages: resource, label, bytes. It is
                called in the event loop and must not block.
        """
        self.settings = settings or RelaySettings()
        self.refused: Counter[str] = Counter()
        self._on_message: OnMessage = on_message or (lambda _resource, _label, _data: None)
        self._takers: dict[str, list[OnMessage]] = {}
        self._resources: dict[str, Resource] = {}
        self._sessions: dict[str, Session] = {}
        self._opening: Counter[Role] = Counter()
        self._ended: Counter[str] = Counter()
        self._octets_in = self._octets_out = self._packets_refused = self._messages_refused = 0
        self._tasks: asyncio.TaskGroup | None = None
        self._housekeeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start the housekeeping."""
        self._tasks = await asyncio.TaskGroup().__aenter__()
        self._housekeeping = self._tasks.create_task(self._keep_house(), name="relay.housekeeping")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all sessions."""
        if self._tasks is None or self._housekeeping is None:
            return
        self._housekeeping.cancel()
        for session in list(self._sessions.values()):
            self.end(session, "relay stopped")
        # The group is not told of the caller's error: it would cancel the closing of sockets.
        await self._tasks.__aexit__(None, None, None)
        self._tasks = None

    async def publish(self, resource: str, offer: str, identity: str) -> Session:
        """Open a source session; its ``answer`` is for the publisher.

        Raises:
            OfferError: The offer is malformed or cannot be served.
            RelayFullError: There are too many sources.
            TransportError: No interface to offer, or no answer in time.
        """
        checked = read_offer(offer, "publish")
        self._check_room("publish", resource, self.settings.max_sources)

        def make(peer: PeerConnection) -> Session:
            at = self._resources.setdefault(resource, Resource())
            source = SourceSession(
                resource,
                identity,
                peer,
                tracks=at.tracks,
                on_message=self._take_message,
                on_connected=self._take_over,
                on_report=at.pass_on_report,
            )
            at.pending.add(source)
            return source

        return await self._open(checked, "publish", make)

    async def view(self, resource: str, offer: str, identity: str) -> Session:
        """Open a viewer session; its ``answer`` is for the viewer.

        The resource need not have a source yet: the viewer then waits.

        Raises:
            OfferError: The offer is malformed, or knows none of the source's codecs.
            RelayFullError: There are too many viewers.
            TransportError: No interface to offer, or no answer in time.
        """
        checked = read_offer(offer, "view")
        self._check_room("view", resource, self.settings.max_viewers)
        self._check_codecs(resource, checked)

        def make(peer: PeerConnection) -> Session:
            at = self._resources.setdefault(resource, Resource())
            viewer = ViewerSession(
                resource, identity, peer, tracks=at.tracks, want_key_frame=at.want_key_frame
            )
            at.viewers.append(viewer)
            return viewer

        return await self._open(checked, "view", make)

    def find(self, resource: str, session_id: str) -> Session | None:
        """Return a session of a resource, or None."""
        session = self._sessions.get(session_id)
        return session if session is not None and session.resource == resource else None

    def end(self, session: Session, reason: str = "ended by its peer") -> None:
        """End a session; its connection is closed in the background."""
        if self._sessions.pop(session.id, None) is None or self._tasks is None:
            return
        session.ended = session.ended or reason
        self._ended[session.ended] += 1
        at = self._resources[session.resource]
        at.remove(session)
        if at.is_unused:
            del self._resources[session.resource]
        if session.tap is not None:
            self._octets_in += session.tap.bytes_in
            self._octets_out += session.tap.bytes_out
            self._packets_refused += session.tap.refused
        if isinstance(session, SourceSession):
            self._messages_refused += session.messages_refused
        log.info("session ended", resource=session.resource, reason=session.ended)
        self._tasks.create_task(close_peer(session.peer), name=f"relay.close[{session.resource}]")

    def end_all(self, resource: str, role: Role, reason: str) -> int:
        """End all sessions of a resource that publish it, or all that view it; return how many."""
        found = [s for s in self._sessions.values() if (s.resource, s.role) == (resource, role)]
        for session in found:
            self.end(session, reason)
        return len(found)

    def send(self, resource: str, label: str, data: bytes) -> bool:
        """Send a message down a data channel of the resource's source.

        Returns:
            Whether it was handed to the channel; False when there is no source, no such open
            channel, or too much waits in it already.
        """
        at = self._resources.get(resource)
        return at is not None and at.source is not None and at.source.send(label, data)

    def take_messages(self, label: str, taker: OnMessage) -> None:
        """Let ``taker`` have the messages of one label, instead of ``on_message``.

        Several takers of one label each get all of them.
        """
        self._takers.setdefault(label, []).append(taker)

    def leave_messages(self, label: str, taker: OnMessage) -> None:
        """Undo ``take_messages``; with its last taker a label is ``on_message``'s again."""
        self._takers[label].remove(taker)
        if not self._takers[label]:
            del self._takers[label]

    def _take_message(self, resource: str, label: str, data: bytes) -> None:
        for taker in tuple(self._takers.get(label, (self._on_message,))):
            taker(resource, label, data)

    def snapshot(self) -> RelayStats:
        """Return what is counted, now."""
        now = time.monotonic()
        sessions = self._sessions.values()
        taps = [session.tap for session in sessions if session.tap is not None]
        refused = sum(s.messages_refused for s in sessions if isinstance(s, SourceSession))
        return RelayStats(
            resources={name: at.describe(name, now) for name, at in self._resources.items()},
            refused=dict(self.refused),
            ended=dict(self._ended),
            octets_in=self._octets_in + sum(tap.bytes_in for tap in taps),
            octets_out=self._octets_out + sum(tap.bytes_out for tap in taps),
            packets_refused=self._packets_refused + sum(tap.refused for tap in taps),
            messages_refused=self._messages_refused + refused,
        )

    def _check_room(self, role: Role, resource: str, limit: int) -> None:
        kind = SourceSession if role == "publish" else ViewerSession
        count = sum(isinstance(session, kind) for session in self._sessions.values())
        at = self._resources.get(resource)
        if role == "publish" and at is not None and at.source is not None:
            count -= 1  # the one that will be replaced
        if count + self._opening[role] >= limit:
            raise RelayFullError(f"the relay has {limit} sessions that {role}: try again later")

    def _check_codecs(self, resource: str, offer: Offer) -> None:
        at = self._resources.get(resource)
        for section in offer.sections:
            track = at.tracks.get(section.kind) if at is not None else None
            if track is None or track.codec is None or at is None or at.source is None:
                continue
            if track.codec.name not in {codec.name for codec in section.codecs}:
                raise OfferError(406, f"the source sends {track.codec.name}: offer it as well")

    async def _open(
        self, offer: Offer, role: Role, make: Callable[[PeerConnection], Session]
    ) -> Session:
        peer = PeerConnection(self.settings.peer)
        self._opening[role] += 1
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                await _take_offer(peer, offer, role)
                session = make(peer)
                self._sessions[session.id] = session
                try:
                    await peer.setLocalDescription(await peer.createAnswer())
                except BaseException:
                    self.end(session, "no answer")
                    raise
        except TimeoutError as error:
            await close_peer(peer)
            raise TransportError("no answer could be made in time") from error
        except BaseException:
            await close_peer(peer)
            raise
        finally:
            self._opening[role] -= 1
        log.info("session opened", resource=session.resource, role=role, who=session.identity)
        return session

    def _take_over(self, session: SourceSession) -> None:
        at = self._resources.get(session.resource)
        if at is None or session.id not in self._sessions:
            return
        replaced = at.take_over(session)
        if replaced is not None and replaced is not session:
            self.end(replaced, "replaced by a new source")

    async def _keep_house(self) -> None:
        tick = 0
        while True:
            await asyncio.sleep(_TICK_S)
            tick += 1
            try:
                self._tick(time.monotonic(), report=tick % _REPORT_EVERY == 0)
            except Exception:
                # One session's surprise must not end everybody's video.
                log.exception("housekeeping failed")

    def _tick(self, now: float, *, report: bool) -> None:
        limit_bps = self.settings.max_bitrate_bps
        for resource in self._resources.values():
            resource.keep_source_going(now, report=report, limit_bps=limit_bps)
        if report:
            for session in list(self._sessions.values()):
                reason = session.ended or self._is_over(session, now)
                if reason is not None:
                    self.end(session, reason)

    def _is_over(self, session: Session, now: float) -> str | None:
        if not session.connected:
            late = now - session.opened_at > self.settings.connect_timeout_s
            return "never connected" if late else None
        if isinstance(session, ViewerSession) and session.was_sent_something():
            silent = now - session.heard_at > self.settings.viewer_silence_s
            return "viewer silent" if silent else None
        return None


async def _take_offer(peer: PeerConnection, offer: Offer, role: Role) -> None:
    direction = "recvonly" if role == "publish" else "sendonly"
    for section in offer.sections:
        transceiver = peer.addTransceiver(section.kind, direction=direction)
        transceiver.setCodecPreferences(list(section.codecs))
    try:
        await peer.setRemoteDescription(
            RTCSessionDescription(sdp=without_mdns(offer.sdp), type="offer")
        )
    except Exception as error:
        # aiortc raises whatever it stumbles over; the description is at fault, not the relay.
        raise OfferError(400, f"unusable session description: {error or 'no detail'}") from error
