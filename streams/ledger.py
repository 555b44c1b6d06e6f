"""The ledger of a case: how late each kind of fact came, what is missing, what the link did. Pure.

A view of the journal and of nothing else: what the hub stored and when, and what vehicles told
of themselves (``link_outage``, ``quality_step``, ``clock_state``, ``run_report``). The same facts
give the same ledger, at the hub, at the hospital, and years later from an export's journal.

* latency: from making (by the hub's clock) to storing at the hub; in a hospital's journal also
  to storing there, for what was made after that hospital was chosen. Nearest rank.
* lost: numbers that a source gave away before later ones that came, and that are not here;
  of a recording, samples between others. What came and was refused is no loss, and is told to
  its maker.
* outages: as the vehicle told, and as the hub saw: the times of which facts came 5 s late or
  more, joined.
* gaps: facts that came after later ones of their line, and how long they were missed; from 1 s
  on they were asked for again.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streams.chain import Stored
from streams.codec import any_body
from streams.gaps import ASK_AFTER_NS
from streams.inbox import Line
from streams.lateness import came_late_ns
from streams.link_messages import ClockState, LinkOutage, RunReport
from streams.messages import Body, HospitalChosen, QualityStep
from streams.source_clocks import SourceClocks

STALL_NS = 5_000_000_000
"""A fact that needed so long shows that there was no link, or next to none."""

PERCENTILES = (50, 95, 99)

_TOLD = frozenset({"link_outage", "quality_step", "clock_state", "run_report", "hospital_chosen"})
"""Kinds whose bodies are opened."""

Ranges = Sequence[tuple[int, int]]
Json = dict[str, Any]


def ledger_of(
    case: str,
    facts: Iterable[Stored],
    *,
    missing: Mapping[Line, Ranges] | None = None,
    samples_missing: int = 0,
) -> Json:
    """Return the ledger of a case, as JSON can carry it; times are UTC in ms since 1970.

    Args:
        case: Its id.
        facts: Its facts in the order of the journal.
        missing: Per line what the journal's inbox misses, as inclusive ranges.
        samples_missing: ECG samples that its recordings miss.
    """
    placed = _placed(facts)
    hub = next((one.envelope.source for one in placed if one.envelope.kind == "case_opened"), None)
    away = [one for one in placed if one.envelope.source != hub]
    bodies = [(one, any_body(one.envelope)) for one in placed if one.envelope.kind in _TOLD]
    reports = [(one, body) for one, body in bodies if isinstance(body, RunReport)]
    return {
        "case": case,
        "facts": len(placed),
        "kinds": dict(sorted(Counter(one.envelope.kind for one in placed).items())),
        "latency_ms": {"hub": _to_hub(away), "hospital": _to_hospital(away, bodies)},
        "late": dict(sorted(Counter(o.envelope.kind for o in away if came_late_ns(o)).items())),
        "lost": {
            "facts": _lost(placed, missing or {}),
            "places": _places_missing(placed),
            "samples": samples_missing,
        },
        "dropped": dict(sum((Counter(body.dropped) for _, body in reports), Counter())),
        "repeated": sum(body.resent for _, body in reports),
        "outages": {"told": _told_outages(bodies), "seen": _stalls(away)},
        "steps": _steps(bodies),
        "gaps": _gaps(placed),
        "clocks": _clocks(away, bodies),
    }


def percentiles(samples: Iterable[float]) -> dict[str, float | int]:
    """Return count, p50, p95, p99 (nearest rank) and max of at least one sample."""
    ordered = sorted(samples)
    ranks = {
        f"p{p}": round(ordered[max(0, math.ceil(len(ordered) * p / 100) - 1)], 1)
        for p in PERCENTILES
    }
    return {"count": len(ordered), **ranks, "max": round(ordered[-1], 1)}


def _placed(facts: Iterable[Stored]) -> list[Stored]:
    clocks, found = SourceClocks(), list(facts)
    for fact in found:
        clocks.take(fact)
    return [clocks.place(fact) for fact in found]


def _ms(ns: int) -> float:
    return ns // 1000 / 1000


def _by_kind(pairs: Iterable[tuple[Stored, int]]) -> Json:
    samples: dict[str, list[float]] = defaultdict(list)
    for fact, stored_ns in pairs:
        if fact.time != "unknown":
            samples[fact.envelope.kind].append(max(0, stored_ns - fact.corrected_ns) / 1e6)
    return {kind: percentiles(found) for kind, found in sorted(samples.items())}


def _to_hub(away: Iterable[Stored]) -> Json:
    return _by_kind((fact, fact.received_ns) for fact in away)


def _to_hospital(away: Sequence[Stored], bodies: Sequence[tuple[Stored, Body]]) -> Json | None:
    """Return the same for the hospital in whose journal this is; None in the hub's."""
    chosen = [one.corrected_ns for one, body in bodies if isinstance(body, HospitalChosen)]
    here = [one for one in away if one.stored_ns is not None]
    if not here or not chosen:
        return None
    since_ns = min(chosen)
    return _by_kind((one, one.stored_ns or 0) for one in here if one.corrected_ns >= since_ns)


def _line(fact: Stored) -> Line:
    return Line(fact.envelope.source, fact.envelope.epoch, fact.envelope.lane)


def _lost(placed: Sequence[Stored], missing: Mapping[Line, Ranges]) -> list[Json]:
    """Return what is missing among the numbers that sources gave to this case's facts.

    Between two facts of a case a source may have given numbers to others: a missing number may
    be of another case, and is counted in each that it may belong to.
    """
    spans: dict[Line, tuple[int, int]] = {}
    for fact in placed:
        number = fact.envelope.sequence
        first, last = spans.get(_line(fact), (number, number))
        spans[_line(fact)] = (min(first, number), max(last, number))
    found = []
    for line, (first, last) in sorted(spans.items(), key=lambda item: str(item[0])):
        ranges = [
            (max(first, a), min(last, b))
            for a, b in missing.get(line, ())
            if a <= last and b >= first
        ]
        if ranges:
            facts = sum(b - a + 1 for a, b in ranges)
            found.append(
                {"source": line.source, "lane": line.lane, "facts": facts, "numbers": ranges}
            )
    return found


def _places_missing(placed: Sequence[Stored]) -> int:
    """Return how many places of the case, up to the last known one, are not in this journal."""
    places = {fact.case_sequence for fact in placed if fact.case_sequence}
    return max(places, default=0) - len(places)


def _told_outages(bodies: Iterable[tuple[Stored, Body]]) -> list[Json]:
    found = []
    for fact, body in bodies:
        if isinstance(body, LinkOutage):
            shift_ns = fact.corrected_ns - fact.envelope.source_ns
            found.append(
                {
                    "unit": fact.envelope.source,
                    "from_ms": _ms(body.from_ns + shift_ns),
                    "until_ms": _ms(body.until_ns + shift_ns),
                    "seconds": round((body.until_ns - body.from_ns) / 1e9, 3),
                    "before": body.before,
                    "uplink": body.uplink,
                }
            )
    return sorted(found, key=lambda one: one["from_ms"])


def _stalls(away: Iterable[Stored]) -> list[Json]:
    """Return the times of which facts came so late that there can have been no link."""
    held: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for fact in away:
        if fact.envelope.lane == "record" or fact.time == "unknown":
            continue
        if fact.received_ns - fact.corrected_ns >= STALL_NS:
            held[fact.envelope.source].append((fact.corrected_ns, fact.received_ns))
    stalls: list[Json] = []
    for source, spans in held.items():
        joined: list[list[int]] = []
        for first, last in sorted(spans):
            if joined and first <= joined[-1][1]:
                joined[-1][1] = max(last, joined[-1][1])
                joined[-1][2] += 1
            else:
                joined.append([first, last, 1])
        stalls += [
            {
                "source": source, "from_ms": _ms(first), "until_ms": _ms(last),
                "seconds": round((last - first) / 1e9, 3), "facts": count,
            }
            for first, last, count in joined
        ]  # fmt: skip
    return sorted(stalls, key=lambda one: (one["from_ms"], one["source"]))


def _steps(bodies: Iterable[tuple[Stored, Body]]) -> list[Json]:
    steps = [
        {
            "at_ms": _ms(fact.corrected_ns), "unit": fact.envelope.source, "rung": body.rung,
            "rungs": body.rungs, "change": body.change, "reason": body.reason,
            "picture": body.picture, "video_bps": body.video_bps,
        }
        for fact, body in bodies
        if isinstance(body, QualityStep)
    ]  # fmt: skip
    return sorted(steps, key=lambda one: str(one["at_ms"]).rjust(20))


def _gaps(placed: Iterable[Stored]) -> list[Json]:
    """Return facts that came after later ones of their line, where they were missed for long."""
    seen: dict[Line, tuple[int, list[tuple[int, int]]]] = {}
    gaps: list[Json] = []
    for fact in sorted(placed, key=lambda one: one.position):
        line, number = _line(fact), fact.envelope.sequence
        if line.lane == "record":
            continue
        newest, came = seen.setdefault(line, (0, []))
        if number > newest:
            came.append((number, fact.received_ns))
            seen[line] = (number, came)
            continue
        missed_ns = next(at_ns for later, at_ns in came if later > number)
        stood_ns = fact.received_ns - missed_ns
        if stood_ns >= ASK_AFTER_NS:
            gaps.append(
                {
                    "source": line.source, "lane": line.lane, "number": number,
                    "missed_ms": _ms(missed_ns), "came_ms": _ms(fact.received_ns),
                    "seconds": round(stood_ns / 1e9, 3),
                }
            )  # fmt: skip
    return gaps


def _clocks(away: Iterable[Stored], bodies: Iterable[tuple[Stored, Body]]) -> list[Json]:
    by_source: dict[str, list[Stored]] = defaultdict(list)
    for fact in away:
        by_source[fact.envelope.source].append(fact)
    set_by: dict[str, list[float]] = defaultdict(list)
    for fact, body in bodies:
        if isinstance(body, ClockState) and body.set_ns:
            set_by[fact.envelope.source].append(round(body.set_ns / 1e9, 3))
    clocks = []
    for source, facts in sorted(by_source.items()):
        offsets = [f.envelope.offset_ns for f in facts if f.envelope.offset_ns is not None]
        unsure = [f.envelope.uncertainty_ns for f in facts if f.envelope.uncertainty_ns is not None]
        clocks.append(
            {
                "source": source,
                "offset_s": [round(min(offsets) / 1e9, 6), round(max(offsets) / 1e9, 6)]
                if offsets
                else None,
                "most_uncertainty_ms": round(max(unsure) / 1e6, 3) if unsure else None,
                "estimated_later": sum(fact.time == "estimated" for fact in facts),
                "unknown": sum(fact.time == "unknown" for fact in facts),
                "set_by_s": set_by[source],
            }
        )
    return clocks
