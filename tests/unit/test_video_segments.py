"""Files of kept video: whole or mended, readable by any player, private."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from onboard.video_recorder import VideoRecorder
from onboard.video_segments import (
    SegmentWriter,
    VideoShape,
    mend,
    name_of,
    segments,
    start_of,
    torn,
)
from streams.errors import StorageError

SHAPE = VideoShape(160, 120, 10, 100_000)
START_NS = 1_700_000_000_123_000_000


def picture(number: int, size: tuple[int, int] = (160, 120)) -> av.VideoFrame:
    noise = np.random.default_rng(number).integers(0, 255, (size[1] * 3 // 2, size[0]), np.uint8)
    return av.VideoFrame.from_ndarray(noise, format="yuv420p")


def write(folder: Path, pictures: int) -> SegmentWriter:
    writer = SegmentWriter(folder, "case", START_NS, SHAPE)
    for number in range(pictures):
        writer.add(picture(number), number * 100)
    return writer


def seen(path: Path) -> int:
    """How many pictures a player sees."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_segment_closed_is_whole_private_and_found_by_case_and_time(tmp_path: Path) -> None:
    made = write(tmp_path, 25).close()
    assert segments(tmp_path) == [made]
    assert (made.case, made.start_ns, made.size_bytes) == (
        "case", START_NS, made.path.stat().st_size
    )  # fmt: skip
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert made.path.parent.stat().st_mode & 0o777 == 0o700
    assert seen(made.path) == 25
    with av.open(str(made.path)) as container:
        assert container.duration == 2_500_000
        assert container.streams.video[0].codec_context.name == "h264"
    assert torn(tmp_path) == []


def test_segment_torn_by_a_crash_loses_a_second_at_the_most(tmp_path: Path) -> None:
    writer = write(tmp_path, 45)
    data = writer.path.read_bytes()  # as a kill leaves it
    writer.abandon()
    writer.path.write_bytes(data)
    (part,) = torn(tmp_path)
    made = mend(part)
    assert made is not None
    assert 35 <= seen(made.path) < 45
    assert (torn(tmp_path), segments(tmp_path)) == ([], [made])


@pytest.mark.parametrize("content", [b"", b"garbage" * 100])
def test_segment_without_a_readable_picture_is_removed(tmp_path: Path, content: bytes) -> None:
    part = tmp_path / "case" / f"{name_of(START_NS)}.part"
    part.parent.mkdir()
    part.write_bytes(content)
    assert mend(part) is None
    assert list(part.parent.iterdir()) == []


def test_segment_that_cannot_begin_says_so(tmp_path: Path) -> None:
    (tmp_path / "case").write_text("in the way")
    with pytest.raises(StorageError, match="video"):
        SegmentWriter(tmp_path, "case", START_NS, SHAPE)


def test_segment_name_tells_its_start() -> None:
    assert name_of(START_NS) == "20231114T221320123Z"
    assert start_of(name_of(START_NS)) == START_NS
    for wrong in ("", "20231114T221320123", "20231114T2213xx123Z", "notes"):
        with pytest.raises(ValueError, match=r"\S"):
            start_of(wrong)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[VideoRecorder]:
    made = VideoRecorder(tmp_path, SHAPE, lambda: START_NS)
    yield made
    made.close()


def feed(recorder: VideoRecorder, enough: object, size: tuple[int, int] = (160, 120)) -> None:
    """Offer 50 pictures a second until a condition holds, at most 10 s."""
    for number in range(500):
        recorder.offer(picture(number, size))
        time.sleep(0.02)
        if enough():  # type: ignore[operator]
            return
    raise AssertionError("it never came to it")


def test_recorder_writes_only_for_a_case_and_finishes_when_it_is_not_wanted(
    recorder: VideoRecorder, tmp_path: Path
) -> None:
    recorder.offer(picture(0))
    assert list(tmp_path.iterdir()) == []
    recorder.aim("case")
    began = time.monotonic()
    feed(recorder, lambda: time.monotonic() - began > 1.5, size=(64, 64))
    recorder.aim(None)
    recorder.close()
    (made,) = segments(tmp_path)
    assert 5 <= seen(made.path) <= 20, "as many as are wanted, not as many as there are"
    with av.open(str(made.path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (160, 120)


def test_recorder_leaves_the_pictures_times_to_those_who_send_them(
    recorder: VideoRecorder, tmp_path: Path
) -> None:
    recorder.aim("case")
    sent = picture(1)
    sent.pts = 12345
    for _ in range(3):
        recorder.offer(sent)
        time.sleep(0.11)
    recorder.close()
    assert sent.pts == 12345
    assert len(segments(tmp_path)) == 1


def test_recorder_that_cannot_write_says_so_and_goes_on_once_it_can(
    recorder: VideoRecorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onboard.video_recorder._AGAIN_S", 0.1)

    def full(*_: object) -> None:
        raise StorageError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(SegmentWriter, "add", full)
        recorder.aim("case")
        feed(recorder, lambda: recorder.error)
        assert "space" in recorder.error
    assert recorder.unfinished
    assert mend(recorder.unfinished[0]) is None
    monkeypatch.setattr("onboard.video_recorder.SEGMENT_S", 0.5)
    feed(recorder, lambda: not recorder.error)
    assert seen(segments(tmp_path)[0].path) > 0
