"""The pure parts of `forerun bench outage`: accounts, times, the table of faults, the report."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bench import network
from bench.board_log import Seen, read_log
from bench.boxed_city import OutageStage
from bench.city import build
from bench.command import CANNOT_RUN, command
from bench.faults import FAULTS, chosen, length_of, title_of
from bench.frame import BenchError
from bench.network_conditions import Conditions, Cut, Link, NetworkBoxError
from bench.network_traces import Step, Trace
from bench.outage import BACKLOG_RECORD
from bench.outage_backlog import WIDTHS, Urgent, with_backlog, write_long_record
from bench.outage_faults import PlayedFault
from bench.outage_ledger import (
    Tally,
    back_after_s,
    board_delays,
    longest_silence_s,
    out_of_order,
    percentile,
)
from bench.outage_picture import MOST_POINTS, draw, series_of
from bench.outage_report import (
    fault_promises,
    fault_row,
    returns_details,
    returns_note,
    returns_promises,
    returns_rows,
    short_name,
    urgent_details,
    urgent_promises,
    zeros,
)
from bench.outage_returns import KINDS, Returns
from bench.outage_traces import Drive, cuts_to_city
from streams.chain import Stored
from streams.messages import Envelope, Lane
from streams.waveform_record import read_wfdb

EPOCH = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def stored(sequence: int, lane: Lane = "facts", source: str = "unit-1") -> Stored:
    envelope = Envelope(
        version=1, kind="case_note", id=EPOCH, source=source, epoch=EPOCH, lane=lane,
        sequence=sequence, source_ns=0, monotonic_ns=0, offset_ns=None, uncertainty_ns=None,
        origin="live", body=msgspec.Raw(b"\x80"),
    )  # fmt: skip
    return msgspec.convert(
        {
            "position": sequence, "envelope": envelope, "data": b"", "case_sequence": None,
            "corrected_ns": 0, "received_ns": 0, "hash": None,
        },
        Stored,
    )  # fmt: skip


def test_facts_behind_a_later_one_of_their_lane_are_out_of_order() -> None:
    assert out_of_order([stored(1), stored(2), stored(3)]) == 0
    assert out_of_order([stored(1), stored(3), stored(2), stored(4)]) == 1
    lanes = [stored(2), stored(1, "urgent"), stored(3), stored(2, "urgent")]
    assert out_of_order(lanes) == 0
    assert out_of_order([stored(2), stored(1, source="unit-2")]) == 0


def test_percentile_is_the_nearest_rank_and_no_number_of_nothing() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7.0], 0.95) == 7
    assert math.isnan(percentile([], 0.5))


LOG = [
    Seen(10.0, "vitals", 1_009_900.0),
    Seen(12.0, "ecg", 1_011_900.0),
    Seen(20.5, "vitals", 1_013_000.0),
    Seen(20.7, "vitals", 1_019_000.0),
    Seen(21.0, "ecg", 1_020_950.0),
]
"""The wall clock is 1000 s ahead of the monotonic one; nothing came from 12 s to 20 s."""


def test_back_counts_from_the_end_of_the_cause_and_only_what_is_fresh() -> None:
    assert back_after_s(LOG, "vitals", 20.0, 1_018_500.0) == pytest.approx(0.7)
    assert back_after_s(LOG, "vitals", 20.0, 1_020_000.0) is None
    assert back_after_s(LOG, "ecg", 20.0, 1_020_000.0) == pytest.approx(1.0)
    assert back_after_s(LOG, "video", 20.0, 0.0) is None


def test_board_delays_are_the_ages_at_arrival() -> None:
    delays = board_delays(LOG, 1000.0)
    assert delays["vitals"] == pytest.approx([100.0, 7500.0, 1700.0])
    assert delays["ecg"] == pytest.approx([100.0, 50.0])


def test_longest_silence_counts_from_edge_to_edge() -> None:
    assert longest_silence_s(LOG, "vitals", 9.0, 22.0) == pytest.approx(10.5)
    assert longest_silence_s(LOG, "video", 9.0, 22.0) == 13
    assert longest_silence_s(LOG, "vitals", 20.6, 30.0) == pytest.approx(9.3)


def test_log_of_a_board_is_read_up_to_the_last_whole_line(tmp_path: Path) -> None:
    file = tmp_path / "board.jsonl"
    assert read_log(file) == []
    file.write_text('[1.5,"ecg",2.5]\n[2.5,"vit')
    assert read_log(file) == [Seen(1.5, "ecg", 2.5)]


def test_faults_are_numbered_from_one_and_at_least_the_fifteen_promised() -> None:
    assert [fault.number for fault in FAULTS] == list(range(1, len(FAULTS) + 1))
    assert len(FAULTS) >= 15
    words = " ".join(fault.title for fault in FAULTS)
    for part in (
        "cut of 1 s", "10 s", "30 s", "120 s", "change of address", "20 %", "round trip of 3 s",
        "overtaken", "64 kbit/s", "agent", "hub", "gateway", "broker", "wiped", "full",
        "one hour", "10 min", "asleep",
    ):  # fmt: skip
        assert part in words, part
    for fault in FAULTS:
        assert (fault.script is None) != (fault.act is None), fault.title
        assert fault.quick_s <= fault.lasts_s
        assert fault.script is None or "box" in fault.needs


def test_scripts_of_faults_end_with_the_end_of_the_cause() -> None:
    for fault in FAULTS:
        if fault.script is None:
            continue
        script = fault.script("unit-1", fault.lasts_s)
        times = [at_s for at_s, _ in script]
        assert times == sorted(times)
        assert times[0] == 0
        assert times[-1] == pytest.approx(fault.lasts_s, abs=2.1), fault.title


def test_chosen_faults_are_those_that_are_named() -> None:
    assert [fault.number for fault in chosen("7, 3")] == [7, 3]
    assert chosen(None) == FAULTS
    with pytest.raises(BenchError, match="no fault '99'"):
        chosen("3,99")


def test_title_of_a_shortened_fault_says_how_long_it_really_was() -> None:
    cut = chosen("4")[0]
    assert title_of(cut, quick=False) == "cut of 120 s"
    assert title_of(cut, quick=True) == f"cut of 120 s, here {length_of(cut, quick=True):g} s"
    kill = chosen("10")[0]
    assert title_of(kill, quick=True) == kill.title


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--faults", "99"], "no fault '99'"),
        (["--parts", "weather"], "no part 'weather'"),
        (["--pictures", "/no/such/folder"], "no such folder"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_starts(
    options: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["outage", *options]) == CANNOT_RUN
    assert problem in capsys.readouterr().err


def test_promises_break_by_each_thing_that_must_be_nought() -> None:
    good = Tally(made=5, samples=10)
    assert all(promise.holds for promise in zeros("x", [good, good]))
    for key in (
        "lost", "waiting", "duplicated", "out_of_order_hub", "out_of_order_er", "misrouted",
        "samples_missing", "samples_differing",
    ):  # fmt: skip
        bad = Tally(made=5)
        setattr(bad, key, 1)
        assert bad.wrong == 1
        assert sum(not promise.holds for promise in zeros("x", [good, bad])) == 1, key
    assert not all(promise.holds for promise in zeros("x", [good, Tally()]))
    assert not all(promise.holds for promise in zeros("x", []))


def test_fault_that_is_not_back_or_could_not_be_played_breaks_its_promise() -> None:
    fault = chosen("1")[0]
    back: dict[str, float | None] = {"vitals": 0.5, "ecg": 1.0, "video": 2.0}
    good = PlayedFault(
        fault=fault, title=fault.title, vehicle="unit-1", back_s=back, tally=Tally(made=5)
    )
    assert all(promise.holds for promise in fault_promises([good]))
    assert fault_row(good).figures["vitals_back_s"] == 0.5
    for bad in (
        PlayedFault(
            fault=fault,
            title=fault.title,
            vehicle="unit-2",
            back_s={**back, "video": None},
            tally=good.tally,
        ),
        PlayedFault(
            fault=fault,
            title=fault.title,
            vehicle="unit-2",
            back_s=back,
            tally=good.tally,
            problem="no",
        ),
    ):
        broken = [promise for promise in fault_promises([good, bad]) if not promise.holds]
        assert [(promise.figure, promise.bound) for promise in broken] == [(1, 0)]


def a_drive() -> Drive:
    cut = Link.alike(Conditions(cut=Cut.HELD))
    fast = Link.alike(Conditions(rate_kbps=5000))
    steps = (Step(0.0, fast), Step(2.0, cut), Step(4.5, fast), Step(6.0, cut), Step(7.0, fast))
    trace = Trace("a/trace [3 s]", "mahimahi", steps, 10.0, ())
    seen = [Seen(100 + number / 100, "ecg", 1000.0 * number) for number in range(2000)]
    return Drive(trace=trace, vehicle="unit-1", begin_s=100.0, end_s=110.0, seen=seen)


def test_drive_knows_its_longest_outage_on_the_way_to_the_city() -> None:
    drive = a_drive()
    assert drive.outage_s == 2.5
    steps = list(drive.trace.steps)
    steps[2] = Step(4.5, Link(up=Conditions(cut=Cut.HELD), down=Conditions(rate_kbps=5000)))
    drive.trace = dataclasses.replace(drive.trace, steps=tuple(steps))
    assert cuts_to_city(drive.trace) == [(2.0, 7.0)]
    assert drive.outage_s == 5


def test_picture_of_a_drive_is_drawn_and_its_series_are_short(tmp_path: Path) -> None:
    drive = a_drive()
    file = draw(drive, tmp_path)
    assert re.fullmatch(r"[\w.-]+\.png", file.name)
    assert file.read_bytes().startswith(b"\x89PNG")
    series = series_of(drive)
    assert 0 < len(series["latency_ms"]["ecg"]) <= MOST_POINTS
    assert series["link"][1] == (2.0, None, 0.0, True)
    json.dumps(series)


def test_stage_in_the_box_lets_vehicles_in_and_keeps_ports(tmp_path: Path) -> None:
    city = build(1, 1, None, None)
    doors = ("mqtt", "websocket", "nats", "monitor", "health", "leaf")
    names = (*doors, "hub", "first-hospital", "unit-1")
    ports = {name: 2000 + number for number, name in enumerate(names)}
    stage = OutageStage(tmp_path, city, headless=True, boxed=True, ports=ports)
    stage.issue_credentials()
    broker = msgspec.toml.decode(stage.write_broker().read_bytes())
    assert broker["listen"] == "0.0.0.0"
    assert broker["ports"]["mqtt"] == ports["mqtt"]
    hub = msgspec.toml.decode(stage.write_hub("tls://x:1").read_bytes())
    assert hub["listen"] == {"port": ports["hub"], "host": "0.0.0.0"}
    assert hub["tls"]["addresses"] == hub["media"]["addresses"] == [stage.address]
    path = stage.write_unit(city.units[0], city.calls[0], ("h", 1), stage.hub_url)
    unit = msgspec.toml.decode(path.read_bytes())
    assert unit["media"]["addresses"] == []
    assert unit["listen"]["port"] == ports["unit-1"]


def test_program_with_a_wrong_clock_sees_the_error_at_once_and_its_monotonic_clock_is_right(
    tmp_path: Path,
) -> None:
    program = """
import sys, time
from pathlib import Path
from bench import wrong_clock
file = Path(sys.argv[1])
wrong_clock.set_error(file, 0.0)
clock = wrong_clock.WrongClock(file)
true = time.time()
assert abs(clock.time() - true) < 10
wrong_clock.set_error(file, -3600.0)
time.sleep(2 * wrong_clock.LOOK_S)
assert abs(clock.time() - true + 3600) < 10
assert abs(clock.time_ns() / 1e9 - true + 3600) < 10
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "error")], check=True, timeout=60)
    run = [sys.executable, "-m", "bench.wrong_clock", str(tmp_path / "error"), "--help"]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=60)
    assert "forerun" in done.stdout


def some_returns(vitals: list[float]) -> Returns:
    found = Returns(cut_s=30.0, watched_s=20.0, tallies=[Tally(made=5)])
    for kind in KINDS:
        found.ours[kind] = {"vitals": vitals, "ecg": [1.0] * 20, "video": [2.0] * 20}
        found.peers[kind] = {"vitals": [9.0] * 20, "ecg": [math.inf] * 20, "video": [math.inf] * 20}
    return found


def test_return_that_never_was_breaks_the_promise_when_it_is_more_than_one_in_twenty() -> None:
    once = some_returns([1.0] * 19 + [math.inf])
    assert all(promise.holds for promise in returns_promises(once))
    twice = some_returns([1.0] * 18 + [math.inf] * 2)
    broken = [promise.name for promise in returns_promises(twice) if not promise.holds]
    assert len(broken) == len(KINDS)
    assert all(name.startswith("vitals back") for name in broken)


def test_rows_of_returns_show_what_is_not_back_as_a_dash() -> None:
    found = some_returns([1.0] * 20)
    rows = {row.name: row.figures["back_s"] for row in returns_rows(found)}
    assert rows["cut of 30 s, p95 of 20: Forerun"] == "1.0/1.0/2.0"
    assert rows["cut of 30 s, p95 of 20: plain aiomqtt, aiortc"] == "9.0/-/-"
    assert "plain aiortc (video) after a change of address 20" in returns_note(found)
    json.dumps(returns_details(found), allow_nan=False)


def test_urgent_fact_must_be_in_time_at_every_width_and_an_hour_must_have_waited() -> None:
    good = {width: [0.5] * 20 for width in WIDTHS}
    held = Urgent(after_s=good, waiting_min=[90.0, 61.0], tally=Tally(made=5))
    assert all(promise.holds for promise in urgent_promises(held))
    for bad in (
        Urgent(after_s={**good, "1 Mbit/s": [0.5, 1.5]}, waiting_min=[90.0], tally=held.tally),
        Urgent(after_s=good, waiting_min=[90.0, 12.0], tally=held.tally),
    ):
        assert sum(not promise.holds for promise in urgent_promises(bad)) == 1
        json.dumps(urgent_details(bad), allow_nan=False)


def test_long_record_repeats_its_source_sample_for_sample(
    shared_data: Path, tmp_path: Path
) -> None:
    source = shared_data / "ecg12" / BACKLOG_RECORD
    long = write_long_record(source, 25.0, tmp_path)
    (short,), (made,) = read_wfdb(source).parts, read_wfdb(long).parts
    length = len(short.samples)
    assert len(made.samples) == 3 * length
    assert np.array_equal(made.samples[length : 2 * length], short.samples)
    assert [lead.name for lead in made.setup.leads] == [lead.name for lead in short.setup.leads]


def test_city_with_a_backlog_replays_as_fast_as_the_agent_takes_it(tmp_path: Path) -> None:
    city = with_backlog(build(1, 1, None, None), tmp_path / "hours")
    tables = {table["name"]: table for table in city.units[0].sensors}
    assert tables["ecg"]["speed"] == 0
    assert not tables["ecg"]["loop"]
    assert city.units[0].record == tmp_path / "hours"


def test_fault_of_the_network_without_a_box_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody() -> None:
        raise NetworkBoxError("The network in a box needs root.")

    monkeypatch.setattr(network, "require", nobody)
    assert command(["outage", "--faults", "1,5"]) == CANNOT_RUN
    assert "The network in a box needs root." in capsys.readouterr().err


def test_short_name_of_a_trace_fits_the_table_and_keeps_both_ends() -> None:
    assert short_name("Verizon-LTE-short [1.0 s to 2.0 s]") == "Verizon-LTE-short"
    short = short_name("Arterial_road__n78__50__arterial_n78_v50_run01.txt [1.0 s to 9.0 s]")
    assert len(short) <= 26
    assert short.startswith("Arterial_")
    assert short.endswith("_v50_run01")
