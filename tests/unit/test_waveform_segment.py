"""The segment file: what was appended is read back; a torn tail costs only itself."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.ecg_block import Lead, decode_frame, describe, encode_frame, frame_span
from streams.errors import StorageError
from streams.waveform_segment import MARK, Place, WaveformSegment, index_segment, read_segment

RHYTHM = describe(500.0, (Lead("I", 1000.0), Lead("II", 1000.0)))
TWELVE = describe(250.0, (Lead("V1", 200.0),))


def frame_at(first_sample: int, value: int = 0, length: int = 100) -> bytes:
    samples = np.full((length, 2), value) + np.arange(length)[:, None]
    return encode_frame(RHYTHM, first_sample, samples)


def firsts(path: Path) -> list[int]:
    return [frame_span(frame)[0] for _, frame in read_segment(path)]


def test_appended_frames_are_read_back_with_their_setup(tmp_path: Path) -> None:
    path = tmp_path / "case.seg"
    frames = [frame_at(at, at) for at in range(0, 500, 100)]
    with WaveformSegment(path) as segment:
        for frame in frames:
            segment.append(RHYTHM, frame)
        segment.sync()
    found = list(read_segment(path))
    assert [frame for _, frame in found] == frames
    assert {setup for setup, _ in found} == {RHYTHM}
    assert decode_frame(*found[2]).samples[0].tolist() == [200, 200]


def test_append_returns_where_the_record_stands(tmp_path: Path) -> None:
    path = tmp_path / "case.seg"
    frame = frame_at(0)
    with WaveformSegment(path) as segment:
        places = [segment.append(RHYTHM, frame) for _ in range(3)]
    assert places[1].offset == places[0].offset + places[0].length
    assert path.stat().st_size == places[2].offset + places[2].length
    data = path.read_bytes()
    assert all(frame in data[place.offset : place.offset + place.length] for place in places)
    assert [place for _, place in index_segment(path).frames[RHYTHM.setup_id]] == places
    assert isinstance(places[0], Place)


def test_frames_out_of_order_and_repeated_are_read_once_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "case.seg"
    with WaveformSegment(path) as segment:
        for at in (200, 0, 100, 200, 0, 300):
            segment.append(RHYTHM, frame_at(at))
    assert firsts(path) == [0, 100, 200, 300]


def test_frames_of_several_setups_that_alternate_stay_with_their_own(tmp_path: Path) -> None:
    path = tmp_path / "case.seg"
    other = encode_frame(TWELVE, 0, np.zeros((50, 1), np.int32))
    with WaveformSegment(path) as segment:
        segment.append(RHYTHM, frame_at(0))
        segment.append(TWELVE, other)
        segment.append(RHYTHM, frame_at(100))
    found = list(read_segment(path))
    assert [setup for setup, _ in found] == [RHYTHM, RHYTHM, TWELVE]
    assert all(decode_frame(setup, frame) for setup, frame in found)


def test_segment_opened_again_goes_on_behind_the_last_frame(tmp_path: Path) -> None:
    path = tmp_path / "case.seg"
    for at in (0, 100, 200):
        with WaveformSegment(path) as segment:
            assert segment.torn_bytes == 0
            segment.append(RHYTHM, frame_at(at))
    assert firsts(path) == [0, 100, 200]
    assert len(index_segment(path).setups) == 1


def index_of_mark(whole: bytes) -> int:
    """Return where the mark of the file ends."""
    return whole.index(MARK) + len(MARK) + 5


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_torn_tail_loses_only_what_was_torn_and_appending_goes_on(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("torn") / "case.seg"
    with WaveformSegment(path) as segment:
        places = [segment.append(RHYTHM, frame_at(at)) for at in range(0, 400, 100)]
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    tail = data.draw(st.sampled_from([b"", bytes(40), b"\xff" * 40, b"\x93\x02\xc4\xff", b"\xc1"]))
    if cut < len(whole) and index_of_mark(whole) > cut:
        tail = b""  # with anything else behind it, half a mark is some other kind of file
    path.write_bytes(whole[:cut] + tail)
    kept = sum(place.offset + place.length <= cut for place in places)
    assert firsts(path) == [number * 100 for number in range(kept)]
    with WaveformSegment(path) as segment:
        segment.append(RHYTHM, frame_at(900))
    assert firsts(path) == [*(number * 100 for number in range(kept)), 900]


def test_torn_bytes_are_counted_when_opened(tmp_path: Path) -> None:
    path = tmp_path / "case.seg"
    with WaveformSegment(path) as segment:
        segment.append(RHYTHM, frame_at(0))
    with path.open("ab") as file:
        file.write(b"\x93\x02\xc4\x30half a frame")
    with WaveformSegment(path) as segment:
        assert segment.torn_bytes == 16
    with WaveformSegment(path) as segment:
        assert segment.torn_bytes == 0


def test_new_segment_of_nothing_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "case.seg"
    WaveformSegment(path).close()
    assert list(read_segment(path)) == []


@pytest.mark.parametrize("content", [b"forerun-ecg-1\nsome other file", bytes(1000), b"\x93" * 99])
def test_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "case.seg"
    path.write_bytes(content)
    with pytest.raises(StorageError, match="no waveform segment"):
        WaveformSegment(path)
    with pytest.raises(StorageError, match="no waveform segment"):
        list(read_segment(path))
    assert path.read_bytes() == content


def test_segment_in_a_missing_folder_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nowhere"):
        WaveformSegment(tmp_path / "nowhere" / "case.seg")
    with pytest.raises(StorageError, match="nowhere"):
        list(read_segment(tmp_path / "nowhere" / "case.seg"))
