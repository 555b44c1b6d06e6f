"""What partners are told: CAP 1.2 by its table, the minimum and never more."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.calls import Call
from dispatch.cap import LANGUAGES, circle, read_cap
from dispatch.case_actions import AmendCase, AssignUnit, decide
from dispatch.case_routing import wants
from dispatch.cases import Case, CaseBook
from dispatch.errors import ConflictError, DispatchError, UnknownError
from dispatch.location.xml_tree import Element, read_xml
from dispatch.partner_actions import (
    CancelPartner,
    PartnerAction,
    TellPartner,
    decide_partner,
    holds_number,
)
from dispatch.partner_message import ADDRESS_KEPT, REFERENCES_KEPT, case_of
from dispatch.partner_settings import Partners, PartnerSettings
from dispatch.units import Fleet, HospitalSettings, UnitSettings
from hospital_gateway.timeline import entry_of
from streams.codec import any_body
from streams.errors import ConfigError
from streams.identity import new_id
from streams.messages import CaseOpened, Origin, Position, PreAlert, Severity, Sex
from streams.outbox import Draft
from streams.partner_messages import Document, PartnerAnswered, PartnerTold, Purpose
from tests.case_facts import START_NS, Pages

POLICE = PartnerSettings(name="police", kind="police", url="https://police.example/cap")
FIRE = PartnerSettings(name="fire", kind="fire", url="https://fire.example/", format="json")
FLEET = Fleet(
    (UnitSettings(name="unit-1", label="Ambulance 1"),),
    (HospitalSettings(name="first", latitude_deg=31.2, longitude_deg=121.4),),
)
FLEET.partners = Partners((POLICE, FIRE), hub="hub", region="north")
NUMBER = "+86 138 0000 0001"
MESSAGE = "01JD0000000000000000000000"

# Element, least, most (None: any number): OASIS CAP 1.2, sections 3.2.1, 3.2.2 and 3.2.4, in the
# order in which the schema of section 3.4 wants them.
TABLES: dict[str, list[tuple[str, int, int | None]]] = {
    "alert": [
        ("identifier", 1, 1), ("sender", 1, 1), ("sent", 1, 1), ("status", 1, 1),
        ("msgType", 1, 1), ("source", 0, 1), ("scope", 1, 1), ("restriction", 0, 1),
        ("addresses", 0, 1), ("code", 0, None), ("note", 0, 1), ("references", 0, 1),
        ("incidents", 0, 1), ("info", 0, None),
    ],
    "info": [
        ("language", 0, 1), ("category", 1, None), ("event", 1, 1), ("responseType", 0, None),
        ("urgency", 1, 1), ("severity", 1, 1), ("certainty", 1, 1), ("audience", 0, 1),
        ("eventCode", 0, None), ("effective", 0, 1), ("onset", 0, 1), ("expires", 0, 1),
        ("senderName", 0, 1), ("headline", 0, 1), ("description", 0, 1), ("instruction", 0, 1),
        ("web", 0, 1), ("contact", 0, 1), ("parameter", 0, None), ("resource", 0, None),
        ("area", 0, None),
    ],
    "area": [
        ("areaDesc", 1, 1), ("polygon", 0, None), ("circle", 0, None), ("geocode", 0, None),
        ("altitude", 0, 1), ("ceiling", 0, 1),
    ],
    "eventCode": [("valueName", 1, 1), ("value", 1, 1)],
    "parameter": [("valueName", 1, 1), ("value", 1, 1)],
}  # fmt: skip
VALUES = {
    "status": {"Actual", "Exercise", "System", "Test", "Draft"},
    "msgType": {"Alert", "Update", "Cancel", "Ack", "Error"},
    "scope": {"Public", "Restricted", "Private"},
    "category": {"Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env",
                 "Transport", "Infra", "CBRNE", "Other"},
    "responseType": {"Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess",
                     "AllClear", "None"},
    "urgency": {"Immediate", "Expected", "Future", "Past", "Unknown"},
    "severity": {"Extreme", "Severe", "Moderate", "Minor", "Unknown"},
    "certainty": {"Observed", "Likely", "Possible", "Unlikely", "Unknown"},
}  # fmt: skip
PATTERNS = {
    # Section 3.3.2: a numeric offset, never Z.
    "sent": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d",
    "identifier": r"[^\s,<&]+",
    "sender": r"[^\s,<&]+",
    "references": r"[^\s,]+,[^\s,]+,[^\s,]+( [^\s,]+,[^\s,]+,[^\s,]+)*",
    "circle": r"-?\d+\.\d+,-?\d+\.\d+ \d+(\.\d+)?",
    "language": r"en|zh-CN",
}

words = st.text(max_size=60)
purposes = st.lists(st.sampled_from(Purpose.__args__), min_size=1, max_size=8)  # type: ignore[attr-defined]


class Desk:
    """One case, and what is done with its partners, folded as the hub does."""

    def __init__(self, address: str = "No. 8 Garden Road", origin: Origin = "live") -> None:
        self.pages, self.book, self.id = Pages(), CaseBook(), new_id()
        opened = CaseOpened(address=address, complaint="", alias="Heron Blue")
        self.take(Draft("case_opened", opened, origin, self.id))

    @property
    def case(self) -> Case:
        found = self.book.get(self.id)
        assert found is not None
        return found

    def take(self, draft: Draft) -> None:
        fact = self.pages.add(draft.kind, draft.body, case=self.id, origin=draft.origin)
        self.book.take(fact)

    def act(self, action: PartnerAction, message: str = "") -> PartnerTold:
        message = message or new_id()
        (draft,) = decide_partner(action, self.case, FLEET, START_NS, message=message, seat="s-1")
        self.take(draft)
        assert isinstance(draft.body, PartnerTold)
        return draft.body

    def tell(self, *what: Purpose, partner: str = "police", **fields: Any) -> PartnerTold:
        what = what or ("violence",)
        return self.act(TellPartner(case=self.id, partner=partner, purposes=what, **fields))

    def said(self, told: PartnerTold, state: str) -> None:
        body = msgspec.structs.replace(told, state=state, document="", tries=1)
        self.take(Draft("partner_told", body, case=self.id))

    def answered(self, told: PartnerTold, status: str, at_s: int) -> None:
        body = PartnerAnswered(
            partner=told.partner, name=told.name, status=status,  # type: ignore[arg-type]
            message=told.message, at_ns=START_NS + at_s * 10**9,
        )  # fmt: skip
        self.take(Draft("partner_answered", body, case=self.id))


def check(element: Element, name: str = "alert") -> None:
    """Check an element against the standard's table, and what is below it."""
    table = TABLES[name]
    order = [row[0] for row in table]
    names = [child.name for child in element.children]
    assert set(names) <= set(order)
    assert names == sorted(names, key=order.index), "the schema is a sequence"
    for row, least, most in table:
        assert least <= names.count(row) <= (most if most is not None else 1000), row
    for child in element.children:
        if child.name in VALUES:
            assert child.text in VALUES[child.name]
        if child.name in PATTERNS:
            assert re.fullmatch(PATTERNS[child.name], child.text), (child.name, child.text)
        if child.name in TABLES:
            check(child, child.name)


def alert_of(document: str) -> Element:
    root, warnings = read_xml(document)
    assert (root.name, warnings) == ("alert", ())
    assert "urn:oasis:names:tc:emergency:cap:1.2" in document[:200]
    return root


def only(element: Element, name: str) -> str:
    found = element.only(name)
    assert found is not None, name
    return found.text


places = st.builds(
    Position,
    latitude_deg=st.floats(-90, 90), longitude_deg=st.floats(-180, 180),
    radius_m=st.none() | st.floats(0, 1e6), measured_ns=st.just(START_NS), source=words,
)  # fmt: skip


@given(
    address=st.text(min_size=1, max_size=800),
    note=words, what=purposes, place=places, is_drill=st.booleans(), is_there=st.booleans(),
)  # fmt: skip
def test_message_of_any_text_keeps_to_the_standard_s_table(
    address: str, note: str, what: list[Purpose], **fields: Any
) -> None:
    desk = Desk(address)
    desk.case.position, desk.case.unit = fields["place"], "unit-1"
    if fields["is_there"]:
        desk.case.stages["on_scene"] = START_NS
    first = desk.tell(*what, note=note)
    second = desk.tell(*what)
    over = desk.act(CancelPartner(case=desk.id, partner="police", note="over"))
    for told, kind in ((first, "Alert"), (second, "Update"), (over, "Cancel")):
        root = alert_of(told.document)
        check(root)
        assert (only(root, "msgType"), only(root, "scope")) == (kind, "Private")
        assert only(root, "addresses") == "police"
        assert [only(info, "language") for info in root.all("info")] == list(LANGUAGES)
        assert len(list(root.within("circle"))) == 2
        assert msgspec.convert(told.document, Document) == told.document
    (description,) = root.all("info")[0].all("description")
    assert "over" in description.text


def test_longest_message_fits_its_field_and_its_topic() -> None:
    desk = Desk("&" * 4000)
    for _ in range(REFERENCES_KEPT + 3):
        told = desk.tell(*Purpose.__args__, note="&" * 1000)  # type: ignore[attr-defined]
    assert msgspec.convert(told.document, Document)
    assert len(told.document.encode()) < 100_000
    root = alert_of(told.document)
    assert len(only(root, "references").split()) == REFERENCES_KEPT
    assert len(next(iter(root.within("areaDesc"))).text) == ADDRESS_KEPT


def test_chinese_and_what_xml_cannot_carry_come_out_as_they_are_or_not_at_all() -> None:
    desk = Desk("花园路8号 <后门> & 车库\x00\ufffe")
    told = desk.tell("fire", note="三楼有烟\x07")
    info = alert_of(told.document).all("info")[1]
    assert only(info, "headline") == "火灾：花园路8号 <后门> & 车库"
    assert only(info, "description") == "火灾。尚未派出救护车。备注：三楼有烟"
    assert only(info.all("area")[0], "areaDesc") == "花园路8号 <后门> & 车库"


def test_circle_is_in_kilometres_and_a_place_without_one_has_none() -> None:
    assert circle(31.2304, 121.4737, 20) == "31.230400,121.473700 0.020"
    assert circle(-31.2304, -0.5, None) == "-31.230400,-0.500000 0.000"
    assert "circle" not in Desk().tell().document


class Patient(msgspec.Struct):
    """All that a case may hold of its patient and its caller."""

    complaint: str
    alias: str
    age_years: int | None
    sex: Sex
    severity: Severity
    caller: str
    number: str
    concern: str


patients = st.builds(
    Patient,
    complaint=words, alias=words, age_years=st.none() | st.integers(0, 130),
    sex=st.sampled_from(Sex.__args__),  # type: ignore[attr-defined]
    severity=st.sampled_from(Severity.__args__),  # type: ignore[attr-defined]
    caller=words, number=st.from_regex(r"\+86[0-9]{11}", fullmatch=True), concern=words,
)  # fmt: skip


def document_with(patient: Patient, told: dict[str, Any], name: str) -> str:
    """Return what leaves for a case that is always the same but for its patient."""
    desk = Desk()
    desk.case.id = name
    for field in ("complaint", "alias", "age_years", "sex", "severity", "caller"):
        setattr(desk.case, field, getattr(patient, field))
    desk.case.call = Call(phase="talking", number=patient.number)
    desk.case.pre_alert = PreAlert(
        pathway="stemi", severity=patient.severity, text=patient.concern, sex=patient.sex,
        age_years=patient.age_years,
    )  # fmt: skip
    desk.case.hospital, desk.case.hospital_name = "first", patient.concern
    action = TellPartner(case=name, **told)
    (draft,) = decide_partner(action, desk.case, FLEET, START_NS, message=MESSAGE, seat="s-1")
    assert isinstance(draft.body, PartnerTold)
    return draft.body.document


@given(
    one=patients, other=patients, what=purposes, partner=st.sampled_from(["police", "fire"]),
)  # fmt: skip
def test_message_is_the_same_to_the_letter_whoever_the_patient_is(
    one: Patient, other: Patient, what: list[Purpose], partner: str
) -> None:
    told = {"partner": partner, "purposes": tuple(what), "note": "blue door"}
    name = "01JD0000000000000000000001"
    assert document_with(one, told, name) == document_with(other, told, name)


@pytest.mark.parametrize("partner", ["police", "fire"])
def test_caller_s_number_goes_to_the_police_alone_and_only_where_it_is_ticked(partner: str) -> None:
    desk = Desk()
    desk.case.call = Call(phase="talking", number=NUMBER)
    assert "0001" not in desk.tell(partner=partner).document
    for note in (NUMBER, "call 13800000001", "0138-0000-0001 !"):
        with pytest.raises(ConflictError) as refused:
            desk.tell(partner=partner, note=note)
        assert refused.value.conflict["kind"] == "number"
    if partner == "fire":
        with pytest.raises(ConflictError) as refused:
            desk.tell(partner=partner, with_number=True)
        assert refused.value.conflict["kind"] == "not_police"
    else:
        assert NUMBER in desk.tell(with_number=True).document


def test_caller_s_name_is_no_number() -> None:
    desk = Desk()
    desk.case.caller = "Li Na, his daughter, born 19800101"
    assert not holds_number("house 19800101", desk.case)
    with pytest.raises(ConflictError) as refused:
        desk.tell(with_number=True)
    assert refused.value.conflict["kind"] == "no_number"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda case: setattr(case, "address", " "), "no_place"),
        (lambda case: setattr(case, "closed_ns", 1), "closed"),
        (lambda case: setattr(case, "linked_to", new_id()), "linked"),
        (lambda case: setattr(case, "drill", True), "exercise"),
        (lambda case: setattr(case, "opened_as", "synthetic"), "exercise"),
    ],
)
def test_telling_that_makes_no_sense_is_refused(change: Callable[[Case], None], kind: str) -> None:
    desk = Desk()
    change(desk.case)
    with pytest.raises(ConflictError) as refused:
        desk.tell()
    assert refused.value.conflict["kind"] == kind


def test_partner_that_takes_exercises_is_told_that_it_is_one() -> None:
    fleet = Fleet((), ())
    fleet.partners = Partners((msgspec.structs.replace(POLICE, exercises=True),))
    desk = Desk(origin="replay")
    action = TellPartner(case=desk.id, partner="police", purposes=("fire",))
    for drill, use in ((False, "Test"), (True, "Exercise")):
        desk.case.drill = drill
        (draft,) = decide_partner(action, desk.case, fleet, START_NS, message=MESSAGE, seat="s")
        assert isinstance(draft.body, PartnerTold)
        assert only(alert_of(draft.body.document), "status") == use


def test_unknown_partner_is_named_with_those_that_are_known() -> None:
    with pytest.raises(UnknownError, match="fire, police"):
        Desk().tell(partner="coastguard")


def test_messages_refer_to_what_stands_and_what_failed_never_was() -> None:
    desk = Desk()
    first = desk.tell()
    desk.said(first, "failed")
    second = desk.tell()
    assert second.change == "alert"
    desk.said(second, "sent")
    third = desk.tell("fire")
    reference = f"hub.north.forerun,{second.message},{second.stated}"
    assert (third.change, only(alert_of(third.document), "references")) == ("update", reference)
    desk.act(CancelPartner(case=desk.id, partner="police", note="over"))
    assert desk.tell().change == "alert"
    assert desk.tell(partner="fire").change == "alert"


def test_answer_that_counts_is_the_newest_by_the_partner_s_own_time() -> None:
    desk = Desk()
    told = desk.tell()
    desk.answered(told, "on_scene", 60)
    desk.answered(told, "accepted", 5)  # sent before, and held up on its way
    answer = desk.case.partners["police"].answer
    assert answer is not None
    assert answer.status == "on_scene"
    desk.act(CancelPartner(case=desk.id, partner="police", note="over"))
    assert desk.case.partners["police"].answer is None


def test_decision_of_a_seat_tells_what_is_known_at_that_moment() -> None:
    desk = Desk()
    for action in (
        AmendCase(case=desk.id, address="Long Street bridge"),
        AssignUnit(case=desk.id, unit="unit-1"),
    ):
        for draft in decide(action, desk.book, FLEET, START_NS, new_id(), seat="s").drafts:
            desk.take(draft)
    body = msgspec.json.decode(desk.tell("trapped", partner="fire", note="two cars").document)
    assert case_of(body["message"]) == desk.id
    assert body["place"] == {"address": "Long Street bridge"}
    assert (body["units"], body["purposes"]) == (["Ambulance 1"], ["trapped"])
    assert "call_back" not in body


def test_crew_gets_the_answers_alone_and_the_hospital_s_timeline_neither() -> None:
    desk = Desk()
    told = desk.tell()
    desk.answered(told, "on_scene", 5)
    _, asked, answered = desk.pages.facts
    assert not wants("unit/unit-1", asked.envelope)
    assert wants("unit/unit-1", answered.envelope)
    for fact in (asked, answered):
        assert wants("hospital/first", fact.envelope), "its chain would have a gap"
        assert entry_of(fact, any_body(fact.envelope)) is None


@pytest.mark.parametrize(
    "url", ["http://police.example/cap", "police.example", "ftp://x/", "https://", "https://a:b/"]
)
def test_address_that_is_none_or_in_the_clear_stops_the_start(url: str) -> None:
    with pytest.raises(ConfigError, match="police"):
        PartnerSettings(name="police", url=url)


def test_sender_with_what_cap_forbids_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="sender"):
        PartnerSettings(name="police", url="https://a/", sender="Dispatch, north")


def test_own_message_is_no_answer() -> None:
    with pytest.raises(DispatchError, match="msgType"):
        read_cap(Desk().tell().document.encode())
