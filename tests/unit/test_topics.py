"""The table of topics: complete, consistent, and the only maker of topic strings."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import (
    bay_messages,
    call_messages,
    caller_video_messages,
    district_messages,
    guidance_messages,
    hospital_messages,
    incident_messages,
    link_messages,
    messages,
    partner_messages,
    text_messages,
    topics,
    video_messages,
)
from streams.errors import ForerunError, MalformedError, TopicError, UnknownKindError

ROOT = Path(__file__).parents[2]


def test_table_has_every_body_that_travels_once() -> None:
    bodies = [row.body for row in topics.TOPICS.values()]
    twice = {messages.Receipt, link_messages.OutboxState}  # one each way, one between districts
    assert {body for body in bodies if bodies.count(body) > 1} == twice
    parts = {messages.Body, district_messages.DistrictBody, messages.Numeric, messages.Refusal}
    declared = {
        value
        for module in (
            messages,
            link_messages,
            bay_messages,
            call_messages,
            caller_video_messages,
            partner_messages,
            video_messages,
            district_messages,
            hospital_messages,
            incident_messages,
            text_messages,
            guidance_messages,
        )
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, messages.Body)
    }
    assert declared - parts == set(bodies)


@pytest.mark.parametrize("kind", sorted(topics.TOPICS))
def test_topic_built_and_parsed_is_the_same(kind: str) -> None:
    for scope in topics.TOPICS[kind].scopes:
        for drill in (False, True):
            text = topics.path(scope, "north", "a-1", kind, drill=drill)
            assert str(topics.parse(text)) == text
            assert topics.parse(text).drill is drill


def test_topic_of_the_other_scope_is_refused() -> None:
    with pytest.raises(TopicError):
        topics.path("hospital", "north", "first", "vitals")
    with pytest.raises(TopicError):
        topics.parse("er/north/first/vitals")


def test_topic_between_districts_says_who_speaks_to_whom() -> None:
    address = topics.parse(topics.path("district", "north", "south", "district_fact"))

    assert (address.scope, address.region, address.name) == ("district", "north", "south")
    with pytest.raises(TopicError):
        topics.path("district", "north", "south", "case_fact")


def test_facts_between_districts_say_in_their_body_whose_they_are() -> None:
    facts = topics.kinds("hub", "district", facts=True)
    assert "district_fact" in facts
    for kind in facts:
        assert issubclass(topics.find(kind).body, district_messages.DistrictBody)
        assert not topics.find(kind).case_only  # a neighbour's case is none of ours


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("ems/north/unit-1", TopicError),
        ("ems/north/unit-1/vitals/x", TopicError),
        ("police/north/unit-1/vitals", TopicError),
        ("ems/north/unit-1/horoscope", UnknownKindError),
        ("ems/north/Unit 1/vitals", MalformedError),
        ("ems/north/+/vitals", MalformedError),
        ("", TopicError),
    ],
)
def test_topic_of_another_shape_is_refused(text: str, error: type[ForerunError]) -> None:
    with pytest.raises(error):
        topics.parse(text)


@given(st.text(max_size=60))
def test_any_text_is_a_topic_or_a_clear_error(text: str) -> None:
    try:
        assert str(topics.parse(text)) == text
    except ForerunError as error:
        assert str(error)


def test_units_make_nothing_below_a_hospital_and_hospitals_nothing_below_a_unit() -> None:
    assert set(topics.kinds("unit", "hospital")) <= {
        kind for kind, row in topics.TOPICS.items() if "hub" in row.makers
    } | set(topics.kinds("hospital", "hospital"))
    assert set(topics.kinds("hospital", "unit", facts=True)) == {"case_note", "copy_lost"}


def test_facts_are_never_dropped_and_streams_never_queued() -> None:
    for row in topics.TOPICS.values():
        assert row.overflow == ("deliver" if row.is_fact else "latest")
        assert row.qos == (1 if row.is_fact else 0)


def test_topic_strings_are_written_nowhere_else() -> None:
    """Looks for literals that start with one of the roots in all packages."""
    roots = tuple(
        f"{topics.root(scope, drill=drill)}{mark}"
        for scope in ("unit", "hospital", "district")
        for drill in (False, True)
        for mark in "/."
    )
    found = []
    for package in ("streams", "onboard", "dispatch", "hospital_gateway", "bench"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    single = "\n" not in node.value
                    if single and node.value.startswith(roots):
                        found.append(f"{path.name}:{node.lineno} {node.value}")
    assert not found
