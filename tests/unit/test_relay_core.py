"""The relay's pure core: headers, key frames, losses, requests, rates; any order, any garbage."""

from __future__ import annotations

import random
import struct
from itertools import pairwise
from typing import Any

from aiortc.codecs.vpx import VpxPayloadDescriptor
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap, RtpPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.forwarding import HISTORY_PACKETS, Codec, Inbound, Leg, Track
from dispatch.reception import (
    KeyFrameRequests,
    Reception,
    RepairBudget,
    Repairs,
    SteadyBitrate,
    agree_bitrate,
)
from dispatch.rtp import (
    ABS_SEND_TIME_URI,
    MARKER,
    Packet,
    build_header,
    build_header_with_send_time,
    read_packet,
    read_send_time,
    send_time,
    sequence_distance,
    starts_key_frame,
)

unhurried = settings(deadline=None)
"""A busy machine is no failure."""

VP8 = Codec("VP8", "", 90_000)
uint16 = st.integers(0, 0xFFFF)
uint32 = st.integers(0, 0xFFFFFFFF)


def extensions_map() -> HeaderExtensionsMap:
    """Header extensions as aiortc has them, with abs-send-time at 3 and mid at 1."""
    found = HeaderExtensionsMap()
    mid = "urn:ietf:params:rtp-hdrext:sdes:mid"
    found.configure(
        RTCRtpParameters(
            headerExtensions=[
                RTCRtpHeaderExtensionParameters(id=1, uri=mid),
                RTCRtpHeaderExtensionParameters(id=3, uri=ABS_SEND_TIME_URI),
            ]
        )
    )
    return found


@unhurried
@given(
    sequence=uint16, timestamp=uint32, ssrc=uint32, payload=st.binary(max_size=60),
    padding=st.integers(0, 9), marker=st.booleans(), ticks=st.none() | st.integers(0, 0xFFFFFF),
    csrc=st.lists(uint32, max_size=3),
)  # fmt: skip
def test_packet_of_aiortc_is_read_with_all_its_parts(**parts: Any) -> None:
    built = RtpPacket(
        payload_type=97, marker=int(parts["marker"]), sequence_number=parts["sequence"],
        timestamp=parts["timestamp"], ssrc=parts["ssrc"], payload=parts["payload"],
    )  # fmt: skip
    built.csrc, built.padding_size = parts["csrc"], parts["padding"]
    built.extensions = HeaderExtensions(mid="0", abs_send_time=parts["ticks"])
    data = built.serialize(extensions_map())
    packet = read_packet(data)
    assert packet is not None
    assert (packet.payload_type, packet.sequence) == (97, parts["sequence"])
    assert (packet.timestamp, packet.ssrc) == (parts["timestamp"], parts["ssrc"])
    assert packet.marker == (MARKER if parts["marker"] else 0)
    end = packet.payload_at + packet.payload_size
    assert data[packet.payload_at : end] == parts["payload"]
    assert packet.padding == parts["padding"]
    assert read_send_time(data, 3) == parts["ticks"]
    assert read_send_time(data, 5) is None


@unhurried
@given(garbage=st.binary(max_size=80), codec=st.sampled_from(["VP8", "H264"]))
def test_packet_of_garbage_never_raises(garbage: bytes, codec: str) -> None:
    packet = read_packet(garbage)
    if packet is not None:
        read_send_time(garbage, 3)
        starts_key_frame(codec, garbage, packet.payload_at)
        assert packet.payload_at + packet.padding <= len(garbage)


@unhurried
@given(sequence=uint16, timestamp=uint32, ssrc=uint32, ticks=st.integers(0, 0xFFFFFF))
def test_header_built_is_understood_by_aiortc(
    sequence: int, timestamp: int, ssrc: int, ticks: int
) -> None:
    plain = build_header(0, MARKER, 97, sequence, timestamp, ssrc) + b"payload"
    timed = build_header_with_send_time(0, 0, 97, sequence, timestamp, ssrc, 3, ticks) + b"payload"
    for data, expected in ((plain, None), (timed, ticks)):
        packet = RtpPacket.parse(data, extensions_map())
        assert (packet.sequence_number, packet.timestamp) == (sequence, timestamp)
        assert (packet.ssrc, packet.payload) == (ssrc, b"payload")
        assert packet.extensions.abs_send_time == expected


def test_send_time_counts_in_18_bits_of_a_second_modulo_64() -> None:
    assert send_time(0.5) == 1 << 17
    assert send_time(64.25) == 1 << 16
    assert send_time(1_795_000_000.0) == send_time(1_795_000_064.0)


@unhurried
@given(
    picture_id=st.none() | st.integers(0, 0x7FFF), tl0=st.none() | st.integers(0, 255),
    tid=st.none() | st.just((1, 0)), keyidx=st.none() | st.integers(0, 31),
    start=st.booleans(), key=st.booleans(),
)  # fmt: skip
def test_vp8_key_frame_is_recognised_behind_any_descriptor(**parts: Any) -> None:
    descriptor = VpxPayloadDescriptor(
        partition_start=int(parts["start"]), partition_id=0, picture_id=parts["picture_id"],
        tl0picidx=parts["tl0"], tid=parts["tid"], keyidx=parts["keyidx"],
    )  # fmt: skip
    payload = bytes(descriptor) + bytes([0x10 if parts["key"] else 0x11]) + b"rest"
    assert starts_key_frame("VP8", b"head" + payload, 4) is (parts["start"] and parts["key"])


def test_h264_key_frame_is_recognised_in_each_packing() -> None:
    cases = {
        b"\x67\x42": True,  # SPS alone
        b"\x65\x88": True,  # IDR alone
        b"\x41\x9a": False,  # a slice
        b"\x78\x00\x02\x67\x42": True,  # STAP-A with SPS
        b"\x78\x00\x02\x41\x9a": False,
        b"\x7c\x85": True,  # FU-A, start of IDR
        b"\x7c\x05": False,  # FU-A, middle of IDR
        b"\x7c\x81": False,  # FU-A, start of a slice
        b"": False,
        b"\x78": False,
    }
    for payload, expected in cases.items():
        assert starts_key_frame("H264", b"12" + payload, 2) is expected, payload
    assert starts_key_frame("opus", b"x", 0)


@unhurried
@given(a=uint16, step=st.integers(-32768, 32767))
def test_sequence_distance_is_the_step_across_the_wrap(a: int, step: int) -> None:
    assert sequence_distance(a + step & 0xFFFF, a) == step


@unhurried
@given(first=uint16, lost=st.sets(st.integers(1, 198), max_size=60))
def test_reception_counts_losses_across_the_wrap(first: int, lost: set[int]) -> None:
    reception = Reception(90_000)
    for index in range(200):
        if index not in lost:
            reception.take(first + index & 0xFFFF, index * 3600, index / 25)
    assert reception.lost == len(lost)
    assert reception.take_fraction_lost() == (len(lost) << 8) // 200
    assert reception.take_fraction_lost() == 0
    assert reception.jitter == 0


def test_repairs_ask_at_once_again_later_and_not_for_ever() -> None:
    repairs = Repairs(interval_s=0.1, attempts=3)
    assert repairs.take(10, 0.0) == []
    assert repairs.take(13, 0.0) == [11, 12]
    assert repairs.take(14, 0.05) == []
    assert repairs.take(11, 0.06) == []
    assert repairs.take(15, 0.15) == [12]
    assert repairs.take(16, 0.30) == [12]
    assert repairs.take(17, 0.45) == []
    assert repairs.take(18, 9.0) == []


@unhurried
@given(steps=st.lists(st.integers(-40, 400), max_size=200))
def test_repairs_of_any_order_stay_bounded(steps: list[int]) -> None:
    repairs, at = Repairs(limit=64), 0
    for now, step in enumerate(steps):
        at = at + step & 0xFFFF
        asked = repairs.take(at, now / 10)
        assert len(asked) <= 64
        assert at not in asked


def test_key_frame_requests_are_coalesced_repeated_and_end_with_a_key_frame() -> None:
    requests = KeyFrameRequests(interval_s=0.5, patience_s=1.5)
    assert requests.want(0.0)
    assert [requests.want(at) for at in (0.1, 0.4, 1.0)] == [False] * 3
    assert requests.is_due(1.6)  # no answer: once more
    requests.arrived()
    assert not requests.is_due(5.0)
    assert requests.want(5.0)
    requests.arrived()
    assert not requests.want(5.1)  # too soon after the last one
    assert requests.is_due(5.6)  # but not forgotten
    assert requests.asked == 4
    requests.forget()
    assert requests.is_due(5.7)  # a new source was never asked


def test_repair_budget_is_a_share_of_what_was_sent() -> None:
    budget = RepairBudget(share=0.25, burst=4, _tokens=4)
    assert [budget.take() for _ in range(6)] == [True] * 4 + [False] * 2
    for _ in range(8):
        budget.sent()
    assert [budget.take() for _ in range(3)] == [True, True, False]


def test_bitrate_agreed_is_the_uplinks_and_the_best_viewers() -> None:
    assert agree_bitrate(None, []) is None
    assert agree_bitrate(800, []) == 800
    assert agree_bitrate(None, [300, 900]) == 900
    assert agree_bitrate(800, [300, 900]) == 800
    assert agree_bitrate(800, [300]) == 300


def test_bitrate_told_falls_at_once_and_rises_slowly() -> None:
    steady = SteadyBitrate(hold_s=4.0, gain=1.15)
    assert steady.update(1000, 0.0) == 1000
    assert steady.update(950, 0.1) == 1000  # not worth a new encoder
    assert steady.update(500, 0.2) == 500
    assert steady.update(900, 1.0) == 500
    assert steady.update(900, 4.3) == 900
    assert steady.update(1000, 20.0) == 900


def vp8_packet(sequence: int, timestamp: int, *, key: bool, size: int = 20) -> Packet:
    """A VP8 packet that is a frame by itself."""
    payload = bytes(VpxPayloadDescriptor(1, 0)) + bytes([0x10 if key else 0x11]) + bytes(size)
    header = struct.pack("!BBHII", 0x80, MARKER | 97, sequence & 0xFFFF, timestamp, 77)
    packet = read_packet(header + payload)
    assert packet is not None
    return packet


class Rig:
    """A track with a source and viewers that note what they get."""

    def __init__(self, viewers: int = 1) -> None:
        self.track = Track("video")
        self.asked: list[int] = []
        self.nacks: list[int] = []
        self.got: list[list[bytes]] = [[] for _ in range(viewers)]
        self.legs = [
            Leg(self.receiver(box), 900 + i, {VP8: 100 + i}) for i, box in enumerate(self.got)
        ]
        for leg in self.legs:
            self.track.add(leg)

    @staticmethod
    def receiver(box: list[bytes]) -> Any:
        def receive(data: bytes) -> bool:
            box.append(data)
            return True

        return receive

    def source(self) -> Inbound:
        return Inbound(
            self.track, {97: VP8}, send_time_id=0,
            ask_again=lambda _ssrc, missing: self.nacks.extend(missing),
            ask_key_frame=self.asked.append,
        )  # fmt: skip

    def headers(self, viewer: int = 0) -> list[Packet]:
        found = [read_packet(data) for data in self.got[viewer]]
        return [packet for packet in found if packet is not None]


@unhurried
@given(
    starts=st.lists(st.tuples(uint16, uint32), min_size=2, max_size=4),
    counts=st.lists(st.integers(1, 30), min_size=4, max_size=4),
)
def test_track_over_any_sources_is_continuous_for_viewers(
    starts: list[tuple[int, int]], counts: list[int]
) -> None:
    rig, now = Rig(viewers=2), 0.0
    for (sequence, timestamp), count in zip(starts, counts, strict=False):
        source = rig.source()
        for index in range(count):
            clock = timestamp + 3600 * index & 0xFFFFFFFF
            source.take(vp8_packet(sequence + index, clock, key=index == 0), now)
            now += 0.04
        now += 1.0
    for viewer in range(2):
        headers = rig.headers(viewer)
        assert len(headers) == sum(counts[: len(starts)])
        for before, after in pairwise(headers):
            assert sequence_distance(after.sequence, before.sequence) == 1
            elapsed = after.timestamp - before.timestamp & 0xFFFFFFFF
            assert elapsed in (3600, 3599) or abs(elapsed - 93_600) <= 2
        assert {(h.ssrc, h.payload_type) for h in headers} == {(900 + viewer, 100 + viewer)}


def test_viewer_gets_nothing_before_a_key_frame_and_one_is_asked_for() -> None:
    rig = Rig()
    source = rig.source()
    for index in range(5):
        source.take(vp8_packet(index, 0, key=False), index * 0.04)
    assert rig.got == [[]]
    assert rig.asked == [77]
    source.take(vp8_packet(5, 0, key=True), 0.3)
    assert len(rig.got[0]) == 1
    late = Leg(Rig.receiver([]), 1, {VP8: 1})
    rig.track.add(late)
    source.take(vp8_packet(6, 0, key=False), 0.34)
    assert late.sent == 0
    source.take(vp8_packet(7, 0, key=True), 0.38)
    assert late.sent == 1


def test_viewer_that_asks_again_gets_what_the_history_has_and_no_more_than_its_budget() -> None:
    rig = Rig()
    source = rig.source()
    for index in range(HISTORY_PACKETS + 10):
        source.take(vp8_packet(index, index, key=index == 0), index * 0.01)
    (leg,) = rig.legs
    rig.got[0].clear()
    rig.track.repair(leg, [0, 5, 20, 30, 40_000])
    assert [packet.sequence for packet in rig.headers()] == [20, 30]
    assert leg.repaired == 2
    rig.track.repair(leg, [50] * 1000)
    assert leg.repaired < 60


@unhurried
@given(seed=st.integers(0, 2**32 - 1))
def test_packets_out_of_order_keep_their_own_numbers(seed: int) -> None:
    rig, order = Rig(), list(range(1, 60))
    source = rig.source()
    source.take(vp8_packet(0, 0, key=True), 0.0)
    random.Random(seed).shuffle(order)
    for index in order:
        source.take(vp8_packet(index, index, key=False), 0.0)
    assert [h.sequence for h in rig.headers()] == [0, *order]
    assert all(h.sequence == h.timestamp for h in rig.headers())


def test_gap_with_a_silence_or_too_long_costs_a_key_frame_and_no_viewer_sees_it() -> None:
    for missing, silent_s in ((20, 1.0), (65, 0.04)):
        rig = Rig()
        source = rig.source()
        source.take(vp8_packet(0, 0, key=True), 1.0)
        source.take(vp8_packet(1, 3600, key=False), 1.04)
        first, now = 2 + missing, 1.04 + silent_s
        source.take(vp8_packet(first, 9000, key=False), now)
        assert (rig.nacks, rig.asked) == ([], [77])
        source.take(vp8_packet(first + 1, 12_600, key=True), now + 0.1)
        source.take(vp8_packet(first + 2, 16_200, key=False), now + 0.14)
        assert [h.sequence for h in rig.headers()] == [0, 1, 2, 3]
        assert rig.track.discarded == 1


def test_short_gap_that_nobody_mends_costs_a_key_frame_and_one_that_is_mended_none() -> None:
    for mended in (True, False):
        rig = Rig()
        source = rig.source()
        source.take(vp8_packet(0, 0, key=True), 1.0)
        source.take(vp8_packet(3, 0, key=False), 1.04)
        assert rig.nacks == [1, 2]
        if mended:
            source.take(vp8_packet(1, 0, key=False), 1.06)
            source.take(vp8_packet(2, 0, key=False), 1.06)
        for step in range(12):
            source.take(vp8_packet(4 + step, 0, key=False), 1.08 + 0.04 * step)
        assert rig.asked == ([] if mended else [77])
        assert rig.track.discarded == 0


def test_silence_with_no_or_little_loss_is_no_torn_picture() -> None:
    rig = Rig()
    source = rig.source()
    source.take(vp8_packet(0, 0, key=True), 1.0)
    source.take(vp8_packet(1, 0, key=False), 9.0)
    source.take(vp8_packet(3, 0, key=False), 14.0)
    assert (len(rig.got[0]), rig.asked, rig.nacks) == (3, [], [2])


def test_packet_from_before_the_sources_key_frame_is_discarded() -> None:
    rig = Rig()
    source = rig.source()
    source.take(vp8_packet(100, 0, key=True), 0.0)
    source.take(vp8_packet(98, 0, key=False), 0.0)
    assert [h.sequence for h in rig.headers()] == [100]
    assert rig.track.discarded == 1


def test_viewer_without_the_sources_codec_is_counted_and_others_served() -> None:
    rig = Rig()
    other = Leg(Rig.receiver([]), 1, {Codec("H264", "42e01f", 90_000): 1})
    rig.track.add(other)
    rig.source().take(vp8_packet(0, 0, key=True), 0.0)
    assert (other.unsupported, other.sent, rig.legs[0].sent) == (1, 0, 1)


def test_h264_of_another_profile_goes_under_the_viewers_own() -> None:
    leg = Leg(lambda _data: True, 1, {Codec("H264", "42001f", 90_000): 5, VP8: 6})
    assert leg.payload_type(Codec("H264", "42e01f", 90_000)) == 5
    assert leg.payload_type(Codec("opus", "", 48_000)) is None
