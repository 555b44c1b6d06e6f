"""Cases of a HeartStart MRx: what the export holds is played, what is damaged is told."""

import base64
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onboard.errors import SensorError
from onboard.sensors import Ended, Reading
from onboard.sensors.mrx_files import LARGEST_FILE_BYTES, CaseFolder, read_events, read_trend
from onboard.sensors.settings import MrxCaseSettings
from onboard.sensors.sierra_ecg import INVALID, read_twelve_lead
from streams.messages import DeviceEvent, SensorState, Vitals
from tests.sensor_play import NS, START_NS, FakeTime, play, recordings

INDEX = """<?xml version="1.0" encoding="UTF-8"?>
<deviceData><deviceInfo><deviceName>HeartStart MRx</deviceName><model>M3536A</model>
<serialNumber>US1</serialNumber></deviceInfo><eventsDoc fileName="./EVENTS.XML"/></deviceData>"""

EVENTS = """<?xml version="1.0" encoding="UTF-8"?>
<eventList>
<evt type="powerCycleOn" msecs="0" caption="Device On"></evt>
<evt type="vfibAlarm" msecs="2500" caption="VFIB/VTACH"></evt>
<evt type="hrAlarmSet" msecs="29" caption="HR Limits 50bpm 120bpm">
   <param type="hrHiLimit" value="120" units="bpm" /></evt>
<evt type="noTime" caption="left out"></evt>
<evt type="badTime" msecs="soon" caption="left out"></evt>
</eventList>"""

TREND = """<?xml version="1.0" encoding="UTF-8"?>
<eventList>
<evt type="trend" msecs="1000">
   <param type="HR" value="80" units="bpm" state="valid"/>
   <param type="SpO2" value="88" units="percent" state="questionable"/>
   <param type="Pulse" value="-?-" units="bpm"/>
   <param type="NBPs" value="118" units="mmHg"/>
</evt>
<evt type="trend" msecs="4000"><param type="HR" value="0" units="bpm" state="leads off"/></evt>
</eventList>"""

WAVES = """<?xml version="1.0" encoding="UTF-8"?>
<waveFormList>
<channel id="0" systemFlag="false" label="II">
   <waveForm fileName="./WAVES/CH0.WV" msecs="500"/></channel>
<channel id="1" systemFlag="false" label="Pads">
   <waveForm fileName="WAVES\\CH1.wv" msecs="500"/></channel>
<channel id="2" systemFlag="false"/>
</waveFormList>"""


def samples(seed: int, count: int = 1000) -> np.ndarray:
    return np.random.default_rng(seed).integers(-(2**15), 2**15, count)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export with waves and trends, in the device's formats."""
    folder = tmp_path / "CASE.MRX"
    (folder / "TREND").mkdir(parents=True)
    (folder / "WAVES").mkdir()
    (folder / "INDEX.XML").write_text(INDEX)
    (folder / "EVENTS.XML").write_text(EVENTS)
    (folder / "TREND" / "TREND00.XML").write_text(TREND)
    (folder / "WAVELIST.XML").write_text(WAVES)
    (folder / "WAVES" / "CH0.WV").write_bytes(samples(0).astype(">i2").tobytes())
    (folder / "WAVES" / "CH1.WV").write_bytes(samples(1).astype(">i2").tobytes())
    return folder


def of_type(readings: list[Reading], kind: type) -> list[object]:
    return [reading for reading in readings if isinstance(reading, kind)]


def problems(readings: list[Reading]) -> list[str]:
    return [str(reading.reason) for reading in readings if isinstance(reading, SensorState)]


async def test_real_case_plays_its_events_at_their_milliseconds(shared_data: Path) -> None:
    folder = shared_data / "mrx_case" / "B9M6OHRG.MRX"
    readings = await play(MrxCaseSettings(name="monitor", folder=str(folder)))
    events = [reading for reading in readings if isinstance(reading, DeviceEvent)]
    text = (folder / "EVENTS.XML").read_text()
    expected = [int(found) for found in re.findall(r'msecs="(\d+)"', text)]
    stamps = [event.at_ns - START_NS for event in events if event.event != "ecg12LeadStatement"]
    assert stamps == [at_ms * 1_000_000 for at_ms in expected]
    assert events[0].device == "HeartStart MRx M3536A US00554159"
    assert events[0].device_time == "2011-12-13T14:25:46.000"
    assert events[1].device_time == "2011-12-13T14:25:46.029"
    assert events[1].parameters == {"hrHiLimit": "120 bpm", "hrLowLimit": "50 bpm"}
    assert problems(readings) == []
    assert isinstance(readings[-1], Ended)


async def test_real_case_gives_its_twelve_lead_with_all_leads_off(shared_data: Path) -> None:
    folder = shared_data / "mrx_case" / "B9M6OHRG.MRX"
    readings = await play(MrxCaseSettings(name="monitor", folder=str(folder)))
    (twelve_lead,) = recordings(readings)
    assert twelve_lead.began.purpose == "twelve_lead"
    assert twelve_lead.samples.shape == (5500, 12)
    # The device says that each lead was off for 10.56 s of 11 s.
    assert (twelve_lead.samples[:5280] == INVALID).all()
    assert (twelve_lead.samples[5280:] != INVALID).any()
    last_ns = twelve_lead.chunks[-1].newest_ns
    assert last_ns - START_NS == pytest.approx(18_753_000_000, abs=2000)
    (statement,) = [r for r in readings if getattr(r, "event", "") == "ecg12LeadStatement"]
    assert isinstance(statement, DeviceEvent)
    assert "leads off: I II III" in statement.text


async def test_waves_of_an_export_play_as_one_recording_sample_for_sample(export: Path) -> None:
    time = FakeTime()
    readings = await play(MrxCaseSettings(name="monitor", folder=str(export)), time=time)
    (wave,) = recordings(readings)
    assert wave.began.start_ns == START_NS + NS // 2
    assert wave.began.purpose == "rhythm"
    assert wave.began.setup.sampling_frequency_hz == 250
    assert [lead.name for lead in wave.began.setup.leads] == ["II", "Pads"]
    assert {lead.gain for lead in wave.began.setup.leads} == {2000}
    assert np.array_equal(wave.samples, np.column_stack([samples(0), samples(1)]))
    assert problems(readings) == []


async def test_events_trends_and_waves_come_in_the_order_of_their_time(export: Path) -> None:
    readings = await play(MrxCaseSettings(name="monitor", folder=str(export)))
    stamps = []
    for reading in readings:
        if isinstance(reading, DeviceEvent):
            stamps.append(reading.at_ns)
        elif isinstance(reading, Vitals):
            assert reading.heart_rate_per_min is not None
            stamps.append(reading.heart_rate_per_min.measured_ns)
        elif hasattr(reading, "newest_ns"):
            stamps.append(reading.newest_ns)
    assert len(stamps) == 3 + 2 + 40
    assert stamps == sorted(stamps)
    events = [reading.event for reading in readings if isinstance(reading, DeviceEvent)]
    assert events == ["powerCycleOn", "hrAlarmSet", "vfibAlarm"]


async def test_trend_values_keep_the_device_s_states(export: Path) -> None:
    readings = await play(MrxCaseSettings(name="monitor", folder=str(export)))
    first, second = [reading for reading in readings if isinstance(reading, Vitals)]
    assert first.heart_rate_per_min is not None
    assert (first.heart_rate_per_min.value, first.heart_rate_per_min.validity) == (80, "valid")
    assert first.spo2_percent is not None
    assert (first.spo2_percent.value, first.spo2_percent.validity) == (88, "invalid")
    assert first.spo2_percent.reason == "device: questionable"
    assert first.pulse_rate_per_min is not None
    assert first.pulse_rate_per_min.validity == "unavailable"
    assert first.pulse_rate_per_min.reason == "device: -?-"
    assert second.heart_rate_per_min is not None
    assert second.heart_rate_per_min.value is None
    assert second.nibp_systolic_mmhg == first.nibp_systolic_mmhg
    assert second.nibp_systolic_mmhg is not None
    assert second.nibp_systolic_mmhg.measured_ns == START_NS + NS


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda f: (f / "EVENTS.XML").write_text(EVENTS[:200]), "events.xml: not well-formed"),
        (
            lambda f: (f / "WAVELIST.XML").write_text("<a>" * 5000 + "</a>" * 5000),
            "wavelist.xml: more than 64 elements within each other",
        ),
        (lambda f: (f / "EVENTS.XML").unlink(), "events.xml: the file is missing"),
        (lambda f: (f / "INDEX.XML").unlink(), "index.xml: the file is missing"),
        (lambda f: (f / "TREND" / "TREND00.XML").write_bytes(b"\0\1"), "trend00.xml: not well-fo"),
        (lambda f: (f / "WAVES" / "CH0.WV").write_bytes(b"abc"), "ch0.wv: 3 bytes are no whole"),
        (lambda f: (f / "WAVES" / "CH1.WV").unlink(), "wavelist.xml: wave file"),
        (
            lambda f: (f / "EVENTS.XML").write_text(
                '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'
            ),
            "events.xml: document type declaration",
        ),
    ],
)
async def test_damaged_part_is_told_and_the_rest_plays(
    export: Path, damage: "object", told: str
) -> None:
    assert callable(damage)
    damage(export)
    readings = await play(MrxCaseSettings(name="monitor", folder=str(export), speed=0))
    assert any(told in text for text in problems(readings)), problems(readings)
    kinds = {type(reading).__name__ for reading in readings}
    assert len(kinds & {"DeviceEvent", "Vitals", "EcgChunk"}) >= 2
    assert isinstance(readings[-1], Ended)


async def test_huge_part_is_told_unread(export: Path) -> None:
    with (export / "EVENTS.XML").open("r+b") as file:
        file.truncate(LARGEST_FILE_BYTES + 1)
    readings = await play(MrxCaseSettings(name="monitor", folder=str(export), speed=0))
    assert any("events.xml" in text and "over" in text for text in problems(readings))
    assert recordings(readings)


async def test_wave_that_no_list_names_is_played_and_told(export: Path) -> None:
    (export / "WAVELIST.XML").unlink()
    readings = await play(MrxCaseSettings(name="monitor", folder=str(export), speed=0))
    assert sum("no list names it" in text for text in problems(readings)) == 2
    (wave,) = recordings(readings)
    assert [lead.name for lead in wave.began.setup.leads] == ["ch0.wv", "ch1.wv"]


async def test_wave_list_never_leads_out_of_the_folder(export: Path, tmp_path: Path) -> None:
    (tmp_path / "SECRET.WV").write_bytes(b"ab")
    (export / "WAVELIST.XML").write_text(WAVES.replace("./WAVES/CH0.WV", "../SECRET.WV"))
    readings = await play(MrxCaseSettings(name="monitor", folder=str(export), speed=0))
    assert any("SECRET" in text and "missing" in text for text in problems(readings))
    assert len(recordings(readings)[0].samples) == 1000


async def test_folder_that_is_no_export_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SensorError, match="no such folder"):
        await play(MrxCaseSettings(name="monitor", folder=str(tmp_path / "none")))
    with pytest.raises(SensorError, match="nothing to play"):
        await play(MrxCaseSettings(name="monitor", folder=str(tmp_path)))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("3191723_ZZDEMOPTONLY_1-04_orig.xml", "ANTERIOR ST ELEVATION"),
        ("2020-5-18_15-48-11.xml", "Sinus rhythm"),
    ],
)
def test_twelve_leads_of_real_carts_obey_einthoven(shared_data: Path, name: str, said: str) -> None:
    twelve_lead = read_twelve_lead((shared_data / "ecg_device_xml" / name).read_bytes())
    assert twelve_lead.rate_hz == 500
    assert twelve_lead.samples.shape == (5500, 12)
    assert [lead.name for lead in twelve_lead.leads][:6] == ["I", "II", "III", "aVR", "aVL", "aVF"]
    assert {lead.gain for lead in twelve_lead.leads} == {200}
    assert any(said in statement for statement in twelve_lead.statements)
    assert twelve_lead.inoperative == ()
    # After 10 s comes the cart's calibration pulse, the same in every lead.
    lead_i, lead_ii, lead_iii, avr, avl, avf = twelve_lead.samples[:5000, :6].T
    assert abs(lead_iii - (lead_ii - lead_i)).max() <= 1
    assert abs(avr + (lead_i + lead_ii) / 2).max() <= 2
    assert abs(avl - (lead_i - lead_iii) / 2).max() <= 2
    assert abs(avf - (lead_ii + lead_iii) / 2).max() <= 2


def document(waveform: bytes, attributes: str = 'compression="XLI"') -> bytes:
    packed = base64.b64encode(waveform).decode()
    return (
        f'<restingecgdata><parsedwaveforms dataencoding="Base64" {attributes} numberofleads="2" '
        f'leadlabels="I II">{packed}</parsedwaveforms></restingecgdata>'
    ).encode()


def test_uncompressed_twelve_lead_is_read() -> None:
    values = np.arange(20, dtype="<i2")
    twelve_lead = read_twelve_lead(document(values.tobytes(), ""))
    assert np.array_equal(twelve_lead.samples, values.reshape(2, 10).T)


def lead_chunk(size: int, data: bytes) -> bytes:
    return size.to_bytes(4, "little", signed=True) + b"\0\0\0\0" + data


@pytest.mark.parametrize(
    "waveform",
    [
        b"",
        lead_chunk(-8, b""),
        lead_chunk(0, b""),
        lead_chunk(2**31 - 1, b"abc"),
        lead_chunk(3, b"abc"),
        lead_chunk(5, b"\x40\x10\x04\x01\x00") * 2,
        lead_chunk(100, b"\xff" * 100) * 2,
    ],
)
def test_damaged_twelve_lead_is_refused_and_never_hangs(waveform: bytes) -> None:
    with pytest.raises(ValueError, match=r"lead|LZW|sample"):
        read_twelve_lead(document(waveform))


def test_twelve_lead_that_expands_without_bound_is_stopped() -> None:
    # One byte, then always the newest code: each is one byte longer than the one before.
    codes = [0, *range(256, 1023)] + [1022] * 5000
    bits = "".join(f"{code:010b}" for code in codes)
    data = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    with pytest.raises(ValueError, match="more than"):
        read_twelve_lead(document(lead_chunk(len(data), data) * 2))


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=400), attributes=st.sampled_from(["", 'compression="XLI"']))
def test_any_waveform_bytes_give_a_twelve_lead_or_a_value_error(
    data: bytes, attributes: str
) -> None:
    try:
        twelve_lead = read_twelve_lead(document(data, attributes))
    except ValueError:
        return
    assert twelve_lead.samples.shape[1] == 2


NAMES = st.sampled_from(
    ["evt", "param", "channel", "waveForm", "msecs", "type", "value", "units", "state", "HR"]
)
VALUES = st.one_of(
    NAMES,
    st.sampled_from(["0", "-1", "80", "1e400", "nan", "a.WV", "../a.WV", "99999999999999"]),
    st.text(
        st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="<>&\"'"), max_size=9
    ),
)


def element(name: str, attributes: dict[str, str], children: list[str]) -> str:
    named = " ".join(f"{key}='{text}'" for key, text in attributes.items())
    return f"<{name} {named}>{''.join(children)}</{name}>"


ELEMENTS = st.recursive(
    st.just(""),
    lambda inner: st.builds(
        element,
        NAMES,
        st.dictionaries(NAMES, VALUES, max_size=4),
        st.lists(inner, max_size=3),
    ),
    max_leaves=8,
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(inside=ELEMENTS)
async def test_any_xml_in_place_of_the_lists_never_stops_the_rest(
    export: Path, inside: str
) -> None:
    text = f"<eventList>{inside}</eventList>"
    for name in ("INDEX.XML", "WAVELIST.XML", "TREND/TREND00.XML"):
        (export / name).write_text(text)
    readings = await play(MrxCaseSettings(name="monitor", folder=str(export), speed=0))
    events = [reading.event for reading in readings if isinstance(reading, DeviceEvent)]
    assert events == ["powerCycleOn", "hrAlarmSet", "vfibAlarm"]
    read_events(text.encode())
    read_trend(text.encode())


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_as_events_give_events_or_a_value_error(data: bytes) -> None:
    try:
        assert read_events(data) is not None
    except ValueError:
        return


def test_case_folder_finds_files_whatever_the_case_of_their_names(shared_data: Path) -> None:
    folder = CaseFolder(shared_data / "mrx_case" / "B9M6OHRG.MRX")
    assert folder.find("./TREND/TREND00.xml") == "trend/trend00.xml"
    assert folder.find("12LEADS\\129ECORG.XML") == "12leads/129ecorg.xml"
    assert folder.find("../SOURCE.txt") is None


async def test_copy_of_the_real_case_without_its_twelve_lead_still_plays(
    shared_data: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "case"
    shutil.copytree(shared_data / "mrx_case" / "B9M6OHRG.MRX", copy)
    twelve_lead = copy / "12LEADS" / "129ECORG.XML"
    twelve_lead.write_bytes(twelve_lead.read_bytes()[:20000])
    readings = await play(MrxCaseSettings(name="monitor", folder=str(copy), speed=0))
    assert any("129ecorg" in text for text in problems(readings))
    assert len(of_type(readings, DeviceEvent)) == 17
