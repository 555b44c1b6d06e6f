"""The best position of a caller: each outcome by a sentence, and what holds for all of them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.location.best import Best, Fix, NoteKind, Rules, SpokenPlace, best_position
from dispatch.location.districts import District, touched
from dispatch.location.uncertainty import radius_at_95
from streams.geodesy import LocalPlane
from streams.messages import Position

SECOND_NS = 1_000_000_000
NOW_NS = 1_700_000_000 * SECOND_NS
PLANE = LocalPlane(31.2304, 121.4737)
WALKING = Rules().walking_mps


def fix(
    east_m: float = 0,
    north_m: float = 0,
    *,
    radius_m: float | None = 20,
    confidence: float | None = 0.95,
    source: str = "aml/gnss",
    age_s: float = 0,
    came_s: float | None = None,
    **more: Any,
) -> Fix:
    """A fix so many metres from the square, measured and received so long ago."""
    latitude, longitude = PLANE.to_degrees(east_m, north_m)
    position = Position(
        latitude_deg=latitude,
        longitude_deg=longitude,
        measured_ns=NOW_NS - round(age_s * SECOND_NS),
        source=source,
        radius_m=radius_m,
        confidence=confidence,
        **more,
    )
    received_s = age_s if came_s is None else came_s
    return Fix(position, NOW_NS - round(max(received_s, 0) * SECOND_NS))


def kinds(best: Best) -> list[NoteKind]:
    return [note.kind for note in best.notes]


def square(name: str, west: float, east: float, half_m: float = 5000) -> District:
    corners = [(west, -half_m), (east, -half_m), (east, half_m), (west, half_m)]
    return District(name, (tuple(PLANE.to_degrees(*corner) for corner in corners),))


# --- radius and age ---------------------------------------------------------------------------


def test_radius_at_68_percent_becomes_1_62_times_as_wide_and_not_1_96() -> None:
    assert radius_at_95(100, 0.68) == pytest.approx(162.15, abs=0.01)
    assert radius_at_95(100, None) == radius_at_95(100, 0.68)
    assert radius_at_95(100, 0.95) == 100
    assert radius_at_95(100, 1.0) == 100
    assert radius_at_95(100, 0.0) < 2000
    # By drawing: of errors with this sigma 68 % lie within 100 m and 95 % within that.
    sigma = 100 / math.sqrt(-2 * math.log(0.32))
    assert 1 - math.exp(-(162.15**2) / (2 * sigma**2)) == pytest.approx(0.95, abs=1e-4)


def test_best_of_one_fresh_fix_is_that_fix_with_its_radius_at_95_percent() -> None:
    one = fix(radius_m=10, confidence=0.68)
    best = best_position([one], NOW_NS)

    assert best.fix is one
    assert best.radius_m == pytest.approx(16.215, abs=0.001)
    assert (best.age_s, best.source, best.track) == (0, "aml/gnss", (one,))
    assert best.notes == ()


def test_best_of_none_says_so() -> None:
    best = best_position([], NOW_NS)
    assert (best.position, best.radius_m, best.age_s) == (None, None, None)
    assert kinds(best) == ["none"]


def test_best_of_several_is_the_most_precise_and_the_track_keeps_all_by_time() -> None:
    cell = fix(300, radius_m=900, source="network", age_s=20)
    wifi = fix(20, radius_m=40, source="aml/wifi", age_s=10)
    gnss = fix(5, radius_m=12, age_s=2)
    best = best_position([gnss, cell, wifi], NOW_NS)

    assert best.fix is gnss
    assert best.track == (cell, wifi, gnss)
    assert best.notes == ()


def test_best_widens_with_age_at_walking_pace_and_gives_way_to_a_fresh_fix() -> None:
    old = fix(radius_m=10, age_s=60)
    alone = best_position([old], NOW_NS)
    assert alone.radius_m == pytest.approx(10 + 60 * WALKING)
    assert alone.measured_radius_m == 10
    assert alone.age_s == 60

    fresh = fix(30, radius_m=50, source="browser")
    assert best_position([old, fresh], NOW_NS).fix is fresh


def test_best_widens_at_the_stated_speed_of_a_driving_caller() -> None:
    best = best_position([fix(radius_m=10, age_s=30, speed_mps=20)], NOW_NS)
    assert best.radius_m == pytest.approx(610)


def test_best_of_a_fixed_line_does_not_widen() -> None:
    best = best_position([fix(radius_m=10, age_s=3600, source="held/wiremap")], NOW_NS)
    assert best.radius_m == 10


def test_best_leaves_behind_where_the_same_source_has_moved_on_from() -> None:
    # 5 s ago with 5 m, now 100 m further with 15 m: the old one is more precise, but not there.
    old = fix(radius_m=5, age_s=5, source="browser")
    new = fix(100, radius_m=15, source="browser")
    best = best_position([old, new], NOW_NS)
    assert best.fix is new
    assert best.notes == ()


def test_best_without_a_radius_is_best_only_where_nothing_better_is_known() -> None:
    point = fix(radius_m=None, confidence=None, source="pidf")
    alone = best_position([point], NOW_NS)
    assert (alone.fix, alone.radius_m) == (point, None)
    assert kinds(alone) == ["no_radius"]

    wide = fix(radius_m=400, source="network")
    assert best_position([point, wide], NOW_NS).fix is wide


def test_best_takes_no_phone_at_its_word_that_knows_the_millimetre() -> None:
    assert best_position([fix(radius_m=0.001)], NOW_NS).radius_m == 1.0


# --- what is warned of ------------------------------------------------------------------------


def test_best_older_than_three_minutes_is_stale() -> None:
    assert kinds(best_position([fix(age_s=170)], NOW_NS)) == []
    best = best_position([fix(age_s=200)], NOW_NS)
    assert kinds(best) == ["stale"]
    assert best.fix is not None


def test_two_fresh_fixes_that_cannot_both_be_right_disagree_and_the_precise_one_stays() -> None:
    precise = fix(radius_m=15)
    other = fix(3000, radius_m=200, source="network")
    best = best_position([other, precise], NOW_NS)

    assert best.fix is precise
    assert kinds(best) == ["disagree"]
    assert best.notes[0].names == ("aml/gnss", "network")
    assert best.notes[0].metres == pytest.approx(3000, rel=0.01)
    assert "3000 m apart" in best.notes[0].text


def test_two_fixes_whose_circles_meet_do_not_disagree() -> None:
    best = best_position([fix(radius_m=15), fix(300, radius_m=290, source="network")], NOW_NS)
    assert best.notes == ()


def test_an_old_fix_elsewhere_does_not_disagree_with_a_fresh_one() -> None:
    best = best_position([fix(), fix(3000, age_s=400, source="network")], NOW_NS)
    assert best.notes == ()


def test_a_position_far_from_the_spoken_address_warns_and_replaces_nothing() -> None:
    one = fix(radius_m=15)
    near = SpokenPlace("People's Square", 31.2304, 121.4737, 60)
    far = SpokenPlace("Pudong Airport", 31.1443, 121.8083, 500)

    assert best_position([one], NOW_NS, address=near).notes == ()
    best = best_position([one], NOW_NS, address=far)
    assert best.fix is one
    assert best.radius_m == 15
    assert kinds(best) == ["far_from_address"]
    assert best.notes[0].names == ("Pudong Airport",)
    assert best.notes[0].metres == pytest.approx(33_000, rel=0.05)


def test_a_vague_position_is_not_far_from_an_address_within_its_circle() -> None:
    address = SpokenPlace("Jing'an", *PLANE.to_degrees(2500, 0), 50)
    assert best_position([fix(radius_m=3000)], NOW_NS, address=address).notes == ()


def test_a_fix_from_the_future_is_impossible_and_gives_way_to_one_elsewhere() -> None:
    ahead = fix(radius_m=5, age_s=-3600, came_s=10)
    alone = best_position([ahead], NOW_NS)
    assert alone.fix is ahead  # there is no other
    assert alone.age_s == 10
    assert kinds(alone) == ["impossible"]

    elsewhere = fix(5000, radius_m=2000, source="network")
    best = best_position([ahead, elsewhere], NOW_NS)
    assert best.fix is elsewhere
    assert best.impossible == (ahead,)
    assert best.track == (ahead, elsewhere)


def test_a_phone_that_tells_local_time_for_utc_is_best_where_another_fix_bears_it_out() -> None:
    ahead = fix(radius_m=5, age_s=-8 * 3600, came_s=10)
    around = fix(500, radius_m=2000, source="network")
    best = best_position([ahead, around], NOW_NS)
    assert best.fix is ahead
    assert best.radius_m == pytest.approx(5 + 10 * WALKING)
    assert kinds(best) == ["impossible"]
    assert best.notes[0].text == "aml/gnss: measured 28810 s after it came"


def test_a_clock_that_is_ahead_by_half_a_minute_is_taken_as_of_arrival() -> None:
    best = best_position([fix(age_s=-30, came_s=4)], NOW_NS)
    assert best.notes == ()
    assert best.age_s == 4


def test_a_jump_that_no_vehicle_makes_is_impossible_and_its_neighbours_stay() -> None:
    track = [fix(10 * n, source="browser", age_s=20 - 5 * n) for n in range(4)]
    glitch = fix(40_000, radius_m=3, source="browser", age_s=2)
    best = best_position([*track, glitch], NOW_NS)
    assert best.impossible == (glitch,)
    after = fix(50, source="browser")
    best = best_position([*track, glitch, after], NOW_NS)

    assert best.fix is after
    assert best.impossible == (glitch,)
    assert kinds(best) == ["impossible"]
    assert len(best.track) == 6


def test_of_a_jump_with_two_ends_the_one_that_another_source_bears_out_stays() -> None:
    there = fix(30_000, age_s=10)
    here = fix(0, age_s=1)
    assert best_position([there, here], NOW_NS).fix is here  # else the newer one
    bears_out = fix(30_100, radius_m=500, source="network", age_s=3)
    assert best_position([there, here, bears_out], NOW_NS).fix is there


def test_a_fast_train_is_no_jump() -> None:
    track = [fix(80 * 10 * n, source="browser", age_s=50 - 10 * n) for n in range(6)]
    best = best_position(track, NOW_NS)
    assert best.impossible == ()
    assert best.fix is track[-1]


def test_a_fix_far_outside_of_the_service_area_is_impossible() -> None:
    area = [square("Huangpu", -5000, 5000)]
    away = fix(900_000, radius_m=5)
    assert kinds(best_position([away], NOW_NS, districts=area)) == ["impossible", "outside"]
    here = fix(0, radius_m=2000, source="network")
    best = best_position([away, here], NOW_NS, districts=area)
    assert (best.fix, best.impossible) == (here, (away,))


def test_a_fix_a_little_outside_is_possible_and_said_to_be_outside() -> None:
    best = best_position([fix(9000)], NOW_NS, districts=[square("Huangpu", -5000, 5000)])
    assert kinds(best) == ["outside"]
    assert best.impossible == ()


def test_a_circle_over_a_border_names_both_districts_and_its_own_first() -> None:
    area = [square("Huangpu", -5000, 100), square("Pudong", 100, 5000), square("Far", 9000, 9999)]
    best = best_position([fix(60, radius_m=50)], NOW_NS, districts=area)
    assert best.districts == ("Huangpu", "Pudong")
    assert kinds(best) == ["on_border"]
    assert best.notes[0].names == ("Huangpu", "Pudong")

    inside = best_position([fix(-2000, radius_m=50)], NOW_NS, districts=area)
    assert (inside.districts, inside.notes) == (("Huangpu",), ())

    neighbours = best_position([fix(2000, radius_m=50)], NOW_NS, districts=area)
    assert neighbours.districts == ("Pudong",)
    assert kinds(neighbours) == ["elsewhere"]


def test_a_district_with_a_hole_does_not_hold_what_is_in_the_hole() -> None:
    outer, hole = square("Ring", -5000, 5000).rings[0], square("x", -500, 500, 500).rings[0]
    ring = District("Ring", (outer, hole))
    assert not ring.holds(31.2304, 121.4737)
    assert ring.holds(*PLANE.to_degrees(2000, 0))
    assert touched([ring], 31.2304, 121.4737, 499) == ()
    assert touched([ring], 31.2304, 121.4737, 505) == ("Ring",)


# --- what holds for all -----------------------------------------------------------------------

ANY_FIX = st.builds(
    fix,
    east_m=st.floats(-60_000, 60_000),
    north_m=st.floats(-60_000, 60_000),
    radius_m=st.none() | st.floats(0, 5000),
    confidence=st.none() | st.floats(0, 1),
    source=st.sampled_from(["aml/gnss", "aml/wifi", "network", "browser", "held/wiremap"]),
    age_s=st.floats(-5000, 5000),
    came_s=st.floats(0, 5000),
    speed_mps=st.none() | st.floats(0, 60),
)


@given(st.data(), st.lists(ANY_FIX, max_size=12))
def test_best_is_the_same_in_whatever_order_the_fixes_come(
    data: st.DataObject, fixes: list[Fix]
) -> None:
    area = [square("West", -9000, 0), square("East", 0, 9000)]
    shuffled = data.draw(st.permutations(fixes))
    assert best_position(shuffled, NOW_NS, districts=area) == best_position(
        fixes, NOW_NS, districts=area
    )


@given(st.lists(ANY_FIX, max_size=12))
def test_best_never_drops_a_fix_from_the_track(fixes: list[Fix]) -> None:
    best = best_position(fixes, NOW_NS)
    assert len(best.track) == len(fixes)
    assert all(best.track.count(one) >= 1 for one in fixes)
    assert set(map(id, best.track)) == set(map(id, fixes))
    assert (best.fix is None) == (not fixes)
    times = [min(one.position.measured_ns, one.received_ns) for one in best.track]
    assert times == sorted(times)


STANDING_CALLER = st.builds(
    fix,
    east_m=st.floats(-3, 3),
    north_m=st.floats(-3, 3),
    radius_m=st.floats(5, 3000),
    confidence=st.sampled_from([None, 0.5, 0.68, 0.9, 0.95]),
    source=st.sampled_from(["aml/gnss", "aml/wifi", "network", "browser"]),
    age_s=st.floats(0, 170),
)


@given(st.lists(STANDING_CALLER, min_size=1, max_size=12))
def test_best_is_never_worse_than_the_most_precise_fresh_fix_that_fits_the_others(
    fixes: list[Fix],
) -> None:
    best = best_position(fixes, NOW_NS)
    most_precise = min(
        radius_at_95(one.position.radius_m or 0, one.position.confidence)
        + WALKING * (NOW_NS - one.position.measured_ns) / SECOND_NS
        for one in fixes
    )
    assert best.radius_m is not None
    assert best.radius_m <= most_precise + 1e-6
    assert best.notes == ()


@given(st.lists(ANY_FIX, min_size=1, max_size=8), st.floats(0, 3600))
def test_best_is_never_more_precise_later_without_news(fixes: list[Fix], later_s: float) -> None:
    now, later = (best_position(fixes, NOW_NS + round(after * SECOND_NS)) for after in (0, later_s))
    assert now.age_s is not None
    assert later.age_s is not None
    if now.fix is later.fix and now.radius_m is not None and later.radius_m is not None:
        assert later.radius_m >= now.radius_m - 1e-6
        assert later.age_s >= now.age_s


def test_best_of_a_long_track_with_jumps_everywhere_keeps_it_all() -> None:
    fixes = [
        fix(40_000 * (n % 2), radius_m=3, source="browser", age_s=1800 - n) for n in range(1800)
    ]
    best = best_position(fixes, NOW_NS)
    assert len(best.track) == 1800
    assert "impossible" in kinds(best)
