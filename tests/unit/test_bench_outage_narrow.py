"""Figures of narrow uplinks, of logs that somebody wrote by hand."""

from __future__ import annotations

import math
import time

import pytest

from bench.board_log import Seen
from bench.outage_narrow import Narrow, delays_between, full_after_s, most_within
from bench.outage_report import narrow_details, narrow_note, narrow_promises, narrow_rows

STEPS = [(-9.0, 0, "start"), (1.5, 4, "down"), (9.0, 5, "down"), (47.0, 2, "up"), (58.5, 0, "up")]


def test_moves_count_by_direction_in_a_window_and_the_start_is_none() -> None:
    assert most_within(STEPS, 10.0) == 2
    assert most_within(STEPS, 7.5) == 1
    assert most_within(STEPS[:1], 10.0) == 0


def test_full_quality_counts_from_the_wide_link_to_the_last_move() -> None:
    assert full_after_s(STEPS, 45.0) == pytest.approx(13.5)
    assert full_after_s(STEPS[:1], 45.0) == 0, "it never left the first rung"
    assert full_after_s(STEPS[:-1], 45.0) is None
    assert full_after_s([], 45.0) is None


def test_ages_are_of_what_was_made_meanwhile_however_late_it_came() -> None:
    apart_s = time.time() - time.monotonic()

    def seen(at_s: float, what: str, made_s: float) -> Seen:
        return Seen(at_s, what, (made_s + apart_s) * 1000)

    log = [seen(9.9, "vitals", 9.8), seen(15.0, "vitals", 10.5), seen(30.0, "ecg", 19.0)]
    found = delays_between(log, 10.0, 20.0)
    assert found["vitals"] == [pytest.approx(4500.0, abs=50)]
    assert found["ecg"] == [pytest.approx(11000.0, abs=50)]


def test_report_holds_each_rate_to_its_bounds() -> None:
    ages = {"vitals": [1500.0], "case_note": [100.0], "ecg": [1200.0], "track": [9e9]}
    peers = {"vitals": [23_000.0], "video": [1.0]}
    wide = Narrow(vehicle="unit-1", rate_kbps=250, delays_ms=ages, peer_ms=peers, steps=STEPS)
    thin = Narrow(vehicle="unit-2", rate_kbps=64, delays_ms=ages, steps=STEPS, full_s=13.5)
    promises = {one.name: one for one in narrow_promises([wide, thin])}
    assert not promises["vitals at the board at 250 kbit/s, p95, s"].holds
    assert promises["vitals at the board at 64 kbit/s, p95, s"].holds
    assert promises["facts at the board at 250 kbit/s, p95, s"].figure == pytest.approx(0.1)
    assert not promises["live ECG at the board at 250 kbit/s, p95, s"].holds
    assert "live ECG at the board at 64 kbit/s, p95, s" not in promises
    never = promises["full quality after 250 kbit/s, s from the wide link"]
    assert math.isinf(never.figure)
    assert not never.holds
    assert promises["full quality after 64 kbit/s, s from the wide link"].holds
    assert not promises["moves in one direction within 10 s at 64 kbit/s"].holds
    rows = narrow_rows([wide])
    assert [row.figures.get("vitals_ms") for row in rows] == ["1500/1500/1500", "23000/23000/23000"]
    filmed = Narrow(
        vehicle="unit-3", rate_kbps=400, narrow_s=2.0, delays_ms={"video": [1.0] * 5},
        peer_ms={"video": [1.0]},
    )  # fmt: skip
    assert narrow_note([filmed]).endswith("400 kbit/s 2.5 and 0.5.")
    (details,) = narrow_details([wide])
    assert "video" not in details["peers_latency_ms"]
