"""WFDB import and export: every record comes back as it was; what wfdb refuses is said."""

import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb

from streams.ecg_block import EcgSetup, Lead, decode_frame, describe, encode_frame
from streams.ecg_leads import Samples
from streams.ecg_steps import find_steps
from streams.waveform_record import WaveformPart, WfdbError, read_wfdb, write_wfdb


def block_frames(part: WaveformPart) -> Samples:
    """Encode a part in frames of 200 ms, decode each, and return what came back."""
    length = max(1, round(part.setup.sampling_frequency_hz * 0.2))
    frames = [
        encode_frame(part.setup, at, part.samples[at : at + length])
        for at in range(0, len(part.samples), length)
    ]
    return np.concatenate([decode_frame(part.setup, frame).samples for frame in frames])


def exported(folder: Path, part: WaveformPart, **header: Any) -> Any:
    """Write a part as WFDB and return what wfdb itself reads, as integers."""
    write_wfdb(folder, "out", part.setup, part.samples, **header)
    return wfdb.rdrecord(str(folder / "out"), physical=False)


def assert_same(record: Any, part: WaveformPart) -> None:
    leads = part.setup.leads
    assert np.array_equal(record.d_signal, part.samples)
    assert record.fs == part.setup.sampling_frequency_hz
    assert record.sig_name == [lead.name for lead in leads]
    assert record.units == [lead.physical_unit for lead in leads]
    assert record.adc_gain == [lead.gain for lead in leads]
    assert record.baseline == [lead.baseline for lead in leads]
    assert record.adc_res == [lead.adc_resolution_bits for lead in leads]
    assert record.adc_zero == [lead.adc_zero for lead in leads]


REFUSED = {"E00666"}
"""Records in the data whose headers wfdb refuses."""


@pytest.mark.parametrize("folder", ["ecg12", "ecg_rhythm", "ecg_vf", "vitals/mimic_*"])
def test_every_record_of_the_data_comes_back_from_blocks_and_from_its_export(
    shared_data: Path, tmp_path: Path, folder: str
) -> None:
    headers = sorted(shared_data.glob(f"{folder}/*.hea"))
    assert headers
    for header in headers:
        if header.stem in REFUSED:
            continue
        record = read_wfdb(header)
        for part in record.parts:
            assert np.array_equal(block_frames(part), part.samples), header.stem
            assert_same(exported(tmp_path, part, start=record.start), part)


@pytest.mark.parametrize("name", ["ecg12/s0010_re", "ecg12/HR06001", "ecg_rhythm/v102s"])
def test_read_record_has_the_integers_that_wfdb_itself_reads(shared_data: Path, name: str) -> None:
    path = shared_data / name
    theirs = wfdb.rdrecord(str(path), physical=False)
    [part] = read_wfdb(path).parts
    assert_same(theirs, part)


def test_read_record_with_several_rates_keeps_each_signal_at_its_own(shared_data: Path) -> None:
    path = shared_data / "vitals" / "mimic_037_wave" / "03700181"
    fast, slow = read_wfdb(path).parts
    assert [lead.name for lead in fast.setup.leads] == ["MCL1"]
    assert [lead.name for lead in slow.setup.leads] == ["ABP", "RESP"]
    assert (fast.setup.sampling_frequency_hz, slow.setup.sampling_frequency_hz) == (500.0, 125.0)
    assert len(fast.samples) == 4 * len(slow.samples)
    assert read_wfdb(path).start == datetime(1994, 8, 15, 17, 27, 45)


def test_read_record_of_several_segments_is_whole(shared_data: Path) -> None:
    folder = shared_data / "vitals" / "mimic_041s_wave"
    parts = [read_wfdb(folder / name).parts for name in ("041s", "041s01", "041s02")]
    for whole, *segments in zip(*parts, strict=True):
        joined = np.concatenate([segment.samples for segment in segments])
        assert np.array_equal(whole.samples, joined)


def test_read_numerics_with_gaps_mark_invalid_samples(shared_data: Path) -> None:
    folder = shared_data / "vitals" / "mimic_s00001n"
    [part] = read_wfdb(next(folder.glob("*n.hea"))).parts
    frame = decode_frame(part.setup, encode_frame(part.setup, 0, part.samples))
    cuff = [lead.name for lead in part.setup.leads].index("NBPSys")
    assert 0 < frame.valid[:, cuff].sum() < len(part.samples)
    assert np.array_equal(frame.valid, part.samples != -32768)


def test_malformed_record_is_refused_with_its_name_and_the_reason(tmp_path: Path) -> None:
    (tmp_path / "bad.hea").write_text("bad.mat 12 500 5000 05-May-2020 14:50:55\n")
    with pytest.raises(WfdbError, match=r"bad: wfdb refuses it: \w+"):
        read_wfdb(tmp_path / "bad")


def test_absent_record_is_refused_with_the_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WfdbError, match=r"there is no file nothing\.hea"):
        read_wfdb(tmp_path / "nothing")


def test_record_of_physionet_is_asked_for_by_database_and_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    part = part_of([Lead("MLII", 200.0)], [[1], [2], [3]])
    write_wfdb(tmp_path, "100", part.setup, part.samples)
    really_read = wfdb.rdrecord

    def as_if_fetched(name: str, *, pn_dir: str, **options: Any) -> Any:
        assert pn_dir == "mitdb"
        return really_read(str(tmp_path / name), **options)

    monkeypatch.setattr(wfdb, "rdrecord", as_if_fetched)
    [found] = read_wfdb("100", physionet="mitdb").parts
    assert np.array_equal(found.samples, part.samples)


def test_record_of_physionet_without_network_is_refused_with_the_cause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without_network(_name: str, **_options: Any) -> Any:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(wfdb, "rdrecord", without_network)
    with pytest.raises(WfdbError, match="no route to host") as refusal:
        read_wfdb("100", physionet="mitdb")
    assert isinstance(refusal.value.__cause__, OSError)


def test_record_whose_signal_file_is_cut_short_is_refused(tmp_path: Path) -> None:
    part = part_of([Lead("I", 200.0)], [[1], [2], [3], [4]])
    write_wfdb(tmp_path, "cut", part.setup, part.samples)
    (tmp_path / "cut.dat").write_bytes(b"\1\0")
    with pytest.raises(WfdbError, match="cut"):
        read_wfdb(tmp_path / "cut")


def part_of(leads: list[Lead], rows: list[list[int]]) -> WaveformPart:
    return WaveformPart(describe(250.0, tuple(leads)), np.array(rows, np.int32))


def test_written_samples_of_more_than_16_bits_take_a_wider_format(tmp_path: Path) -> None:
    leads = [Lead(f"x{bits}", 1e4, 5, "NU", invalid=-32768) for bits in (16, 24, 32)]
    top = [2**15 - 1, 2**23 - 1, 2**31 - 1]
    part = part_of(leads, [top, [-value for value in top], [0, 0, 0]])
    record = exported(tmp_path, part)
    assert_same(record, part)
    assert record.fmt == ["16", "24", "32"]


@pytest.mark.parametrize("formats", list(itertools.permutations(["80", "212", "16", "24"], 3)))
def test_written_leads_of_different_formats_in_any_order_come_back(
    tmp_path: Path, formats: tuple[str, ...]
) -> None:
    leads = [
        Lead(f"c{number}", 100.0, storage_format=storage_format)
        for number, storage_format in enumerate([*formats, formats[0]])
    ]
    part = part_of(leads, [[1, -2, 3, -4], [-100, 99, -98, 97], [0, 5, 0, 5]])
    record = exported(tmp_path, part)
    assert_same(record, part)
    assert record.fmt == [*formats, formats[0]]


def test_valid_sample_that_is_the_mark_of_a_format_takes_a_wider_one(tmp_path: Path) -> None:
    part = part_of([Lead("A", 100.0, invalid=None)], [[-32768], [7]])
    record = exported(tmp_path, part)
    assert record.fmt == ["24"]
    assert not np.isnan(wfdb.rdrecord(str(tmp_path / "out")).p_signal).any()


def test_invalid_samples_of_an_unwritable_format_stay_invalid(tmp_path: Path) -> None:
    part = part_of([Lead("A", 100.0, invalid=-512, storage_format="310")], [[-512], [7], [-8]])
    exported(tmp_path, part)
    physical = wfdb.rdrecord(str(tmp_path / "out")).p_signal[:, 0]
    assert np.isnan(physical).tolist() == [True, False, False]
    assert physical[1:].tolist() == [0.07, -0.08]


def test_gaps_are_filled_as_invalid_and_listed_in_the_header(tmp_path: Path) -> None:
    leads = [Lead("I", 1000.0, invalid=-32768), Lead("II", 1000.0, invalid=None)]
    part = part_of(leads, [[n, -n] for n in range(10)])
    record = exported(tmp_path, part, gaps=[(2, 5), (9, 10)], comments=["source: unit-7"])
    assert record.comments == [
        "source: unit-7",
        "missing: samples 2 to 4",
        "missing: samples 9 to 9",
    ]
    gone = np.isnan(wfdb.rdrecord(str(tmp_path / "out")).p_signal)
    assert (
        np.flatnonzero(gone[:, 0]).tolist() == np.flatnonzero(gone[:, 1]).tolist() == [2, 3, 4, 9]
    )
    assert record.d_signal[5:9].tolist() == [[5, -5], [6, -6], [7, -7], [8, -8]]


def test_start_with_a_time_zone_is_written_in_utc(tmp_path: Path) -> None:
    part = part_of([Lead("I", 1000.0)], [[1], [2]])
    zoned = datetime.fromisoformat("2026-11-22T23:30:00.250+08:00")
    assert exported(tmp_path, part, start=zoned).base_datetime.replace(tzinfo=UTC) == zoned


@pytest.mark.parametrize(
    ("name", "setup"),
    [
        ("no spaces", describe(250.0, (Lead("I", 1000.0),))),
        ("out", describe(250.0, (Lead("I", -1000.0),))),
        ("out", describe(250.0, (Lead("I", 1000.0, physical_unit="m V"),))),
    ],
)
def test_what_wfdb_cannot_hold_is_refused_with_the_reason(
    tmp_path: Path, name: str, setup: EcgSetup
) -> None:
    with pytest.raises(WfdbError, match=rf"{name}: (a name has|it cannot be written)"):
        write_wfdb(tmp_path, name, setup, np.zeros((5, 1), np.int32))


def test_leads_of_one_name_are_refused_by_the_export(tmp_path: Path) -> None:
    with pytest.raises(WfdbError, match="unique"):
        exported(tmp_path, part_of([Lead("V", 100.0), Lead("V", 100.0)], [[1, 2], [3, 4]]))


def stepped(step: float, toward_zero: bool, leads: int = 3, baseline: int = 0) -> Samples:
    counts = np.cumsum(np.random.default_rng(5).integers(-9, 10, (3000, leads)), axis=0)
    exact = (counts - counts[1500]) * step
    rounded = np.trunc(exact) if toward_zero else np.floor(exact + 0.5)
    samples: Samples = (rounded + baseline).astype(np.int32)
    return samples


@pytest.mark.parametrize("toward_zero", [False, True])
@pytest.mark.parametrize("step", [2.44, 4.88, 5.0, 30.061276])
def test_step_of_rescaled_samples_is_found_and_explains_them_all(
    step: float, toward_zero: bool
) -> None:
    leads = [Lead(name, 1000.0, baseline=-40) for name in ("I", "II", "V1")]
    samples = stepped(step, toward_zero, baseline=-40)
    found = find_steps(leads, samples)
    assert [lead.step for lead in found] == pytest.approx([step] * 3, rel=1e-3)
    assert len({lead.step for lead in found}) == 1
    plain, coded = (
        encode_frame(describe(500, tuple(kind)), 0, samples[1400:1500]) for kind in (leads, found)
    )
    assert len(coded) < len(plain)


def test_step_is_not_found_in_samples_of_every_integer() -> None:
    samples = np.random.default_rng(2).normal(0, 200, (3000, 2)).astype(np.int32)
    found = find_steps([Lead("I", 1.0), Lead("II", 1.0)], samples)
    assert [lead.step for lead in found] == [0, 0]


def test_step_is_not_found_in_flat_or_short_or_two_valued_leads() -> None:
    leads = [Lead("flat", 1.0), Lead("two", 1.0, invalid=-32768)]
    samples = np.array([[7, 0], [7, 500], [7, -32768]] * 50, np.int32)
    assert [lead.step for lead in find_steps(leads, samples)] == [0, 0]
    assert [lead.step for lead in find_steps(leads, samples[:1])] == [0, 0]
