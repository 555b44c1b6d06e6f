"""The synthetic patient: marked as such, repeatable, and what its scenario says."""

import importlib.util
import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from onboard.errors import SensorError
from onboard.sensors import Ended, open_sensor, synthetic_beats, synthetic_patient
from onboard.sensors.settings import SyntheticPatientSettings
from onboard.sensors.synthetic_ecg import Beats, SyntheticEcg, leads, model_beats
from onboard.sensors.synthetic_patient import SCENARIOS, state_at
from streams.ecg_block import decode_frame, describe, encode_frame
from streams.messages import Vitals
from tests.sensor_play import NS, START_NS, FakeTime, play, recordings

RATE_HZ = 250

needs_neurokit = pytest.mark.skipif(
    importlib.util.find_spec("neurokit2") is None,
    reason="neurokit2 is not installed (extra demo)",
)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache, which may have beats already, out of the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def known_beats(beats: Beats, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the sensor the model's beats at once; that they come from there is tested apart."""

    async def give(_rate_hz: int, _seed: int) -> Beats:
        return beats

    monkeypatch.setattr(synthetic_patient, "make_beats", give)


@pytest.fixture(scope="module")
def beats() -> Beats:
    neurokit = pytest.importorskip("neurokit2", reason="neurokit2 is not installed (extra demo)")
    return model_beats(neurokit, RATE_HZ, seed=1)


def settings(**more: object) -> SyntheticPatientSettings:
    wanted = {"duration_s": 10, "sampling_frequency_hz": RATE_HZ, **more}
    return SyntheticPatientSettings(name="patient", **wanted)  # type: ignore[arg-type]


def beat_times_s(lead: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    high = np.flatnonzero(lead > 0.6 * lead.max())
    groups = np.split(high, np.flatnonzero(np.diff(high) > 0.15 * RATE_HZ) + 1)
    return np.array([group.mean() for group in groups]) / RATE_HZ


@pytest.mark.usefixtures("known_beats")
async def test_patient_gives_twelve_leads_and_vitals_in_real_time_marked_synthetic() -> None:
    time = FakeTime()
    readings = await play(settings(), time=time)
    assert open_sensor(settings(), time).origin == "synthetic"
    (ecg,) = recordings(readings)
    assert ecg.began.start_ns == START_NS
    assert ecg.samples.shape == (10 * RATE_HZ, 12)
    assert ecg.finished is not None
    assert [len(chunk.samples) for chunk in ecg.chunks] == [25] * 100
    assert ecg.chunks[-1].newest_ns == pytest.approx(START_NS + 10 * NS, abs=NS / RATE_HZ + 1)
    assert len([reading for reading in readings if isinstance(reading, Vitals)]) == 2
    assert isinstance(readings[-1], Ended)
    assert time.slept_s == pytest.approx(10, abs=0.01)


@pytest.mark.usefixtures("known_beats")
async def test_same_seed_gives_the_same_patient_and_another_seed_another() -> None:
    first, same, other = [
        recordings(await play(settings(seed=seed, speed=0)))[0].samples for seed in (3, 3, 4)
    ]
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


async def test_without_neurokit2_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SensorError, match=r"forerun\[demo\]"):
        await play(settings())


@needs_neurokit
async def test_process_that_fails_is_an_error_with_its_words() -> None:
    with pytest.raises(ValueError, match=r"neurokit2 fails: .*invalid literal"):
        await synthetic_beats.make_beats("fast", 1)  # type: ignore[arg-type]


@needs_neurokit
async def test_beats_of_the_other_process_are_those_of_the_model(beats: Beats) -> None:
    made = await synthetic_beats.make_beats(RATE_HZ, 1)
    assert np.array_equal(made.shapes, beats.shapes)


@needs_neurokit
async def test_beats_are_kept_for_the_next_time_and_a_torn_file_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beats: Beats
) -> None:
    runs = []

    async def count(rate_hz: int, seed: int) -> bytes:
        runs.append((rate_hz, seed))
        data = io.BytesIO()
        np.save(data, beats.shapes)
        return data.getvalue()

    monkeypatch.setattr(synthetic_beats, "_run_model", count)
    for _ in range(2):
        made = await synthetic_beats.make_beats(RATE_HZ, 1)
        assert np.array_equal(made.shapes, beats.shapes)
    assert len(runs) == 1
    (kept,) = (tmp_path / "forerun").iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    await synthetic_beats.make_beats(RATE_HZ, 1)
    assert len(runs) == 2


@pytest.mark.usefixtures("known_beats")
@pytest.mark.parametrize(("ecg", "vitals"), [(True, False), (False, True)])
async def test_patient_gives_only_what_a_recording_does_not(ecg: bool, vitals: bool) -> None:
    readings = await play(settings(ecg=ecg, vitals=vitals), time=FakeTime())
    assert len(recordings(readings)) == int(ecg)
    assert any(isinstance(one, Vitals) for one in readings) is vitals


def test_limb_leads_obey_einthoven_and_travel_in_few_bits(beats: Beats) -> None:
    samples = SyntheticEcg(beats, 1).take(10 * RATE_HZ, lambda _: 70.0)
    lead_i, lead_ii, lead_iii, avr, avl, avf = samples[:, :6].T
    assert np.array_equal(lead_iii, lead_ii - lead_i)
    assert abs(avr + (lead_i + lead_ii) / 2).max() <= 0.5
    assert abs(avl - (lead_i - lead_ii / 2)).max() <= 0.5
    assert abs(avf - (lead_ii - lead_i / 2)).max() <= 0.5


@pytest.mark.parametrize("rate", [50, 74, 110, 140])
def test_beats_come_at_the_rate_that_is_asked_for(beats: Beats, rate: float) -> None:
    samples = SyntheticEcg(beats, 1).take(60 * RATE_HZ, lambda _: rate)
    times_s = beat_times_s(samples[:, 1])
    assert 60 / np.diff(times_s).mean() == pytest.approx(rate, rel=0.03)
    assert np.diff(times_s).std() > 0
    # R of 1.05 mV less its neighbours, at 400 units a millivolt.
    assert samples[:, 1].max() / 400 == pytest.approx(1.1, abs=0.25)


def test_samples_are_the_same_however_they_are_cut_into_chunks(beats: Beats) -> None:
    whole, parts = SyntheticEcg(beats, 1), SyntheticEcg(beats, 1)
    cut = np.concatenate([parts.take(25, lambda _: 80.0) for _ in range(200)])
    assert np.array_equal(cut, whole.take(5000, lambda _: 80.0))


def test_stemi_raises_the_anterior_st_segment_and_not_the_lateral_one(beats: Beats) -> None:
    plain = SyntheticEcg(beats, 1).take(2500, lambda _: 88.0)
    raised = SyntheticEcg(beats, 1, {"V2": 0.28, "V3": 0.32}).take(2500, lambda _: 88.0)
    difference_mv = (raised - plain) / 400
    assert difference_mv[:, 8].max() == pytest.approx(0.32, abs=0.05)
    assert abs(difference_mv[:, 11]).max() < 0.01


def test_frames_of_the_patient_come_back_from_the_ecg_block(beats: Beats) -> None:
    setup = describe(RATE_HZ, leads())
    samples = SyntheticEcg(beats, 1).take(50, lambda _: 70.0)
    frame = encode_frame(setup, 0, samples)
    assert np.array_equal(decode_frame(setup, frame).samples, samples)
    assert len(frame) < samples.astype("<i2").nbytes


@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_scenario_moves_in_small_steps_and_its_last_state_lasts(scenario: str) -> None:
    states = [state_at(scenario, at_s) for at_s in range(0, 2000, 5)]
    for before, after in pairwise(states):
        assert abs(after.heart_rate - before.heart_rate) < 1
        assert abs(after.systolic - before.systolic) < 1
    assert states[-1].systolic == SCENARIOS[scenario][-1].systolic


def test_stemi_and_bleeding_get_worse_in_the_numbers() -> None:
    for scenario in ("stemi", "bleeding"):
        first, last = state_at(scenario, 0), state_at(scenario, 900)
        assert last.heart_rate > first.heart_rate + 20
        assert last.systolic < first.systolic - 30


@pytest.mark.usefixtures("known_beats")
async def test_cuff_pressure_of_the_patient_keeps_its_time() -> None:
    readings = await play(settings(duration_s=31, scenario="stemi"))
    vitals = [reading for reading in readings if isinstance(reading, Vitals)]
    cuffs = [message.nibp_systolic_mmhg for message in vitals]
    assert cuffs[:3] == [None, None, None]
    assert cuffs[3] is not None
    assert {cuff.measured_ns for cuff in cuffs[3:] if cuff is not None} == {cuffs[3].measured_ns}
    assert cuffs[3].value == pytest.approx(138, abs=12)
