"""The way of the ECG: what becomes facts is what the sensor gave, whatever stops the process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onboard.ecg_keeping import RECORD_BYTES, STALLED_NS
from onboard.ecg_path import EcgPath
from onboard.live_frames import LiveShape
from onboard.logbook import Logbook
from onboard.outgoing import HUB, Outgoing
from onboard.recorder import Recorder, Segment
from onboard.sensors import EcgBegan, EcgChunk
from onboard.situation import Binding
from streams.clock import SystemClock
from streams.codec import decode, open_body
from streams.ecg_block import EcgSetup, Lead, decode_frame
from streams.errors import StorageError
from streams.messages import EcgEnded, EcgLive, EcgRecord, EcgStarted, Envelope
from streams.outbox import Outbox
from streams.topics import LANES

RATE = 500
SETUP = EcgSetup("one", float(RATE), (Lead("I", 200.0), Lead("II", 200.0)))
BOUND = Binding("01ARZ3NDEKTSV4RRFFQ69G5FAV", "1")


def samples(first: int, count: int) -> np.ndarray:
    """A signal in which each sample tells its number."""
    numbers = np.arange(first, first + count, dtype=np.int32)
    return np.stack((numbers, -numbers), axis=1)


@dataclass
class Vehicle:
    """The parts around an ECG path, opened as a process does and dropped as a kill does."""

    folder: Path
    binding: Binding = BOUND
    live: list[bytes] = field(default_factory=list)

    def start(self) -> None:
        self.outbox = Outbox(self.folder / "outbox.sqlite", "unit-1", SystemClock())
        self.logbook = Logbook(self.folder / "logbook.sqlite")
        self.outgoing = Outgoing(self.outbox, self.logbook)
        self.outgoing.recover(0)
        self.path = EcgPath(
            Recorder(self.folder / "ecg"), self.outgoing, lambda: self.binding, self.live.append
        )
        self.recovered = self.path.recover()

    def stop(self) -> None:
        """End as kill -9 ends: files are closed, nothing is finished."""
        self.path.close()
        self.outbox.close()
        self.logbook.close()

    def play(self, chunks: int, count: int = 50, first: int = 0) -> None:
        for number in range(chunks):
            at = first + number * count
            chunk = EcgChunk(SETUP, at, samples(at, count), 1_000 + at)
            self.path.chunk("ecg", chunk, now_ns=at)

    def begin(self) -> None:
        self.path.began("ecg", "replay", EcgBegan(SETUP, 1_000, "test"))

    def facts(self) -> list[Envelope]:
        return [
            decode(entry.data)
            for lane in LANES
            for entry in self.outbox.waiting(HUB, lane, 0, 1000)
        ]

    def recorded(self, setup: EcgSetup = SETUP) -> np.ndarray:
        """What the facts of a setup hold, put together; a hole is an error."""
        frames = []
        for fact in self.facts():
            if fact.kind == "ecg_record":
                body = open_body(fact, EcgRecord)
                if body.setup_id == setup.setup_id:
                    frames += [decode_frame(setup, frame) for frame in body.frames]
        at = 0
        for frame in frames:
            assert frame.first_sample == at
            at += len(frame.samples)
        return np.concatenate([frame.samples for frame in frames] or [samples(0, 0)])

    def ends(self) -> list[EcgEnded]:
        return [open_body(fact, EcgEnded) for fact in self.facts() if fact.kind == "ecg_ended"]


@pytest.fixture
def vehicle(tmp_path: Path) -> Vehicle:
    made = Vehicle(tmp_path)
    made.start()
    return made


def test_path_ended_recording_is_the_source_sample_for_sample(vehicle: Vehicle) -> None:
    vehicle.begin()
    vehicle.play(chunks=47)
    vehicle.path.finished("ecg", "one")
    assert np.array_equal(vehicle.recorded(), samples(0, 47 * 50))
    assert vehicle.ends() == [EcgEnded(setup_id="one", samples=47 * 50)]
    assert len(vehicle.live) == 47
    records = [fact for fact in vehicle.facts() if fact.kind == "ecg_record"]
    assert len(records) == 3  # 20 frames of 100 ms each, and the rest
    assert {(fact.case, fact.patient, fact.origin) for fact in records} == {
        (BOUND.case, "1", "replay")
    }
    vehicle.stop()


@settings(max_examples=20, deadline=None)
@given(chunks=st.integers(min_value=0, max_value=60), kills=st.integers(1, 3))
def test_path_killed_anywhere_has_every_sample_once_after_the_restart(
    tmp_path_factory: pytest.TempPathFactory, chunks: int, kills: int
) -> None:
    vehicle = Vehicle(tmp_path_factory.mktemp("kill"))
    vehicle.start()
    vehicle.begin()
    vehicle.play(chunks)
    for _ in range(kills):
        vehicle.stop()
        vehicle.start()
    assert np.array_equal(vehicle.recorded(), samples(0, chunks * 50))
    assert vehicle.ends() == [EcgEnded(setup_id="one", samples=chunks * 50)]
    assert [fact.kind for fact in vehicle.facts()].count("ecg_started") == 1
    vehicle.stop()


@pytest.mark.parametrize("after", ["begin", "fact", "ended fact"])
def test_path_killed_between_file_and_fact_makes_neither_twice(
    vehicle: Vehicle, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    class KilledError(BaseException):
        pass

    def killed(*_: object) -> None:
        raise KilledError

    if after == "begin":
        monkeypatch.setattr(vehicle.outgoing, "make", killed)
        with pytest.raises(KilledError):
            vehicle.begin()
    else:
        vehicle.begin()
        vehicle.play(chunks=20)  # exactly one fact
        if after == "ended fact":
            monkeypatch.setattr("onboard.recorder.Segment.end", killed)
            with pytest.raises(KilledError):
                vehicle.path.finished("ecg", "one")
    monkeypatch.undo()
    vehicle.stop()
    vehicle.start()
    assert vehicle.recovered == 1
    assert len(vehicle.recorded()) == (0 if after == "begin" else 1000)
    kinds = [fact.kind for fact in vehicle.facts()]
    assert kinds.count("ecg_started") == kinds.count("ecg_ended") == 1
    vehicle.stop()


def test_path_thinned_live_leaves_the_record_complete(vehicle: Vehicle) -> None:
    vehicle.begin()
    vehicle.path.live_shape = LiveShape(2, joined=True)
    vehicle.play(chunks=20)
    live = [open_body(decode(message), EcgLive) for message in vehicle.live]
    assert [one.every for one in live] == [2] * 6  # 100 ms and 100 ms and 100 ms, six times
    frames = [decode_frame(SETUP, one.frame) for one in live]
    assert np.array_equal(np.concatenate([f.samples for f in frames]), samples(0, 900)[::2])
    assert np.array_equal(vehicle.recorded(), samples(0, 1000))
    vehicle.path.live_shape = LiveShape()
    vehicle.play(chunks=2, first=1000)
    last = [open_body(decode(message), EcgLive) for message in vehicle.live[6:]]
    assert [one.every for one in last] == [1, 1]
    assert decode_frame(SETUP, last[0].frame).first_sample == 900, "what waited goes out first"
    vehicle.stop()


def test_path_record_on_a_narrow_link_is_the_same_in_smaller_facts(vehicle: Vehicle) -> None:
    vehicle.begin()
    vehicle.path.record_bytes = 1
    vehicle.play(chunks=20)
    small = sum(fact.kind == "ecg_record" for fact in vehicle.facts())
    assert small == 20, "each frame is a fact"
    vehicle.path.record_bytes = RECORD_BYTES
    vehicle.play(chunks=20, first=1000)
    assert sum(fact.kind == "ecg_record" for fact in vehicle.facts()) == small + 1
    assert np.array_equal(vehicle.recorded(), samples(0, 2000))
    vehicle.stop()


def test_path_new_binding_goes_on_as_a_new_recording_without_a_gap(vehicle: Vehicle) -> None:
    vehicle.binding = Binding()
    vehicle.begin()
    vehicle.play(chunks=7)
    vehicle.binding = BOUND
    vehicle.play(chunks=5, first=350)
    vehicle.path.stop("ecg")
    started = [fact for fact in vehicle.facts() if fact.kind == "ecg_started"]
    assert [(fact.case, fact.patient) for fact in started] == [(None, None), (BOUND.case, "1")]
    second = open_body(started[1], EcgStarted).setup
    assert np.array_equal(vehicle.recorded(), samples(0, 350))
    assert np.array_equal(vehicle.recorded(second), samples(350, 250))
    vehicle.stop()


def test_path_stalled_source_does_not_hold_back_what_is_recorded(vehicle: Vehicle) -> None:
    vehicle.begin()
    vehicle.play(chunks=3)
    vehicle.path.flush(STALLED_NS - 1)
    assert len(vehicle.recorded()) == 0
    vehicle.path.flush(STALLED_NS)
    assert np.array_equal(vehicle.recorded(), samples(0, 150))
    vehicle.stop()


def test_path_chunk_after_a_hole_is_refused(vehicle: Vehicle) -> None:
    vehicle.begin()
    vehicle.play(chunks=1)
    with pytest.raises(StorageError, match="sample"):
        vehicle.play(chunks=1, first=100)
    vehicle.stop()


def test_path_unreadable_recording_is_kept_and_stops_nothing(vehicle: Vehicle) -> None:
    vehicle.stop()
    (vehicle.folder / "ecg" / "x.part").write_bytes(b"garbage")
    vehicle.start()
    assert vehicle.recovered == 0
    assert (vehicle.folder / "ecg" / "x.damaged").read_bytes() == b"garbage"
    vehicle.stop()


def test_path_live_frame_leaves_after_it_is_recorded(vehicle: Vehicle) -> None:
    sizes: list[int] = []
    keep: Callable[[bytes], None] = vehicle.live.append

    def note(message: bytes) -> None:
        keep(message)
        (running,) = vehicle.path.running
        assert running.kept.segment is not None
        sizes.append(running.kept.segment.samples)

    vehicle.path = EcgPath(Recorder(vehicle.folder / "ecg"), vehicle.outgoing, lambda: BOUND, note)
    vehicle.begin()
    vehicle.play(chunks=3)
    assert sizes == [50, 100, 150]
    vehicle.stop()


def refuse(*_: object) -> None:
    raise StorageError("no space left on device")


@pytest.mark.parametrize("full", ["file", "facts"])
def test_path_full_disk_at_the_beginning_holds_the_recording_until_there_is_room(
    vehicle: Vehicle, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with monkeypatch.context() as patch:
        if full == "file":
            patch.setattr(Recorder, "begin", refuse)
        else:
            patch.setattr(vehicle.outgoing, "make", refuse)
        vehicle.begin()
        vehicle.play(chunks=30)
        vehicle.path.flush(0)
        assert vehicle.path.error
        assert len(vehicle.live) == 30, "live frames go on"
    vehicle.path.flush(0)
    assert not vehicle.path.error
    vehicle.path.stop("ecg")
    assert np.array_equal(vehicle.recorded(), samples(0, 30 * 50))
    assert vehicle.ends() == [EcgEnded(setup_id="one", samples=1500)]
    assert [fact.kind for fact in vehicle.facts()].count("ecg_started") == 1
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    vehicle.stop()


@pytest.mark.parametrize("fails", ["append", "end"])
def test_path_end_on_a_full_disk_is_written_once_there_is_room_without_a_restart(
    vehicle: Vehicle, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    vehicle.begin()
    vehicle.play(chunks=3)
    with monkeypatch.context() as patch:
        patch.setattr(Segment, fails, refuse)
        patch.setattr(vehicle.outbox, "add_all", refuse)
        vehicle.play(chunks=44, first=150)
        vehicle.path.stop("ecg")
        vehicle.path.flush(0)
        assert vehicle.ends() == []
    made_ns = SystemClock().wall_ns()
    vehicle.path.flush(0)
    assert np.array_equal(vehicle.recorded(), samples(0, 47 * 50))
    assert vehicle.ends() == [EcgEnded(setup_id="one", samples=47 * 50)]
    (end,) = (fact for fact in vehicle.facts() if fact.kind == "ecg_ended")
    assert end.source_ns < made_ns, "it says when the recording ended, not when there was room"
    (file,) = (vehicle.folder / "ecg").iterdir()
    assert file.suffix == ".ecg"
    vehicle.path.flush(0)
    vehicle.stop()
    vehicle.start()
    assert vehicle.recovered == 0
    assert len(vehicle.ends()) == 1
    vehicle.stop()


def test_path_new_binding_on_a_full_disk_makes_two_recordings_in_order(
    vehicle: Vehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    vehicle.begin()
    vehicle.play(chunks=3)
    vehicle.binding = Binding()
    with monkeypatch.context() as patch:
        patch.setattr(vehicle.outbox, "add_all", refuse)
        patch.setattr(Recorder, "begin", refuse)
        vehicle.play(chunks=4, first=150)
        vehicle.path.stop("ecg")
    vehicle.path.flush(0)
    started = [fact for fact in vehicle.facts() if fact.kind == "ecg_started"]
    second = open_body(started[1], EcgStarted).setup
    assert [(fact.case, fact.patient) for fact in started] == [(BOUND.case, "1"), (None, None)]
    assert np.array_equal(vehicle.recorded(), samples(0, 150))
    assert np.array_equal(vehicle.recorded(second), samples(150, 200))
    assert [end.samples for end in vehicle.ends()] == [150, 200]
    vehicle.stop()


def test_path_disk_full_for_too_long_gives_up_the_newest_and_goes_on_as_a_new_recording(
    vehicle: Vehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    vehicle.begin()
    vehicle.play(chunks=1)
    with monkeypatch.context() as patch:
        patch.setattr("onboard.ecg_path.HELD_BYTES", 500)
        patch.setattr(vehicle.outbox, "add_all", refuse)
        patch.setattr(Segment, "append", refuse)
        vehicle.play(chunks=60, first=50)
        assert vehicle.path.held_bytes < 700
        assert len(vehicle.live) == 61
    vehicle.path.flush(0)
    vehicle.play(chunks=4, first=3050)
    vehicle.path.stop("ecg")
    started = [fact for fact in vehicle.facts() if fact.kind == "ecg_started"]
    second = open_body(started[1], EcgStarted).setup
    kept = vehicle.recorded()
    assert np.array_equal(kept, samples(0, len(kept)))
    assert 0 < len(kept) < 3050
    assert np.array_equal(vehicle.recorded(second), samples(3050, 200))
    vehicle.stop()


def test_path_start_on_a_full_disk_recovers_what_a_crash_left_once_there_is_room(
    vehicle: Vehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    vehicle.begin()
    vehicle.play(chunks=47)
    vehicle.stop()
    (part,) = (vehicle.folder / "ecg").glob("*.part")
    part.write_bytes(part.read_bytes() + b"torn")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        vehicle.start()
        assert vehicle.recovered == 0
    vehicle.path.flush(0)
    assert np.array_equal(vehicle.recorded(), samples(0, 47 * 50))
    assert vehicle.ends() == [EcgEnded(setup_id="one", samples=47 * 50)]
    vehicle.stop()
