"""Recorded traces of mobile networks: what is read from them, and their worst stretch."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.network_conditions import Conditions, Cut, Link
from bench.network_recordings import (
    MAHIMAHI_DELAY_MS,
    UCC5G_DELAY_MS,
    UPLINK_SHARE,
    TraceError,
    read_trace,
    recorded_traces,
)
from bench.network_traces import Step, Trace

CICV5G = "pub_time(ms) sub_time(ms) delay(ms) utmX(m)\n"
UCC5G = "Timestamp,Speed,State,DL_bitrate,UL_bitrate,PINGMIN\n"

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


def messages(*sent_and_delay: tuple[int, int]) -> str:
    start = 1_721_290_168_137
    rows = (
        f"{start + sent} {start + sent + delay} {delay} 329055.5" for sent, delay in sent_and_delay
    )
    return CICV5G + "\n".join(rows) + "\n"


def seconds(*rows: tuple[int, str, int, str]) -> str:
    lines = (
        f"2019.12.17_07.40.{at:02},32,{state},{rate},999,{ping}" for at, state, rate, ping in rows
    )
    return UCC5G + "\n".join(lines) + "\n"


def at(trace: Trace, time: float) -> Link:
    return [step.link for step in trace.steps if step.at_s <= time][-1]


def test_cicv5g_round_trip_is_shared_by_both_directions(write: Write) -> None:
    trace = read_trace(write("a.txt", messages((0, 20), (50, 40), (100, 16))))
    delays = [(step.at_s, step.link.up.delay_ms, step.link.down.delay_ms) for step in trace.steps]
    assert delays == [(0.0, 10.0, 10.0), (0.05, 20.0, 20.0), (0.1, 8.0, 8.0)]
    assert (trace.kind, trace.duration_s) == ("cicv5g", 0.1)
    assert trace.assumptions


def test_cicv5g_stall_is_a_cut_that_holds_and_no_delay(write: Write) -> None:
    # Nothing comes between 70 ms and 2020 ms, then all that was sent meanwhile.
    stalled = [(50 * n, 2020 - 50 * n) for n in range(2, 40)]
    trace = read_trace(
        write("a.txt", messages((0, 20), (50, 20), *stalled, (2100, 20), (2150, 20)))
    )
    ((begin, end),) = trace.cuts()
    assert begin == pytest.approx(0.1)
    assert end == pytest.approx(2.0)
    assert at(trace, 1.0).up.cut is Cut.HELD
    assert {step.link.up.delay_ms for step in trace.steps} == {10.0}


def test_cicv5g_message_that_was_sent_before_a_stall_keeps_the_rest_of_its_delay(
    write: Write,
) -> None:
    # The second is sent at 50 ms; from the echo of the first at 100 ms on nothing comes.
    trace = read_trace(write("a.txt", messages((0, 100), (50, 1970), (2100, 100))))
    ((begin, end),) = trace.cuts()
    assert begin == pytest.approx(0.1)
    assert end == pytest.approx(1.92)
    assert at(trace, 0.06).up.delay_ms == pytest.approx((1970 - 1820) / 2)


def test_cicv5g_pause_of_the_logger_is_no_cut(write: Write) -> None:
    trace = read_trace(write("a.txt", messages((0, 20), (50, 24), (7100, 20))))
    assert trace.cuts() == []
    assert at(trace, 5.0).up.delay_ms == 12.0


def test_ucc5g_download_drives_both_directions(write: Write) -> None:
    rows = ((0, "D", 1000, "-"), (1, "D", 4000, "60.0"), (2, "D", 0, "-"), (3, "D", 800, "-"))
    trace = read_trace(write("a.csv", seconds(*rows)))
    assert at(trace, 1.5).down.rate_kbps == 4000
    assert at(trace, 1.5).up.rate_kbps == 4000 * UPLINK_SHARE
    assert at(trace, 1.5).up.delay_ms == at(trace, 3.5).down.delay_ms == 30.0
    assert trace.cuts() == [(2.0, 3.0)]
    assert trace.duration_s == 4.0


def test_ucc5g_last_row_of_a_second_counts_and_a_missing_second_is_as_before(write: Write) -> None:
    rows = ((0, "D", 500, "-"), (1, "D", 500, "-"), (1, "D", 900, "-"), (4, "D", 900, "-"))
    trace = read_trace(write("a.csv", seconds(*rows)))
    assert [(step.at_s, step.link.down.rate_kbps) for step in trace.steps] == [(0, 500), (1, 900)]
    assert trace.steps[0].link.up.delay_ms == UCC5G_DELAY_MS


def test_ucc5g_second_in_which_an_application_asked_for_nothing_is_no_cut(write: Write) -> None:
    rows = ((0, "D", 500, "-"), (1, "I", 0, "-"), (2, "D", 0, "-"), (3, "D", 700, "-"))
    trace = read_trace(write("a.csv", seconds(*rows)))
    assert trace.cuts() == [(2.0, 3.0)]
    assert any("application" in sentence for sentence in trace.assumptions)


@pytest.mark.parametrize("asked", ["x", "x.up", "x.down"])
def test_mahimahi_pair_becomes_rates_of_20_ms(write: Write, asked: str) -> None:
    up = write("x.up", "0\n19\n45\n100\n")
    write("x.down", "20\n20\n20\n100\n")
    trace = read_trace(up.with_name(asked))
    # One packet of 1500 bytes in 20 ms is 600 kbit/s.
    assert [at(trace, t).up.rate_kbps for t in (0.0, 0.02, 0.04, 0.06)] == [1200, None, 600, None]
    assert [at(trace, t).down.rate_kbps for t in (0.0, 0.02, 0.04)] == [None, 1800, None]
    assert at(trace, 0.02).up.cut is Cut.HELD
    assert at(trace, 0.0).up.delay_ms == MAHIMAHI_DELAY_MS
    assert (trace.name, trace.duration_s) == ("x", 0.1)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.txt", "", "no trace that is known"),
        ("a.txt", "hello\n1 2 3\n", "no trace that is known"),
        ("a.txt", CICV5G, "no message"),
        ("a.txt", CICV5G + "1 2\n", "a.txt:2: not three numbers"),
        ("a.txt", CICV5G + "1 21 20\nx 2 3\n", "a.txt:3: not three numbers"),
        ("a.txt", CICV5G + "1 21 40\n", "a.txt:2: the delay"),
        ("a.txt", CICV5G + "nan nan nan\n", "a.txt:2: the delay"),
        ("a.txt", messages((50, 20), (0, 20)), "a.txt:3: sent before"),
        ("a.csv", UCC5G, "no row"),
        ("a.csv", seconds((0, "D", -1, "-")), "a.csv:2: a negative rate"),
        ("a.csv", seconds((1, "D", 1, "-"), (0, "D", 1, "-")), "a.csv:3: .* earlier"),
        ("a.csv", UCC5G + "yesterday,1,D,1,1,-\n", "a.csv:2: no time"),
        ("a.csv", UCC5G + "2019.12.17_07.40.00,1,D\n", "a.csv:2: no time"),
        ("a.csv", seconds((0, "I", 0, "-")), "no second with traffic"),
        ("a.up", "1\n2\n", "a.down: cannot be read"),
    ],
)
def test_damaged_or_unknown_file_is_refused_by_name_and_line(
    write: Write, name: str, text: str, problem: str
) -> None:
    with pytest.raises(TraceError, match=problem):
        read_trace(write(name, text))


@pytest.mark.parametrize("text", ["", "1\nx\n", "5\n4\n", "1\n2.5\n"])
def test_damaged_half_of_a_mahimahi_pair_is_refused(write: Write, text: str) -> None:
    write("a.up", "0\n100\n")
    with pytest.raises(TraceError, match=r"a\.down"):
        read_trace(write("a.down", text))


def test_file_that_is_no_text_or_is_not_there_is_refused(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    with pytest.raises(TraceError, match="not text"):
        read_trace(picture)
    with pytest.raises(TraceError, match="cannot be read"):
        read_trace(tmp_path / "nothing.txt")


@given(st.binary(max_size=300), st.sampled_from([CICV5G.encode(), UCC5G.encode(), b""]))
def test_any_garbage_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, garbage: bytes, header: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage.txt"
    path.write_bytes(header + garbage)
    try:
        trace = read_trace(path)
    except TraceError:
        return
    assert trace.steps


def test_worst_stretch_has_the_longest_cut_with_its_begin_and_return() -> None:
    good, cut = Conditions(delay_ms=20), Conditions(delay_ms=20, cut=Cut.HELD)
    states = [(0, good), (10, cut), (11, good), (40, cut), (48, good), (70, good)]
    steps = tuple(Step(float(at_s), Link.alike(state)) for at_s, state in states)
    every_second = tuple(
        Step(float(t), [one.link for one in steps if one.at_s <= t][-1]) for t in range(80)
    )
    worst = Trace("t", "cicv5g", every_second, 80.0, ()).shortened(20)
    ((begin, end),) = worst.cuts()
    assert end - begin == 8
    assert 0 < begin < end < 20
    assert worst.duration_s == 20


def test_worst_stretch_is_the_slowest_where_nothing_is_cut() -> None:
    fast, slow = Conditions(rate_kbps=5000), Conditions(rate_kbps=100)
    steps = tuple(Step(float(t), Link(slow if 6 <= t < 9 else fast, fast)) for t in range(20))
    worst = Trace("t", "ucc5g", steps, 20.0, ()).shortened(3)
    assert worst.name == "t [6.0 s to 9.0 s]"


def test_trace_that_is_cut_all_the_time_can_be_shortened() -> None:
    steps = (Step(0.0, Link.alike(Conditions(cut=Cut.HELD))),)
    assert Trace("t", "ucc5g", steps, 60.0, ()).shortened(10).duration_s == 10


STATES = st.builds(
    Conditions,
    delay_ms=st.sampled_from([10.0, 300.0]),
    rate_kbps=st.sampled_from([None, 64.0, 5000.0]),
    cut=st.sampled_from([None, None, Cut.HELD]),
)


@given(
    st.lists(st.tuples(st.floats(0.01, 5), STATES, STATES), min_size=1, max_size=30),
    st.floats(0.05, 60),
)
def test_shortened_trace_is_a_stretch_of_the_whole(
    spans: list[tuple[float, Conditions, Conditions]], seconds: float
) -> None:
    begins = list(itertools.accumulate((span for span, _, _ in spans), initial=0.0))
    steps = tuple(
        Step(begin, Link(up, down)) for begin, (_, up, down) in zip(begins, spans, strict=False)
    )
    whole = Trace("t", "ucc5g", steps, begins[-1], ())
    short = whole.shortened(seconds)
    assert short == whole.shortened(seconds)
    assert short.duration_s == min(seconds, whole.duration_s)
    assert short.steps[0].at_s == 0
    assert all(0 <= step.at_s <= short.duration_s for step in short.steps)
    links = [step.link for step in whole.steps]
    found = [step.link for step in short.steps]
    assert any(links[at_ : at_ + len(found)] == found for at_ in range(len(links)))


def test_script_of_a_trace_ends_with_the_link_joined() -> None:
    steps = (Step(0.0, Link()), Step(1.0, Link.alike(Conditions(delay_ms=9, cut=Cut.HELD))))
    script = Trace("t", "ucc5g", steps, 4.0, ()).script("unit-7", 1, start_s=10)
    assert [at_s for at_s, _ in script] == [10.0, 11.0, 14.0]
    assert script[-1][1].up == script[-1][1].down == Conditions(delay_ms=9)
    assert {(change.vehicle, change.uplink) for _, change in script} == {("unit-7", 1)}


def test_every_recorded_trace_is_read(shared_data: Path) -> None:
    traces = [read_trace(path) for path in recorded_traces(shared_data)]
    kinds = [trace.kind for trace in traces]
    assert {kind: kinds.count(kind) for kind in kinds} == {"cicv5g": 18, "ucc5g": 9, "mahimahi": 2}
    for trace in traces:
        assert trace.duration_s > 50
        times = [step.at_s for step in trace.steps]
        assert times == sorted(set(times))
        assert times[0] == 0
        assert trace.shortened(30).duration_s == 30


def test_recorded_stalls_are_as_long_as_the_source_says(shared_data: Path) -> None:
    (rural,) = (path for path in recorded_traces(shared_data) if "south_n8_v10_05" in path.name)
    trace = read_trace(rural)
    assert max(end - begin for begin, end in trace.cuts()) == pytest.approx(25.3, abs=0.1)
    # The logger's pauses of this one, up to 7 s, are none.
    (arterial,) = (path for path in recorded_traces(shared_data) if "n8_v50_run01" in path.name)
    assert read_trace(arterial).cuts() == []


def test_recorded_packets_are_as_many_in_the_rates(shared_data: Path) -> None:
    (path,) = (path for path in recorded_traces(shared_data) if path.name.startswith("ATT"))
    trace = read_trace(path)
    ends = [step.at_s for step in trace.steps[1:]] + [trace.duration_s]
    octets = sum(
        (end - step.at_s) * (step.link.up.bytes_per_s or 0.0)
        for step, end in zip(trace.steps, ends, strict=True)
    )
    assert octets / 1500 == pytest.approx(len(path.read_text().splitlines()), rel=0.001)
