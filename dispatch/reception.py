"""What the receiving side of an RTP stream knows and asks for: loss, repairs, key frames, rate.

Pure decisions; each takes ``now`` in seconds of a monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dispatch.rtp import sequence_distance

MAX_LOST = (1 << 23) - 1


@dataclass(slots=True)
class Reception:
    """Counts of one received stream, for receiver reports (RFC 3550, section 6.4 and A.3, A.8).

    Attributes:
        clock_rate: Of the codec, in Hz.
        received: Packets that arrived.
    """

    clock_rate: int
    received: int = 0
    _base: int | None = None
    _highest: int = 0
    _jitter_q4: int = 0
    _transit: int | None = None
    _expected_before: int = 0
    _received_before: int = 0

    def take(self, sequence: int, timestamp: int, now: float) -> None:
        """Count one packet that arrived at ``now``."""
        self.received += 1
        if self._base is None:
            self._base = self._highest = sequence
        else:
            distance = sequence_distance(sequence, self._highest & 0xFFFF)
            if distance > 0:
                self._highest += distance
        transit = int(now * self.clock_rate) - timestamp & 0xFFFFFFFF
        if self._transit is not None:
            difference = transit - self._transit & 0xFFFFFFFF
            if difference & 0x80000000:
                difference = 0x100000000 - difference
            self._jitter_q4 += difference - ((self._jitter_q4 + 8) >> 4)
        self._transit = transit

    @property
    def highest(self) -> int:
        """Extended highest sequence number received, 32 bits."""
        return self._highest & 0xFFFFFFFF

    @property
    def lost(self) -> int:
        """Packets lost since the start, as reports clamp it."""
        expected = 0 if self._base is None else self._highest - self._base + 1
        return max(-MAX_LOST - 1, min(expected - self.received, MAX_LOST))

    @property
    def jitter(self) -> int:
        """Interarrival jitter, in units of the clock rate."""
        return self._jitter_q4 >> 4

    def take_fraction_lost(self) -> int:
        """Return the loss since the last call as parts of 256, and start a new interval."""
        expected = 0 if self._base is None else self._highest - self._base + 1
        expected_now = expected - self._expected_before
        received_now = self.received - self._received_before
        self._expected_before, self._received_before = expected, self.received
        lost = expected_now - received_now
        return 0 if expected_now <= 0 or lost <= 0 else min(255, (lost << 8) // expected_now)


@dataclass(slots=True)
class Repairs:
    """Which packets are missing and when to ask for them again (RFC 4585, generic NACK).

    Each is asked for at most ``attempts`` times, ``interval_s`` apart; at most ``limit`` are
    followed at once, so a long gap costs a key frame and not a flood of requests.

    Attributes:
        given_up: Packets that are not asked for any more.
    """

    interval_s: float = 0.06
    attempts: int = 4
    limit: int = 64
    given_up: int = 0
    _highest: int | None = None
    _missing: dict[int, tuple[int, float]] = field(default_factory=dict)

    def gap(self, sequence: int) -> int:
        """Return how many packets are missing right before one that arrives."""
        if self._highest is None:
            return 0
        return max(0, sequence_distance(sequence, self._highest) - 1)

    def take(self, sequence: int, now: float) -> list[int]:
        """Take one arrived packet; return the sequence numbers to ask for now, in order."""
        if self._highest is None:
            self._highest = sequence
            return []
        distance = sequence_distance(sequence, self._highest)
        if distance == 1 and not self._missing:
            self._highest = sequence
            return []
        if distance > 0:
            if distance - 1 > self.limit:
                self.given_up += distance - 1
                self._missing.clear()
            else:
                for step in range(1, distance):
                    self._missing[self._highest + step & 0xFFFF] = (0, now)
            self._highest = sequence
        else:
            self._missing.pop(sequence, None)
        return self._due(now)

    def _due(self, now: float) -> list[int]:
        while len(self._missing) > self.limit:
            self._missing.pop(next(iter(self._missing)))  # the oldest
            self.given_up += 1
        asked = []
        for sequence, (attempt, due) in list(self._missing.items()):
            if now < due:
                continue
            if attempt >= self.attempts:
                del self._missing[sequence]
                self.given_up += 1
                continue
            self._missing[sequence] = (attempt + 1, now + self.interval_s)
            asked.append(sequence)
        return asked


@dataclass(slots=True)
class KeyFrameRequests:
    """When to ask the source for a key frame: many wishes make one request.

    Attributes:
        interval_s: The least time between two requests; wishes in between wait for its end.
        patience_s: A request without an answer is made again after this time; sooner would
            pile key frames on a link that is already late.
        wanted: Whether somebody waits for a key frame.
        asked: Requests made.
    """

    interval_s: float = 0.5
    patience_s: float = 1.5
    wanted: bool = False
    asked: int = 0
    _asked_at: float | None = None
    _unanswered: bool = False

    def want(self, now: float) -> bool:
        """Note that somebody needs a key frame; return whether to ask the source now."""
        self.wanted = True
        return self.is_due(now)

    def is_due(self, now: float) -> bool:
        """Whether to ask the source now; when true the caller asks and it is counted."""
        if not self.wanted:
            return False
        wait = self.patience_s if self._unanswered else self.interval_s
        if self._asked_at is not None and now < self._asked_at + wait:
            return False
        self._asked_at, self._unanswered = now, True
        self.asked += 1
        return True

    def arrived(self) -> None:
        """Note that a key frame begins: it serves everybody who waits."""
        self.wanted = self._unanswered = False

    def forget(self) -> None:
        """Forget the last request: the source is a new one and was never asked."""
        self._asked_at, self._unanswered = None, False


@dataclass(slots=True)
class RepairBudget:
    """How many retransmissions a viewer may have: a share of what it was sent, with a burst.

    Without it, repairs answered on a full link become the load that keeps it full.
    """

    share: float = 0.25
    burst: float = 48.0
    _tokens: float = 48.0

    def sent(self) -> None:
        """Count one packet sent in the normal way."""
        if self._tokens < self.burst:
            self._tokens += self.share

    def take(self) -> bool:
        """Return whether one retransmission is allowed, and count it."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def agree_bitrate(uplink_bps: int | None, viewers_bps: Iterable[int]) -> int | None:
    """Return the bit rate to ask of the source, or None when nothing is known.

    The source's own link counts always. Of the viewers the *best* counts: a hospital on a thin
    line must not blur the picture for the others.
    """
    best = max(viewers_bps, default=None)
    known = [rate for rate in (uplink_bps, best) if rate is not None]
    return min(known) if known else None


@dataclass(slots=True)
class SteadyBitrate:
    """Keeps the figure told to the source steady.

    aiortc's encoder starts anew, with a key frame, at each change over 10 %: so a higher rate
    is told only after ``hold_s``, and only when it is worth it; a lower one at once.
    """

    hold_s: float = 4.0
    gain: float = 1.15
    told_bps: int | None = None
    _raised_at: float = 0.0

    def update(self, target_bps: int, now: float) -> int:
        """Take a new target and return the rate to tell."""
        told = self.told_bps
        falls = told is None or target_bps < 0.9 * told
        may_rise = now >= self._raised_at + self.hold_s
        if falls or (may_rise and target_bps > self.gain * (told or 0)):
            self.told_bps, self._raised_at = target_bps, now
        return self.told_bps or target_bps
