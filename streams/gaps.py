"""What is missing before something that came: since when, and when to ask for it again. Pure.

The inbox knows the gaps; here they get their age. A gap that closes by itself (two uplinks, one
of them faster) is nobody's business. One that stands for a second is asked for by a receipt that
names it, and again every few seconds. In the record lane of a vehicle a gap means *not yet here*
(``streams/DECISIONS.md``, 15) and is not asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from prometheus_client import Counter, Gauge

from streams.inbox import MOST_RANGES, Inbox, Line
from streams.messages import Lane

ASK_AFTER_NS = 1_000_000_000
ASK_EVERY_NS = 4_000_000_000

SHOW_AFTER_NS = 2_000_000_000
"""A gap is told to people when asking once did not close it."""

MISSING = Gauge("forerun_gap_facts", "Facts missing before later ones that came", ["source"])
ASKED = Counter("forerun_gaps_asked_total", "Times that missing facts were asked for", ["source"])


@dataclass(frozen=True, slots=True)
class Gap:
    """What is missing of one line.

    Attributes:
        line: The line.
        ranges: The missing numbers as inclusive ranges, the lowest first.
        since_ns: When the lowest of them was first missed (monotonic).
        asked_ns: When it was last asked for; None for not yet.
        asked: How often.
    """

    line: Line
    ranges: tuple[tuple[int, int], ...]
    since_ns: int
    asked_ns: int | None = None
    asked: int = 0

    @property
    def facts(self) -> int:
        """How many facts are missing."""
        return sum(last - first + 1 for first, last in self.ranges)


@dataclass(frozen=True, slots=True)
class Missing:
    """What people are told of one source; times are monotonic.

    Attributes:
        source: Whose facts are missing.
        facts: How many.
        since_ns: Since when.
        asked_ns: When they were last asked for.
        asked: How often.
    """

    source: str
    facts: int
    since_ns: int
    asked_ns: int
    asked: int


class GapWatch:
    """Follows the gaps of an inbox."""

    def __init__(self) -> None:
        """Begin with nothing missing."""
        self._gaps: dict[Line, Gap] = {}
        self._sources: set[str] = set()

    def look(
        self, inbox: Inbox, now_ns: int
    ) -> dict[tuple[str, str], dict[Lane, list[tuple[int, int]]]]:
        """Return what is to be asked for now, by source and epoch, as receipts say it.

        Args:
            inbox: What came.
            now_ns: Monotonic time.
        """
        known, self._gaps = self._gaps, {}
        asks: dict[tuple[str, str], dict[Lane, list[tuple[int, int]]]] = {}
        for line in inbox.torn():
            if line.lane == "record":
                continue
            ranges = tuple(inbox.missing(line)[:MOST_RANGES])
            gap = known.get(line)
            if gap is None or gap.ranges[0][0] != ranges[0][0]:
                gap = Gap(line, ranges, now_ns)  # what was missing first has come
            gap = replace(gap, ranges=ranges)
            asked_ns = (
                gap.since_ns + ASK_AFTER_NS - ASK_EVERY_NS if gap.asked_ns is None else gap.asked_ns
            )
            if now_ns - asked_ns >= ASK_EVERY_NS:
                gap = replace(gap, asked_ns=now_ns, asked=gap.asked + 1)
                ASKED.labels(line.source).inc()
                asks.setdefault((line.source, line.epoch), {})[line.lane] = list(ranges)
            self._gaps[line] = gap
        self._count()
        return asks

    def missing(self, now_ns: int) -> list[Missing]:
        """Return what people are to know: what is still missing after it was asked for."""
        found: dict[str, Missing] = {}
        for gap in self._gaps.values():
            if gap.asked_ns is None or now_ns - gap.since_ns < SHOW_AFTER_NS:
                continue
            source, known = gap.line.source, found.get(gap.line.source)
            one = Missing(source, gap.facts, gap.since_ns, gap.asked_ns, gap.asked)
            if known is not None:
                one = Missing(
                    source,
                    known.facts + one.facts,
                    min(known.since_ns, one.since_ns),
                    max(known.asked_ns, one.asked_ns),
                    max(known.asked, one.asked),
                )
            found[source] = one
        return [found[source] for source in sorted(found)]

    def _count(self) -> None:
        facts: dict[str, int] = dict.fromkeys(self._sources, 0)
        for gap in self._gaps.values():
            facts[gap.line.source] = facts.get(gap.line.source, 0) + gap.facts
        for source, number in facts.items():
            MISSING.labels(source).set(number)
        self._sources = {source for source, number in facts.items() if number}


def gaps_for_page(
    missing: list[Missing], now_ns: int, now_ms: float
) -> list[dict[str, str | int | float]]:
    """Return what a page gets, its times in ms since 1970.

    Args:
        missing: What is missing.
        now_ns: Monotonic time.
        now_ms: The same moment by the hub's clock.
    """
    return [
        {
            "source": one.source,
            "facts": one.facts,
            "since_ms": now_ms - (now_ns - one.since_ns) // 1_000_000,
            "asked_ms": now_ms - (now_ns - one.asked_ns) // 1_000_000,
            "asked": one.asked,
        }
        for one in missing
    ]


def gaps_in_words(missing: list[Missing], now_ns: int) -> str:
    """Return what ``/healthz`` says."""
    if not missing:
        return "nothing is missing"
    return "; ".join(
        f"{one.facts} facts of {one.source} are missing, asked again "
        f"{(now_ns - one.asked_ns) / 1e9:.0f} s ago"
        for one in missing
    )
