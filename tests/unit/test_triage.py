"""START and JumpSTART: every branch, what is asked next, and that worse is never milder."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.triage import (
    GRAVITY,
    JUMPSTART,
    RANK,
    START,
    TABLES,
    Question,
    Verdict,
    method_for,
    triage,
)
from streams.incident_messages import Findings, Method, Rate, Responds, Tag

DOWN = {"walks": False}
BREATHES = {**DOWN, "breathes": True}
APNOEIC = {**DOWN, "breathes": False}
CALM = {**BREATHES, "rate_per_min": 20}
FLAT = {**APNOEIC, "breathes_after_airway": False}

ADULTS: list[tuple[dict[str, Any], Tag | None, str]] = [
    ({"walks": True}, "minor", "walks"),
    (APNOEIC, None, "breathes_after_airway"),
    ({**APNOEIC, "breathes_after_airway": True}, "immediate", "breathes_with_airway"),
    (FLAT, "expectant", "not_breathing"),
    ({**FLAT, "pulse": True}, "expectant", "not_breathing"),
    (BREATHES, None, "rate"),
    ({**BREATHES, "rate_per_min": 31}, "immediate", "breathing_rate"),
    ({**BREATHES, "rate": "high"}, "immediate", "breathing_rate"),
    ({**BREATHES, "rate_per_min": 30}, None, "pulse"),
    ({**BREATHES, "rate": "low"}, None, "pulse"),
    ({**CALM, "pulse": False}, "immediate", "perfusion"),
    ({**CALM, "refill_s": 2.1}, "immediate", "perfusion"),
    ({**CALM, "pulse": True, "refill_s": 3.0}, "immediate", "perfusion"),
    ({**CALM, "refill_s": 2.0}, None, "obeys"),
    ({**CALM, "pulse": True, "responds": "voice"}, None, "obeys"),
    ({**CALM, "pulse": True, "responds": "alert"}, "delayed", "stable"),
    ({**CALM, "pulse": True, "responds": "pain"}, "immediate", "mental_status"),
    ({**CALM, "pulse": True, "obeys": False}, "immediate", "mental_status"),
    ({**CALM, "pulse": True, "obeys": True}, "delayed", "stable"),
]
CHILDREN: list[tuple[dict[str, Any], Tag | None, str]] = [
    ({"walks": True}, "minor", "walks"),
    ({**APNOEIC, "breathes_after_airway": True}, "immediate", "breathes_with_airway"),
    (FLAT, None, "pulse_without_breath"),
    ({**FLAT, "pulse": False}, "expectant", "not_breathing"),
    ({**FLAT, "pulse": True}, None, "breathes_after_rescue"),
    ({**FLAT, "pulse": True, "breathes_after_rescue": True}, "immediate", "breathes_with_rescue"),
    ({**FLAT, "pulse": True, "breathes_after_rescue": False}, "expectant", "not_breathing"),
    ({**BREATHES, "rate_per_min": 14}, "immediate", "breathing_rate"),
    ({**BREATHES, "rate_per_min": 46}, "immediate", "breathing_rate"),
    ({**BREATHES, "rate": "low"}, "immediate", "breathing_rate"),
    ({**BREATHES, "rate_per_min": 45}, None, "pulse"),
    ({**CALM, "refill_s": 1.0}, None, "pulse"),
    ({**CALM, "pulse": False}, "immediate", "perfusion"),
    ({**CALM, "pulse": True}, None, "responds"),
    ({**CALM, "pulse": True, "obeys": True}, None, "responds"),
    ({**CALM, "pulse": True, "responds": "alert"}, "delayed", "stable"),
    ({**CALM, "pulse": True, "responds": "voice"}, "delayed", "stable"),
    ({**CALM, "pulse": True, "responds": "pain"}, "delayed", "stable"),
    ({**CALM, "pulse": True, "responds": "pain_inappropriate"}, "immediate", "mental_status"),
    ({**CALM, "pulse": True, "responds": "unresponsive"}, "immediate", "mental_status"),
]


@pytest.mark.parametrize(("found", "tag", "why"), ADULTS)
def test_start_gives_each_branch_its_tag_or_asks_on(
    found: dict[str, Any], tag: Tag | None, why: str
) -> None:
    made = triage(Findings(**found), "start")
    assert (made.tag, made.reason if made.tag else made.ask) == (tag, why)


@pytest.mark.parametrize(("found", "tag", "why"), CHILDREN)
def test_jumpstart_gives_each_branch_its_tag_or_asks_on(
    found: dict[str, Any], tag: Tag | None, why: str
) -> None:
    made = triage(Findings(**found), "jumpstart")
    assert (made.tag, made.reason if made.tag else made.ask) == (tag, why)


def test_every_end_of_both_tables_is_reached_by_a_test_above() -> None:
    for table, cases, method in ((START, ADULTS, "start"), (JUMPSTART, CHILDREN, "jumpstart")):
        ends = {
            (after.tag, after.reason)
            for answers in table.values()
            for after in answers.values()
            if isinstance(after, Verdict)
        }
        reached = {(tag, why) for _, tag, why in cases if tag is not None}
        assert ends == reached, method
        asked = {after for answers in table.values() for after in answers.values()} - {
            after for answers in table.values() for after in answers.values()
            if isinstance(after, Verdict)
        }  # fmt: skip
        assert asked <= table.keys()


def test_nothing_found_yet_asks_for_walking_and_gives_no_tag() -> None:
    for method in TABLES:
        made = triage(Findings(), method)
        assert (made.tag, made.ask, made.reason) == (None, "walks", None)
        assert triage(Findings(walks=False), method).ask == "breathes"


def test_who_walks_without_breath_is_looked_at_again() -> None:
    made = triage(Findings(walks=True, breathes=False), "start")
    assert (made.tag, made.reason, made.ask) == (None, "walks_without_breath", "walks")


def test_method_follows_age_and_where_it_is_not_known_the_look() -> None:
    assert method_for(7, looks_child=False) == "jumpstart"
    assert method_for(8, looks_child=True) == "start"
    assert method_for(None, looks_child=True) == "jumpstart"
    assert method_for(None, looks_child=False) == "start"


def test_decision_by_hand_has_no_table_to_follow() -> None:
    with pytest.raises(ValueError, match="'hand'"):
        triage(Findings(), "hand")


# Every finding from good to bad; what is not in a list has no order.
WORSE: dict[str, list[Any]] = {
    "walks": [True, False],
    "breathes": [True, False],
    "breathes_after_airway": [True, False],
    "breathes_after_rescue": [True, False],
    "pulse": [True, False],
    "obeys": [True, False],
    "refill_s": [0.5, 2.0, 2.5, 6.0],
    "rate_per_min": [20, 30, 31, 46, 60],
    "rate": ["normal", "high"],
    "responds": ["alert", "voice", "pain", "pain_inappropriate", "unresponsive"],
}
findings = st.builds(
    Findings,
    walks=st.none() | st.booleans(),
    breathes=st.none() | st.booleans(),
    breathes_after_airway=st.none() | st.booleans(),
    breathes_after_rescue=st.none() | st.booleans(),
    rate_per_min=st.none() | st.integers(0, 80),
    rate=st.none() | st.sampled_from(get_args(Rate)),
    pulse=st.none() | st.booleans(),
    refill_s=st.none() | st.floats(0, 10),
    obeys=st.none() | st.booleans(),
    responds=st.none() | st.sampled_from(get_args(Responds)),
)


@given(
    found=findings,
    method=st.sampled_from(["start", "jumpstart"]),
    name=st.sampled_from(sorted(WORSE)),
    data=st.data(),
)
def test_more_severe_finding_never_gives_a_milder_tag(
    found: Findings, method: Method, name: str, data: st.DataObject
) -> None:
    scale = WORSE[name]
    worse_at = data.draw(st.integers(1, len(scale) - 1))
    better_at = data.draw(st.integers(0, worse_at - 1))
    better = triage(msgspec.structs.replace(found, **{name: scale[better_at]}), method)
    worse = triage(msgspec.structs.replace(found, **{name: scale[worse_at]}), method)
    if better.tag is not None and worse.tag is not None:
        assert GRAVITY[worse.tag] >= GRAVITY[better.tag]


@given(found=findings, method=st.sampled_from(["start", "jumpstart"]))
def test_any_findings_give_a_tag_or_say_what_to_look_at(found: Findings, method: Method) -> None:
    made = triage(found, method)
    assert (made.tag is None) == (made.ask is not None)
    assert made.ask is None or made.ask in get_args(Question)
    assert made.tag is None or made.tag in RANK
