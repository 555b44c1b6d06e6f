"""The time code in the picture: written, compressed, scaled, read back; damage is noticed."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streams.timecode import read_time_code, write_time_code

unhurried = settings(deadline=None)
"""A busy machine is no failure."""

NOW_MS = 1_795_000_000_000
times = st.integers(min_value=0, max_value=4_000_000_000_000)


def picture(width: int, height: int, seed: int) -> NDArray[np.uint8]:
    """A YUV 4:2:0 picture of coarse noise, shape (height * 3 // 2, width)."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height * 3 // 2 // 8 + 1, width // 8 + 1), dtype=np.uint8)
    return np.kron(coarse, np.ones((8, 8), dtype=np.uint8))[: height * 3 // 2, :width].copy()


def draw(image: NDArray[np.uint8], unix_ms: int) -> None:
    """Draw a time code into a picture of `picture`."""
    height, width = image.shape[0] * 2 // 3, image.shape[1]
    chroma = image[height:].reshape(2, height // 2, width // 2)
    write_time_code(image[:height], (chroma[0], chroma[1]), unix_ms)


def compress(images: list[NDArray[np.uint8]], bit_rate: int) -> list[av.VideoFrame]:
    """Pass pictures through libvpx, set as aiortc sets it."""
    encoder = av.CodecContext.create("libvpx", "w")
    decoder = av.CodecContext.create("libvpx", "r")
    assert isinstance(encoder, VideoCodecContext)
    assert isinstance(decoder, VideoCodecContext)
    height, width = images[0].shape[0] * 2 // 3, images[0].shape[1]
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.bit_rate, encoder.time_base = bit_rate, Fraction(1, 25)
    encoder.options = {"deadline": "realtime", "cpu-used": "-6", "lag-in-frames": "0"}
    frames = []
    for index, image in enumerate(images):
        frame = av.VideoFrame.from_ndarray(image, format="yuv420p")
        frame.pts = index
        for packet in encoder.encode(frame):
            frames += decoder.decode(packet)
    return frames


def luma_of(frame: av.VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
    """The luma plane of a frame at another scale."""
    scaled = frame.reformat(width=width, height=height, format="yuv420p").to_ndarray()
    return np.ascontiguousarray(scaled[:height]).astype(np.uint8)


@unhurried
@given(unix_ms=times, seed=st.integers(0, 2**32 - 1))
def test_time_code_written_into_any_picture_is_read_back(unix_ms: int, seed: int) -> None:
    image = picture(320, 240, seed)
    draw(image, unix_ms)
    assert read_time_code(image[:240], unix_ms + 12_345) == unix_ms


@pytest.mark.parametrize("size", [(640, 480), (640, 360), (640, 272), (1280, 720), (322, 182)])
@given(unix_ms=times)
@settings(deadline=None, max_examples=20)
def test_time_code_of_any_size_is_read_back_at_320_pixels(
    size: tuple[int, int], unix_ms: int
) -> None:
    width, height = size
    image = picture(width, height, 7)
    draw(image, unix_ms)
    frame = av.VideoFrame.from_ndarray(image[: height * 3 // 2], format="yuv420p")
    small = luma_of(frame, 320, height * 320 // width // 2 * 2)
    assert read_time_code(small, unix_ms) == unix_ms


@given(first_ms=times)
@settings(max_examples=8, deadline=None)
def test_time_code_after_vp8_at_a_low_bit_rate_is_read_at_every_frame(first_ms: int) -> None:
    images = []
    for index in range(12):
        image = picture(640, 480, 3)  # the same scene; only the code changes
        draw(image, first_ms + 40 * index)
        images.append(image)
    frames = compress(images, bit_rate=250_000)
    assert len(frames) == 12
    for index, frame in enumerate(frames):
        assert read_time_code(luma_of(frame, 640, 480), NOW_MS) is not None
        found = read_time_code(luma_of(frame, 320, 240), first_ms)
        assert found == first_ms + 40 * index


@unhurried
@given(seed=st.integers(0, 2**32 - 1))
def test_picture_without_a_time_code_reads_as_none(seed: int) -> None:
    assert read_time_code(picture(640, 480, seed)[:480], NOW_MS) is None


@unhurried
@given(unix_ms=times, column=st.integers(2, 25), row=st.integers(0, 1))
def test_time_code_with_one_wrong_cell_reads_as_none(unix_ms: int, column: int, row: int) -> None:
    image = picture(640, 480, 1)
    draw(image, unix_ms)
    cell = image[row * 20 : row * 20 + 20, column * 20 : column * 20 + 20]
    cell[:] = 250 - cell
    assert read_time_code(image[:480], unix_ms) is None


@pytest.mark.parametrize("level", [0, 128, 255])
def test_picture_of_one_colour_reads_as_none(level: int) -> None:
    assert read_time_code(np.full((240, 320), level, dtype=np.uint8), NOW_MS) is None


def test_time_code_near_its_wrap_keeps_the_upper_bits() -> None:
    wrap = (1 << 40) * 2
    image = picture(320, 240, 0)
    draw(image, wrap - 1)
    assert read_time_code(image[:240], wrap + 5) == wrap - 1
    draw(image, wrap + 3)
    assert read_time_code(image[:240], wrap - 9) == wrap + 3


def test_time_code_in_a_picture_too_small_is_refused() -> None:
    image = picture(96, 64, 0)
    with pytest.raises(ValueError, match="too small"):
        draw(image, NOW_MS)
