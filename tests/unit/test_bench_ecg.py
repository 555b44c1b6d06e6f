"""The ECG benchmark: every codec is lossless in what it takes, and the bound is a bound."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from rich.console import Console
from rich.progress import Progress

pytest.importorskip("pyflac", reason="the peers come with the extra 'bench'")
pytest.importorskip("pcodec", reason="the peers come with the extra 'bench'")
pytest.importorskip("zstandard", reason="the peers come with the extra 'bench'")

from bench import ecg
from bench.ecg_bound import prediction_bound
from bench.ecg_codecs import OURS, TWELVE, Codec, TwelveLead, all_codecs
from bench.frame import BenchError, Outcome, Session
from streams.ecg_block import Lead, describe
from streams.waveform_record import write_wfdb

SETUP = describe(500.0, tuple(Lead(name, 1000.0, invalid=-32768) for name in TWELVE))


def samples_of(seconds: float, seed: int) -> npt.NDArray[np.int32]:
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * 500))[:, None]
    eight = 500 * np.sin(time / random.uniform(5, 60, 8)) + random.normal(0, 4, (len(time), 8))
    i, ii = eight[:, :1], eight[:, 1:2]
    limb = (i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2)
    return np.rint(np.hstack((*limb, eight[:, 2:]))).astype(np.int32)


@pytest.mark.parametrize("codec", all_codecs(), ids=lambda codec: codec.name)
def test_codec_gives_back_what_it_took_also_in_a_shorter_last_frame(codec: Codec) -> None:
    record = TwelveLead("x", SETUP, samples_of(1.3, 1)[:-37])
    coded = codec.encode(record)
    assert np.array_equal(codec.decode(record, coded), codec.source(record))


def test_bound_of_white_noise_is_its_entropy() -> None:
    noise = np.rint(np.random.default_rng(4).normal(0, 20, (3000, 8))).astype(np.int64)
    entropy = np.log2(20 * np.sqrt(2 * np.pi * np.e)) * 8 / 12
    assert prediction_bound(noise) == pytest.approx(entropy, rel=0.06)


def test_bound_of_what_can_be_predicted_is_far_lower() -> None:
    wave = np.rint(900 * np.sin(np.arange(3000)[:, None] / np.arange(9, 17))).astype(np.int64)
    assert prediction_bound(wave) < 1.6


def test_bound_of_flat_leads_stays_finite() -> None:
    assert 0 <= prediction_bound(np.zeros((2000, 8), np.int64)) < 0.2


def run_on(folder: Path) -> Outcome:
    with Progress(console=Console(quiet=True)) as progress:
        return ecg.run(Session(data=folder, repeats=1, progress=progress))


def test_benchmark_on_other_data_has_a_row_a_codec_and_names_what_it_left_out(
    tmp_path: Path,
) -> None:
    for number in range(2):
        write_wfdb(tmp_path, f"HR{number}", SETUP, samples_of(2, number))
    two = describe(250.0, SETUP.leads[:2])
    write_wfdb(tmp_path, "two", two, np.zeros((500, 2), np.int32))
    (tmp_path / "bad.hea").write_text("bad.mat 12 500 5000 05-May-2020 14:50:55\n")
    outcome = run_on(tmp_path)
    rows = {row.name: row.figures for row in outcome.measurements}
    assert {codec.name for codec in all_codecs()} < rows.keys()
    assert rows["raw int16, 12 leads"]["bits_per_sample"] == 16
    assert rows[OURS]["differing"] == 0
    lossless, *_ = outcome.promises
    assert lossless.holds
    assert set(outcome.details["records"]) == {"HR0", "HR1"}
    assert set(outcome.details["databases"]) == {"PTB-XL"}
    left_out = " ".join(outcome.details["skipped"])
    assert "bad" in left_out
    assert "two: it has not all of the 12 leads" in left_out


def test_benchmark_without_records_says_so(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no WFDB record"):
        run_on(tmp_path)
