"""Vitals from recordings: what each number is worth, and when it was measured."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onboard.errors import SensorError
from onboard.sensors import Ended, Reading
from onboard.sensors.settings import CsvVitalsSettings, WfdbVitalsSettings
from onboard.sensors.vitals_columns import RANGES, VitalsRows, find_columns, judge
from streams.messages import Numeric, Vitals
from tests.sensor_play import NS, START_NS, FakeTime, play

MINUTE_NS = 60 * NS
MIMIC = "vitals/mimic_s00001n/s00001-2896-10-10-00-31n"


def vitals_of(readings: list[Reading]) -> list[Vitals]:
    return [reading for reading in readings if isinstance(reading, Vitals)]


def numerics(vitals: Vitals) -> dict[str, Numeric]:
    found = ((name, getattr(vitals, name)) for name in RANGES)
    return {name: numeric for name, numeric in found if numeric is not None}


async def test_mimic_numerics_play_once_a_minute_with_the_values_of_the_record(
    shared_data: Path,
) -> None:
    path = str(shared_data / MIMIC)
    time = FakeTime()
    readings = await play(WfdbVitalsSettings(name="vitals", path=path), time=time)
    source = wfdb.rdrecord(path)
    hr = source.p_signal[:, source.sig_name.index("HR")]
    vitals = vitals_of(readings)
    assert len(vitals) == len(hr) == 1936
    assert isinstance(readings[-1], Ended)
    assert time.slept_s == pytest.approx(1935 * 60, rel=1e-6)
    for minute, (value, message) in enumerate(zip(hr, vitals, strict=True)):
        numeric = message.heart_rate_per_min
        assert numeric is not None
        assert numeric.measured_ns == pytest.approx(START_NS + minute * MINUTE_NS, abs=NS)
        assert numeric.value == (pytest.approx(value) if value else None)


async def test_mimic_zeros_and_gaps_are_never_passed_on_as_numbers(shared_data: Path) -> None:
    readings = await play(WfdbVitalsSettings(name="v", path=str(shared_data / MIMIC), speed=0))
    seen = set()
    for vitals in vitals_of(readings):
        for name, numeric in numerics(vitals).items():
            seen.add(name)
            assert numeric.value not in {0, -1}
            assert numeric.value is None or math.isfinite(numeric.value)
            assert (numeric.value is None) == (numeric.validity == "unavailable")
            assert (numeric.reason is None) == (numeric.validity == "valid")
    assert seen >= {"heart_rate_per_min", "spo2_percent", "nibp_systolic_mmhg", "abp_mean_mmhg"}
    assert "etco2_mmhg" not in seen


async def test_mimic_cuff_pressure_keeps_the_time_of_the_cuff(shared_data: Path) -> None:
    path = str(shared_data / MIMIC)
    readings = await play(WfdbVitalsSettings(name="v", path=path))
    source = wfdb.rdrecord(path)
    cuff = source.p_signal[:, source.sig_name.index("NBPSys")]
    measured = np.flatnonzero(~np.isnan(cuff))
    vitals = vitals_of(readings)
    assert all(message.nibp_systolic_mmhg is None for message in vitals[: measured[0]])
    for minute, message in enumerate(vitals[measured[0] :], start=measured[0]):
        last = measured[measured <= minute][-1]
        assert message.nibp_systolic_mmhg is not None
        assert message.nibp_systolic_mmhg.value == cuff[last]
        assert message.nibp_systolic_mmhg.measured_ns == pytest.approx(
            START_NS + last * MINUTE_NS, abs=NS
        )


async def test_mimic_numerics_ten_times_faster_come_every_six_seconds(shared_data: Path) -> None:
    path = str(shared_data / MIMIC)
    first, second = vitals_of(
        await play(WfdbVitalsSettings(name="v", path=path, speed=10), at_most=2)
    )
    assert first.heart_rate_per_min is not None
    assert second.heart_rate_per_min is not None
    assert second.heart_rate_per_min.measured_ns - first.heart_rate_per_min.measured_ns == (
        pytest.approx(6 * NS, abs=NS // 100)
    )


@pytest.mark.parametrize(
    "file",
    [
        "vitals/intellivue_vital/test_data_demo_1hz.csv",
        "vitals/intellivue_vital/test_intelliue_demo2_1hz.csv",
        "vitals/mimic_s00001n/mimic_s00001n_per_minute.csv",
    ],
)
async def test_csv_vitals_of_real_monitors_play_as_recorded(shared_data: Path, file: str) -> None:
    path = shared_data / file
    settings_ = CsvVitalsSettings(name="v", path=str(path), every_s=0)
    vitals = vitals_of(await play(settings_))
    with path.open() as lines:
        rows = list(csv.DictReader(lines))
    assert len(vitals) == len(rows)
    column = next(name for name in rows[0] if name in {"ECG_HR", "HR_bpm"})
    for row, message in zip(rows, vitals, strict=True):
        assert message.heart_rate_per_min is not None
        recorded = float(row[column] or 0)
        assert message.heart_rate_per_min.value == (recorded or None)


async def test_csv_vitals_come_no_more_often_than_the_table_of_topics_plans(
    shared_data: Path,
) -> None:
    path = str(shared_data / "vitals/intellivue_vital/test_intelliue_demo2_1hz.csv")
    vitals = vitals_of(await play(CsvVitalsSettings(name="v", path=path)))
    stamps = [message.heart_rate_per_min.measured_ns for message in vitals]  # type: ignore[union-attr]
    assert len(stamps) > 20
    assert min(np.diff(stamps)) >= 5 * NS


async def test_csv_gap_in_time_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "v.csv"
    file.write_text("t_s,HR\n0,60\n5,61\n605,90\n")
    time = FakeTime()
    vitals = vitals_of(await play(CsvVitalsSettings(name="v", path=str(file)), time=time))
    assert [message.heart_rate_per_min.value for message in vitals] == [60, 61, 90]  # type: ignore[union-attr]
    assert time.slept_s == pytest.approx(605)


def test_repeated_cuff_row_is_the_same_measurement_until_it_changes() -> None:
    rows = VitalsRows("d", find_columns(["NIBP_SYS", "NIBP_DIA"]))
    assert rows.read([120, 80], 1).nibp_systolic_mmhg == Numeric(value=120, measured_ns=1)
    assert rows.read([120, 80], 2).nibp_systolic_mmhg == Numeric(value=120, measured_ns=1)
    assert rows.read([math.nan, math.nan], 3).nibp_diastolic_mmhg == Numeric(
        value=80, measured_ns=1
    )
    assert rows.read([120, 80], 4).nibp_systolic_mmhg == Numeric(value=120, measured_ns=4)
    assert rows.read([100, 60], 5).nibp_systolic_mmhg == Numeric(value=100, measured_ns=5)


@pytest.mark.parametrize(
    ("field", "value", "validity", "kept"),
    [
        ("heart_rate_per_min", 72, "valid", 72),
        ("heart_rate_per_min", 0, "unavailable", None),
        ("spo2_percent", -1, "unavailable", None),
        ("spo2_percent", math.nan, "unavailable", None),
        ("spo2_percent", math.inf, "unavailable", None),
        ("spo2_percent", 127, "invalid", 127),
        ("temperature_celsius", 3, "invalid", 3),
        ("nibp_systolic_mmhg", -30, "invalid", -30),
    ],
)
def test_recorded_number_gets_its_validity(
    field: str, value: float, validity: str, kept: float | None
) -> None:
    numeric = judge(field, value, 1)
    assert (numeric.validity, numeric.value) == (validity, kept)


def test_pressures_in_kilopascal_and_temperatures_in_fahrenheit_are_converted() -> None:
    columns = find_columns(["ABP Sys", "Temp"], ["kPa", "degF"])
    vitals = VitalsRows("d", columns).read([16.0, 98.6], 1)
    assert vitals.abp_systolic_mmhg is not None
    assert vitals.abp_systolic_mmhg.value == 120
    assert vitals.temperature_celsius is not None
    assert vitals.temperature_celsius.value == 37


async def test_waveform_record_is_refused_as_vitals(shared_data: Path) -> None:
    path = str(shared_data / "ecg_rhythm" / "100")
    with pytest.raises(SensorError, match="waveform"):
        await play(WfdbVitalsSettings(name="v", path=path))


async def test_vitals_record_that_is_missing_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(SensorError, match=r"nothing\.hea"):
        await play(WfdbVitalsSettings(name="v", path=str(tmp_path / "nothing")))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "first column"),
        ("HR,t_s\n60,0\n", "first column"),
        ("t_s,HR\n0,0\n1,\n", "no column is a vital sign"),
        ("t_s,colour\n0,3\n", "no column is a vital sign"),
        ("t_s,HR\n5,60\n1,61\n", "goes back"),
        ("t_s,HR\nsoon,60\n", "row 2"),
        ("t_s,HR\n0,60\n1e300,60\n", "leaps"),
        ("t_s,HR\ninf,60\n", "row 2"),
    ],
)
async def test_csv_that_is_no_vitals_is_refused_with_the_reason(
    tmp_path: Path, text: str, why: str
) -> None:
    file = tmp_path / "v.csv"
    file.write_text(text)
    with pytest.raises(SensorError, match=why):
        await play(CsvVitalsSettings(name="v", path=str(file)))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.one_of(st.binary(max_size=200), st.text('t_s,HRSpO2\n0123456789.-naif"', max_size=80))
)
async def test_garbage_as_csv_raises_nothing_but_a_sensor_error(
    tmp_path: Path, data: bytes | str
) -> None:
    file = tmp_path / "v.csv"
    header = b"t_s,HR\n" if isinstance(data, str) else b""
    file.write_bytes(header + (data.encode() if isinstance(data, str) else data))
    try:
        readings = await play(CsvVitalsSettings(name="v", path=str(file), speed=0))
    except SensorError:
        return
    assert isinstance(readings[-1], Ended)
