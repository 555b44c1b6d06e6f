"""The relay with real peers: aiortc codes and decodes, the relay only forwards."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import aioice.ice
import aiortc
import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from dispatch.packet_tap import AIORTC_VERSION, PacketTap
from dispatch.relay import RelaySettings
from dispatch.relay_stats import RelayCollector
from streams.webrtc import PeerConnection, PeerSettings, close_peer, connect_peer

LOOPBACK = PeerSettings(addresses=("127.0.0.1",))
TWO = ("board", "console")


def shade_of(frame: Any) -> float:
    """The mean of the lower half of a picture."""
    luma = frame.to_ndarray(format="yuv420p")[: frame.height]
    return float(np.mean(luma[frame.height // 2 :]))


def test_aiortc_internals_that_the_relay_replaces_are_still_there() -> None:
    assert version("aiortc") == aiortc.__version__ == AIORTC_VERSION
    peer_methods = (aiortc.RTCRtpReceiver.receive, aiortc.RTCRtpSender.send)
    assert all(asyncio.iscoroutinefunction(method) for method in peer_methods)
    assert callable(aioice.ice.Connection.data_received)
    names = aioice.ice.Connection.__init__.__code__.co_names
    assert {"_nominated"} <= set(names)
    assert {"_rx_srtp", "_tx_srtp"} <= set(aiortc.RTCDtlsTransport.__init__.__code__.co_names)


async def test_packet_tap_of_a_peer_without_those_internals_fails_loudly() -> None:
    peer = PeerConnection()
    try:
        transceiver = peer.addTransceiver("video", direction="recvonly")
        transceiver.receiver.receive = None  # type: ignore[method-assign,assignment]
        with pytest.raises(TypeError, match="aiortc changed: RTCRtpReceiver has no method receive"):
            PacketTap(
                peer, on_rtp=lambda _: None, on_rtcp=lambda _: None, on_connected=lambda: None
            )
    finally:
        await close_peer(peer)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_two_viewers_of_one_source_decode_it_without_a_decoder_in_the_relay(  # noqa: PLR0917 - fixtures
    serve_relay: Any, publish_tracks: Any, view: Any, draw: Any, tone: Any, codec: str
) -> None:
    async with serve_relay() as site:
        await publish_tracks(site.whip(), draw(), tone(), codec=codec)
        viewers = [await view(site.whep(token=token), "video", "audio") for token in TWO]
        for viewer in viewers:
            frames = await viewer.frames(25)
            assert {(frame.width, frame.height) for frame in frames} == {(320, 240)}
            assert abs(shade_of(frames[-1]) - 120) < 8
            sound = await viewer.frames(10, "audio")
            assert max(int(np.abs(frame.to_ndarray()).max()) for frame in sound) > 1000
        stats = site.resource()
        assert stats.live
        assert {(t.kind, t.codec) for t in stats.tracks} == {("video", codec), ("audio", "opus")}
        assert [viewer.identity for viewer in stats.viewers] == list(TWO)
        # Decoder threads belong to the two viewers: one a track, none for the relay's source.
        names = [thread.name for thread in threading.enumerate()]
        assert sum(name.endswith("-decoder") for name in names) == 4


async def test_viewer_that_joins_late_gets_a_key_frame_at_once(
    serve_relay: Any, publish_tracks: Any, view: Any, draw: Any, wait_for: Any
) -> None:
    async with serve_relay() as site:
        track = draw()
        await publish_tracks(site.whip(), track)
        await wait_for(lambda: site.resource().live, "the source is live")
        await wait_for(lambda: track.frames > 30, "the first key frame is long past")
        asked = site.resource().tracks[0].key_frames_asked
        viewer = await view(site.whep())
        sent_before = track.frames
        await viewer.frames(1)
        # aiortc sends a key frame by itself only every 3000 frames.
        assert site.resource().tracks[0].key_frames_asked == asked + 1
        assert track.frames - sent_before < 25


async def test_many_viewers_joining_together_cost_one_key_frame_request(
    serve_relay: Any, publish_tracks: Any, view: Any, draw: Any, wait_for: Any
) -> None:
    async with serve_relay() as site:
        await publish_tracks(site.whip(), draw())
        await wait_for(lambda: site.resource().live, "the source is live")
        asked = site.resource().tracks[0].key_frames_asked
        viewers = await asyncio.gather(*(view(site.whep()) for _ in range(6)))
        for viewer in viewers:
            await viewer.frames(2)
        assert site.resource().tracks[0].key_frames_asked - asked <= 2


async def test_viewer_before_the_source_waits_and_then_sees_it(
    serve_relay: Any, publish_tracks: Any, view: Any, draw: Any
) -> None:
    async with serve_relay() as site:
        viewer = await view(site.whep())
        assert not site.resource().live
        await publish_tracks(site.whip(), draw())
        assert await viewer.frames(5)


async def test_source_replaced_midway_viewers_go_on_with_continuous_numbers(
    serve_relay: Any, publish_tracks: Any, view: Any, draw: Any, wait_for: Any
) -> None:
    async with serve_relay() as site:
        await publish_tracks(site.whip(), draw(shade=60))
        viewer = await view(site.whep())
        first = (await viewer.frames(10))[-1]
        received = watch_packets(viewer)
        second = await publish_tracks(site.whip(token="second-vehicle"), draw(shade=200))
        shades: list[float] = []
        while not shades or abs(shades[-1] - 200) > 10:
            (frame,) = await viewer.frames(1)
            shades.append(shade_of(frame))
            assert len(shades) < 100
        assert abs(shade_of(first) - 60) < 10
        (last,) = await viewer.frames(1)
        assert last.pts > first.pts
        assert site.resource().source == "second-vehicle"
        assert site.resource().replaced == 1
        pairs = list(pairwise(received))
        assert {(b - a) & 0xFFFF for (a, _), (b, _) in pairs} == {1}
        assert max((b - a) & 0xFFFFFFFF for (_, a), (_, b) in pairs) < 5 * 90_000
        ended = site.relay.snapshot().ended
        assert ended == {"replaced by a new source": 1}
        await close_peer(second)
        await wait_for(lambda: not site.resource().live, "viewers are told that it is not live")


def watch_packets(viewer: Any) -> list[tuple[int, int]]:
    """Note sequence number and timestamp of every video packet that arrives at a viewer."""
    received: list[tuple[int, int]] = []
    receiver = viewer.receivers["video"]
    take = receiver._handle_rtp_packet

    async def note(packet: Any, arrival_time_ms: int) -> None:
        received.append((packet.sequence_number, packet.timestamp))
        await take(packet, arrival_time_ms=arrival_time_ms)

    receiver._handle_rtp_packet = note
    return received


async def test_viewer_killed_the_others_go_on_and_it_is_closed(
    serve_relay: Any, publish_tracks: Any, view: Any, draw: Any, wait_for: Any
) -> None:
    settings = RelaySettings(peer=LOOPBACK, viewer_silence_s=1.5)
    async with serve_relay(settings) as site:
        await publish_tracks(site.whip(), draw())
        lost, kept = await view(site.whep()), await view(site.whep(token="console"))
        await lost.frames(3)
        await kept.frames(3)
        lost.kill()
        assert len(await kept.frames(25, timeout_s=3.0)) == 25
        await wait_for(lambda: len(site.resource().viewers) == 1, "the dead viewer is closed")
        assert site.relay.snapshot().ended == {"viewer silent": 1}
        assert len(await kept.frames(10)) == 10


async def test_viewer_whose_socket_takes_nothing_stops_nobody_and_is_counted(
    serve_relay: Any, publish_tracks: Any, view: Any, draw: Any, wait_for: Any
) -> None:
    async with serve_relay() as site:
        await publish_tracks(site.whip(), draw())
        stalled, kept = await view(site.whep()), await view(site.whep(token="console"))
        await stalled.frames(2)
        await kept.frames(2)
        session = next(s for s in site.relay._sessions.values() if s.identity == "board")
        assert session.tap is not None
        session.tap._waiting_bytes = lambda: 10**9  # what asyncio says of a full socket
        await kept.frames(25, timeout_s=3.0)
        await wait_for(lambda: site.resource().viewers[0].dropped > 20, "drops are counted")
        assert site.resource().viewers[1].dropped == 0


async def test_lost_packets_are_repaired_on_both_legs(
    serve_relay: Any, publish_tracks: Any, view: Any, draw: Any, wait_for: Any
) -> None:
    async with serve_relay() as site:
        publisher = await publish_tracks(site.whip(), draw(size=(640, 480)))
        viewer = await view(site.whep())
        await viewer.frames(2)
        path = publisher.getSenders()[0].transport.transport._connection._nominated[1]
        to_relay = path.protocol.transport
        to_relay.sendto = lossy(to_relay.sendto, every=17)
        (session,) = (s for s in site.relay._sessions.values() if s.role == "view")
        session.tap._sendto = lossy(session.tap._sendto, every=13)
        await viewer.frames(60, timeout_s=20.0)
        track = site.resource().tracks[0]
        assert track.repairs_asked > 0
        assert site.resource().viewers[0].repaired > 0
        await wait_for(lambda: site.resource().tracks[0].lost <= 3, "the source's are repaired")


def lossy(send: Callable[..., None], every: int) -> Callable[..., None]:
    """Wrap a socket's sending: each n-th RTP packet is lost."""
    count = 0

    def send_or_lose(data: bytes, address: Any = None) -> None:
        nonlocal count
        is_rtp = 128 <= data[0] < 192 and not 192 <= data[1] < 224
        count += is_rtp
        if not (is_rtp and count % every == 0):
            send(data, address)

    return send_or_lose


async def test_garbage_at_the_media_port_is_counted_and_harms_nobody(
    serve_relay: Any, publish_tracks: Any, view: Any, draw: Any
) -> None:
    async with serve_relay() as site:
        await publish_tracks(site.whip(), draw())
        viewer = await view(site.whep())
        await viewer.frames(2)
        (source,) = (s for s in site.relay._sessions.values() if s.role == "publish")
        assert source.tap is not None
        for size in (1, 2, 11, 12, 60, 1200):
            for first in (128, 144, 191):
                source.tap._datagram_received(bytes([first]) * size, 1)
        assert site.relay.snapshot().packets_refused == 18
        assert await viewer.frames(5)


async def test_data_channel_messages_reach_the_callback_and_heartbeats_come_down(
    serve_relay: Any, peers: Any, wait_for: Any
) -> None:
    async with serve_relay() as site:
        peer = PeerConnection(LOOPBACK)
        peers.append(peer)
        channel = peer.createDataChannel("ecg", ordered=False, maxRetransmits=0)
        down: list[bytes] = []
        channel.on("message", down.append)
        await connect_peer(peer, site.whip("unit-7/data"))
        await wait_for(lambda: channel.readyState == "open", "the channel opens")
        for index in range(20):
            channel.send(bytes([index]) * 900)
        await wait_for(lambda: len(site.messages) == 20, "all messages arrive")
        assert {m[:2] for m in site.messages} == {("unit-7/data", "ecg")}
        assert sorted(m[2] for m in site.messages) == [bytes([i]) * 900 for i in range(20)]
        await wait_for(lambda: down.count(b"") >= 2, "heartbeats come down")
        assert site.relay.send("unit-7/data", "ecg", b"turn it up")
        await wait_for(lambda: b"turn it up" in down, "a message comes down")
        assert not site.relay.send("unit-7/data", "other", b"nobody")
        assert not site.relay.send("unit-8/data", "ecg", b"nobody")


async def test_message_whose_taker_fails_is_counted_and_the_next_one_taken(
    serve_relay: Any, peers: Any, wait_for: Any
) -> None:
    async with serve_relay() as site:
        taken: list[bytes] = []

        def refuse_the_first(_resource: str, _label: str, data: bytes) -> None:
            if data == b"first":
                raise ValueError("a taker's fault")
            taken.append(data)

        site.relay._on_message = refuse_the_first
        peer = PeerConnection(LOOPBACK)
        peers.append(peer)
        channel = peer.createDataChannel("ecg")
        await connect_peer(peer, site.whip("unit-7/data"))
        await wait_for(lambda: channel.readyState == "open", "the channel opens")
        channel.send(b"first")
        channel.send(b"second")
        await wait_for(lambda: taken == [b"second"], "the second is taken")
        assert site.relay.snapshot().messages_refused == 1


async def test_metrics_show_what_the_relay_counts(
    serve_relay: Any, publish_tracks: Any, view: Any, draw: Any
) -> None:
    async with serve_relay() as site:
        registry = CollectorRegistry()
        registry.register(RelayCollector(site.relay.snapshot))
        await publish_tracks(site.whip(), draw())
        viewer = await view(site.whep())
        await viewer.frames(5)
        text = generate_latest(registry).decode()
        assert 'relay_live{resource="unit-7/cabin"} 1.0' in text
        assert 'relay_viewers{resource="unit-7/cabin"} 1.0' in text
        assert 'relay_forwarded_total{kind="video",resource="unit-7/cabin"}' in text


async def test_source_is_told_no_more_than_the_limit(
    serve_relay: Any, publish_tracks: Any, view: Any, draw: Any, wait_for: Any
) -> None:
    settings = RelaySettings(peer=LOOPBACK, max_bitrate_bps=300_000)
    async with serve_relay(settings) as site:
        publisher = await publish_tracks(site.whip(), draw())
        await (await view(site.whep())).frames(2)
        sender = publisher.getSenders()[0]
        encoder = "_RTCRtpSender__encoder"
        await wait_for(
            lambda: getattr(sender, encoder).target_bitrate <= 300_000, "the encoder follows"
        )
        (video,) = [track for track in site.resource().tracks if track.kind == "video"]
        assert video.bitrate_bps is not None
        assert 0 < video.bitrate_bps <= 300_000


async def test_relay_closed_leaves_no_task_and_no_thread(  # noqa: PLR0917 - fixtures
    serve_relay: Any, publish_tracks: Any, view: Any, draw: Any, wait_for: Any, peers: Any
) -> None:
    before = len(asyncio.all_tasks())
    async with serve_relay() as site:
        await publish_tracks(site.whip(), draw())
        await (await view(site.whep())).frames(2)
    for peer in peers:
        await close_peer(peer)
    await wait_for(lambda: len(asyncio.all_tasks()) <= before, "all tasks ended")
    assert not [t for t in threading.enumerate() if t.name.endswith("-decoder")]
