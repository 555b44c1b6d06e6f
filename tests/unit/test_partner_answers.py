"""What partners answer, as CAP and as JSON: read as it is meant, or refused with the field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.cap import STATUSES, Answer, CapError, read_cap
from dispatch.partner_desk import read_answer
from streams.partner_messages import PartnerStatus
from tests.partner_stand_in import cap_answer

AT_NS = 1_767_225_600_000_000_000
"""2026-01-01T08:00:00+08:00."""


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        ("Ack", "", "received"),
        ("Error", "", "refused"),
        ("Update", "", None),
        ("Ack", "accepted", "accepted"),
        ("Update", "ON_SCENE", "on_scene"),
        ("Update", "their-own-code", None),
    ],
)
def test_cap_answer_means_what_its_type_and_code_say(
    kind: str, code: str, status: str | None
) -> None:
    answer = read_cap(cap_answer("us,A.B,then us,A.C,then", kind, code=code, note="两车").encode())
    assert answer == Answer(
        ("A.B", "A.C"), status, "两车", AT_NS, "police@example,a-1", "Actual"  # type: ignore[arg-type]
    )  # fmt: skip


def test_status_may_stand_in_a_parameter_and_the_note_in_a_description() -> None:
    info = (
        "<info><description>two cars</description><parameter><valueName>Status</valueName>"
        "<value>en_route</value></parameter></info></cap:alert>"
    )
    answer = read_cap(cap_answer("s,A.B,t", "Update").replace("</cap:alert>", info).encode())
    assert (answer.status, answer.note) == ("en_route", "two cars")


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("<cap:references>s,A.B,t</cap:references>", "", "references"),
        ("<cap:msgType>Ack", "<cap:msgType>Alert", "msgType"),
        ("+08:00", "", "sent"),
        ("2026-01-01T", "soon", "sent"),
        ("2026-01-01T08:00:00+08:00", "1926-01-01T08:00:00+08:00", "sent"),
        ("cap:alert", "cap:alarm", "alert"),
        ("</cap:alert>", "<code>done</code><code>refused</code></cap:alert>", "code"),
        ("</cap:alert>", "<cap:sender>other</cap:sender></cap:alert>", "sender"),
        (
            "</cap:alert>",
            "<info><parameter><valueName>status</valueName><value>asleep</value></parameter></info>"
            "</cap:alert>",
            "parameter",
        ),
        ("</cap:alert>", "", "document"),
    ],
)
def test_cap_answer_that_is_none_names_the_element(old: str, new: str, field: str) -> None:
    document = cap_answer("s,A.B,t")
    assert old in document
    with pytest.raises(CapError) as wrong:
        read_cap(document.replace(old, new).encode())
    assert wrong.value.field == field


LAUGHS = "".join(f'<!ENTITY a{n} "&a{n - 1};&a{n - 1};">' for n in range(1, 30))


@pytest.mark.parametrize(
    "document",
    [
        f'<!DOCTYPE a [<!ENTITY a0 "ha">{LAUGHS}]><alert>&a29;</alert>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><alert/>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><alert><note>&x;</note></alert>',
        "<alert>" * 3000,
        "<alert>" + "<code/>" * 9000 + "</alert>",
        "<alert>&undefined;</alert>",
        f"<alert><note>{'x' * 300_000}</note></alert>",
        '<?xml version="1.0" encoding="no-such"?><alert/>',
    ],
)
def test_hostile_xml_is_refused_and_costs_nothing(document: str) -> None:
    with pytest.raises(CapError):
        read_answer(document.encode())


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: f"<{text}".encode()))
def test_garbage_raises_nothing_but_what_names_a_field(garbage: bytes) -> None:
    try:
        answer = read_answer(garbage)
    except CapError as error:
        assert error.field
    else:
        assert answer.messages


@given(
    st.sampled_from(STATUSES),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60).map(str.strip),
    st.sampled_from(["A.B", "x"]),
)
def test_json_and_cap_that_say_the_same_are_read_alike(
    status: PartnerStatus, note: str, message: str
) -> None:
    escaped = note.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    by_cap = read_answer(cap_answer(f"s,{message},t", code=status, note=escaped).encode())
    quoted = note.replace("\\", "\\\\").replace('"', '\\"')
    by_json = read_answer(
        f'{{"message": "{message}", "status": "{status}", "note": "{quoted}",'
        f'"at": "2026-01-01T08:00:00+08:00", "more": 1}}'.encode()
    )
    assert (by_cap.messages, by_cap.status, by_cap.at_ns) == (
        by_json.messages,
        by_json.status,
        by_json.at_ns,
    )
    assert by_cap.note == by_json.note


def test_json_time_without_a_zone_is_refused() -> None:
    with pytest.raises(CapError) as wrong:
        read_answer(b'{"message": "A.B", "status": "done", "at": "2026-01-01T08:00:00"}')
    assert wrong.value.field == "at"
