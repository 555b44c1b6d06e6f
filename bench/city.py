"""The city of the demonstration: hospitals, units, calls, and the recordings that play in it.

A district of a few kilometres, placed where the recorded Shanghai drives are, so that real
positions fit the map. Where recordings are at hand (``shared/data`` beside the repository, or
``--record``) they play; else a synthetic patient does, and is marked so everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams.errors import ConfigError

REGION = "demo"
HUB = "hub"

MOST_UNITS, MOST_HOSPITALS = 32, 15

_HOSPITAL_NAMES = (
    (
        "first-hospital",
        "First Hospital 第一医院",
        31.3055,
        121.2240,
        ["stemi", "stroke", "cardiac_arrest", "other"],
    ),
    (
        "second-hospital",
        "Second Hospital 第二医院",
        31.2790,
        121.1905,
        ["trauma", "sepsis", "obstetric", "other"],
    ),
    (
        "children-hospital",
        "Children's Hospital 儿童医院",
        31.3130,
        121.1960,
        ["paediatric", "obstetric"],
    ),
)

_STATIONS = ((31.2960, 121.2030), (31.2845, 121.2150), (31.3010, 121.1890), (31.2900, 121.2320))


@dataclass(frozen=True, slots=True)
class Hospital:
    """A receiving hospital."""

    name: str
    title: str
    latitude_deg: float
    longitude_deg: float
    abilities: list[str]


@dataclass(frozen=True, slots=True)
class Unit:
    """An ambulance, what its monitor plays, and how it drives.

    Attributes:
        name: Its name.
        latitude_deg: Where it stands at the start.
        longitude_deg: Where it stands at the start.
        record: WFDB record that its monitor replays, without suffix; None is synthetic.
        vitals: CSV or WFDB numerics for its vitals; None is synthetic.
        track: CSV of a recorded drive; None is a drawn route.
        video: Video file of its camera; None is a drawn picture.
        sensors: Sensor tables of its own, in place of what the fields above give.
    """

    name: str
    latitude_deg: float
    longitude_deg: float
    record: Path | None
    vitals: Path | None
    track: Path | None
    video: Path | None
    sensors: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A call, and what the crew will find.

    Attributes:
        case: Fields of the action that opens the case.
        alert: Fields of the crew's pre-alert.
        scenario: Course of a synthetic patient's vitals.
        number: Who calls, E.164.
    """

    case: dict[str, Any]
    alert: dict[str, Any]
    scenario: str
    number: str


@dataclass(frozen=True, slots=True)
class City:
    """Everything that is there."""

    hospitals: tuple[Hospital, ...]
    units: tuple[Unit, ...]
    calls: tuple[Call, ...]


_CALLS = (
    Call(
        case={
            "address": "嘉定区曹安公路4800号 4800 Cao'an Road, Building 6, 12th floor",
            "complaint": "Chest pain for 40 minutes, sweating",
            "severity": "red",
            "caller": "Wife, +86 21 5555 0101",
            "age_years": 61,
            "sex": "male",
            "position": {"latitude_deg": 31.2891, "longitude_deg": 121.2109, "radius_m": 25.0},
        },
        alert={"pathway": "stemi", "severity": "red", "age_years": 60, "sex": "male"},
        scenario="stemi",
        number="+862155550101",
    ),
    Call(
        case={
            "address": "安亭老街 12 号 12 Anting Old Street",
            "complaint": "Fell on the stairs, hip pain, cannot stand",
            "severity": "yellow",
            "caller": "Neighbour, +86 21 5555 0102",
            "age_years": 82,
            "sex": "female",
            "position": {"latitude_deg": 31.2987, "longitude_deg": 121.1933, "radius_m": 25.0},
        },
        alert={"pathway": "trauma", "severity": "yellow", "age_years": 80, "sex": "female"},
        scenario="bleeding",
        number="+862155550102",
    ),
    Call(
        case={
            "address": "墨玉南路 Metro Line 11, exit 2",
            "complaint": "Speech slurred since 20 minutes, right arm weak",
            "severity": "red",
            "caller": "Station staff, +86 21 5555 0103",
            "sex": "male",
            "position": {"latitude_deg": 31.2951, "longitude_deg": 121.2301, "radius_m": 25.0},
        },
        alert={"pathway": "stroke", "severity": "red", "age_years": 70, "sex": "male"},
        scenario="stroke",
        number="+862155550103",
    ),
)


def build(units: int, hospitals: int, record: Path | None, data: Path | None) -> City:
    """Build the city.

    Args:
        units: How many ambulances, 1 to ``MOST_UNITS``.
        hospitals: How many hospitals, 1 to ``MOST_HOSPITALS``.
        record: A WFDB record for every unit, without suffix; None takes what ``data`` has.
        data: Folder of recordings; None when there is none.

    Raises:
        ConfigError: A number is out of its range, or the record is not there.
    """
    for what, number, most in (
        ("units", units, MOST_UNITS),
        ("hospitals", hospitals, MOST_HOSPITALS),
    ):
        if not 1 <= number <= most:
            raise ConfigError(f"--{what} {number}: from 1 to {most} fit on one machine")
    if record is not None:
        record = record.with_suffix("") if record.suffix == ".hea" else record
        if not record.with_name(record.name + ".hea").is_file():
            raise ConfigError(f"--record {record}: there is no {record.name}.hea")
    return City(
        hospitals=tuple(_hospital(number) for number in range(hospitals)),
        units=tuple(_unit(number, record, data) for number in range(units)),
        calls=tuple(_CALLS[number % len(_CALLS)] for number in range(units)),
    )


def _hospital(number: int) -> Hospital:
    if number < len(_HOSPITAL_NAMES):
        name, title, latitude, longitude, abilities = _HOSPITAL_NAMES[number]
        return Hospital(name, title, latitude, longitude, abilities)
    ring = number - len(_HOSPITAL_NAMES)
    return Hospital(
        f"hospital-{number + 1}", f"Hospital {number + 1}",
        31.26 + 0.012 * (ring % 4), 121.17 + 0.02 * (ring // 4), [],
    )  # fmt: skip


_RECORDS = ("ecg12/s0010_re", "ecg_rhythm/106", "ecg12/HR06001", "ecg_rhythm/100", "ecg12/JS20000")
_VITALS = (
    "vitals/intellivue_vital/test_intelliue_demo2_1hz.csv",
    "vitals/intellivue_vital/test_data_demo_1hz.csv",
)
_TRACKS = ("Urban_road__1-n8__v20", "Urban_road__1-n8__v40", "Arterial_road__n78__80__arterial")
_VIDEOS = ("video/bikes.mp4", "video/tree.avi")


def _unit(number: int, record: Path | None, data: Path | None) -> Unit:
    latitude, longitude = _STATIONS[number % len(_STATIONS)]
    drives = sorted((data / "gps" / "shanghai_vehicle").glob("*.csv")) if data else []
    prefix = _TRACKS[number % len(_TRACKS)]
    return Unit(
        name=f"unit-{number + 1}",
        latitude_deg=latitude,
        longitude_deg=longitude,
        record=record or _found(data, _RECORDS[number % len(_RECORDS)], ".hea"),
        vitals=_found(data, _VITALS[number % len(_VITALS)]),
        track=next((drive for drive in drives if drive.name.startswith(prefix)), None),
        video=_found(data, _VIDEOS[number % len(_VIDEOS)]),
    )


def _found(data: Path | None, name: str, suffix: str = "") -> Path | None:
    if data is None:
        return None
    path = data / name
    return path if path.with_name(path.name + suffix).is_file() else None
