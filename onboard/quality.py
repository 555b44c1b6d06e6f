"""Keeps a run on the right rung of the ladder: measures, decides, obeys, and says so.

    hub's echoes ──▶ PathProbe ──▶ Ladder ──▶ camera, sound, live ECG
                                     └──────▶ a fact for each move, the tablet, metrics

The decisions are in ``ladder``, the measurements in ``path_probe``; here is only their clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog
from prometheus_client import Counter, Gauge

from onboard.ladder import ROOM, Ladder, Measured, Rung, Step, brake
from onboard.path_probe import PathProbe, PathState
from onboard.record_pace import RecordLimit, RecordPace
from streams.messages import QualityStep

TICK_S = 0.1
PING_EVERY_S, PING_NARROW_EVERY_S = 0.2, 0.4
"""A ping costs 1 kbit for each of the uplink's two packets: fewer where that counts."""

TRAIN_EVERY_S, TRAIN_AT_BEST_EVERY_S, TRAIN_SOON_S = 3.0, 10.0, 0.3
"""Between trains: below the best rung, on it, and while there is a question open."""

TRAIN_QUEUE_S, TRAIN_ANYWAY_S = 0.1, 15.0
"""No train is sent into a longer queue, unless there was none for so long: it would lengthen it."""

CAREFUL_TRAIN_QUEUE_S = 0.3
"""The same for the small trains after trouble."""

ECG_BPS = 60_000
"""What a 12-lead ECG at 500 Hz takes, live and as record; the table counts with one of these."""

HOLD_S, HOLD_WITHOUT_PATH_S = 4.0, 8.0
"""So long video and sound wait for the trains of a new path, and for such a path at all."""

STALL_S, STALLED_FOR_S = 0.15, 0.5
"""A tick that comes so late means that this machine stood still, not the link: for so long after
it nothing is decided."""

OLDEST_EVERY_S = 0.5
PACE_OVER_RATE, PACE_MOST_OVER_RATE, PACE_OF_CAPACITY = 1.3, 4.0, 0.7
"""Video leaves at 0.7 of what the link is known to carry, within 1.3 to 4 times its rate; on a
link that has enough for everything, at the most."""

EMPTY_FROM_S, EMPTIED_S = 0.6, 0.3
"""Over a queue so long nothing live is sent until it is down to the second and a train has told
what the link carries: it would come late, and keep late what must not be. A second of live ECG is
worth less than the next vital sign, and the record has it."""

JOIN_QUEUE_S = 0.05
"""Before the first choice ECG frames are joined only when this much stands before them."""

RUNG = Gauge("forerun_quality_rung", "Rung of the degradation ladder; 0 is full quality")
STEPS = Counter("forerun_quality_steps_total", "Moves on the ladder", ["change", "reason"])
CAPACITY = Gauge("forerun_path_capacity_bps", "What the uplink carried in the last probe train")
ROUND_TRIP = Gauge("forerun_path_round_trip_seconds", "Of the newest probe of the media path")
QUEUE = Gauge("forerun_path_queue_seconds", "Standing queue of the uplink")
LOSS = Gauge("forerun_path_loss_ratio", "Share of the probes of the last seconds that were lost")

NOTHING_KNOWN = PathProbe(0.0).look(0.0)
"""State of a path of which nothing is known."""

log = structlog.get_logger(__name__)


class Path(Protocol):
    """The part of ``LiveEcg`` that is used here."""

    echoed: Callable[[bytes], None]

    @property
    def connected(self) -> bool:
        """Whether there is a path."""

    @property
    def paths(self) -> int:
        """Paths built so far."""

    def send_probe(self, burst: Sequence[bytes]) -> bool:
        """Send probes now, or not at all."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What goes out now, for the tablet.

    Attributes:
        step: The newest move; None before the first.
        since_ns: Wall clock of it.
        state: The newest measurement; None without a path.
    """

    step: QualityStep | None
    since_ns: int
    state: PathState | None


class QualityControl:
    """Runs with the run."""

    def __init__(
        self,
        rungs: tuple[Rung, ...],
        path: Path,
        *,
        obey: Callable[[Rung, float], None],
        limit_record: Callable[[RecordLimit], None],
        size: Callable[[], tuple[int, int]],
        oldest_s: Callable[[], float],
        ecg_load: Callable[[], float],
        make: Callable[[QualityStep], None],
        wall_ns: Callable[[], int],
    ) -> None:
        """Prepare.

        Args:
            rungs: The table.
            path: Where the probes go.
            obey: Has a rung obeyed, with the pace of the video in bits per second.
            limit_record: Has no more of the ECG's record sent than this.
            size: Tells width and height of the published picture; (0, 0) without a camera.
            oldest_s: Tells the age of the oldest urgent fact or vital sign without a receipt.
            ecg_load: Tells how much ECG is recorded, in 12-lead ECGs at 500 Hz.
            make: Makes the fact of a move; does not raise.
            wall_ns: This machine's wall clock.
        """
        self.changed: Callable[[], None] = lambda: None
        self.view = Quality(None, wall_ns(), None)
        self._rungs = rungs
        self._path = path
        self._obey, self._limit_record, self._size = obey, limit_record, size
        self._oldest_of, self._make, self._wall_ns = oldest_s, make, wall_ns
        self._ecg_load = ecg_load
        self._oldest_s = 0.0
        self._begin()

    def _begin(self) -> None:
        self._ladder = Ladder(self._rungs)
        self._paths = 0
        self._path_is_new(time.monotonic())
        self._lost_at = time.monotonic()
        self._ticked_at = time.monotonic()
        self._stalled_until = self._oldest_due = 0.0
        self._record = RecordPace(time.monotonic())
        self._empties = self._waited = False

    def _path_is_new(self, now: float) -> None:
        self._probe = PathProbe(self._rungs[0].need_bps * ROOM * 1.05 + 4 * ECG_BPS)
        self._ping_due, self._train_at = now, float("-inf")
        self._held_until = now + HOLD_S

    async def run(self) -> None:
        """Measure and decide until cancelled."""
        self._begin()
        self.view = Quality(None, self._wall_ns(), None)
        self._path.echoed = lambda echo: self._probe.take(echo, time.monotonic())
        try:
            while True:
                self._tick(time.monotonic())
                await asyncio.sleep(TICK_S)
        finally:
            self._limit_record(self._record.free())
            self.view = Quality(None, self._wall_ns(), None)

    def _tick(self, now: float) -> None:
        if not self._path.connected:
            if now - self._lost_at > HOLD_WITHOUT_PATH_S:
                self._go_blind(now)
            else:
                self._obey_at(0.0, None, held=True)
                self._limit_record(self._record.blind())
            self.view = Quality(self.view.step, self.view.since_ns, None)
            return
        self._lost_at = now
        if self._path.paths != self._paths:
            self._paths = self._path.paths
            self._path_is_new(now)
        state = self._probe.look(now)
        if state.round_trip_s is None and now >= self._held_until:
            self._go_blind(now)
            self._ask(now, state)
            return
        if now >= self._oldest_due:
            self._oldest_due, self._oldest_s = now + OLDEST_EVERY_S, self._oldest_of()
        step = self._decide(now, state)
        if step is not None:
            self._tell(step, state)
        if self._ladder.waits and not self._waited:
            self._probe.be_careful()
        self._waited = self._ladder.waits
        held = now < self._held_until and not (self._ladder.placed and state.trains)
        # Once a queue stood, the video waits until a train has told what the link carries: what
        # leaves in the moment in which the queue is gone would be the next queue.
        share = 0.0 if held or self._ladder.waits else brake(state.queue_s)
        self._obey_at(share, state, held=held)
        limit = self._record.look(
            now,
            queue_s=state.queue_s,
            capacity_bps=state.capacity_bps,
            narrow=held or self._is_narrow,
            empties=self._empties,
            untold=self._ladder.waits,
        )
        self._limit_record(limit)
        self._ask(now, state)
        self._count(state)

    def _go_blind(self, now: float) -> None:
        """Let single pictures go: the camera may have a way where the probes have none.

        More of it on a narrow link, or more of the record, would keep the probes from theirs.
        """
        step = self._ladder.go_blind(now)
        if step is not None:
            self._tell(step, NOTHING_KNOWN)
        self._obey_at(1.0, None)
        self._limit_record(self._record.blind())

    @property
    def _is_narrow(self) -> bool:
        """Whether the link has no room for video."""
        return self._ladder.rung > 0 and self._rungs[self._ladder.rung].picture != "video"

    def _decide(self, now: float, state: PathState) -> Step | None:
        if now - self._ticked_at > TICK_S + STALL_S:
            self._stalled_until = now + STALLED_FOR_S
        self._ticked_at = now
        if now < self._stalled_until:
            return None
        more_bps = ECG_BPS * max(0.0, self._ecg_load() - 1)
        return self._ladder.decide(now, _measured(state, self._oldest_s, more_bps))

    def _obey_at(self, share: float, state: PathState | None, *, held: bool = False) -> None:
        """Have the present rung obeyed; held, before anything is known, less than that."""
        rung = self._rungs[self._ladder.rung]
        if held:
            slow = state is not None and state.queue_s >= JOIN_QUEUE_S
            rung = replace(rung, sound=False, ecg_joined=slow)
        queue_s = 0.0 if state is None else state.queue_s
        emptied = queue_s < EMPTIED_S and not self._ladder.waits
        self._empties = queue_s >= EMPTY_FROM_S or (self._empties and not emptied)
        if self._empties:
            rung = replace(rung, sound=False, ecg_held=True)
        least, most = PACE_OVER_RATE * rung.video_bps, PACE_MOST_OVER_RATE * rung.video_bps
        capacity_bps = (state and state.capacity_bps) or 0.0
        # A train tells no more than that the link has enough: then it may be far wider.
        enough = capacity_bps >= self._rungs[0].need_bps
        pace = most if enough else min(most, max(least, PACE_OF_CAPACITY * capacity_bps))
        self._obey(rung, share * pace)

    def _ask(self, now: float, state: PathState) -> None:
        """Send the probes that are due."""
        if now >= self._ping_due:
            if self._path.send_probe([self._probe.ping(now)]):
                every_s = PING_NARROW_EVERY_S if self._is_narrow else PING_EVERY_S
                self._ping_due = now + every_s
            else:
                self._probe.forget_ping()
            return  # a train has a tick of its own: it leaves only when nothing is before it
        if now - self._train_at < self._train_pause(state) or self._probe.has_train_under_way:
            return
        anyway = now - self._train_at > TRAIN_ANYWAY_S and self._ladder.placed
        most_s = CAREFUL_TRAIN_QUEUE_S if self._ladder.waits else TRAIN_QUEUE_S
        if state.round_trip_s is None or (state.queue_s > most_s and not anyway):
            return
        if self._path.send_probe(self._probe.train(now)):
            self._train_at = now
        else:
            self._probe.forget_train()

    def _train_pause(self, state: PathState) -> float:
        ladder = self._ladder
        if not (ladder.placed and state.settled) or ladder.troubled or ladder.doubts:
            return TRAIN_SOON_S
        return TRAIN_EVERY_S if ladder.wants_more else TRAIN_AT_BEST_EVERY_S

    def _tell(self, step: Step, state: PathState) -> None:
        rung = self._rungs[step.rung]
        self._obey_at(1.0, state)  # so that the picture's size is the new one
        rungs, size = len(self._rungs), self._size()
        fact = _as_fact(step, rung, rungs, state, oldest_s=self._oldest_s, size=size)
        STEPS.labels(step.change, step.reason).inc()
        log.info(
            "quality", rung=step.rung, change=step.change, reason=step.reason,
            capacity_bps=fact.capacity_bps, queue_ms=fact.queue_ms, loss=fact.loss,
        )  # fmt: skip
        self.view = Quality(fact, self._wall_ns(), state)
        self._make(fact)
        self.changed()

    def _count(self, state: PathState) -> None:
        self.view = Quality(self.view.step, self.view.since_ns, state)
        RUNG.set(self._ladder.rung)
        QUEUE.set(state.queue_s)
        LOSS.set(state.loss)
        if state.capacity_bps is not None:
            CAPACITY.set(state.capacity_bps)
        if state.round_trip_s is not None:
            ROUND_TRIP.set(state.round_trip_s)


def _measured(state: PathState, oldest_s: float, more_bps: float) -> Measured:
    """Return what the ladder is told; ``more_bps`` is what the table does not count with."""
    known = state.capacity_bps
    return Measured(
        queue_s=state.queue_s,
        loss=state.loss,
        capacity_bps=None if known is None else max(0.0, known - more_bps),
        capacity_at=state.capacity_at,
        settled=state.settled,
        oldest_s=oldest_s,
    )


def _as_fact(
    step: Step,
    rung: Rung,
    rungs: int,
    state: PathState,
    *,
    oldest_s: float,
    size: tuple[int, int],
) -> QualityStep:
    width, height = size if rung.picture != "off" else (0, 0)
    return QualityStep(
        rung=step.rung,
        rungs=rungs,
        change=step.change,
        reason=step.reason,
        picture=rung.picture,
        video_bps=rung.video_bps,
        width=width,
        height=height,
        fps=rung.fps,
        sound=rung.sound,
        ecg_every=rung.ecg_every,
        ecg_joined=rung.ecg_joined,
        capacity_bps=_rounded(state.capacity_bps),
        round_trip_ms=_milliseconds(state.round_trip_s),
        least_round_trip_ms=_milliseconds(state.least_round_trip_s),
        queue_ms=_milliseconds(state.queue_s) or 0.0,
        loss=round(state.loss, 3),
        oldest_ms=_milliseconds(oldest_s) or 0.0,
    )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(max(0.0, seconds) * 1000, 1)


def _rounded(bps: float | None) -> float | None:
    return None if bps is None else float(round(bps, -3))
