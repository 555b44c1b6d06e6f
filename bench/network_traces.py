"""A link over time, as a recording tells it (``bench.network_recordings``), to be played.

A trace is frozen, can be shortened to its worst stretch, and becomes a script for the network
in a box.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import msgspec

from bench.network_conditions import LARGEST_PACKET, Conditions, Link, LinkChange

_LONGEST_SENDING_S = 1.0
"""Of one packet, when stretches are compared: the next second has another rate."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a link is like from a time on.

    Attributes:
        at_s: From the start of the trace.
        link: Both directions.
    """

    at_s: float
    link: Link


@dataclass(frozen=True, slots=True)
class Trace:
    """A link over time.

    Attributes:
        name: The file's name, and which stretch of it if shortened.
        kind: "cicv5g", "ucc5g" or "mahimahi".
        steps: In the order of their times; the first at 0.
        duration_s: How long it is.
        assumptions: What the recording does not say, one sentence each.
    """

    name: str
    kind: str
    steps: tuple[Step, ...]
    duration_s: float
    assumptions: tuple[str, ...]

    def script(
        self, vehicle: str, uplink: int = 0, *, start_s: float = 0.0
    ) -> list[tuple[float, LinkChange]]:
        """Return the trace as a script for ``NetworkBox.play``.

        At its end the link keeps the conditions of the last step, but is not cut.

        Args:
            vehicle: Name of the vehicle.
            uplink: Number of its uplink.
            start_s: When the trace begins, from the start of the script.
        """
        last = self.steps[-1].link
        joined = Link(
            msgspec.structs.replace(last.up, cut=None), msgspec.structs.replace(last.down, cut=None)
        )
        return [
            (start_s + step.at_s, LinkChange(vehicle, uplink, step.link.up, step.link.down))
            for step in (*self.steps, Step(self.duration_s, joined))
        ]

    def cuts(self) -> list[tuple[float, float]]:
        """Return (begin, end) in s of every stretch in which nothing passes in either direction."""
        return self._cuts(lambda link: bool(link.up.cut and link.down.cut))

    def shortened(self, seconds: float) -> Trace:
        """Return its worst stretch of that length, or itself where it is no longer.

        The worst is the one in which a packet of 1500 bytes that comes at any time waits
        longest on average, until a cut ends and by its own sending and delay, both directions
        together. A stretch that begins or ends with a cut is taken only where all do, so that
        the link works before it and its return is played too. Of equals the first is taken.

        Args:
            seconds: Longest duration wanted, > 0.
        """
        if seconds >= self.duration_s:
            return self
        last = self.duration_s - seconds
        begins = [step.at_s for step in self.steps if step.at_s < last] + [last]
        cuts = self._cuts(lambda link: bool(link.up.cut or link.down.cut))
        whole = [
            begin
            for begin in begins
            if not (_touches(cuts, begin) or _touches(cuts, begin + seconds))
        ]
        waited = self._waited()
        begin = max(whole or begins, key=lambda begin: waited(begin + seconds) - waited(begin))
        return self._stretch(begin, seconds)

    def _stretch(self, begin: float, seconds: float) -> Trace:
        first = [step for step in self.steps if step.at_s <= begin][-1]
        later = [step for step in self.steps if begin < step.at_s < begin + seconds]
        steps = tuple(Step(max(0.0, step.at_s - begin), step.link) for step in (first, *later))
        name = f"{self.name} [{begin:.1f} s to {begin + seconds:.1f} s]"
        return replace(self, name=name, steps=steps, duration_s=seconds)

    def _spans(self) -> Iterator[tuple[float, float, Link]]:
        ends = [step.at_s for step in self.steps[1:]] + [self.duration_s]
        for step, end in zip(self.steps, ends, strict=True):
            yield step.at_s, end, step.link

    def _cuts(self, is_cut: Callable[[Link], bool]) -> list[tuple[float, float]]:
        found: list[tuple[float, float]] = []
        for begin, end, link in self._spans():
            if is_cut(link):
                joins = bool(found) and found[-1][1] == begin
                found.append((found.pop()[0] if joins else begin, end))
        return found

    def _waited(self) -> Callable[[float], float]:
        """Return a function: the integral until a time of what a packet sent then would wait."""
        spans = list(self._spans())
        begins = [begin for begin, _, _ in spans]
        ups = self._cuts(lambda link: link.up.cut is not None)
        downs = self._cuts(lambda link: link.down.cut is not None)
        # Per span: the integral before it, what a packet waits at its begin, and how fast that
        # shrinks, by 1 s a second in each direction that is cut.
        pieces: list[tuple[float, float, int]] = []
        total = 0.0
        for begin, end, link in spans:
            wait = _wait(link.up, begin, ups) + _wait(link.down, begin, downs)
            slope = (link.up.cut is not None) + (link.down.cut is not None)
            pieces.append((total, wait, slope))
            total += wait * (end - begin) - slope * (end - begin) ** 2 / 2

        def until(time: float) -> float:
            index = bisect.bisect_right(begins, time) - 1
            before, wait, slope = pieces[index]
            length = time - begins[index]
            return before + wait * length - slope * length**2 / 2

        return until


def _wait(conditions: Conditions, now: float, cuts: list[tuple[float, float]]) -> float:
    """Return what a packet that is sent now in one direction waits, s."""
    if conditions.cut is not None:
        return next(end for begin, end in cuts if begin <= now < end) - now
    rate = conditions.bytes_per_s
    sending_s = 0.0 if rate is None else min(_LONGEST_SENDING_S, LARGEST_PACKET / rate)
    return conditions.delay_ms / 1000 + sending_s


def _touches(cuts: list[tuple[float, float]], time: float) -> bool:
    index = bisect.bisect_right(cuts, (time, math.inf)) - 1
    return index >= 0 and time <= cuts[index][1]
