"""The hand-over as QR codes: what goes in comes out, and nothing hostile does harm."""

from __future__ import annotations

import hashlib
import random
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.bay_code import (
    FRAME_BYTES,
    MOST_FRAMES,
    MOST_PACKED,
    BayCodeError,
    BayContent,
    content_of,
    frames_of,
    from_base45,
    to_base45,
)
from streams.bay_messages import VERSION, CarriedFact
from streams.identity import new_id

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def content(facts: list[bytes], version: int = VERSION) -> BayContent:
    carried = [CarriedFact(number, number, data) for number, data in enumerate(facts)]
    return BayContent(
        version=version, unit="unit-1", label="Medic 1", region="north", case=new_id(), drill=False,
        wall_ns=1, all_facts=len(facts), carried=carried,
    )  # fmt: skip


def some(size: int = 3000) -> list[str]:
    frames = frames_of(content([random.Random(size).randbytes(size)]))
    assert frames is not None
    return frames


def packed_as_frames(packed: bytes) -> list[str]:
    digest = hashlib.sha256(packed).hexdigest()[:16].upper()
    pieces = [packed[at : at + FRAME_BYTES] for at in range(0, len(packed), FRAME_BYTES)]
    return [
        f"FB1:{digest}:{number}:{len(pieces)}:{to_base45(piece)}"
        for number, piece in enumerate(pieces)
    ]


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=60), st.randoms())
def test_content_comes_back_from_frames_in_any_order_and_repeated(
    facts: list[bytes], chance: random.Random
) -> None:
    told = content(facts)
    frames = frames_of(told)
    assert frames is not None
    read = [*frames, *chance.choices(frames, k=3)]
    chance.shuffle(read)
    assert content_of(read) == told


def test_frames_are_what_qr_codes_hold_as_alphanumeric_text() -> None:
    for frame in some():
        assert set(frame) <= set(ALPHABET)
        assert len(frame) <= 909, "version 19 at level M (ISO/IEC 18004, table 7)"


@given(st.binary(max_size=200))
def test_base45_comes_back(data: bytes) -> None:
    assert from_base45(to_base45(data)) == data


def test_base45_is_that_of_the_standard() -> None:
    """RFC 9285, sections 4.3 and 4.4."""
    assert to_base45(b"Hello!!") == "%69 VD92EX0"
    assert from_base45("QED8WEX0") == b"ietf!"


@pytest.mark.parametrize("text", ["A", "GGW", "::", "ab0", "QED8WEX"])
def test_base45_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BayCodeError):
        from_base45(text)


@given(st.integers(1, 5))
def test_missing_frames_are_counted(lost: int) -> None:
    frames = some()
    with pytest.raises(BayCodeError, match=f"{lost} of {len(frames)} QR codes were not read"):
        content_of(frames[lost:])


def test_frames_of_two_handovers_are_not_mixed() -> None:
    with pytest.raises(BayCodeError, match="two hand-overs"):
        content_of([*some(3000)[:-1], some(2999)[-1]])


def test_frame_with_another_count_or_beyond_it_is_refused() -> None:
    frames = some()
    head, digest, _, count, data = frames[0].split(":", 4)
    for index, told in ((count, count), ("0", str(MOST_FRAMES + 1)), ("0", "0")):
        with pytest.raises(BayCodeError):
            content_of([f"{head}:{digest}:{index}:{told}:{data}"])


def test_damaged_frame_is_noticed_by_the_digest() -> None:
    frames = some()
    other = frames[1].split(":", 4)[4]
    frames[0] = ":".join([*frames[0].split(":", 4)[:4], other])
    with pytest.raises(BayCodeError, match="do not fit together"):
        content_of(frames)


def test_frame_read_twice_with_another_content_is_refused() -> None:
    frames = some()
    other = frames[1].split(":", 4)[4]
    with pytest.raises(BayCodeError, match="read twice"):
        content_of([*frames, ":".join([*frames[0].split(":", 4)[:4], other])])


def test_zip_bomb_is_not_unpacked() -> None:
    packed = zlib.compress(bytes(30_000_000), 9)
    assert len(packed) <= MOST_PACKED
    with pytest.raises(BayCodeError, match="hold more than"):
        content_of(packed_as_frames(packed))


def test_truncated_and_foreign_content_is_refused() -> None:
    whole = zlib.compress(msgspec.msgpack.encode(content([b"x" * 50])), 9)
    for packed in (whole[:-5], whole + b"more", b"no zlib at all", zlib.compress(b"\xc1")):
        with pytest.raises(BayCodeError):
            content_of(packed_as_frames(packed))


def test_other_version_is_refused_with_both_numbers() -> None:
    frames = frames_of(content([b"x"], version=2))
    assert frames is not None
    with pytest.raises(BayCodeError, match=r"version 2, this is 1"):
        content_of(frames)


def test_too_much_for_qr_codes_makes_none() -> None:
    assert frames_of(content([random.Random(1).randbytes(MOST_PACKED)])) is None


@given(st.lists(st.text(max_size=80), max_size=4))
def test_any_text_before_the_camera_is_refused_in_words(texts: list[str]) -> None:
    with pytest.raises(BayCodeError):
        content_of(texts)


@given(st.lists(st.text(ALPHABET, min_size=1, max_size=80), min_size=1, max_size=4))
def test_any_frame_of_our_shape_is_refused_in_words(texts: list[str]) -> None:
    with pytest.raises(BayCodeError):
        content_of(
            f"FB1:0123456789ABCDEF:{index}:{len(texts)}:{text}" for index, text in enumerate(texts)
        )
