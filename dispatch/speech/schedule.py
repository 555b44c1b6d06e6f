"""Which stretch of which voice is read next, where there is time for few at a time.

Pure: takes ``now``, names jobs, is told what came of them. Four kinds of work, in this order:

1. *final*: an utterance that has ended and whose end nobody has read.
2. *first*: the first draft of an utterance; it takes half as long as the others.
3. *settle*: an utterance that pauses. If the pause turns out to be its end, this was the final
   text, and it is there as soon as the end is known.
4. *draft*: a better draft, of the voice whose last one is the oldest.

Nothing queues up but finals: a draft is chosen when there is time for one, from all sound that is
there by then. So many voices at once mean fewer drafts of each, and not later finals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from dispatch.speech.engine import Language
from dispatch.speech.utterances import Stretch, samples

Kind = Literal["final", "settle", "first", "draft"]

FIRST_AFTER_S = 0.45
"""Voiced sound before the first draft: less is seldom a word."""

DRAFT_EVERY_S = 0.8
"""New sound before the next draft is worth its time, while up to ``AT_EASE`` people speak."""

AT_EASE = 3
"""Of more people who speak at once each gets fewer drafts, so that a first one waits less."""

TAIL_S = 0.2
"""Silence after the last voiced frame that is shown to the model."""

GIVE_UP_S = 15.0
"""A final that waits for longer is given as its last draft: the machine cannot keep up."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the model made of a stretch.

    Attributes:
        text: May be empty.
        language: What it was read as.
        confidence: 0 to 1.
        end: Last sample that was read.
        thorough: Whether it was read so well that it may be final.
    """

    text: str
    language: Language
    confidence: float
    end: int
    thorough: bool


@dataclass(frozen=True, slots=True)
class Job:
    """Read samples ``begin`` to ``end`` of a voice."""

    voice: int
    utterance: int
    kind: Kind
    begin: int
    end: int

    @property
    def thorough(self) -> bool:
        """Whether it is read as a final."""
        return self.kind in {"final", "settle"}

    @property
    def rough(self) -> bool:
        """Whether it is read as fast as can be: its text is never final."""
        return self.kind == "first"


@dataclass(frozen=True, slots=True)
class Told:
    """A text that is to be shown: of which utterance, and whether it is its last."""

    voice: int
    utterance: int
    final: bool
    reading: Reading
    begin: int
    end: int


@dataclass(slots=True)
class _Task:
    voice: int
    stretch: Stretch
    began: float
    paused: bool = False
    ended: float | None = None
    busy: bool = False
    tried_end: int = 0
    covered_end: int = 0
    tried_at: float = 0.0
    reading: Reading | None = None
    shown: str | None = None


@dataclass(slots=True)
class Schedule:
    """The work of all voices.

    Attributes:
        finals_read: Finals that were read on purpose.
        finals_settled: Finals that were there when their utterance ended.
        given_up: Finals that came too late and were given as drafts.
    """

    finals_read: int = 0
    finals_settled: int = 0
    given_up: int = 0
    _tasks: dict[tuple[int, int], _Task] = field(default_factory=dict)

    def began(self, voice: int, stretch: Stretch, now: float) -> None:
        """An utterance began."""
        self._tasks[voice, stretch.number] = _Task(voice, stretch, now)

    def went_on(self, voice: int, number: int, *, paused: bool) -> None:
        """More of it came, or a pause began or goes on."""
        self._tasks[voice, number].paused = paused

    def dismissed(self, voice: int, number: int) -> Told | None:
        """It was no speech; drafts that were shown are taken back."""
        task = self._tasks.pop((voice, number))
        if task.shown is None or task.reading is None:
            return None
        return _told(task, replace(task.reading, text=""), final=True)

    def ended(self, voice: int, number: int, now: float) -> Told | None:
        """It ended; returns its final text if that is known already."""
        task = self._tasks[voice, number]
        task.ended = now
        if task.reading is not None and self._covers(task, task.reading):
            self.finals_settled += 1
            return self._finish(task, task.reading)
        return None

    def closed(self, voice: int) -> None:
        """Nobody listens to a voice any more."""
        for key in [key for key in self._tasks if key[0] == voice]:
            del self._tasks[key]

    def next(self, now: float) -> Job | None:
        """Choose what to read now; None when there is nothing worth it."""
        waiting = [task for task in self._tasks.values() if not task.busy]
        for kind, ready in self._ready(waiting):
            if ready is not None:
                return _begin(ready, kind, now)
        return None

    def done(self, job: Job, reading: Reading) -> Told | None:
        """Take what came of a job; returns the text that is to be shown for it."""
        task = self._tasks.get((job.voice, job.utterance))
        if task is None:
            return None
        task.busy = False
        task.reading = reading
        if task.ended is not None and (job.kind == "final" or self._covers(task, reading)):
            self.finals_read += 1
            return self._finish(task, reading)
        if reading.text in {"", task.shown}:
            return None
        task.shown = reading.text
        return _told(task, reading, final=False)

    def too_late(self, now: float) -> list[Told]:
        """Give up finals that waited for too long; returns what is to be shown for them."""
        given = []
        for task in list(self._tasks.values()):
            if task.ended is None or now - task.ended < GIVE_UP_S or task.busy:
                continue
            self.given_up += 1
            known = task.reading or Reading("", "en", 0.0, task.stretch.voiced_end, thorough=False)
            given.append(self._finish(task, replace(known, confidence=known.confidence / 2)))
        return given

    def late_s(self, now: float) -> float:
        """Return for how long the oldest final has been waiting, s."""
        return max((now - t.ended for t in self._tasks.values() if t.ended is not None), default=0)

    def earliest(self, voice: int) -> int | None:
        """Return the first sample of a voice that may still be read."""
        begins = [task.stretch.begin for task in self._tasks.values() if task.voice == voice]
        return min(begins, default=None)

    def _ready(self, waiting: list[_Task]) -> Iterator[tuple[Kind, _Task | None]]:
        ended = [task for task in waiting if task.ended is not None]
        yield "final", min(ended, key=lambda task: task.ended or 0.0, default=None)
        going = [task for task in waiting if task.ended is None]
        unseen = [t for t in going if t.shown is None and not t.paused]
        first = [t for t in unseen if _unread(t) >= samples(FIRST_AFTER_S)]
        yield "first", min(first, key=lambda task: task.began, default=None)
        pausing = [t for t in going if t.paused and t.covered_end < t.stretch.voiced_end]
        yield "settle", min(pausing, key=_seen_and_since, default=None)
        speaking = sum(task.ended is None for task in self._tasks.values())
        every = samples(DRAFT_EVERY_S * max(1.0, speaking / AT_EASE))
        more = [t for t in going if t.tried_end and _unread(t) >= every]
        yield "draft", min(more, key=lambda task: task.tried_at, default=None)

    def _covers(self, task: _Task, reading: Reading) -> bool:
        return reading.thorough and reading.end >= task.stretch.voiced_end

    def _finish(self, task: _Task, reading: Reading) -> Told:
        del self._tasks[task.voice, task.stretch.number]
        return _told(task, reading, final=True)


def _seen_and_since(task: _Task) -> tuple[bool, int]:
    """Return what orders pauses: those of which nothing was shown, then the oldest."""
    return task.shown is not None, task.stretch.voiced_end


def _unread(task: _Task) -> int:
    """Return the samples of speech that nobody tried to read."""
    return task.stretch.voiced_end - max(task.tried_end, task.stretch.first_voiced)


def _begin(task: _Task, kind: Kind, now: float) -> Job:
    stretch = task.stretch
    end = min(stretch.heard_end, stretch.voiced_end + samples(TAIL_S))
    task.busy, task.tried_end, task.tried_at = True, end, now
    job = Job(task.voice, stretch.number, kind, stretch.begin, end)
    if not job.rough:
        task.covered_end = end
    return job


def _told(task: _Task, reading: Reading, *, final: bool) -> Told:
    stretch = task.stretch
    end = stretch.voiced_end if final else min(reading.end, stretch.voiced_end)
    return Told(task.voice, stretch.number, final, reading, stretch.first_voiced, end)
