"""A resource of the relay: one name, at most one source, any number of viewers."""

from __future__ import annotations

import time

from aiortc.rtp import RtcpSrPacket

from dispatch.forwarding import Track
from dispatch.reception import agree_bitrate
from dispatch.relay_sessions import SourceSession, ViewerSession
from dispatch.relay_stats import ResourceStats, TrackStats, ViewerStats

LIVE_WITHIN_S = 2.0
"""A track is live when a packet was forwarded within this time."""


class Resource:
    """One name that can be published and viewed, such as ``unit-7/cabin``.

    Attributes:
        tracks: Its media as viewers see it, by kind.
        source: Who publishes it now.
        viewers: Who views it.
        pending: Sessions of publishers that are not connected yet.
        replaced: How often a source took over from another.
    """

    def __init__(self) -> None:
        """Make a resource with nobody at it."""
        self.tracks: dict[str, Track] = {}
        self.source: SourceSession | None = None
        self.viewers: list[ViewerSession] = []
        self.pending: set[SourceSession] = set()
        self.replaced = 0
        self._source_since = 0.0

    @property
    def is_unused(self) -> bool:
        """Whether nobody publishes or views it."""
        return self.source is None and not self.viewers and not self.pending

    def take_over(self, session: SourceSession) -> SourceSession | None:
        """Make a connected session the source; return the one that it replaces."""
        replaced, self.source = self.source, session
        self.pending.discard(session)
        self._source_since = time.monotonic()
        session.is_present = True
        if replaced is not None:
            replaced.is_present = False
            self.replaced += 1
        for track in self.tracks.values():
            track.key_frames.forget()
            self.want_key_frame(track)
        return replaced

    def remove(self, session: SourceSession | ViewerSession) -> None:
        """Forget a session that is over; the others stay."""
        if isinstance(session, ViewerSession):
            session.leave()
            if session in self.viewers:
                self.viewers.remove(session)
            return
        session.is_present = False
        self.pending.discard(session)
        if self.source is session:
            self.source = None

    def want_key_frame(self, track: Track) -> None:
        """Ask the present source for a key frame, now or as soon as it may be asked."""
        if track.kind != "video":
            return
        track.key_frames.wanted = True
        inbound = self.source.inbound.get(track.kind) if self.source is not None else None
        if inbound is not None:
            inbound.want_key_frame(time.monotonic())

    def pass_on_report(self, packet: RtcpSrPacket) -> None:
        """Pass a sender report of the present source on to the viewers."""
        mapped = self.source.sender_clock(packet) if self.source is not None else None
        if mapped is None:
            return
        track, rtp_timestamp = mapped
        for viewer in self.viewers:
            viewer.send_report(track.kind, packet.sender_info.ntp_timestamp, rtp_timestamp)

    def keep_source_going(self, now: float, *, report: bool, limit_bps: int) -> None:
        """Repeat a key-frame request that is due; send the source a report and a heartbeat.

        Args:
            now: Monotonic time in s.
            report: Whether it is time for report and heartbeat.
            limit_bps: The most that the source may send as video.
        """
        source = self.source
        if source is None:
            return
        video = source.inbound.get("video")
        if video is not None and video.track.key_frames.wanted:
            video.want_key_frame(now)
        if not report:
            return
        target_bps = None
        if video is not None:
            rates = [leg.bitrate_bps for leg in video.track.legs if leg.bitrate_bps is not None]
            agreed = agree_bitrate(video.bitrate_bps, rates)
            target_bps = limit_bps if agreed is None else min(limit_bps, agreed)
        source.report(now, target_bps)
        source.beat()

    def describe(self, name: str, now: float) -> ResourceStats:
        """Return what is counted at monotonic time ``now``."""
        source = self.source
        tracks = tuple(self._describe_track(track, now) for track in self.tracks.values())
        return ResourceStats(
            resource=name,
            live=any(track.live for track in tracks),
            source=source.identity if source is not None else None,
            source_since_s=now - self._source_since if source is not None else None,
            replaced=self.replaced,
            tracks=tracks,
            viewers=tuple(_describe_viewer(viewer) for viewer in self.viewers),
            messages=source.messages if source is not None else 0,
            message_octets=source.message_octets if source is not None else 0,
        )

    def _describe_track(self, track: Track, now: float) -> TrackStats:
        inbound = self.source.inbound.get(track.kind) if self.source is not None else None
        reception = inbound.reception if inbound is not None else None
        silent_s = None if track.last_packet_at is None else now - track.last_packet_at
        rate = track.codec.clock_rate if track.codec is not None else 1
        told = self.source.bitrate.told_bps if self.source is not None else None
        return TrackStats(
            kind=track.kind,
            codec=track.codec.name if track.codec is not None else None,
            live=inbound is not None and silent_s is not None and silent_s < LIVE_WITHIN_S,
            silent_s=silent_s,
            received=reception.received if reception is not None else 0,
            lost=reception.lost if reception is not None else 0,
            jitter_ms=1000 * reception.jitter / rate if reception is not None else 0.0,
            forwarded=track.forwarded,
            discarded=track.discarded,
            key_frames_asked=track.key_frames.asked,
            repairs_asked=inbound.repairs_asked if inbound is not None else 0,
            bitrate_bps=told if track.kind == "video" else None,
        )


def _describe_viewer(viewer: ViewerSession) -> ViewerStats:
    legs = list(viewer.legs.values())
    rates = [leg.bitrate_bps for leg in legs if leg.bitrate_bps is not None]
    return ViewerStats(
        session=viewer.id,
        identity=viewer.identity,
        connected=viewer.connected,
        packets=sum(leg.sent + leg.repaired for leg in legs),
        octets=viewer.tap.bytes_out if viewer.tap is not None else 0,
        dropped=sum(leg.dropped + leg.unsupported for leg in legs),
        repaired=sum(leg.repaired for leg in legs),
        loss=max((leg.loss for leg in legs), default=0.0),
        bitrate_bps=min(rates, default=None),
    )
