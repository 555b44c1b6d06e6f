"""What has come from each source: any order, any repeat, and what is missing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from streams.messages import Lane

MOST_RANGES = 100
"""Ranges in one receipt, as many as the message takes; the others are told when these are gone."""


@dataclass(frozen=True, slots=True)
class Line:
    """One numbered line of facts: a lane of one outbox."""

    source: str
    epoch: str
    lane: Lane


@dataclass(slots=True)
class _Progress:
    stored: int = 0
    ahead: set[int] = field(default_factory=set)


class Inbox:
    """Keeps the highest sequence per line up to which everything is stored."""

    def __init__(self) -> None:
        self._lines: dict[Line, _Progress] = {}
        self._shared: set[Line] = set()

    def copy(self) -> Inbox:
        """Return an inbox that can go ahead while this one still shows what is stored."""
        other = Inbox()
        other._lines = dict(self._lines)
        other._shared = set(self._lines)
        return other

    def restore(self, line: Line, stored: int, ahead: Iterable[Sequence[int]]) -> None:
        """Set a line to what storage says: all up to ``stored``, and inclusive ranges ahead."""
        sequences = {number for first, last in ahead for number in range(first, last + 1)}
        self._lines[line] = _Progress(stored, sequences)

    def ahead(self, line: Line) -> list[tuple[int, int]]:
        """Return what is stored beyond the first gap, as inclusive ranges in order."""
        ranges: list[tuple[int, int]] = []
        progress = self._lines.get(line)
        for sequence in sorted(progress.ahead if progress else ()):
            if ranges and ranges[-1][1] == sequence - 1:
                ranges[-1] = (ranges[-1][0], sequence)
            else:
                ranges.append((sequence, sequence))
        return ranges

    def has(self, line: Line, sequence: int) -> bool:
        """Whether this sequence was taken before."""
        progress = self._lines.get(line)
        return progress is not None and (sequence <= progress.stored or sequence in progress.ahead)

    def take(self, line: Line, sequence: int) -> int:
        """Note that a sequence is stored; return the new highest contiguous one."""
        progress = self._own(line)
        if sequence > progress.stored:
            progress.ahead.add(sequence)
            self._advance(progress)
        return progress.stored

    def give_up(self, line: Line, below: int) -> list[tuple[int, int]]:
        """Take what is missing below a number as gone: its source holds nothing of it any more.

        A line of which nothing ever came is known from then on.

        Args:
            line: The line.
            below: The lowest number that may still come.

        Returns:
            What was missing, as inclusive ranges in order; empty when nothing was.
        """
        gone, expected = [], self.stored(line) + 1
        for first, last in [*self.ahead(line), (below, below)]:
            if expected < min(first, below):
                gone.append((expected, min(first, below) - 1))
            expected = max(expected, last + 1)
        progress = self._own(line)
        if below - 1 > progress.stored:
            progress.stored = below - 1
            progress.ahead = {number for number in progress.ahead if number >= below}
            self._advance(progress)
        return gone

    def _own(self, line: Line) -> _Progress:
        """Return what may be changed of a line: copied only where it changes."""
        progress = self._lines.setdefault(line, _Progress())
        if line in self._shared:
            progress = self._lines[line] = _Progress(progress.stored, set(progress.ahead))
            self._shared.discard(line)
        return progress

    def stored(self, line: Line) -> int:
        """Return the highest sequence up to which everything is stored."""
        progress = self._lines.get(line)
        return progress.stored if progress else 0

    def missing(self, line: Line) -> list[tuple[int, int]]:
        """Return the gaps before the newest that came, as inclusive ranges in order."""
        gaps, expected = [], self.stored(line) + 1
        for first, last in self.ahead(line):
            gaps.append((expected, first - 1))
            expected = last + 1
        return gaps

    def torn(self) -> list[Line]:
        """Return the lines of which something is missing before something that came."""
        return [line for line, progress in self._lines.items() if progress.ahead]

    def all_missing(self) -> dict[Line, list[tuple[int, int]]]:
        """Return what is missing, by line."""
        return {line: self.missing(line) for line in self.torn()}

    def lines(self, source: str, epoch: str) -> dict[Lane, int]:
        """Return what a receipt for this outbox says."""
        return {
            line.lane: progress.stored
            for line, progress in self._lines.items()
            if line.source == source and line.epoch == epoch
        }

    def lines_ahead(
        self, source: str, epoch: str, most: int = MOST_RANGES
    ) -> dict[Lane, list[tuple[int, int]]]:
        """Return what a receipt says of what is stored beyond gaps, the lowest ranges first."""
        return {
            line.lane: self.ahead(line)[:most]
            for line, progress in self._lines.items()
            if line.source == source and line.epoch == epoch and progress.ahead
        }

    @staticmethod
    def _advance(progress: _Progress) -> None:
        while progress.stored + 1 in progress.ahead:
            progress.stored += 1
            progress.ahead.discard(progress.stored)
