"""Positions from logs: NMEA against what gpsd made of the same logs, GPX, CSV, drawn routes."""

import functools
import itertools
import json
import math
from pathlib import Path

import pytest
from geopy.distance import geodesic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onboard.errors import SensorError
from onboard.sensors import Reading
from onboard.sensors.accuracy import radius_of_deviations, radius_of_gpsd, radius_of_hdop
from onboard.sensors.nmea_epochs import Epoch, NmeaEpochs
from onboard.sensors.settings import (
    CsvTrackSettings,
    GpxReplaySettings,
    NmeaReplaySettings,
    RouteSettings,
    SensorSettings,
    Waypoint,
)
from onboard.sensors.track import LARGEST_FILE_BYTES
from streams.messages import Position, SensorState
from tests.sensor_play import NS, START_NS, FakeTime, play

NMEA_LOGS = [
    "beidou-bd",
    "gp-320fw-2019-04-07-coldboot",
    "haicom-305N",
    "iTrek",
    "nmea-rtk",
    "quectelLC79D-1",
    "telit-he910",
    "tn200",
    "tomtom-mkII",
]


def positions(readings: list[Reading]) -> list[Position]:
    return [reading for reading in readings if isinstance(reading, Position)]


def words(readings: list[Reading]) -> list[str]:
    return [str(reading.reason) for reading in readings if isinstance(reading, SensorState)]


def sentence(body: str) -> bytes:
    checksum = functools.reduce(lambda total, byte: total ^ byte, body.encode(), 0)
    return f"${body}*{checksum:02X}\r\n".encode()


def epochs_of(data: bytes) -> list[Epoch]:
    reading = NmeaEpochs()
    epochs = [epoch for line in data.splitlines() if (epoch := reading.feed(line))]
    last = reading.close()
    return epochs if last is None else [*epochs, last]


@pytest.mark.parametrize("log", NMEA_LOGS)
def test_every_fix_of_gpsd_is_found_at_the_same_place(shared_data: Path, log: str) -> None:
    folder = shared_data / "gps" / "gpsd_nmea"
    fixes = {
        round(epoch.time_of_day_s or 0, 3): epoch
        for epoch in epochs_of((folder / f"{log}.log").read_bytes())
        if epoch.has_fix
    }
    reports = [
        json.loads(line)
        for line in (folder / f"{log}.log.chk").read_text(errors="replace").splitlines()
        if line.startswith("{")
    ]
    expected: dict[float, list[dict[str, float]]] = {}
    for report in reports:
        if report.get("mode", 0) >= 2 and "lat" in report and "time" in report:
            hours, minutes, seconds = report["time"][11:23].split(":")
            at_s = round(int(hours) * 3600 + int(minutes) * 60 + float(seconds), 3)
            expected.setdefault(at_s, []).append(report)
    assert set(expected) <= set(fixes)
    # gpsd gives no position for the moment in which the fix comes; we give that one too.
    assert len(fixes) <= len(expected) + 1
    for at_s, of_gpsd in expected.items():
        fix = fixes[at_s]
        assert any(
            fix.latitude_deg == pytest.approx(report["lat"], abs=1e-8)
            and fix.longitude_deg == pytest.approx(report["lon"], abs=1e-8)
            for report in of_gpsd
        )


async def test_nmea_log_plays_with_the_recorded_timing(shared_data: Path) -> None:
    path = str(shared_data / "gps/gpsd_nmea/quectelLC79D-1.log")
    time = FakeTime()
    given_ = positions(await play(NmeaReplaySettings(name="gnss", path=path), time=time))
    assert [position.measured_ns - START_NS for position in given_] == [n * NS for n in range(29)]
    assert time.slept_s == pytest.approx(28)
    first = given_[0]
    assert first.latitude_deg == pytest.approx(50 + 2.453527 / 60)
    assert first.speed_mps == 0
    assert first.heading_deg == pytest.approx(16.6)
    assert first.confidence == 0.95
    assert first.radius_m == pytest.approx(2.4477 * 0.9 * 6 / math.sqrt(2), rel=1e-3)
    assert first.datum == "wgs84"


async def test_log_without_a_fix_gives_its_state_and_no_position(shared_data: Path) -> None:
    path = str(shared_data / "gps/gpsd_nmea/tn200.log")
    readings = await play(NmeaReplaySettings(name="gnss", path=path))
    assert positions(readings) == []
    assert "no fix" in words(readings)


async def test_lost_fix_and_skipped_lines_are_told_once(shared_data: Path) -> None:
    path = str(shared_data / "gps/gpsd_nmea/gp-320fw-2019-04-07-coldboot.log")
    said = words(await play(NmeaReplaySettings(name="gnss", path=path)))
    assert said[0].startswith("skipped lines of the log: 41 checksum")
    assert said.count("no fix") == 1


async def test_week_rollover_in_a_log_is_told_and_played_on(tmp_path: Path) -> None:
    log = tmp_path / "rollover.nmea"
    place = "3114.8770,N,12135.2463,E"
    log.write_bytes(
        sentence(f"GPRMC,235958.00,A,{place},10.0,90.0,060419,,,A")
        + sentence(f"GPRMC,000001.00,A,{place},10.0,90.0,220899,,,A")
    )
    readings = await play(NmeaReplaySettings(name="gnss", path=str(log)))
    assert any("week rollover" in text for text in words(readings))
    first, second = positions(readings)
    assert second.measured_ns - first.measured_ns == 3 * NS
    assert second.speed_mps == pytest.approx(5.144, abs=0.001)


async def test_gap_is_kept_but_two_logs_in_one_file_are_not_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "cut.nmea"
    times = ("100000.00", "100130.00", "180000.00")
    log.write_bytes(
        b"".join(
            sentence(f"GNGGA,{at},3114.8770,N,12135.2463,E,1,08,1.1,10,M,0,M,,") for at in times
        )
    )
    time = FakeTime()
    readings = await play(NmeaReplaySettings(name="gnss", path=str(log)), time=time)
    stamps = [position.measured_ns - START_NS for position in positions(readings)]
    assert stamps == [0, 90 * NS, 91 * NS]
    assert any("jumps" in text for text in words(readings))


@pytest.mark.parametrize("talker", ["GP", "GN", "BD", "GB", "GA", "GL"])
def test_sentences_of_any_talker_are_read(talker: str) -> None:
    (epoch,) = epochs_of(
        sentence(f"{talker}GGA,101010.00,3114.8770,N,12135.2463,E,1,08,1.1,10,M,0,M,,")
    )
    assert epoch.has_fix
    assert epoch.date is None
    assert epoch.latitude_deg == pytest.approx(31 + 14.877 / 60)


@pytest.mark.parametrize(
    "body",
    [
        "GPGGA,101010.00,3114.8770,N,12135.2463,E,0,00,,,M,,M,,",
        "GPGGA,101010.00,3114.8770,N,12135.2463,E,8,08,1.1,10,M,0,M,,",
        "GPRMC,101010.00,V,3114.8770,N,12135.2463,E,0,0,010120,,,N",
        "GPRMC,101010.00,A,3114.8770,N,12135.2463,E,0,0,010120,,,S",
        "GPGLL,3114.8770,N,12135.2463,E,101010.00,V,N",
        "GNGNS,101010.00,3114.8770,N,12135.2463,E,NN,00,,,,,",
        "GPGGA,101010.00,,,,,1,08,1.1,10,M,0,M,,",
    ],
)
def test_sentence_without_a_measured_fix_gives_none(body: str) -> None:
    (epoch,) = epochs_of(sentence(body))
    assert not epoch.has_fix


def test_receiver_that_gives_deviations_states_them_as_radius(tmp_path: Path) -> None:
    epoch = epochs_of(
        sentence("GPGGA,101010.00,3114.8770,N,12135.2463,E,1,08,1.1,10,M,0,M,,")
        + sentence("GPGST,101010.00,3.2,6.6,4.7,47.3,5.8,5.6,22.0")
    )[0]
    assert epoch.deviations_m == (5.8, 5.6)
    assert radius_of_deviations(5.8, 5.6) == pytest.approx(2.4477 * 5.8, rel=1e-4)


def test_radius_of_nonsense_is_none() -> None:
    assert radius_of_hdop(99.9, 6) is None
    assert radius_of_hdop(0, 6) is None
    assert radius_of_hdop(math.nan, 6) is None
    assert radius_of_deviations(math.nan, math.nan) is None
    assert radius_of_deviations(0, 0) is None
    assert radius_of_gpsd(-3, 5) is None
    assert radius_of_gpsd(19.6, 19.6) == pytest.approx(24.48, abs=0.01)


def test_damaged_line_is_counted_and_the_next_one_read() -> None:
    reading = NmeaEpochs()
    good = sentence("GPGGA,101010.00,3114.8770,N,12135.2463,E,1,08,1.1,10,M,0,M,,")
    for line in (good.replace(b"3114", b"3214"), b"$GPRMC,1010", b"$" + b"A" * 3000, good):
        reading.feed(line)
    assert reading.refused["checksum"] >= 1
    assert reading.refused["long"] == 1
    assert reading.refused.total() == 3
    last = reading.close()
    assert last is not None
    assert last.has_fix


async def test_gpx_of_a_real_drive_plays_with_its_timing(shared_data: Path) -> None:
    path = str(shared_data / "gps/gpx/around-visnjan-with-car.gpx")
    time = FakeTime()
    given_ = positions(await play(GpxReplaySettings(name="gnss", path=path), time=time))
    assert len(given_) > 50
    assert (given_[0].latitude_deg, given_[0].longitude_deg) == (45.273518851, 13.7142099626)
    assert given_[1].measured_ns - given_[0].measured_ns == 10 * NS
    assert given_[0].radius_m is None
    assert given_[0].confidence is None
    stamps = [position.measured_ns for position in given_]
    assert stamps == sorted(stamps)


async def test_gpx_with_fractions_of_a_second_keeps_them(shared_data: Path) -> None:
    path = str(shared_data / "gps/gpx/track-with-less-sec-time.gpx")
    first, second = positions(await play(GpxReplaySettings(name="gnss", path=path)))
    assert second.measured_ns - first.measured_ns == pytest.approx(994_000_000, abs=1000)


async def test_gpx_with_growing_entities_is_refused_at_once(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.gpx"
    bomb.write_text(
        '<?xml version="1.0"?><!DOCTYPE gpx [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
        '<gpx version="1.1" creator="x"><trk><name>&b;</name></trk></gpx>'
    )
    with pytest.raises(SensorError, match="document type declaration"):
        await play(GpxReplaySettings(name="gnss", path=str(bomb)))


async def test_looped_track_starts_again_at_its_first_point(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("t_ms,lat,lon\n1000,31.0,121.0\n3000,31.1,121.1\n")
    given_ = positions(
        await play(CsvTrackSettings(name="gnss", path=str(file), loop=True), at_most=5)
    )
    assert [position.latitude_deg for position in given_] == [31.0, 31.1, 31.0, 31.1, 31.0]


@pytest.mark.parametrize("file", ["Arterial*", "Urban*v20*", "Urban*v40*"])
async def test_shanghai_tracks_play_once_a_second_in_the_direction_of_travel(
    shared_data: Path, file: str
) -> None:
    (path,) = (shared_data / "gps" / "shanghai_vehicle").glob(file)
    given_ = positions(await play(CsvTrackSettings(name="gnss", path=str(path))))
    seconds = (given_[-1].measured_ns - given_[0].measured_ns) / NS
    assert 20 < len(given_) <= seconds + 2
    turned = []
    for before, after in itertools.pairwise(given_):
        assert after.measured_ns - before.measured_ns >= 0.8 * NS
        east = math.radians(after.longitude_deg - before.longitude_deg) * math.cos(
            math.radians(before.latitude_deg)
        )
        north = math.radians(after.latitude_deg - before.latitude_deg)
        if (before.speed_mps or 0) > 4 and before.heading_deg is not None:
            moved_deg = math.degrees(math.atan2(east, north))
            turned.append(abs((moved_deg - before.heading_deg + 180) % 360 - 180))
    assert sorted(turned)[len(turned) // 2] < 20


async def test_csv_rows_that_are_no_places_are_skipped_and_told(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("t_ms,lat,lon\n0,31,121\n1000,nan,121\n2000,95,121\n,,\n3000,31,121\n")
    readings = await play(CsvTrackSettings(name="gnss", path=str(file)))
    assert len(positions(readings)) == 2
    assert words(readings) == ["skipped rows of the track: 3"]


async def test_drawn_route_is_driven_at_its_speed_and_marked_as_synthetic() -> None:
    start = Waypoint(latitude_deg=31.20, longitude_deg=121.40, stop_s=3)
    corner = Waypoint(latitude_deg=31.21, longitude_deg=121.40, speed_mps=20)
    end = Waypoint(latitude_deg=31.21, longitude_deg=121.42)
    settings_ = RouteSettings(name="drive", waypoints=(start, corner, end), speed_mps=10)
    given_ = positions(await play(settings_))
    assert {position.source for position in given_} == {"synthetic"}
    assert [position.speed_mps for position in given_[:4]] == [0, 0, 0, 10]
    assert (given_[-1].latitude_deg, given_[-1].longitude_deg) == (31.21, 121.42)
    for before, after in itertools.pairwise(given_):
        moved_m = geodesic(
            (before.latitude_deg, before.longitude_deg), (after.latitude_deg, after.longitude_deg)
        ).meters
        assert moved_m <= 20.1
    north, east = given_[10], given_[-10]
    assert north.heading_deg == pytest.approx(0, abs=0.1)
    assert east.heading_deg == pytest.approx(90, abs=0.1)
    # 1.1 km at 10 m/s, 1.9 km at 20 m/s, and the stop.
    assert len(given_) == pytest.approx(3 + 110.9 + 95.3, abs=4)


@pytest.mark.parametrize(
    "table",
    [
        NmeaReplaySettings(name="gnss", path="PATH"),
        GpxReplaySettings(name="gnss", path="PATH"),
        CsvTrackSettings(name="gnss", path="PATH"),
    ],
)
class TestBadFiles:
    """What is no track of its kind is refused with the file's name, whatever it is."""

    def at(self, table: SensorSettings, path: Path) -> SensorSettings:
        return type(table)(name="gnss", path=str(path), speed=0)  # type: ignore[call-arg]

    async def test_missing_file_is_refused(self, table: SensorSettings, tmp_path: Path) -> None:
        with pytest.raises(SensorError, match="nowhere"):
            await play(self.at(table, tmp_path / "nowhere"))

    async def test_huge_file_is_refused_unread(self, table: SensorSettings, tmp_path: Path) -> None:
        with (tmp_path / "huge").open("wb") as file:
            file.truncate(LARGEST_FILE_BYTES + 1)
        with pytest.raises(SensorError, match="over"):
            await play(self.at(table, tmp_path / "huge"))

    @settings(
        max_examples=80,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(data=st.one_of(st.binary(max_size=300), st.text(max_size=100).map(str.encode)))
    async def test_garbage_is_refused_or_skipped(
        self, table: SensorSettings, tmp_path: Path, data: bytes
    ) -> None:
        (tmp_path / "garbage").write_bytes(data)
        with pytest.raises(SensorError, match="garbage"):
            await play(self.at(table, tmp_path / "garbage"))


FIELDS = st.lists(
    st.one_of(
        st.sampled_from(
            ["nan", "inf", "A", "V", "N", "S", "E", "W", "", "1", "101010.00", "3114.877"]
        ),
        st.text(
            st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="$*,"), max_size=8
        ),
    ),
    max_size=20,
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["RMC", "GGA", "GLL", "GNS", "GST", "VTG", "GSA", "ZDA"]), FIELDS
        ),
        max_size=8,
    )
)
def test_well_summed_sentences_with_any_fields_never_break_the_epochs(
    sentences: list[tuple[str, list[str]]],
) -> None:
    data = b"".join(sentence(",".join([f"GP{kind}", *fields])) for kind, fields in sentences)
    for epoch in epochs_of(data):
        if epoch.has_fix:
            assert epoch.latitude_deg is not None
            assert abs(epoch.latitude_deg) <= 90
