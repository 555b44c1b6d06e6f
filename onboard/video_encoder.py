"""Video encoders whose bit rate stays within one publication's own bounds.

aiortc keeps the range in constants of its modules, 250 kbit/s to 1.5 Mbit/s for VP8: that starves
everything else on a thin link, and a change there would reach every camera of the process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from aiortc import RTCRtpSender
from aiortc.codecs import h264, vpx

LEAST_BITRATE_BPS = 100_000
"""Below it 640x480 is no picture: cut the video instead."""

_START_BPS = 1_000_000


@dataclass(slots=True)
class BitrateBounds:
    """The range, in bit/s, in which an encoder follows what the receiver asks for."""

    least_bps: int
    most_bps: int

    def clamp(self, bitrate_bps: int) -> int:
        """Return the nearest bit rate within the bounds."""
        return max(min(self.least_bps, self.most_bps), min(bitrate_bps, self.most_bps))


class _Bounded:
    """Replaces an aiortc encoder's ``target_bitrate``; its ``encode`` asks for it each picture."""

    def __init__(self, bounds: BitrateBounds) -> None:
        """Begin at the most the bounds allow, up to 1 Mbit/s."""
        super().__init__()
        self._bounds = bounds
        self._asked_bps = _START_BPS

    @property
    def target_bitrate(self) -> int:
        """What was asked for last, within the bounds of now; in bit/s."""
        return self._bounds.clamp(self._asked_bps)

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._asked_bps = bitrate


class BoundedVp8Encoder(_Bounded, vpx.Vp8Encoder):
    """VP8 within bounds."""


class BoundedH264Encoder(_Bounded, h264.H264Encoder):
    """H.264 within bounds."""


def give_encoder(
    sender: RTCRtpSender, codec: Literal["VP8", "H264"], bounds: BitrateBounds
) -> None:
    """Give a video sender its encoder before aiortc makes one; the bounds may change meanwhile."""
    encoder: Any = BoundedVp8Encoder(bounds) if codec == "VP8" else BoundedH264Encoder(bounds)
    sender._RTCRtpSender__encoder = encoder  # type: ignore[attr-defined]
