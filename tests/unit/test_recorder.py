"""The onboard recording: gapless, whole after a crash, nothing thrown away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboard.recorder import Header, Recorder, read
from streams.ecg_block import EcgSetup, Lead
from streams.errors import StorageError
from streams.messages import EcgStarted

SETUP = EcgSetup("one", 500.0, (Lead("II", 200.0),))
HEADER = Header(
    started=EcgStarted(setup=SETUP, start_ns=1, device="test"),
    origin="replay", case="01ARZ3NDEKTSV4RRFFQ69G5FAV", patient="1",
)  # fmt: skip
FRAMES = [b"first frame", b"second", b"", b"\xff" * 3000]


def record(recorder: Recorder, frames: list[bytes] = FRAMES) -> Path:
    """Write frames of 50 samples and leave the file as a killed process would."""
    segment = recorder.begin(HEADER)
    for number, frame in enumerate(frames):
        segment.append(50 * number, 50, frame)
    segment.close()
    return segment.path


def test_recorder_ended_recording_holds_every_frame(tmp_path: Path) -> None:
    segment = Recorder(tmp_path).begin(HEADER)
    for number, frame in enumerate(FRAMES):
        segment.append(50 * number, 50, frame)
    segment.end()
    (path,) = tmp_path.iterdir()
    found = read(path)
    assert path.suffix == ".ecg"
    assert (found.ended, found.samples, found.header) == (True, 200, HEADER)
    assert [one.frame for one in found.frames] == FRAMES


def test_recorder_killed_process_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    path = record(recorder)
    assert recorder.unfinished() == [path]
    segment, found = recorder.reopen(path)
    assert [one.frame for one in found.frames] == FRAMES
    segment.append(200, 50, b"goes on")
    segment.end()
    assert read(path.with_suffix(".ecg")).samples == 250


@given(cut=st.integers(min_value=1, max_value=3000))
def test_recorder_torn_tail_is_cut_to_whole_frames(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    recorder = Recorder(tmp_path_factory.mktemp("torn"))
    path = record(recorder)
    os.truncate(path, path.stat().st_size - cut)
    segment, found = recorder.reopen(path)
    segment.append(found.samples, 50, b"goes on")
    segment.close()
    frames = [one.frame for one in read(path).frames]
    assert frames[-1] == b"goes on"
    assert frames[:-1] == FRAMES[: len(frames) - 1]
    assert len(frames) == 4


def test_recorder_damaged_frame_ends_what_is_whole_and_the_rest_is_kept(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    path = record(recorder)
    data = bytearray(path.read_bytes())
    at = data.index(b"second")
    data[at] ^= 0xFF
    path.write_bytes(data)
    segment, found = recorder.reopen(path)
    segment.close()
    assert [one.frame for one in found.frames] == FRAMES[:1]
    assert b"\xff" * 3000 in path.with_suffix(".torn").read_bytes()


def test_recorder_missing_sample_is_refused(tmp_path: Path) -> None:
    segment = Recorder(tmp_path).begin(HEADER)
    segment.append(0, 50, b"frame")
    with pytest.raises(StorageError, match="sample 51 came, 50 is next"):
        segment.append(51, 50, b"frame")
    segment.close()


def test_recorder_full_disk_leaves_whole_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = Recorder(tmp_path).begin(HEADER)
    segment.append(0, 50, b"frame")
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[: len(data) // 2]))
    with pytest.raises(StorageError, match="space"):
        segment.append(50, 50, b"half of this is written")
    monkeypatch.undo()
    segment.append(50, 50, b"next")
    segment.close()
    assert [one.frame for one in read(segment.path).frames] == [b"frame", b"next"]


@given(garbage=st.binary(max_size=200))
def test_read_garbage_is_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, garbage: bytes
) -> None:
    path = tmp_path_factory.mktemp("garbage") / "x.part"
    path.write_bytes(garbage)
    with pytest.raises(StorageError, match="description"):
        read(path)


def test_recorder_forget_removes_only_old_ended_recordings(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    running = record(recorder)
    ended = recorder.begin(HEADER)
    ended.end()
    os.utime(running, (1, 1))
    os.utime(ended.path.with_suffix(".ecg"), (1, 1))
    assert recorder.forget(100.0) == 1
    assert list(tmp_path.iterdir()) == [running]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_recorder_full_disk_at_the_beginning_leaves_no_file_and_none_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, before = Recorder(tmp_path), open_files()
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:3]))
    for _ in range(5):
        with pytest.raises(StorageError, match="space"):
            recorder.begin(HEADER)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []
    assert open_files() == before


def test_recorder_closed_recording_writes_into_no_other_file(tmp_path: Path) -> None:
    segment = Recorder(tmp_path).begin(HEADER)
    segment.close()
    with (tmp_path / "other").open("wb") as other:  # the system gives it the same number
        with pytest.raises(StorageError, match="closed"):
            segment.append(0, 50, b"frame")
        segment.close()
        other.write(b"still open")
    assert (tmp_path / "other").read_bytes() == b"still open"


def test_recorder_forget_removes_what_a_crash_tore_off_too(tmp_path: Path) -> None:
    for name in ("a.torn", "b.damaged", "c.ecg", "d.part"):
        (tmp_path / name).write_bytes(b"of a patient")
        os.utime(tmp_path / name, (1, 1))
    (tmp_path / "new.torn").write_bytes(b"of a patient")
    assert Recorder(tmp_path).forget(100.0) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.part", "new.torn"]


def test_recorder_forget_that_fails_for_one_file_removes_the_others(tmp_path: Path) -> None:
    (tmp_path / "stuck.torn").mkdir()
    (tmp_path / "old.torn").write_bytes(b"of a patient")
    for path in tmp_path.iterdir():
        os.utime(path, (1, 1))
    assert Recorder(tmp_path).forget(100.0) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["stuck.torn"]
