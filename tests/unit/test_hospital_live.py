"""What reaches the pages of a hospital, what they report, and what its settings refuse."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hospital_gateway.board import Board
from hospital_gateway.latency import Latencies, read_report, summary
from hospital_gateway.live import (
    EVERY_SHIFT,
    FRAME_VERSION,
    PAST,
    LiveFrame,
    LiveStreams,
    build_frame,
)
from hospital_gateway.settings import Settings
from hospital_gateway.upstream import SILENT_AFTER_NS, STARTING_NS, Upstream
from streams.codec import encode, encode_body
from streams.config import example, load
from streams.errors import ConfigError, MalformedError
from streams.identity import new_id
from streams.messages import VERSION, Arrival, Body, EcgLive, Envelope, Position
from streams.topics import path
from streams.web import RequestError
from tests.case_writer import SECOND, START_NS, CaseWriter

HERE = "first-hospital"


class Desk:
    """A board with one case on it, and what its pages were given."""

    def __init__(self) -> None:
        self.writer = CaseWriter()
        self.writer.open()
        self.writer.assign("unit-1")
        self.writer.choose(HERE)
        self.board = Board(HERE)
        self.show()
        self.frames: list[LiveFrame] = []
        self.live = LiveStreams(self.board, self.frames.append)

    def show(self) -> None:
        for fact in self.writer.facts:
            self.board.take(fact)

    def send(
        self, body: Body, kind: str, source: str = "unit-1", case: str | None = "", **fields: Any
    ) -> Any:
        envelope = Envelope(
            version=VERSION, kind=kind, id=new_id(), source=source, epoch=new_id(), lane="stream",
            sequence=0, source_ns=START_NS, monotonic_ns=0, uncertainty_ns=0,
            body=encode_body(body), case=self.writer.case if case == "" else case,
            **{"offset_ns": 0, "origin": "live", **fields},
        )  # fmt: skip
        return self.live.take(path("hospital", "demo", HERE, kind), encode(envelope))

    def ecg(self, **fields: Any) -> None:
        self.send(EcgLive(setup_id="e", frame=b"coded", newest_ns=START_NS), "ecg_live", **fields)


def test_live_ecg_goes_on_as_it_came_with_the_hubs_time() -> None:
    desk = Desk()
    desk.ecg(offset_ns=7 * SECOND)
    (frame,) = desk.frames
    version, flags, case, newest_ms, length = struct.unpack_from("<BB26sdB", frame.data)
    assert (version, flags, case.decode()) == (FRAME_VERSION, 0, desk.writer.case)
    assert newest_ms == (START_NS + 7 * SECOND) / 1e6
    assert frame.data[37 : 37 + length] == b"e"
    assert frame.data.endswith(b"coded")
    assert desk.live.past(desk.writer.case)[0][1] == PAST


def test_live_streams_of_another_unit_or_case_are_dropped() -> None:
    desk = Desk()
    desk.ecg(source="unit-9")
    desk.ecg(case=new_id())
    desk.ecg(source="unit-9", case=None)
    assert desk.frames == []
    desk.ecg(case=None)  # the unit's only case
    assert len(desk.frames) == 1


def test_live_streams_after_a_stand_down_are_dropped() -> None:
    desk = Desk()
    desk.writer.stand_down(HERE)
    desk.show()
    desk.ecg()
    eta = Arrival(at_ns=START_NS, position_ns=START_NS, distance_m=1.0, method="straight")
    assert desk.send(eta, "arrival", "hub") is None
    assert desk.frames == []


def test_live_position_older_than_the_last_one_is_dropped() -> None:
    desk = Desk()
    positions = [
        Position(latitude_deg=1, longitude_deg=2, measured_ns=START_NS + at, source="gnss")
        for at in (2, 1, 3)
    ]
    told = [desk.send(position, "position") for position in positions]
    assert [state is not None for state in told] == [True, False, True]


@given(st.binary(max_size=300))
def test_live_garbage_is_refused_quietly(data: bytes) -> None:
    desk = Desk()
    for kind in ("ecg_live", "position", "arrival"):
        assert desk.live.take(path("hospital", "demo", HERE, kind), data) is None
    assert desk.live.take("nonsense", data) is None
    assert desk.frames == []


def test_frame_with_an_endless_setup_id_is_refused() -> None:
    with pytest.raises(MalformedError):
        build_frame(new_id(), 0.0, "é" * 200, b"")


@pytest.mark.parametrize("every", [1, 2, 16])
def test_frame_of_every_nth_sample_says_so_beside_its_other_flag(every: int) -> None:
    frame = LiveFrame(new_id(), build_frame(new_id(), 0.0, "e", b"coded", every))
    assert (frame.data[1] >> EVERY_SHIFT) + 1 == every
    past = frame.as_past()
    assert ((past[1] >> EVERY_SHIFT) + 1, past[1] & PAST) == (every, PAST)


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=200))
def test_latency_summary_is_of_the_samples(samples: list[float]) -> None:
    found = summary(samples)
    assert found["p50"] <= found["p95"] <= found["p99"] <= found["max"]
    assert found["max"] == round(max(samples), 1)


def test_latency_counts_no_nonsense() -> None:
    latencies = Latencies()
    assert latencies.add("ecg", [1, -5, math.nan, math.inf, 10**9]) == [1.0, 0.0]
    assert latencies.report()["ecg"]["count"] == 2


@pytest.mark.parametrize(
    "message",
    [{}, {"kind": "secret", "latencies_ms": []}, {"kind": "ecg", "latencies_ms": "x"},
     {"kind": "ecg", "latencies_ms": [True]}, {"kind": "ecg", "latencies_ms": [0] * 5000}],
)  # fmt: skip
def test_latency_report_that_is_wrong_is_refused(message: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        read_report(message)


def test_upstream_silent_hub_is_told_once_with_the_last_live_time() -> None:
    upstream = Upstream()
    assert upstream.look(connected=True, now_ns=0, hub_now_ms=1.0) is None
    upstream.heard(0)
    live = upstream.look(connected=True, now_ns=0, hub_now_ms=2.0)
    assert live == {"state": "live", "since_ms": 2.0}
    silent_ms = SILENT_AFTER_NS / 1e6
    assert upstream.look(connected=True, now_ns=SILENT_AFTER_NS, hub_now_ms=2 + silent_ms) is None
    later_ns, later_ms = SILENT_AFTER_NS + 10**9, 2 + silent_ms + 1000
    silent = upstream.look(connected=True, now_ns=later_ns, hub_now_ms=later_ms)
    assert silent == {"state": "hub_silent", "since_ms": 2.0}
    assert upstream.look(connected=True, now_ns=later_ns, hub_now_ms=later_ms) is None
    cut = upstream.look(connected=False, now_ns=later_ns + 10**9, hub_now_ms=later_ms + 1000)
    assert cut == {"state": "no_broker", "since_ms": 2.0}


@pytest.mark.parametrize(("connected", "state"), [(True, "hub_silent"), (False, "no_broker")])
def test_upstream_hub_that_never_answers_is_told_once_the_start_is_over(
    connected: bool, state: str
) -> None:
    upstream = Upstream()
    assert upstream.look(connected=connected, now_ns=10, hub_now_ms=1.0) is None
    assert upstream.look(connected=connected, now_ns=10 + STARTING_NS, hub_now_ms=2.0) is None
    told = upstream.look(connected=connected, now_ns=11 + STARTING_NS, hub_now_ms=3.0)
    assert told == {"state": state, "since_ms": 1.0}


def test_settings_example_is_complete(tmp_path: Path) -> None:
    file = tmp_path / "hospital.toml"
    file.write_text(example("hospital_gateway", "hospital.toml"))
    settings = load(file, Settings)
    assert settings.name == HERE
    assert settings.journal_url.startswith("sqlite:////")


@pytest.mark.parametrize("wrong", ["colour = 1", "[listen]\nhosts = 'x'", "roles = []"])
def test_settings_unknown_key_or_impossible_value_stops_with_its_name(
    tmp_path: Path, wrong: str
) -> None:
    good = msgspec.toml.decode(example("hospital_gateway", "hospital.toml"))
    changed = {**good, **msgspec.toml.decode(wrong)}
    file = tmp_path / "hospital.toml"
    file.write_bytes(msgspec.toml.encode(changed))
    with pytest.raises(ConfigError, match=r"colour|hosts|roles"):
        load(file, Settings)


def test_live_estimate_says_where_its_position_came_from() -> None:
    desk = Desk()
    eta = Arrival(at_ns=START_NS, position_ns=START_NS, distance_m=1.0, method="straight")
    told = desk.send(eta, "arrival", "hub", origin="synthetic")
    assert told is not None
    assert told.message["eta"]["origin"] == "synthetic"
