"""WFDB replay: sample for sample, chunk after chunk, at the recorded times."""

import functools
import itertools
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onboard.errors import SensorError, SensorUnreachableError
from onboard.sensors import EcgChunk, Ended
from onboard.sensors.settings import WfdbReplaySettings
from onboard.sensors.timeline import chunk_bounds
from streams.messages import SensorState
from tests.sensor_play import NS, START_NS, FakeTime, play, recordings


def write_record(folder: Path, name: str, samples: np.ndarray, fs: int = 250) -> str:
    wfdb.wrsamp(
        name,
        fs=fs,
        units=["mV"] * samples.shape[1],
        sig_name=["I", "II", "V5"][: samples.shape[1]],
        d_signal=samples,
        fmt=["16"] * samples.shape[1],
        adc_gain=[200.0] * samples.shape[1],
        baseline=[0] * samples.shape[1],
        write_dir=str(folder),
    )
    return str(folder / name)


def some_samples(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-2000, 2000, (count, 2))


@pytest.mark.parametrize("folder", ["ecg12", "ecg_rhythm", "ecg_vf", "vitals/mimic_*_wave"])
async def test_every_real_record_is_played_sample_for_sample(
    shared_data: Path, folder: str
) -> None:
    headers = sorted(shared_data.glob(f"{folder}/*.hea"))  # noqa: ASYNC240 (nothing else runs)
    assert headers
    for header in headers:
        path = str(header.with_suffix(""))
        try:
            source = wfdb.rdrecord(path, physical=False, smooth_frames=False)
        except ValueError:
            with pytest.raises(SensorError, match=header.stem):
                await play(WfdbReplaySettings(name="ecg", paths=(path,), speed=0))
            continue
        readings = await play(WfdbReplaySettings(name="ecg", paths=(path,), speed=0, frame_ms=500))
        assert isinstance(readings[-1], Ended)
        played = {}
        for recording in recordings(readings):
            assert recording.finished is not None
            samples = recording.samples
            for column, lead in enumerate(recording.began.setup.leads):
                played[lead.name] = (samples[:, column], recording.began.setup)
        assert sorted(played) == sorted(source.sig_name)
        for column, name in enumerate(source.sig_name):
            samples, setup = played[name]
            assert np.array_equal(samples, source.e_d_signal[column]), (header, name)
            per_frame = source.samps_per_frame[column]
            assert setup.sampling_frequency_hz == source.fs * per_frame


async def test_replay_at_real_time_gives_100_ms_chunks_when_their_newest_sample_is_due(
    tmp_path: Path,
) -> None:
    path = write_record(tmp_path, "a", some_samples(1010))
    time = FakeTime()
    readings = await play(WfdbReplaySettings(name="ecg", paths=(path,)), time=time)
    (recording,) = recordings(readings)
    assert recording.began.start_ns == START_NS
    assert [len(chunk.samples) for chunk in recording.chunks] == [25] * 40 + [10]
    for chunk in recording.chunks:
        newest = chunk.first_sample + len(chunk.samples) - 1
        assert chunk.newest_ns == START_NS + round(newest / 250 * NS)
    assert time.slept_s == pytest.approx(1009 / 250)


async def test_loop_begins_a_new_recording_each_round(tmp_path: Path) -> None:
    samples = some_samples(50)
    path = write_record(tmp_path, "a", samples)
    wfdb_loop = WfdbReplaySettings(name="ecg", paths=(path,), loop=True)
    first, second = recordings(await play(wfdb_loop, at_most=8))
    assert first.began.setup.leads == second.began.setup.leads
    assert first.began.setup.setup_id != second.began.setup.setup_id
    assert np.array_equal(first.samples, samples)
    assert np.array_equal(second.samples, samples)
    assert second.began.start_ns > first.began.start_ns


async def test_refused_record_in_a_loop_is_told_once(tmp_path: Path) -> None:
    good = write_record(tmp_path, "good", some_samples(50))
    paths = (good, str(tmp_path / "missing"))
    readings = await play(WfdbReplaySettings(name="ecg", paths=paths, loop=True), at_most=20)
    assert sum(isinstance(reading, SensorState) for reading in readings) == 1
    assert len(recordings(readings)) > 2


async def test_several_records_play_one_after_the_other_past_a_refused_one(
    tmp_path: Path,
) -> None:
    good = write_record(tmp_path, "good", some_samples(50))
    other = write_record(tmp_path, "other", some_samples(75, seed=2), fs=500)
    bad = tmp_path / "bad.hea"
    bad.write_text("bad.mat 2 500 5000 05-May-2020 14:50:55\nbad.mat 16 200 16 0 0 0 0 I\n")
    paths = (good, str(bad.with_suffix("")), str(tmp_path / "missing"), other)
    readings = await play(WfdbReplaySettings(name="ecg", paths=paths, speed=0))
    states = [reading for reading in readings if isinstance(reading, SensorState)]
    assert [state.state for state in states] == ["running", "running"]
    assert "bad" in str(states[0].reason)
    assert "missing" in str(states[1].reason)
    assert [len(recording.samples) for recording in recordings(readings)] == [50, 75]
    assert readings[-1] == Ended("end of the recording: 2 of 4 records played")


async def test_only_record_that_wfdb_refuses_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "bad.hea").write_text("bad.mat 2 500 5000 05-May-2020 14:50:55\n")
    with pytest.raises(SensorError, match="bad") as raised:
        await play(WfdbReplaySettings(name="ecg", paths=(str(tmp_path / "bad"),)))
    assert raised.value.sensor == "ecg"
    assert not raised.value.retry


async def test_loop_over_records_that_are_all_refused_ends_with_the_error(tmp_path: Path) -> None:
    paths = (str(tmp_path / "a"), str(tmp_path / "b"))
    with pytest.raises(SensorError, match=r"b\.hea"):
        await play(WfdbReplaySettings(name="ecg", paths=paths, loop=True))


async def test_signals_of_different_rates_are_recordings_side_by_side(shared_data: Path) -> None:
    path = str(shared_data / "vitals" / "mimic_041s_wave" / "041s")
    readings = await play(WfdbReplaySettings(name="ecg", paths=(path,)))
    fast, slow = recordings(readings)
    assert fast.began.setup.sampling_frequency_hz == 500
    assert slow.began.setup.sampling_frequency_hz == 125
    assert {lead.name for lead in slow.began.setup.leads} == {"ABP", "PAP", "PLETH", "RESP"}
    stamps = [reading.newest_ns for reading in readings if isinstance(reading, EcgChunk)]
    assert stamps == sorted(stamps)


@pytest.mark.parametrize("name", ["physionet:", "physionet:mitdb", "physionet:/100"])
async def test_physionet_name_without_database_or_record_is_refused(name: str) -> None:
    with pytest.raises(SensorError, match="database/record"):
        await play(WfdbReplaySettings(name="ecg", paths=(name,)))


@pytest.fixture
def physionet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A PhysioNet of one database on this machine, laid out as the real one; gives its folder."""
    database = tmp_path / "files" / "mitdb" / "1.0.0"
    database.mkdir(parents=True)
    (tmp_path / "content" / "mitdb").mkdir(parents=True)
    (tmp_path / "content" / "mitdb" / "index.html").write_text("<p>\nVersion: 1.0.0\n</p>")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))
    )
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(wfdb.io.download, "PN_CONTENT_URL", f"{address}/content/")
    monkeypatch.setattr(wfdb.io.download.config, "db_index_url", f"{address}/files/")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield database
    server.shutdown()
    server.server_close()
    thread.join(10)


async def test_physionet_record_is_fetched_and_played_sample_for_sample(physionet: Path) -> None:
    samples = some_samples(500)
    write_record(physionet, "100", samples)
    readings = await play(WfdbReplaySettings(name="ecg", paths=("physionet:mitdb/100",), speed=0))
    (recording,) = recordings(readings)
    assert np.array_equal(recording.samples, samples)


async def test_record_that_physionet_does_not_have_is_refused_for_good(physionet: Path) -> None:
    assert physionet.is_dir()  # noqa: ASYNC240 (nothing else runs)
    with pytest.raises(SensorError, match="nowhere") as raised:
        await play(WfdbReplaySettings(name="ecg", paths=("physionet:mitdb/nowhere",)))
    assert not raised.value.retry


async def test_physionet_that_cannot_be_reached_is_said_and_may_be_retried(
    monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int]
) -> None:
    monkeypatch.setattr(
        wfdb.io.download, "PN_CONTENT_URL", f"http://127.0.0.1:{free_port()}/content/"
    )
    with pytest.raises(SensorUnreachableError, match=r"mitdb/100.*cannot be reached") as raised:
        await play(WfdbReplaySettings(name="ecg", paths=("physionet:mitdb/100",)))
    assert raised.value.retry


@given(
    count=st.integers(1, 5000),
    rate=st.floats(0.5, 2000),
    frame_ms=st.integers(100, 500),
)
def test_chunk_bounds_cover_every_sample_once_and_never_drift(
    count: int, rate: float, frame_ms: int
) -> None:
    bounds = list(chunk_bounds(count, rate, frame_ms))
    assert bounds[0][0] == 0
    assert bounds[-1][1] == count
    assert all(first < end for first, end in bounds)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(bounds))
    assert all(end - first <= frame_ms * rate / 1000 + 1 or first == 0 for first, end in bounds)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(header=st.binary(max_size=300), data=st.binary(max_size=200))
async def test_garbage_for_a_record_raises_nothing_but_a_sensor_error(
    tmp_path: Path, header: bytes, data: bytes
) -> None:
    (tmp_path / "garbage.hea").write_bytes(header)
    (tmp_path / "garbage.dat").write_bytes(data)
    try:
        await play(WfdbReplaySettings(name="ecg", paths=(str(tmp_path / "garbage"),), speed=0))
    except SensorError as error:
        assert "garbage" in str(error)
