"""A case's facts become the same card, whatever order they come in and however often."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hospital_gateway.arrivals import Arrivals
from hospital_gateway.board import Board, Eta
from hospital_gateway.errors import NotCurrentError, UnknownCaseError
from hospital_gateway.replica_chain import Link, ReplicaChain
from streams.chain import Stored
from streams.messages import (
    Acknowledged,
    CaseAmended,
    CaseClosed,
    CaseNote,
    EcgEnded,
    MediaState,
    Numeric,
    QualityStep,
    SensorState,
    UnitAssigned,
    UnitReleased,
    Vitals,
)
from tests.case_writer import SECOND, START_NS, CaseWriter, twelve_leads

HERE, THERE = "first-hospital", "second-hospital"


def quality(rung: int, change: Literal["start", "down"]) -> QualityStep:
    picture: Literal["video", "stills"] = "stills" if rung else "video"
    return QualityStep(
        rung=rung, rungs=10, change=change, reason="delay", picture=picture, video_bps=20_000,
        width=320, height=240, fps=0.2, sound=True,
    )  # fmt: skip


def full_case() -> list[Stored]:
    """A case with everything in it: diverted here, two patients, corrections, an end."""
    writer = CaseWriter()
    writer.open(severity="yellow")
    writer.assign("unit-2")
    sent = UnitAssigned(unit="unit-1", released="unit-2", name="Ambulance 1")
    writer.add(sent, "unit_assigned")
    writer.choose(THERE)
    writer.stand_down(THERE, "cath lab down")
    writer.choose(HERE)
    writer.add(CaseAmended(complaint="chest pain, sweating", severity="red"), "case_amended")
    writer.alert("1", severity="yellow", age_years=60)
    wrong = writer.stage("on_scene")
    writer.stage("on_scene", START_NS, corrects=wrong.envelope.id)
    writer.ecg(twelve_leads("ecg-1"))
    for beat in range(4):
        writer.vitals("1", heart_rate_per_min=100 + beat, offset_ns=7 * SECOND)
        writer.vitals(None, spo2_percent=90 + beat, origin="synthetic")
    writer.alert("2", pathway="trauma", severity="red")
    writer.vitals("2", heart_rate_per_min=60)
    writer.alert("1", severity="red", age_years=61)
    writer.add(EcgEnded(setup_id="ecg-1", samples=1000), "ecg_ended", "unit-1", patient="1")
    writer.ecg(twelve_leads("ecg-2"))
    writer.add(MediaState(stream="cabin", state="on"), "media_state", "unit-1")
    off = MediaState(stream="cabin", state="off")
    writer.add(off, "media_state", "unit-1", origin="replay")
    writer.add(quality(0, "start"), "quality_step", "unit-1")
    writer.add(quality(5, "down"), "quality_step", "unit-1")
    writer.add(SensorState(sensor="spo2", state="failed", reason="no finger"), "sensor_state",
               "unit-1")  # fmt: skip
    writer.add(Acknowledged(hospital=HERE, role="charge nurse"), "acknowledged", HERE)
    writer.add(CaseNote(text="on blood thinners", at_ns=START_NS), "case_note", HERE)
    writer.stage("arrived")
    writer.add(CaseClosed(outcome="handed_over"), "case_closed")
    return writer.facts


FULL = full_case()


def board_of(facts: list[Stored]) -> Board:
    board = Board(HERE)
    for fact in facts:
        link = Link.of(
            fact.case_sequence or 0,
            fact.corrected_ns,
            fact.received_ns,
            fact.data,
            fact.hash or b"",
        )
        board.link_fits(str(fact.envelope.case), link)
        board.take(fact)
    return board


def shown(board: Board, case: str) -> bytes:
    return msgspec.json.encode([board.whole(case), board.lines(case)], order="deterministic")


@given(st.data())
def test_card_any_order_and_any_repeat_is_the_same(data: st.DataObject) -> None:
    case = str(FULL[0].envelope.case)
    repeats = data.draw(st.lists(st.sampled_from(FULL), max_size=10))
    facts = data.draw(st.permutations(FULL + repeats))
    assert shown(board_of(facts), case) == shown(board_of(FULL), case)


def test_card_of_the_whole_case_says_what_was_said() -> None:
    case = str(FULL[0].envelope.case)
    card = board_of(FULL).card(case)
    assert (card.status, card.outcome, card.units) == ("closed", "handed_over", ["unit-1"])
    assert card.unit_names == {"unit-1": "Ambulance 1"}, "of unit-2 an older hub told no name"
    assert card.complaint == "chest pain, sweating"
    assert [(p.label, p.severity) for p in card.patients] == [
        ("1", "red"), ("2", "red"), (None, "unknown"),
    ]  # fmt: skip
    assert card.patients[0].age_years == 61
    assert card.patients[0].ecg is not None
    assert card.patients[0].ecg.setup["setup_id"] == "ecg-2"
    assert card.milestones["on_scene"] == START_NS / 1e6
    assert (card.media, card.media_origins) == ({"cabin": "off"}, {"cabin": "replay"})
    assert card.quality is not None
    assert (card.quality.said["rung"], card.quality.said["picture"]) == (5, "stills")
    assert card.quality.since_ms > START_NS / 1e6
    assert card.failed_sensors == {"spo2": "no finger"}
    assert [mark.role for mark in card.seen] == ["charge nurse"]
    assert card.chain.proven == card.chain.last == len(FULL)
    assert card.chain.broken == []


# --- bugs of a peer, each kept out here ---------------------------------------------------------


def test_board_case_bound_for_another_hospital_is_not_shown() -> None:
    writer = CaseWriter()
    writer.open()
    writer.assign()
    writer.choose(THERE)
    writer.alert()
    board = board_of(writer.facts)
    assert board.cases() == []
    with pytest.raises(UnknownCaseError):
        board.card(writer.case)
    with pytest.raises(UnknownCaseError):
        board.current(writer.case)
    assert not board.take_eta(writer.case, Eta(0, 0, 0, "straight"))


def test_board_diverted_case_stands_down_until_dismissed() -> None:
    writer = CaseWriter()
    writer.open()
    writer.choose(HERE)
    writer.alert()
    writer.stand_down(HERE, "cath lab down")
    board = board_of(writer.facts)
    card = board.card(writer.case)
    assert (card.status, card.stood_down_reason) == ("stood_down", "cath lab down")
    assert board.cases() == [writer.case]
    with pytest.raises(NotCurrentError):
        board.current(writer.case)
    board.dismiss(writer.case)
    assert board.cases() == []
    board.take(writer.choose(HERE))
    assert board.card(writer.case).status == "inbound"
    assert board.cases() == [writer.case]


def test_board_patient_on_the_way_cannot_be_dismissed() -> None:
    writer = CaseWriter()
    writer.open()
    writer.choose(HERE)
    with pytest.raises(NotCurrentError, match="inbound"):
        board_of(writer.facts).dismiss(writer.case)


def test_card_second_patient_keeps_a_row_of_its_own() -> None:
    writer = CaseWriter()
    writer.open()
    writer.choose(HERE)
    writer.alert("1", pathway="obstetric", age_years=30, sex="female")
    writer.vitals("1", heart_rate_per_min=110)
    writer.alert("2", pathway="paediatric", severity="yellow", age_years=0)
    writer.vitals("2", heart_rate_per_min=150)
    writer.vitals("1", heart_rate_per_min=111)
    rows = board_of(writer.facts).card(writer.case).patients
    assert [(row.label, row.pathway, row.age_years) for row in rows] == [
        ("1", "obstetric", 30), ("2", "paediatric", 0),
    ]  # fmt: skip
    assert [row.vitals["heart_rate_per_min"].value for row in rows] == [111, 150]


def test_card_unassigned_vitals_with_two_patients_go_to_neither() -> None:
    writer = CaseWriter()
    writer.open()
    writer.choose(HERE)
    writer.alert("1")
    writer.vitals(None, spo2_percent=88)
    one = board_of(writer.facts).card(writer.case).patients
    assert [row.label for row in one] == ["1"]
    assert one[0].vitals["spo2_percent"].unassigned
    writer.alert("2")
    rows = board_of(writer.facts).card(writer.case).patients
    assert [row.label for row in rows] == ["1", "2", None]
    assert ["spo2_percent" in row.vitals for row in rows] == [False, False, True]


@pytest.mark.parametrize("severity", ["red", "yellow", "green"])
def test_card_severity_shown_is_the_severity_alerted(severity: str) -> None:
    writer = CaseWriter()
    writer.open(severity="green")
    writer.choose(HERE)
    writer.alert(severity="red")
    writer.alert(severity=severity)
    card = board_of(writer.facts).card(writer.case)
    assert (card.severity, card.patients[0].severity) == (severity, severity)


def test_card_severity_unknown_in_the_alert_stays_the_dispatchers() -> None:
    writer = CaseWriter()
    writer.open(severity="yellow")
    writer.choose(HERE)
    writer.alert(severity="unknown")
    card = board_of(writer.facts).card(writer.case)
    assert (card.severity, card.patients[0].severity) == ("yellow", "yellow")


@pytest.mark.parametrize("hours", [-8, 0, 8])
def test_card_times_of_a_clock_off_by_hours_are_the_hubs(hours: int) -> None:
    writer = CaseWriter()
    writer.open()
    writer.choose(HERE)
    offset_ns = hours * 3600 * SECOND
    measured = writer.now_ns
    writer.vitals("1", heart_rate_per_min=80, offset_ns=offset_ns)
    stamped = writer.now_ns
    writer.stage("on_scene", offset_ns=offset_ns)
    board = board_of(writer.facts)
    card = board.card(writer.case)
    assert card.patients[0].vitals["heart_rate_per_min"].at_ms == measured / 1e6
    assert card.milestones["on_scene"] == stamped / 1e6
    assert board.lines(writer.case)[-1]["at_ms"] == stamped / 1e6


def test_card_value_from_the_future_counts_as_measured_when_told() -> None:
    writer = CaseWriter()
    writer.open()
    writer.choose(HERE)
    writer.vitals("1", heart_rate_per_min=80)
    told = writer.now_ns
    ahead = Numeric(value=81, measured_ns=told + 412 * SECOND)
    writer.add(Vitals(device="monitor", heart_rate_per_min=ahead), "vitals", "unit-1", patient="1")
    board = board_of(writer.facts)
    reading = board.card(writer.case).patients[0].vitals["heart_rate_per_min"]
    assert (reading.value, reading.at_ms) == (81, told / 1e6)
    assert len(board.whole(writer.case)["curves"]["1"]["heart_rate_per_min"]) == 2


def test_card_invalid_value_is_kept_but_drawn_as_a_gap() -> None:
    writer = CaseWriter()
    writer.open()
    writer.choose(HERE)
    numeric = Numeric(value=30, measured_ns=writer.now_ns, validity="invalid", reason="artifact")
    writer.add(Vitals(device="monitor", spo2_percent=numeric), "vitals", "unit-1", patient="1")
    board = board_of(writer.facts)
    reading = board.card(writer.case).patients[0].vitals["spo2_percent"]
    assert (reading.value, reading.validity, reading.reason) == (30, "invalid", "artifact")
    assert board.whole(writer.case)["curves"]["1"]["spo2_percent"][0][1] is None


def test_card_released_unit_is_no_longer_the_cases() -> None:
    writer = CaseWriter()
    writer.open()
    writer.assign("unit-1")
    writer.choose(HERE)
    writer.add(UnitReleased(unit="unit-1"), "unit_released")
    arrivals = board_of(writer.facts).arrivals
    assert arrivals.of_unit("unit-1") is None
    assert board_of(writer.facts).card(writer.case).units == []


def test_seen_before_a_stand_down_does_not_count_after_it() -> None:
    writer = CaseWriter()
    writer.open()
    writer.choose(HERE)
    writer.add(Acknowledged(hospital=HERE, role="charge nurse"), "acknowledged", HERE)
    writer.stand_down(HERE)
    writer.choose(HERE)
    assert board_of(writer.facts).card(writer.case).seen == []


def test_seen_elsewhere_does_not_count_here() -> None:
    writer = CaseWriter()
    writer.open()
    writer.choose(THERE)
    writer.add(Acknowledged(hospital=THERE, role="charge nurse"), "acknowledged", THERE)
    writer.stand_down(THERE)
    writer.choose(HERE)
    assert board_of(writer.facts).card(writer.case).seen == []


def test_seen_here_is_made_then_delivered_when_it_comes_back() -> None:
    writer = CaseWriter()
    writer.open()
    writer.choose(HERE)
    board = board_of(writer.facts)
    body = Acknowledged(hospital=HERE, role="charge nurse")
    stored = writer.add(body, "acknowledged", HERE)
    board.made(writer.case, stored.envelope.id, body, stored.corrected_ns)
    assert [mark.state for mark in board.card(writer.case).seen] == ["made"]
    board.take(stored)
    assert [mark.state for mark in board.card(writer.case).seen] == ["delivered"]


def test_board_sorted_by_severity_then_arrival() -> None:
    board = Board(HERE)
    cases = {}
    for name, severity in (("late", "red"), ("soon", "red"), ("fall", "yellow"), ("none", "red")):
        writer = CaseWriter()
        writer.open(severity=severity)
        writer.choose(HERE)
        for fact in writer.facts:
            board.take(fact)
        cases[writer.case] = name
        if name != "none":
            minutes = {"late": 20, "soon": 5, "fall": 1}[name]
            board.take_eta(writer.case, Eta(minutes * 60e3, 0, 1000, "straight"))
    assert [cases[case] for case in board.cases()] == ["soon", "late", "none", "fall"]


def test_arrivals_forget_only_what_ended_long_ago() -> None:
    ended, coming = CaseWriter(), CaseWriter()
    for writer in (ended, coming):
        writer.open()
        writer.choose(HERE)
    ended.add(CaseClosed(outcome="handed_over"), "case_closed")
    arrivals = Arrivals(HERE)
    for fact in [*ended.facts, *coming.facts]:
        arrivals.take(fact)
    assert arrivals.forget(START_NS) == 0
    assert arrivals.forget(START_NS + 3600 * SECOND) == 1
    assert [one.case for one in arrivals] == [coming.case]


# --- the copy of the chain ----------------------------------------------------------------------


def links() -> list[Link]:
    return [
        Link.of(f.case_sequence or 0, f.corrected_ns, f.received_ns, f.data, f.hash or b"")
        for f in FULL
    ]


@given(st.data())
def test_chain_any_order_is_proven_to_the_end(data: st.DataObject) -> None:
    chain = ReplicaChain()
    for link in data.draw(st.permutations(links())):
        assert chain.add(link)
    assert (chain.proven, chain.missing, chain.broken) == (len(FULL), 0, [])
    assert chain.head == FULL[-1].hash


@given(st.integers(0, len(FULL) - 1), st.randoms(use_true_random=False))
def test_chain_changed_fact_is_found_in_any_order(place: int, random: object) -> None:
    changed = links()
    changed[place] = with_another_fact(changed[place])
    random.shuffle(changed)  # type: ignore[attr-defined]
    chain = ReplicaChain()
    for link in changed:
        chain.add(link)
    assert chain.broken == [place + 1]
    assert chain.proven == place


def with_another_fact(link: Link) -> Link:
    return Link(link.case_sequence, link.corrected_ns, link.received_ns, bytes(32), link.hash)


def test_chain_gap_is_counted_and_stops_the_proof() -> None:
    chain = ReplicaChain()
    for link in links():
        if link.case_sequence != 3:
            chain.add(link)
    assert (chain.proven, chain.missing, chain.broken) == (2, 1, [])


def test_chain_other_fact_at_a_known_place_is_a_conflict() -> None:
    chain = ReplicaChain()
    for link in links():
        chain.add(link)
    assert not chain.add(with_another_fact(links()[4]))
    assert chain.broken == [5]
    assert chain.proven == len(FULL)
