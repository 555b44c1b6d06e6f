"""The pace of what a vehicle sends as video: no packet of it leaves before its time.

aiortc sends all packets of a picture in one burst: a key frame of 30 kB blocks a link of
400 kbit/s for 600 ms, and whatever else is to go over it waits. ``Pace`` is the pure decision;
``VideoValve`` stands where an aiortc sender meets its transport. While a picture's packets wait,
the sender fetches no new one, and the camera's track then gives the newest: a link that is too
narrow costs pictures, never delay.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

from aiortc import RTCRtpSender

BURST_BYTES = 2500
"""What may leave at once: two packets."""

REPAIRS_BURST_BYTES = 14_400
"""What may be sent again at once, twelve packets. A link that turns narrow drops a whole second of
video; asked for and sent again at once, it fills the link for a second more."""

REPAIRS_SHARE = 0.2
"""Share of the bit rate that may be sent again, on the viewers' request."""

KEY_FRAMES_SHARE = 0.25
"""Share of the bit rate that key frames may take; requests in between are left to be repeated."""

_KEY_FRAME_BYTES = 20_000
_LOOK_EVERY_S = 0.05
_RTCP = range(192, 224)  # RFC 5761, section 4


class Pace:
    """A token bucket: how soon a packet may leave. Pure; times are monotonic, in s."""

    def __init__(self, rate_bps: float, burst_bytes: float = BURST_BYTES) -> None:
        """Begin with a full bucket."""
        self._rate = rate_bps / 8
        self._burst = self._room = burst_bytes
        self._at = -math.inf

    def change(self, rate_bps: float, now: float) -> None:
        """Let another rate hold from ``now`` on; 0 holds everything."""
        self._fill(now)
        self._rate = rate_bps / 8

    def empty(self) -> None:
        """Let nothing leave before the rate has made room for it."""
        self._room = min(self._room, 0.0)

    def take(self, size: int, now: float) -> float:
        """Take the room for ``size`` bytes, or return after how long there may be enough.

        A packet larger than the bucket goes when the bucket is full, and leaves a debt.

        Returns:
            0 when it may leave now, and is counted; else seconds, infinite at rate 0.
        """
        self._fill(now)
        missing = min(size, self._burst) - self._room
        if missing > 0:
            return missing / self._rate if self._rate > 0 else math.inf
        self._room -= size
        return 0.0

    def _fill(self, now: float) -> None:
        if self._at == -math.inf:
            self._at = now
        self._room = min(self._burst, self._room + max(0.0, now - self._at) * self._rate)
        self._at = max(self._at, now)


class VideoValve:
    """Paces one camera's video, its repairs and its key frames, over all its connections.

    Attributes:
        repairs_denied: Packets not sent again because of the budget.
        key_frames_denied: Requests for a key frame that came too soon after the last.
        held_s: Time that packets waited.
    """

    def __init__(self, repairs_per_s: float) -> None:
        """Begin without a pace: packets leave as they come until ``steer`` is called."""
        self.repairs_denied = self.key_frames_denied = 0
        self.held_s = 0.0
        self._pace: Pace | None = None
        self._most_repairs_bps = repairs_per_s * 8 * 1200
        self._repairs = Pace(self._most_repairs_bps, REPAIRS_BURST_BYTES)
        self._key_frame_every_s = 0.0
        self._key_frame_at = -math.inf

    def steer(self, video_bps: float, pace_bps: float, scale: int = 1) -> None:
        """Let other rates hold from now on.

        Args:
            video_bps: Of the encoder: repairs and key frames get their share of it.
            pace_bps: At which packets may leave; 0 holds them.
            scale: Divisor of the picture's width and height: smaller ones have smaller key frames.
        """
        now = time.monotonic()
        if self._pace is None:
            self._pace = Pace(pace_bps)
        self._pace.change(pace_bps, now)
        self._repairs.change(min(self._most_repairs_bps, REPAIRS_SHARE * pace_bps), now)
        if not pace_bps:
            self._repairs.empty()
        bits = 8 * _KEY_FRAME_BYTES / scale**2
        self._key_frame_every_s = bits / (KEY_FRAMES_SHARE * video_bps) if video_bps else 0.0

    def fit(self, sender: RTCRtpSender) -> None:
        """Put the valve between a video sender and its transport, once it is negotiated.

        Three methods of instances are replaced: the transport's ``_send_rtp``, and the sender's
        ``_retransmit`` and ``_send_keyframe``, which aiortc calls on the viewers' request.
        """
        transport: Any = sender.transport
        send, send_again, begin_key_frame = (
            transport._send_rtp, sender._retransmit, sender._send_keyframe,
        )  # fmt: skip
        source = sender._ssrc.to_bytes(4, "big")
        repairing = False

        async def send_in_time(data: bytes) -> None:
            nonlocal repairing
            if data[8:12] == source and data[1] not in _RTCP and not repairing:
                await self._wait(len(data))
            repairing = False
            await send(data)

        async def send_again_within_budget(sequence_number: int) -> None:
            nonlocal repairing
            if self._repairs.take(1200, time.monotonic()):
                self.repairs_denied += 1
                return
            # It never waits: RTCP is read by the same task. The flag is read before any pause.
            repairing = True
            try:
                await send_again(sequence_number)
            finally:
                repairing = False

        def begin_key_frame_in_time() -> None:
            now = time.monotonic()
            if now - self._key_frame_at < self._key_frame_every_s:
                self.key_frames_denied += 1
                return
            self._key_frame_at = now
            begin_key_frame()

        transport._send_rtp = send_in_time
        sender._retransmit = send_again_within_budget  # type: ignore[method-assign]
        sender._send_keyframe = begin_key_frame_in_time  # type: ignore[method-assign]

    async def _wait(self, size: int) -> None:
        if self._pace is None:
            return
        began = time.monotonic()
        while wait_s := self._pace.take(size, time.monotonic()):  # noqa: ASYNC110 - time is it
            await asyncio.sleep(min(wait_s, _LOOK_EVERY_S))
        self.held_s += time.monotonic() - began
