"""Waveform recordings put together again from a case's facts, whatever order they came in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from streams.chain import Stored
from streams.codec import open_body
from streams.ecg_block import EcgBlockError, EcgSetup, Frame, decode_frame, frame_span
from streams.ecg_leads import Samples
from streams.errors import MessageError
from streams.messages import EcgEnded, EcgRecord, EcgStarted, Origin

LONGEST_S = 24 * 3600
"""A recording is put together up to this length from its start."""

MOST_CELLS = 2**28
"""Samples of all leads together in one recording: 1 GiB; at 500 Hz and 12 leads that is 12 h."""


@dataclass(slots=True)
class Recording:
    """One recording of one source.

    Attributes:
        source: The unit that made it.
        began: Its description and the source's wall clock at sample 0.
        origin: live, replay or synthetic.
        patient: The patient it is bound to; None is unassigned.
        frames: The decoded frames by first sample.
        expected: Samples per lead that were recorded on board; None while it runs, or where what
            was said of it cannot be.
        damaged: Frames that could not be decoded, or that say a time at which no sample was.
    """

    source: str
    began: EcgStarted
    origin: Origin
    patient: str | None
    frames: dict[int, Frame] = field(default_factory=dict)
    expected: int | None = None
    damaged: int = 0

    @property
    def setup(self) -> EcgSetup:
        """The leads and the rate."""
        return self.began.setup

    @property
    def most(self) -> int:
        """Samples per lead up to which it is put together; no fact can make it want more."""
        by_time = LONGEST_S * self.setup.sampling_frequency_hz
        return int(min(by_time, MOST_CELLS // len(self.setup.leads)))

    def take(self, data: bytes) -> None:
        """Take one frame; one that cannot be is counted as damaged."""
        try:
            first, length = frame_span(data)
            if not 0 <= first <= self.most - length:
                self.damaged += 1
                return
            self.frames[first] = decode_frame(self.setup, data)
        except EcgBlockError:
            self.damaged += 1

    @property
    def length(self) -> int:
        """Samples per lead from the first to the last that is here."""
        ends = (first + len(frame.samples) for first, frame in self.frames.items())
        return max(ends, default=0)

    def gaps(self) -> list[tuple[int, int]]:
        """Return what is not here, as (first, end) sample numbers, the end not included."""
        found, reached = [], 0
        for first in sorted(self.frames):
            if first > reached:
                found.append((reached, first))
            reached = max(reached, first + len(self.frames[first].samples))
        if self.expected is not None and self.expected > reached:
            found.append((reached, self.expected))
        return found

    def samples(self) -> Samples:
        """Return (n, leads) ADC integers; ``gaps`` says where they mean nothing."""
        marks = [lead.invalid or 0 for lead in self.setup.leads]
        length = max(self.length, self.expected or 0)
        whole = np.tile(np.array(marks, dtype=np.int32), (length, 1))
        for first, frame in self.frames.items():
            whole[first : first + len(frame.samples)] = frame.samples
        return whole


class Recordings:
    """Collects the recordings of one case; give it the facts in any order.

    Attributes:
        unreadable: Facts of waveforms whose body cannot be decoded.
    """

    def __init__(self) -> None:
        self.unreadable = 0
        self._begun: dict[tuple[str, str, str], Recording] = {}
        self._waiting: list[Stored] = []

    def add_all(self, facts: Iterable[Stored]) -> None:
        """Take facts; those that are not about waveforms are passed over."""
        blocks = self._waiting
        for fact in facts:
            try:
                if fact.envelope.kind == "ecg_started":
                    self._begin(fact)
                elif fact.envelope.kind in {"ecg_record", "ecg_ended"}:
                    blocks.append(fact)
            except MessageError:
                self.unreadable += 1
        self._waiting = [fact for fact in blocks if not self._take(fact)]

    def all(self) -> list[Recording]:
        """Return the recordings in the order of their beginning."""
        return sorted(self._begun.values(), key=lambda one: (one.began.start_ns, one.source))

    @property
    def undescribed(self) -> int:
        """Blocks whose recording's beginning is not here: the case is not complete yet."""
        return len(self._waiting)

    def _begin(self, fact: Stored) -> None:
        envelope = fact.envelope
        began = open_body(envelope, EcgStarted)
        key = (envelope.source, envelope.case or "", began.setup.setup_id)
        self._begun[key] = Recording(envelope.source, began, envelope.origin, envelope.patient)

    def _take(self, fact: Stored) -> bool:
        envelope = fact.envelope
        body: EcgRecord | EcgEnded
        try:
            if envelope.kind == "ecg_record":
                body = open_body(envelope, EcgRecord)
            else:
                body = open_body(envelope, EcgEnded)
        except MessageError:
            self.unreadable += 1
            return True
        key = (envelope.source, envelope.case or "", body.setup_id)
        recording = self._begun.get(key)
        if recording is None:
            return False
        if isinstance(body, EcgEnded):
            recording.expected = body.samples if body.samples <= recording.most else None
            return True
        for data in body.frames:
            recording.take(data)
        return True
