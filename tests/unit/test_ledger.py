"""The ledger of a case: a view of its journal, and of what the vehicle told of itself."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.chain import Stored
from streams.identity import new_id
from streams.inbox import Line
from streams.ledger import ledger_of, percentiles
from streams.link_messages import ClockState, LinkOutage, RunReport
from streams.messages import (
    CaseOpened,
    HospitalChosen,
    Milestone,
    Numeric,
    QualityStep,
    UnitAssigned,
    Vitals,
)
from tests.case_facts import SECOND_NS, START_NS, Pages

CASE = new_id()
START_MS = START_NS / 1e6


def heart_rate(at_s: float) -> Vitals:
    measured = Numeric(value=80.0, measured_ns=START_NS + round(at_s * SECOND_NS))
    return Vitals(device="m", heart_rate_per_min=measured)


class Run:
    """The facts of a run as the hub stored them."""

    def __init__(self) -> None:
        self.pages = Pages()
        for kind, body in (
            ("case_opened", CaseOpened(address="a", complaint="", alias="b")),
            ("unit_assigned", UnitAssigned(unit="unit-1")),
            ("hospital_chosen", HospitalChosen(hospital="h", name="H")),
        ):
            self.pages.add(kind, body, case=CASE)

    def says(self, kind: str, body: Any, at_s: float, late_s: float = 0.1, **more: Any) -> Stored:
        return self.pages.add(
            kind, body, case=CASE, source="unit-1", at_s=at_s, late_s=late_s, **more
        )

    def ledger(self, **more: Any) -> dict[str, Any]:
        return ledger_of(CASE, self.pages.facts, **more)


def test_ledger_latency_is_by_kind_and_by_nearest_rank() -> None:
    run = Run()
    for number in range(1, 101):
        run.says("vitals", heart_rate(number), number, late_s=number / 1000)
    run.says("milestone", Milestone(stage="on_scene", at_ns=START_NS), 5, late_s=0.25)
    hub = run.ledger()["latency_ms"]["hub"]
    assert hub["vitals"] == {"count": 100, "p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}
    assert hub["milestone"]["max"] == 250.0
    assert "case_opened" not in hub, "what the hub made itself had no way to go"
    assert run.ledger()["latency_ms"]["hospital"] is None


def test_ledger_of_a_hospital_also_has_the_way_to_it() -> None:
    run = Run()
    run.says("vitals", heart_rate(1), 1, late_s=0.1)
    here = [replace(fact, stored_ns=fact.corrected_ns + SECOND_NS // 2) for fact in run.pages.facts]
    hospital = ledger_of(CASE, here)["latency_ms"]["hospital"]
    assert hospital == {
        "vitals": {"count": 1, "p50": 500.0, "p95": 500.0, "p99": 500.0, "max": 500.0}
    }


def test_ledger_outage_is_told_by_the_vehicle_and_seen_by_the_hub() -> None:
    run = Run()
    for at_s in range(0, 100, 5):
        held = 30 <= at_s < 60
        run.says("vitals", heart_rate(at_s), at_s, late_s=61 - at_s if held else 0.1)
    outage = LinkOutage(
        from_ns=START_NS + 31 * SECOND_NS, until_ns=START_NS + 60 * SECOND_NS,
        before="5g", uplink="lte",
    )  # fmt: skip
    run.says("link_outage", outage, 60)
    ledger = run.ledger()
    (told,) = ledger["outages"]["told"]
    assert (told["from_ms"] - START_MS, told["seconds"]) == (31_000, 29.0)
    assert (told["before"], told["uplink"]) == ("5g", "lte")
    (seen,) = ledger["outages"]["seen"]
    assert (seen["from_ms"] - START_MS, seen["until_ms"] - START_MS) == (30_000, 61_000)
    assert seen["facts"] == 6
    assert ledger["late"] == {}, "none was older than a vital sign may be"


def test_ledger_late_facts_are_counted_by_kind() -> None:
    run = Run()
    run.says("vitals", heart_rate(0), 0, late_s=51)
    run.says("milestone", Milestone(stage="on_scene", at_ns=START_NS), 0, late_s=31)
    assert run.ledger()["late"] == {"milestone": 1, "vitals": 1}


def test_ledger_says_what_is_missing_of_the_cases_numbers() -> None:
    run = Run()
    facts = [run.says("vitals", heart_rate(n), n) for n in range(6)]
    line = Line("unit-1", facts[0].envelope.epoch, "vitals")
    kept = [fact for fact in run.pages.facts if fact.envelope.sequence not in (3, 4)
            or fact.envelope.kind != "vitals"]  # fmt: skip
    ledger = ledger_of(CASE, kept, missing={line: [(3, 4), (9, 12)]})
    (lost,) = ledger["lost"]["facts"]
    assert (lost["source"], lost["facts"], lost["numbers"]) == ("unit-1", 2, [(3, 4)])
    assert ledger["lost"]["places"] == 2
    assert Run().ledger()["lost"] == {"facts": [], "places": 0, "samples": 0}


def test_ledger_names_what_was_missed_for_long_and_asked_for() -> None:
    run = Run()
    first, held, later = (run.says("vitals", heart_rate(n), n) for n in range(3))
    arrived = [*run.pages.facts[:3], first, later, held]
    came_ns = later.received_ns + 4 * SECOND_NS
    facts = [
        replace(fact, position=position, received_ns=came_ns if fact is held else fact.received_ns)
        for position, fact in enumerate(arrived, 1)
    ]
    (gap,) = ledger_of(CASE, facts)["gaps"]
    assert (gap["number"], gap["seconds"]) == (held.envelope.sequence, 4.0)


def test_ledger_has_steps_drops_repeats_and_clocks() -> None:
    run = Run()
    step = QualityStep(
        rung=2, rungs=7, change="down", reason="delay", picture="stills", video_bps=0,
        width=0, height=0, fps=0, sound=True,
    )  # fmt: skip
    run.says("quality_step", step, 10)
    run.says("clock_state", ClockState(offset_ns=412 * SECOND_NS, set_ns=-3600 * SECOND_NS), 11)
    blind = Milestone(stage="en_route", at_ns=START_NS)
    run.says("milestone", blind, 1, monotonic_s=1, offset_s=None)
    run.says("vitals", heart_rate(2), 2, monotonic_s=2, offset_s=412)
    run.says("run_report", RunReport(from_ns=1, made=9, resent=3, dropped={"ecg_live": 7}), 20)
    ledger = run.ledger()
    assert [(one["rung"], one["reason"]) for one in ledger["steps"]] == [(2, "delay")]
    assert (ledger["dropped"], ledger["repeated"]) == ({"ecg_live": 7}, 3)
    (clock,) = ledger["clocks"]
    assert (clock["offset_s"][1], clock["set_by_s"]) == (412.0, [-3600.0])
    assert clock["unknown"] + clock["estimated_later"] == 1


@given(
    delays=st.lists(st.floats(0, 700), min_size=1, max_size=40), seed=st.integers(0, 2**32)
)  # fmt: skip
def test_ledger_any_delays_and_order_counts_every_fact_once(delays: list[float], seed: int) -> None:
    run = Run()
    for number, late_s in enumerate(delays):
        run.says("vitals", heart_rate(number), number, late_s=late_s)
    shuffled = random.Random(seed).sample(run.pages.facts, len(run.pages.facts))
    ledger = ledger_of(CASE, shuffled)
    assert ledger == run.ledger()
    assert ledger["latency_ms"]["hub"]["vitals"]["count"] == len(delays)
    assert sum(one["facts"] for one in ledger["outages"]["seen"]) == sum(d >= 5 for d in delays)
    stalls = ledger["outages"]["seen"]
    assert all(a["until_ms"] < b["from_ms"] for a, b in itertools.pairwise(stalls))


@pytest.mark.parametrize(("count", "p95"), [(1, 1.0), (20, 19.0), (100, 95.0)])
def test_percentiles_are_nearest_rank(count: int, p95: float) -> None:
    assert percentiles(float(n) for n in range(1, count + 1))["p95"] == p95
