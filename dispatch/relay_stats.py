"""What the relay counts: a plain snapshot, and the same for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class ViewerStats:
    """One viewer of a resource.

    Attributes:
        session: Its session id.
        identity: Who, as the authorisation said.
        connected: Whether media may flow.
        packets: RTP packets sent, repairs included.
        octets: SRTP bytes sent.
        dropped: Packets that its socket would not take, or whose codec it does not know.
        repaired: Packets sent again at its request.
        loss: Its last reported loss, 0 to 1, the worst of its tracks.
        bitrate_bps: What it estimates its link to carry, or None.
    """

    session: str
    identity: str
    connected: bool
    packets: int
    octets: int
    dropped: int
    repaired: int
    loss: float
    bitrate_bps: int | None


@dataclass(frozen=True, slots=True)
class TrackStats:
    """One kind of media of a resource.

    Attributes:
        kind: ``video`` or ``audio``.
        codec: Of the present source, or None before the first packet.
        live: Whether a packet was forwarded in the last 2 s.
        silent_s: Seconds since the last packet, or None before the first.
        received: Packets from the present source.
        lost: Of the present source's packets, lost on the way here (repairs deducted).
        jitter_ms: Of the present source's packets.
        forwarded: Packets passed on since the resource exists.
        discarded: Packets not passed on: before a key frame, or late at a change of source.
        key_frames_asked: Key-frame requests made to sources.
        repairs_asked: Packets asked for again from the present source.
        bitrate_bps: What the present source was told to send, or None.
    """

    kind: str
    codec: str | None
    live: bool
    silent_s: float | None
    received: int
    lost: int
    jitter_ms: float
    forwarded: int
    discarded: int
    key_frames_asked: int
    repairs_asked: int
    bitrate_bps: int | None


@dataclass(frozen=True, slots=True)
class ResourceStats:
    """One resource, such as ``unit-7/cabin``.

    Attributes:
        resource: Its name.
        live: Whether any of its tracks is live.
        source: Identity of the present source, or None.
        source_since_s: Seconds since the present source took over, or None.
        replaced: How often a new source took over from another.
        tracks: Its media.
        viewers: Who watches.
        messages: Data-channel messages received.
        message_octets: Their bytes.
    """

    resource: str
    live: bool
    source: str | None
    source_since_s: float | None
    replaced: int
    tracks: tuple[TrackStats, ...]
    viewers: tuple[ViewerStats, ...]
    messages: int
    message_octets: int


@dataclass(frozen=True, slots=True)
class RelayStats:
    """The whole relay.

    Attributes:
        resources: By name.
        refused: Requests refused, by reason.
        ended: Sessions ended, by reason.
        octets_in: SRTP bytes received since the start.
        octets_out: SRTP bytes sent since the start.
        packets_refused: Packets that did not pass SRTP, or were no RTP.
        messages_refused: Data-channel messages too large or whose taker failed.
    """

    resources: dict[str, ResourceStats]
    refused: dict[str, int]
    ended: dict[str, int]
    octets_in: int
    octets_out: int
    packets_refused: int
    messages_refused: int


class RelayCollector(Collector):
    """Shows a relay's counts to Prometheus; register it with a ``CollectorRegistry``."""

    def __init__(self, snapshot: Callable[[], RelayStats]) -> None:
        """Collect from ``snapshot`` at each scrape."""
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; their labels are resource names and reasons, never identities."""
        stats = self._snapshot()
        yield from _totals(stats)
        yield from _per_resource(stats)


def _totals(stats: RelayStats) -> Iterator[Metric]:
    octets = CounterMetricFamily("relay_octets", "SRTP bytes.", labels=["direction"])
    octets.add_metric(["in"], stats.octets_in)
    octets.add_metric(["out"], stats.octets_out)
    yield octets
    refused = CounterMetricFamily("relay_refused", "Requests refused.", labels=["reason"])
    for reason, count in stats.refused.items():
        refused.add_metric([reason], count)
    yield refused
    ended = CounterMetricFamily("relay_sessions_ended", "Sessions ended.", labels=["reason"])
    for reason, count in stats.ended.items():
        ended.add_metric([reason], count)
    yield ended
    yield CounterMetricFamily(
        "relay_packets_refused", "Packets that did not pass SRTP.", value=stats.packets_refused
    )
    yield CounterMetricFamily(
        "relay_messages_refused", "Data-channel messages refused.", value=stats.messages_refused
    )


def _per_resource(stats: RelayStats) -> Iterator[Metric]:
    live = GaugeMetricFamily("relay_live", "1 when media flows.", labels=["resource"])
    viewers = GaugeMetricFamily("relay_viewers", "Viewers.", labels=["resource"])
    replaced = CounterMetricFamily("relay_sources_replaced", "Changes.", labels=["resource"])
    messages = CounterMetricFamily("relay_messages", "Data messages.", labels=["resource"])
    labels = ["resource", "kind"]
    forwarded = CounterMetricFamily("relay_forwarded", "Packets passed on.", labels=labels)
    discarded = CounterMetricFamily("relay_discarded", "Packets not passed on.", labels=labels)
    key_frames = CounterMetricFamily("relay_key_frames_asked", "Requests.", labels=labels)
    dropped = GaugeMetricFamily(
        "relay_viewers_dropped", "Packets dropped at present viewers.", labels=["resource"]
    )
    for name, resource in stats.resources.items():
        live.add_metric([name], float(resource.live))
        viewers.add_metric([name], len(resource.viewers))
        replaced.add_metric([name], resource.replaced)
        messages.add_metric([name], resource.messages)
        dropped.add_metric([name], sum(viewer.dropped for viewer in resource.viewers))
        for track in resource.tracks:
            forwarded.add_metric([name, track.kind], track.forwarded)
            discarded.add_metric([name, track.kind], track.discarded)
            key_frames.add_metric([name, track.kind], track.key_frames_asked)
    yield from (live, viewers, replaced, messages, dropped, forwarded, discarded, key_frames)
