"""What came late, or from a clock that was not known yet, on the arrival board."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hospital_gateway.board import Board
from streams.chain import Stored
from streams.codec import encode
from tests.case_writer import SECOND, CaseWriter

HERE = "first-hospital"
MS = 1_000_000


def came(fact: Stored, after_s: float, here_s: float | None = None) -> Stored:
    """Return the fact as if the hub, and this hospital, had stored it so long after its making."""
    received_ns = fact.corrected_ns + round(after_s * SECOND)
    here_ns = fact.corrected_ns + round((after_s if here_s is None else here_s) * SECOND)
    return replace(fact, received_ns=received_ns, stored_ns=here_ns)


def blind(fact: Stored, monotonic_s: float, *, wall_error_s: float) -> Stored:
    """Return the fact as a vehicle makes it that does not know the hub's time."""
    wall_ns = fact.corrected_ns + round(wall_error_s * SECOND)
    envelope = msgspec.structs.replace(
        fact.envelope, source_ns=wall_ns, offset_ns=None, uncertainty_ns=None,
        monotonic_ns=round(monotonic_s * SECOND), boot="a-boot",
    )  # fmt: skip
    return replace(fact, envelope=envelope, data=encode(envelope), corrected_ns=wall_ns)


def told(fact: Stored, monotonic_s: float) -> Stored:
    envelope = msgspec.structs.replace(
        fact.envelope, monotonic_ns=round(monotonic_s * SECOND), boot="a-boot"
    )
    return replace(fact, envelope=envelope, data=encode(envelope))


def started() -> tuple[CaseWriter, Board]:
    writer, board = CaseWriter(), Board(HERE)
    for fact in (writer.open(), writer.assign(), writer.choose()):
        board.take(fact)
    return writer, board


def patient(board: Board, case: str) -> dict[str, Any]:
    (row,) = board.whole(case)["card"]["patients"]
    return dict(row)


def test_old_low_saturation_that_comes_late_is_not_shown_as_now() -> None:
    writer, board = started()
    low = writer.vitals(spo2_percent=71.0)
    writer.now_ns += 240 * SECOND
    fresh = writer.vitals(spo2_percent=97.0)
    board.take(came(fresh, 0.1))
    board.take(came(low, 245))
    row = patient(board, writer.case)
    assert row["vitals"]["spo2_percent"]["value"] == 97.0
    curve = board.whole(writer.case)["curves"]["1"]["spo2_percent"]
    assert [value for _, value in curve] == [71.0, 97.0], "the trend is refreshed"
    assert row["late"] == {
        "from_ms": low.corrected_ns / MS, "until_ms": low.corrected_ns / MS, "most_ms": 245_000.0,
    }  # fmt: skip


def test_late_facts_of_before_the_hospital_was_chosen_are_late_by_the_hub_only() -> None:
    writer, board = CaseWriter(), Board(HERE)
    first = writer.open(), writer.assign(), writer.vitals(spo2_percent=95.0)
    writer.now_ns += 600 * SECOND
    chosen = writer.choose()
    for fact in (*first, chosen):
        board.take(came(fact, 0.1, 700))
    assert patient(board, writer.case)["late"] is None


def test_vitals_held_up_between_hub_and_hospital_are_late_here() -> None:
    writer, board = started()
    board.take(came(writer.vitals(spo2_percent=95.0), 0.1, 300))
    late = patient(board, writer.case)["late"]
    assert late is not None
    assert late["most_ms"] == 300_000.0


def test_late_line_says_how_late_it_came_and_stands_where_it_belongs() -> None:
    writer, board = started()
    scene = writer.stage("on_scene")
    writer.now_ns += 300 * SECOND
    left = writer.stage("departed")
    board.take(came(left, 0.1))
    board.take(came(scene, 303))
    lines = [line for line in board.lines(writer.case) if line["kind"] == "milestone"]
    assert [line["said"]["stage"] for line in lines] == ["on_scene", "departed"]
    assert lines[0]["late_ms"] == 303_000.0
    assert "late_ms" not in lines[1]


def test_older_pre_alert_that_was_overtaken_does_not_replace_the_newer() -> None:
    writer, board = started()
    red = writer.alert(severity="red")
    green = writer.alert(severity="green", text="better now")
    numbers = green.case_sequence, red.case_sequence
    board.take(came(replace(green, case_sequence=numbers[1]), 0.1))
    board.take(came(replace(red, case_sequence=numbers[0]), 120))
    row = patient(board, writer.case)
    assert (row["severity"], row["alert_late_ms"]) == ("green", 0)


def test_case_of_a_vehicle_that_did_not_know_the_time_is_shown_with_true_times() -> None:
    writer, board = started()
    scene = writer.stage("on_scene")
    writer.now_ns += 100 * SECOND
    vitals = writer.vitals(spo2_percent=95.0)
    held = came(blind(scene, 10, wall_error_s=-412), 0)
    facts = [*writer.facts[:3], held, came(told(vitals, 111), 0.1)]
    board.take(facts[3])
    board.take_changes()
    before = next(line for line in board.lines(writer.case) if line["kind"] == "milestone")
    assert before["time"] == "unknown"
    board.take(facts[4])
    assert board.untimed == {writer.case}
    board.read_again(writer.case, facts)
    after = next(line for line in board.lines(writer.case) if line["kind"] == "milestone")
    assert after["noted_ms"] == scene.corrected_ns / MS
    assert after["time"] == "estimated"
    change = board.take_changes()[writer.case]
    assert change.again
    assert {line.kind for line in change.lines} >= {"milestone", "case_opened"}
    assert patient(board, writer.case)["vitals"]["spo2_percent"]["value"] == 95.0


@given(
    seed=st.integers(0, 2**32),
    delays=st.lists(st.floats(0, 600), min_size=2, max_size=20),
    known_from=st.integers(0, 19),
)
def test_board_any_order_and_delay_gives_the_same_case(
    seed: int, delays: list[float], known_from: int
) -> None:
    """Whatever is held up, overtaken or from a clock that is not known yet."""
    writer, reference = started()
    facts: list[Stored] = []
    for number, delay_s in enumerate(delays):
        fact = writer.vitals(spo2_percent=float(80 + number))
        at_s = 10.0 + number
        fact = told(fact, at_s) if number >= known_from else blind(fact, at_s, wall_error_s=-412)
        facts.append(came(fact, delay_s))
    board = Board(HERE)
    for one, order in (
        (reference, facts),
        (board, random.Random(seed).sample([*writer.facts[:3], *facts], len(facts) + 3)),
    ):
        for fact in order:
            one.take(fact)
        for case in sorted(one.untimed):
            one.read_again(case, [*writer.facts[:3], *facts])
    assert board.whole(writer.case) == reference.whole(writer.case)
    assert board.lines(writer.case) == reference.lines(writer.case)
    if known_from < len(delays):
        curve = board.whole(writer.case)["curves"]["1"]["spo2_percent"]
        assert [value for _, value in curve] == [80.0 + n for n in range(len(delays))]
