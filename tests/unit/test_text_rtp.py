"""Packets of real-time text, one by one: what is read, recovered, waited for, marked, refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.rtp import MARKER, build_header, read_packet
from dispatch.rtt.payload import (
    LONGEST_AGE,
    Block,
    TextPayloadError,
    read_redundant,
    write_redundant,
)
from dispatch.rtt.receiver import MOST_SOURCES, MOST_WAITING, TextReceiver
from dispatch.rtt.sender import MOST_BACKLOG, Stream, TextBacklogError, TextSender
from streams.t140 import BYTE_ORDER_MARK, MISSING

TEXT, RED = 98, 99
SSRC = 0x5EED


def plain(number: int, text: str | bytes, *, ssrc: int = SSRC, marker: bool = False) -> bytes:
    """A packet of ``text/t140``; its timestamp is 300 ms for each number."""
    data = text.encode() if isinstance(text, str) else text
    mark = MARKER if marker else 0
    return build_header(0, mark, TEXT, number & 0xFFFF, number * 300, ssrc) + data


def redundant(number: int, *texts: str, marker: bool = False) -> bytes:
    """A packet of ``text/red`` with the texts of the packets before it, its own last."""
    ages = range((len(texts) - 1) * 300, -1, -300)
    blocks = tuple(Block(text.encode(), age) for text, age in zip(texts, ages, strict=True))
    header = build_header(0, MARKER if marker else 0, RED, number & 0xFFFF, number * 300, SSRC)
    return header + write_redundant(blocks, TEXT)


class Line:
    """A receiver whose text is put together."""

    def __init__(self, wait_s: float = 1.0) -> None:
        self.receiver = TextReceiver(text_type=TEXT, red_type=RED, wait_s=wait_s)
        self.text = ""

    def take(self, *packets: bytes, at: float = 0.0) -> str:
        """Take packets, and return all text so far."""
        for packet in packets:
            self.text += "".join(found.text for found in self.receiver.take(packet, at))
        return self.text

    def wait(self, at: float) -> str:
        """Let time go by, and return all text so far."""
        self.text += "".join(found.text for found in self.receiver.wait(at))
        return self.text


def test_packet_of_a_public_example_is_read() -> None:
    # Header and text of a packet in the tests of the Go package t140packet: type 100, marker set.
    data = bytes.fromhex("80e4698fd9c293da1c64278248656c6c6f")
    receiver = TextReceiver(text_type=100)
    assert [found.text for found in receiver.take(data, 0.0)] == ["Hello"]


def test_redundant_payload_is_read_and_written_as_rfc_2198_draws_it() -> None:
    payload = bytes.fromhex("e2096002 e204b001 62".replace(" ", "")) + b"abcd"
    blocks = (Block(b"ab", 600), Block(b"c", 300), Block(b"d"))
    assert read_redundant(payload, TEXT) == blocks
    assert write_redundant(blocks, TEXT) == payload


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (b"", "block header"),
        (b"\xe2\x09\x60", "block header"),
        (b"\xe2\x00\x00\x00" * 3, "block header"),
        (b"\xe2\x00\x00\x00" * 17 + b"\x62", "block header"),
        (b"\xe2\x00\x00\x05\x62abcd", "block length"),
        (b"\xe3\x00\x00\x01\x62ab", "block payload type"),
        (b"\x61ab", "block payload type"),
        (b"\x62" + b"a" * 5000, "text"),
    ],
)
def test_payload_that_cannot_be_right_is_refused_with_the_field_named(
    payload: bytes, field: str
) -> None:
    header = build_header(0, 0, RED, 1, 0, SSRC)
    receiver = TextReceiver(text_type=TEXT, red_type=RED)
    with pytest.raises(TextPayloadError) as refused:
        receiver.take(header + payload, 0.0)
    assert refused.value.field == field
    assert receiver.due() is None


@pytest.mark.parametrize(
    ("packet", "field"),
    [
        (b"", "rtp"),
        (b"\x80" * 11, "rtp"),
        (b"\x00" * 40, "rtp"),
        (build_header(0, 0, 0, 1, 0, SSRC) + b"a", "payload type"),
        (b"\x8f" + build_header(0, 0, TEXT, 1, 0, SSRC)[1:] + b"a", "rtp"),
    ],
)
def test_datagram_that_is_no_text_is_refused_with_the_field_named(
    packet: bytes, field: str
) -> None:
    with pytest.raises(TextPayloadError) as refused:
        TextReceiver(text_type=TEXT, red_type=RED).take(packet, 0.0)
    assert refused.value.field == field


def test_contributing_sources_and_padding_are_no_text() -> None:
    packet = bytearray(plain(1, "\x00\x00\x00\x07abc\x00\x00\x03", marker=True))
    packet[0] |= 0x20 | 1
    line = Line()
    assert line.take(bytes(packet)) == "abc"


def test_lost_packets_are_recovered_from_redundancy_without_waiting() -> None:
    line = Line()
    line.take(redundant(1, "", "", "a", marker=True))
    assert line.take(redundant(4, "b", "c", "d")) == "abcd"
    assert line.receiver.counts.recovered >= 2
    assert line.receiver.due() is None


def test_gap_is_waited_for_and_then_marked_once() -> None:
    line = Line()
    line.take(plain(1, "a", marker=True), at=10)
    line.take(plain(5, "e"), at=11)
    line.take(plain(6, "f"), at=11.5)
    assert line.text == "a"
    assert line.receiver.due() == 12
    assert line.wait(11.9) == "a"
    assert line.wait(12) == f"a{MISSING}ef"
    assert line.receiver.counts.gaps == 1


def test_packet_that_comes_while_it_is_waited_for_is_put_in_its_place() -> None:
    line = Line()
    line.take(plain(1, "a", marker=True), plain(4, "d"), at=10)
    line.take(plain(3, "c"), at=10.4)
    assert line.take(plain(2, "b"), at=10.9) == "abcd"


def test_packet_that_comes_after_its_mark_is_dropped_and_counted() -> None:
    line = Line()
    line.take(plain(1, "a", marker=True), plain(3, "c"), at=10)
    line.wait(11)
    assert line.take(plain(2, "b"), at=11.1) == f"a{MISSING}c"
    assert line.receiver.counts.late == 1


def test_repeated_packets_are_shown_once_and_counted() -> None:
    line = Line()
    packets = [redundant(1, "", "", "a", marker=True), redundant(2, "", "a", "b")]
    assert line.take(*packets, *packets, *packets) == "ab"
    assert line.receiver.counts.repeated == 4


def test_sequence_numbers_go_on_after_their_end() -> None:
    line = Line()
    line.take(plain(65534, "a", marker=True), plain(65535, "b"), plain(65536, "c"))
    assert line.take(redundant(65539, "d", "e", "f")) == "abcdef"


def test_first_packet_without_marker_waits_for_those_it_overtook() -> None:
    line = Line()
    assert line.take(plain(2, "b"), at=0) == ""
    assert line.take(plain(1, "a"), at=0.2) == ""
    assert line.wait(1.0) == "ab"


def test_start_that_redundancy_shows_to_be_missing_is_marked() -> None:
    line = Line()
    line.take(redundant(7, "e", "f", "g"))
    assert line.wait(1.0) == f"{MISSING}efg"
    assert line.receiver.counts.unproven_starts == 1


def test_start_with_a_byte_order_mark_is_the_start() -> None:
    line = Line()
    assert line.take(redundant(3, BYTE_ORDER_MARK + "a", "b", "c")) == BYTE_ORDER_MARK + "abc"
    assert line.receiver.counts.unproven_starts == 0


def test_sender_that_leaves_empty_blocks_out_never_has_text_repeated() -> None:
    # Packet 11 was empty; 12 repeats the text of packet 10 in 11's place (against RFC 4103, 4.2).
    line = Line()
    line.take(plain(10, "a", marker=True), at=0)
    header = build_header(0, 0, RED, 12, 12 * 300, SSRC)
    packet = header + write_redundant((Block(b"a", 600), Block(b"b")), TEXT)
    line.take(packet, at=0.6)
    assert line.wait(1.6) == f"a{MISSING}b"


def test_misplaced_redundancy_gives_way_to_the_packet_that_it_repeats() -> None:
    line = Line()
    line.take(plain(9, "9", marker=True), at=0)
    header = build_header(0, 0, RED, 12, 12 * 300, SSRC)
    line.take(header + write_redundant((Block(b"a", 600), Block(b"b")), TEXT), at=0.6)
    assert line.take(plain(10, "a"), at=0.7) == "9a"
    assert line.wait(1.6) == f"9a{MISSING}b"


def test_redundancy_of_a_mixer_is_not_used_because_each_source_has_its_own() -> None:
    def mixed(packet: bytes, source: int) -> bytes:
        return bytes([packet[0] | 1]) + packet[1:12] + source.to_bytes(4, "big") + packet[12:]

    line = Line()
    line.take(mixed(redundant(1, "", "", "a", marker=True), 7))
    line.take(mixed(redundant(3, "", "a", "b"), 7), at=0.6)
    assert line.wait(1.6) == f"a{MISSING}b"


def test_another_source_has_a_sequence_of_its_own() -> None:
    line = Line()
    line.take(plain(1, "a", marker=True), plain(3, "c"))
    assert line.take(plain(500, "x", ssrc=7, marker=True)) == "ax"
    assert line.take(plain(2, "b")) == "axbc"


def test_sources_are_bounded_and_the_one_silent_longest_gives_way() -> None:
    line = Line()
    line.take(plain(1, "a", marker=True), plain(3, "c"))
    for ssrc in range(MOST_SOURCES):
        line.take(plain(1, "x", ssrc=ssrc, marker=True))
    assert line.text == f"axxx{MISSING}cx"
    assert line.receiver.counts.displaced == 1


def test_stray_packet_changes_nothing_and_a_restarted_sender_goes_on_after_a_mark() -> None:
    line = Line()
    line.take(plain(1, "a", marker=True))
    assert line.take(plain(30_000, "?")) == "a"
    assert line.take(plain(2, "b")) == "ab"
    assert line.take(plain(40_000, "c"), plain(40_001, "d")) == f"ab{MISSING}cd"
    assert line.receiver.counts.restarts == 1


def test_gap_that_too_much_waits_behind_is_marked_at_once() -> None:
    line = Line()
    line.take(plain(1, "a", marker=True))
    line.take(*(plain(number, "x") for number in range(3, 4 + MOST_WAITING)))
    assert line.text == f"a{MISSING}" + "x" * (MOST_WAITING + 1)


def test_character_cut_by_a_loss_goes_with_it_and_one_cut_between_packets_is_whole() -> None:
    first, second = "救".encode()[:1], "救".encode()[1:]
    line = Line()
    line.take(plain(1, first, marker=True))
    assert line.take(plain(2, second)) == "救"
    line.take(plain(3, first), plain(5, second + b"a"))
    assert line.wait(1.0) == f"救{MISSING}a"


def test_call_that_ends_shows_what_waited() -> None:
    line = Line()
    line.take(plain(1, "a", marker=True), plain(3, "c"))
    assert "".join(found.text for found in line.receiver.finish()) == f"{MISSING}c"


@given(st.lists(st.binary(max_size=60), max_size=30))
def test_receiver_of_any_datagrams_raises_only_refusals(datagrams: list[bytes]) -> None:
    receiver, now = TextReceiver(text_type=TEXT, red_type=RED), 0.0
    for number, datagram in enumerate(datagrams):
        now += 0.3
        for data in (
            datagram,
            build_header(0, 0, RED, number, number * 300, SSRC) + datagram,
            build_header(0, 0, TEXT, number * 7 & 0xFFFF, number, SSRC) + datagram,
        ):
            try:
                receiver.take(data, now)
            except TextPayloadError as error:
                assert error.field
        receiver.wait(now)
    receiver.finish()
    assert receiver.due() is None


@given(
    st.lists(st.builds(Block, st.binary(max_size=40), st.integers(0, LONGEST_AGE)), max_size=16),
    st.binary(max_size=40),
)
def test_redundant_payload_reads_back_as_it_was_written(blocks: list[Block], own: bytes) -> None:
    whole = (*blocks, Block(own))
    assert read_redundant(write_redundant(whole, TEXT), TEXT) == whole


def sender(**options: int | None) -> TextSender:
    """A sender whose numbers are easy to read."""
    red_type = options.get("red_type", RED)
    return TextSender(Stream(SSRC, 65_530, 0), text_type=TEXT, red_type=red_type)


def sent_by(source: TextSender, now: float, until: float) -> list[tuple[float, bytes]]:
    """What goes out up to a moment, and when."""
    out = []
    while (due := source.due(now)) is not None and due <= until:
        now = max(now, due)
        packet = source.take(now)
        assert packet is not None
        out.append((now, packet))
    return out


def blocks_of(packet: bytes) -> list[str]:
    """The texts in one packet of ``text/red``."""
    return [block.data.decode() for block in read_redundant(packet[12:], TEXT)]


def test_sender_repeats_each_text_twice_and_then_only_shows_that_it_is_there() -> None:
    source = sender()
    source.write("ab")
    out = sent_by(source, 0.0, 11.0)
    assert [blocks_of(packet) for _, packet in out] == [
        ["", "", BYTE_ORDER_MARK + "ab"],
        ["", BYTE_ORDER_MARK + "ab", ""],
        [BYTE_ORDER_MARK + "ab", "", ""],
        ["", "", ""],
    ]
    assert [round(at, 1) for at, _ in out] == [0.0, 0.3, 0.6, 10.6]
    assert source.is_idle


def test_sender_marks_the_first_packet_and_the_first_after_a_pause() -> None:
    source = sender()
    source.write("a")
    packets = sent_by(source, 0.0, 0.3)
    source.write("b")
    packets += sent_by(source, 0.3, 5.0)
    source.write("c")
    packets += sent_by(source, 5.0, 5.4)
    markers = [bool(read.marker) for _, packet in packets if (read := read_packet(packet))]
    assert markers == [True, False, False, False, False, True, False]


def test_sender_numbers_and_times_its_packets() -> None:
    source = sender()
    source.write("abc")
    out = [read_packet(packet) for _, packet in sent_by(source, 100.0, 112.0)]
    read = [packet for packet in out if packet is not None]
    assert [packet.sequence for packet in read] == [65_530, 65_531, 65_532, 65_533]
    assert [packet.timestamp for packet in read] == [0, 300, 600, 10_600]
    assert {packet.ssrc for packet in read} == {SSRC}


def test_sender_of_a_long_pause_still_says_that_the_blocks_before_were_empty() -> None:
    source = sender()
    sent_by(source, 0.0, 1.0)
    source.write("x")
    packet = source.take(100.0)
    assert packet is not None
    assert [block.age for block in read_redundant(packet[12:], TEXT)] == [LONGEST_AGE] * 2 + [0]


def test_sender_without_redundancy_sends_text_alone_and_nothing_in_pauses() -> None:
    source = sender(red_type=None)
    source.write("救命")
    assert [packet[12:].decode() for _, packet in sent_by(source, 0.0, 60.0)] == ["\ufeff救命"]


def test_sender_never_cuts_a_character_and_keeps_to_the_rate() -> None:
    source = sender()
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    source.write(family * 100)
    out = sent_by(source, 0.0, 60.0)
    texts = [blocks_of(packet)[-1].replace(BYTE_ORDER_MARK, "") for _, packet in out]
    assert all(text.replace(family, "") == "" for text in texts)
    assert "".join(texts) == family * 100
    for begin, _ in out:
        within = [
            len(text) for (at, _), text in zip(out, texts, strict=True) if begin <= at < begin + 10
        ]
        assert sum(within) <= 300


def test_sender_refuses_more_than_a_call_can_carry() -> None:
    source = sender()
    with pytest.raises(TextBacklogError):
        source.write("x" * MOST_BACKLOG)
    source.write("y")
    assert blocks_of(sent_by(source, 0.0, 0.0)[0][1])[-1] == BYTE_ORDER_MARK + "y"
