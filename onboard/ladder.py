"""The degradation ladder: what a vehicle sends on how wide a link. Pure: no clock, no I/O.

``RUNGS`` is the declared table, best first. Bit rate goes first, then frame rate, resolution,
the moving picture, sound, and the live waveform last; vital signs and facts are on no rung.

``Ladder.decide`` takes what was measured and says which rung holds from now on:

* a queue, loss or a late vital sign is *trouble*: it says that something is wrong, not how much
  the link carries. The pacer holds the video back at once (``brake``); a train of probes over the
  emptied link then says what it carries, and one move goes straight to the rung that fits;
* up only when a train showed room for more than the rung needs;
* at most one move up and one down in any ``STEP_EVERY_S``; a try upwards that failed makes the
  next one wait, unless the link has shown clearly more than at that try.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Literal

from onboard.path_probe import DOUBTED

STEP_EVERY_S = 10.0
"""At most one move up and one move down in any so long time."""

QUEUE_S, QUEUE_FOR_S, LONG_QUEUE_S = 0.3, 0.4, 0.8
"""A queue is trouble when it stands at the first for the second, or reaches the third at all."""

LOST = 0.15
"""Share of pings lost that is trouble."""

LATE_S = 1.5
"""An urgent fact or vital sign without a receipt for so long is trouble, if there is a queue."""

BLIND_S, HALF_BLIND_S = 2.5, 4.0
"""Trouble for so long without a measurement: the last rung. Video and live ECG are held meanwhile,
so a queue that stands all the same says that the link carries next to nothing. The second while
one train came back and the other that it takes did not yet."""

FRESH_S = 4.5
"""A measurement older than this says nothing."""

STAY, ROOM = 1.03, 1.15
"""Capacity over need at which a rung is kept, and at which it is tried."""

QUIET_S, QUIET_QUEUE_S, AFTER_DOWN_S = 2.0, 0.2, 5.0
"""Before a move up: time without trouble and with less queue than this (a block of the record
alone makes 0.15 s at 250 kbit/s), and time since the last move down."""

GROWING_S = 4.0
"""So long a move up waits while each train still shows more than the one before."""

FAILED_WITHIN_S, FIRST_PENALTY_S, MOST_PENALTY_S = 5.0, 20.0, 160.0
"""A down so soon after an up was a failed try; the next one waits, twice as long each time."""

UNTOLD_S = 10.0
"""So long what is live waits for a train at most, once the queue is gone."""

FALLS_OVER_S, FALLS_BY_S = 0.6, 0.15
"""A queue that became so much shorter in so long is being emptied: the train is waited for."""

_QUEUES = 30
"""Looks that are kept, for ``FALLS_OVER_S`` at several a second."""

CLEARLY_MORE = 1.5
"""Capacity over that of the failed try at which the penalty does not count."""

BRAKE_FROM_S, BRAKE_TO_S = 0.12, 0.35
"""Queue at which the video begins to be held back, and at which nothing of it is sent."""

_PACKETS = 1.06
"""Bytes on the link over bytes of video: RTP, SRTP, UDP and IP headers of full packets."""
_SOUND_BPS = 60_000
"""Opus at 32 kbit/s in 50 packets a second."""
_ECG_BPS = {(1, False): 42_000, (1, True): 27_000, (2, True): 18_000}
"""Live 12-lead ECG by (every n-th sample, joined frames), as measured at 500 Hz."""
_REST_BPS = 38_000
"""What no rung cuts: vital signs, facts, the ECG's record, receipts, pings."""

Picture = Literal["video", "stills", "off"]
Change = Literal["start", "down", "up"]
Reason = Literal["start", "room", "delay", "loss", "late", "capacity", "silence"]


@dataclass(frozen=True, slots=True)
class Rung:
    """One row of the table.

    Attributes:
        video_bps: Bit rate of the encoder; 0 without any picture.
        fps: The most pictures a second.
        scale: Divisor of width and height.
        picture: ``stills`` are single key frames of the same stream.
        sound: Whether sound is sent.
        ecg_every: Every n-th sample goes out live; the record keeps all.
        ecg_joined: Whether live frames of 100 ms are joined to three, for fewer headers.
        ecg_held: Whether no live frame goes, while a long queue is emptied; in no row of the table.
    """

    video_bps: int
    fps: float
    scale: int = 1
    picture: Picture = "video"
    sound: bool = True
    ecg_every: int = 1
    ecg_joined: bool = False
    ecg_held: bool = False

    @property
    def need_bps(self) -> float:
        """What a link must carry for it, everything included, in bits per second."""
        ecg = _ECG_BPS[self.ecg_every, self.ecg_joined]
        return self.video_bps * _PACKETS + self.sound * _SOUND_BPS + ecg + _REST_BPS


RUNGS = (
    Rung(1_500_000, 25),
    Rung(1_000_000, 25),
    Rung(500_000, 25),
    Rung(270_000, 12.5),
    Rung(180_000, 10, scale=2),
    Rung(70_000, 8, scale=2),
    Rung(20_000, 0.2, scale=2, picture="stills"),
    Rung(20_000, 0.2, scale=2, picture="stills", sound=False),
    Rung(0, 0, scale=2, picture="off", sound=False, ecg_joined=True),
    Rung(0, 0, scale=2, picture="off", sound=False, ecg_every=2, ecg_joined=True),
)
"""The table; its first row is what a camera of the usual settings gives."""

START = Rung(270_000, 12.5)
"""What is sent before anything is measured is no better than this."""


def rungs_for(most_bps: int, fps: float, *, sound: bool) -> tuple[Rung, ...]:
    """Return the table for a camera: its own settings first, nothing better below.

    Args:
        most_bps: The most that its video may take; 0 for a vehicle without a camera.
        fps: The most pictures a second.
        sound: Whether it has sound.
    """
    first = Rung(most_bps, fps if most_bps else 0, picture="video" if most_bps else "off")
    table: list[Rung] = []
    for rung in (first, *RUNGS):
        own = replace(
            rung,
            video_bps=min(rung.video_bps, most_bps),
            fps=min(rung.fps, first.fps),
            picture=rung.picture if most_bps else "off",
            scale=rung.scale if most_bps else 1,
            sound=rung.sound and sound,
        )
        if own.video_bps == 0:
            own = replace(own, picture="off", fps=0.0)
        if not table or own.need_bps < table[-1].need_bps:
            table.append(own)
    return tuple(table)


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of the path now.

    Attributes:
        queue_s: How long a packet stands in the queue of the uplink.
        loss: Share of pings lost, 0 to 1.
        capacity_bps: What the last train of probes showed; None before the first.
        capacity_at: When that train was sent, monotonic s.
        settled: Whether that train met the link's limit, or enough for everything; else the
            link may carry more, and the next train will tell.
        oldest_s: Age of the oldest urgent fact or vital sign without a receipt.
    """

    queue_s: float
    loss: float = 0.0
    capacity_bps: float | None = None
    capacity_at: float = 0.0
    settled: bool = False
    oldest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """A move.

    Attributes:
        rung: Number of the rung that holds from now on; 0 is the best.
        change: Which way.
        reason: Why: ``start``, ``room``, ``delay``, ``loss``, ``late`` (a vital sign),
            ``capacity`` (a train showed less than is needed), ``silence`` (nothing measurable).
    """

    rung: int
    change: Change
    reason: Reason


def brake(queue_s: float) -> float:
    """Return the share of its rate at which video may be sent over a queue, 1 to 0."""
    return min(1.0, max(0.0, (BRAKE_TO_S - queue_s) / (BRAKE_TO_S - BRAKE_FROM_S)))


class Ladder:
    """Decides on which rung of a table a vehicle stands.

    Attributes:
        rungs: The table, best first.
        rung: Number of the present one.
        placed: Whether a measurement has put it there.
    """

    def __init__(self, rungs: tuple[Rung, ...]) -> None:
        """Begin at a middle rung, before anything is measured."""
        self.rungs = rungs
        self.rung = _best(rungs, START.need_bps)
        self.placed = self._is_blind = False
        self._first: tuple[float, float] | None = None
        self._moved_at: dict[Change, float] = {}
        self._queues: deque[tuple[float, float]] = deque(maxlen=_QUEUES)
        self._queued_since: float | None = None
        self._trouble_since: float | None = None
        self._trouble: Reason = "delay"
        self._untold_since: float | None = None
        self._calm_since: float | None = None
        self._growing_since: float | None = None
        self._short_since: float | None = None
        self._unexplained_at = float("-inf")
        self._tried_bps = self._failed_bps = 0.0
        self._penalty_s, self._penalty_until = 0.0, float("-inf")

    @property
    def troubled(self) -> bool:
        """Whether something is wrong and a measurement is wanted at once."""
        return self._trouble_since is not None

    @property
    def waits(self) -> bool:
        """Whether a queue stood and no train has told yet what the link carries."""
        return self._untold_since is not None

    @property
    def doubts(self) -> bool:
        """Whether a train showed less than the rung needs, and a second one is wanted."""
        return self._short_since is not None

    @property
    def wants_more(self) -> bool:
        """Whether it stands below the best rung."""
        return self.rung > 0

    def decide(self, now: float, measured: Measured) -> Step | None:
        """Take what is measured at monotonic time ``now`` (s); return a move, if any.

        Call it several times a second.
        """
        fresh = _is_fresh(measured, now)
        self._note_trouble(now, measured)
        if not self.placed:
            return self._place(now, measured, fresh=fresh)
        return self._down(now, measured, fresh=fresh) or self._up(now, measured, fresh=fresh)

    def go_blind(self, now: float) -> Step | None:
        """Take single pictures, if better goes, for nothing tells what the link carries.

        The next two trains place it anew, as those of a new run.
        """
        if self._is_blind or not self._may("down", now):
            return None
        narrow = (
            n for n, rung in enumerate(self.rungs) if rung.picture != "video" and not rung.sound
        )
        target = next(narrow, len(self.rungs) - 1)
        before, self._is_blind = self.placed, True
        self.placed, self._first, self._trouble_since = False, None, None
        if target <= self.rung:
            return None
        if before:
            return self._move(target, "down", "silence", now)
        self.rung = target
        return Step(target, "start", "silence")

    def _place(self, now: float, measured: Measured, *, fresh: bool) -> Step | None:
        """Take the better of the first two trains: what else starts with a run may halve one.

        A second figure that is far below the first was itself seen twice (``onboard.path_probe``),
        and counts: the first train came bunched. Over a link that is full of what even the start
        sends there may be no second one, or none: then what the first showed, or the last rung,
        until there is another.
        """
        capacity = self._first[1] if self._first else 0.0
        reason: Reason = "start"
        since = self._trouble_since
        if fresh and measured.settled and self._is_enough_to_place(measured):
            second = measured.capacity_bps or 0
            capacity = second if second < DOUBTED * capacity else max(capacity, second)
        elif since is not None and now - since >= BLIND_S and measured.queue_s >= QUEUE_S:
            reason = "silence"
        else:
            return None
        self._tried_bps = capacity
        return self._begin_at(_best(self.rungs, capacity / ROOM), reason, now)

    def _is_enough_to_place(self, measured: Measured) -> bool:
        capacity = measured.capacity_bps or 0
        if self._first is None:
            self._first = (measured.capacity_at, capacity)
        second = measured.capacity_at > self._first[0]
        return second or _best(self.rungs, capacity / ROOM) == 0

    def _begin_at(self, rung: int, reason: Reason, now: float) -> Step:
        self.placed, self._is_blind, self._trouble_since = True, False, None
        if rung != self.rung:
            self._moved_at["up" if rung < self.rung else "down"] = now
        self.rung = rung
        return Step(rung, "start", reason)

    def _note_trouble(self, now: float, measured: Measured) -> None:
        self._queues.append((now, measured.queue_s))
        queued = measured.queue_s >= QUEUE_S
        self._queued_since = (self._queued_since or now) if queued else None
        stands = self._queued_since is not None and now - self._queued_since >= QUEUE_FOR_S
        reason: Reason | None = None
        if stands or measured.queue_s >= LONG_QUEUE_S:
            reason = "delay"
        elif measured.oldest_s >= LATE_S and measured.queue_s >= BRAKE_FROM_S:
            reason = "late"
        elif measured.loss >= LOST:
            reason = "loss"
        if reason is not None:
            self._trouble_since = self._trouble_since or now
            self._trouble = reason
        untold = self._untold_since
        if reason in ("delay", "late"):
            self._untold_since = untold or now
        elif untold is not None:
            told = measured.settled and measured.capacity_at >= untold
            if told or now - untold >= UNTOLD_S:
                self._untold_since = None
        calm = reason is None and measured.queue_s < QUIET_QUEUE_S
        self._calm_since = (self._calm_since or now) if calm else None

    def _down(self, now: float, measured: Measured, *, fresh: bool) -> Step | None:
        target, reason = self._lower(now, measured, fresh=fresh)
        if target <= self.rung or not self._may("down", now):
            return None
        if now - self._moved_at.get("up", float("-inf")) < FAILED_WITHIN_S:
            self._penalty_s = min(MOST_PENALTY_S, max(FIRST_PENALTY_S, 2 * self._penalty_s))
            self._penalty_until = now + self._penalty_s
            self._failed_bps = self._tried_bps
        self._trouble_since = self._short_since = None
        return self._move(target, "down", reason, now)

    def _lower(self, now: float, measured: Measured, *, fresh: bool) -> tuple[int, Reason]:
        """Return the rung to go down to, the present one for none, and why."""
        since = self._trouble_since
        told = fresh and measured.settled
        fits = self._fits(measured)
        if since is not None:
            if told and measured.capacity_at >= since:
                self._trouble_since = None  # this train answers it, whatever it says
                return self._answer(now, fits), self._trouble
            patience_s = BLIND_S if measured.capacity_at < since else HALF_BLIND_S
            stands = measured.queue_s >= QUEUE_S and not self._is_falling(now)
            if now - since >= patience_s and stands:
                return len(self.rungs) - 1, "silence"
            if self._calm_since is not None and now - self._calm_since >= QUIET_S:
                self._trouble_since = None
        short = told and fits > self.rung
        if not short:
            self._short_since = None
        elif self._short_since is None:
            self._short_since = measured.capacity_at
        elif measured.capacity_at > self._short_since:
            return fits, "capacity"  # the second train in a row that says so
        return self.rung, "capacity"

    def _is_falling(self, now: float) -> bool:
        """Whether the queue gets shorter fast enough for a train to leave soon."""
        before = next((queue_s for at, queue_s in self._queues if at >= now - FALLS_OVER_S), 0.0)
        return before - self._queues[-1][1] >= FALLS_BY_S

    def _answer(self, now: float, fits: int) -> int:
        """Return the rung to go down to after trouble: one down if trains see no cause twice.

        Some links let a short train pass and hold up what goes on for longer. Loss alone is no
        such sign: a radio loses as much of less.
        """
        if fits > self.rung or self._trouble == "loss":
            return fits
        before, self._unexplained_at = self._unexplained_at, now
        last = len(self.rungs) - 1
        return min(self.rung + 1, last) if now - before < STEP_EVERY_S else self.rung

    def _fits(self, measured: Measured) -> int:
        """Return the present rung if it may be kept, else the best that fits with room."""
        capacity = measured.capacity_bps or 0
        if capacity >= STAY * self.rungs[self.rung].need_bps:
            return self.rung
        return max(self.rung, _best(self.rungs, capacity / STAY))

    def _up(self, now: float, measured: Measured, *, fresh: bool) -> Step | None:
        capacity = measured.capacity_bps if fresh else None
        target = _best(self.rungs, capacity / ROOM) if capacity else self.rung
        if target >= self.rung or capacity is None:
            self._growing_since = None
            return None
        if not measured.settled:
            self._growing_since = self._growing_since or now
            if now - self._growing_since < GROWING_S:
                return None
        calm = self._calm_since is not None and now - self._calm_since >= QUIET_S
        since_down = now - self._moved_at.get("down", float("-inf"))
        if not calm or self.troubled or since_down < AFTER_DOWN_S or not self._may("up", now):
            return None
        if now < self._penalty_until and capacity < CLEARLY_MORE * self._failed_bps:
            return None
        if now - self._penalty_until > self._penalty_s:
            self._penalty_s = 0.0  # the last failure is long ago
        self._tried_bps, self._growing_since = capacity, None
        return self._move(target, "up", "room", now)

    def _may(self, change: Change, now: float) -> bool:
        return now - self._moved_at.get(change, float("-inf")) >= STEP_EVERY_S

    def _move(self, rung: int, change: Change, reason: Reason, now: float) -> Step:
        self.rung, self._moved_at[change] = rung, now
        return Step(rung, change, reason)


def _is_fresh(measured: Measured, now: float) -> bool:
    return measured.capacity_bps is not None and now - measured.capacity_at <= FRESH_S


def _best(rungs: tuple[Rung, ...], capacity_bps: float) -> int:
    """Return the best rung that needs no more; the last one if none does."""
    fitting = (n for n, rung in enumerate(rungs) if rung.need_bps <= capacity_bps)
    return next(fitting, len(rungs) - 1)
