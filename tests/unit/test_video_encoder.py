"""Video encoders keep to their own publication's bounds, and to nobody else's."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from onboard.video_encoder import BitrateBounds, BoundedH264Encoder, BoundedVp8Encoder

ENCODERS = [BoundedVp8Encoder, BoundedH264Encoder]


def picture(pts: int) -> av.VideoFrame:
    rng = np.random.default_rng(pts)
    frame = av.VideoFrame.from_ndarray(
        rng.integers(0, 255, (240, 320, 3), dtype=np.uint8), format="rgb24"
    )
    frame.pts, frame.time_base = pts, Fraction(1, 90_000)
    return frame


@pytest.mark.parametrize("kind", ENCODERS)
def test_target_stays_within_bounds_that_change_meanwhile(kind: type) -> None:
    bounds = BitrateBounds(100_000, 400_000)
    encoder = kind(bounds)
    assert encoder.target_bitrate == 400_000
    encoder.target_bitrate = 1
    assert encoder.target_bitrate == 100_000
    bounds.least_bps = bounds.most_bps = 250_000
    assert encoder.target_bitrate == 250_000
    bounds.most_bps = 64_000  # a rung below the least: the most counts
    assert encoder.target_bitrate == 64_000


@pytest.mark.parametrize("kind", ENCODERS)
def test_coder_itself_works_at_the_bounded_rate(kind: type) -> None:
    bounds = BitrateBounds(100_000, 300_000)
    encoder = kind(bounds)
    encoder.encode(picture(0))
    assert encoder.codec.bit_rate == 300_000
    bounds.most_bps = 150_000
    encoder.encode(picture(3000))
    assert encoder.codec.bit_rate == 150_000


def test_encoders_of_one_process_do_not_share_bounds() -> None:
    thin, wide = BitrateBounds(100_000, 150_000), BitrateBounds(100_000, 2_000_000)
    one, other = BoundedVp8Encoder(thin), BoundedVp8Encoder(wide)
    other.target_bitrate = 2_000_000
    assert (one.target_bitrate, other.target_bitrate) == (150_000, 2_000_000)
