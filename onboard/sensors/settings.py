"""The settings of the sensors: the tables ``[[sensor]]`` of ``onboard.toml``, told by ``kind``."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from streams.messages import Latitude, Longitude, Name, ShortText

Speed = Annotated[float, msgspec.Meta(ge=0, le=1000)]
Path = Annotated[str, msgspec.Meta(min_length=1)]


class SensorTable(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"
):
    """What every sensor's table has.

    Attributes:
        name: Name of the sensor, unique in the vehicle.
    """

    name: Name


class ReplayTable(SensorTable, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every replay's table has.

    Attributes:
        speed: 1 is real time, N is N times faster, 0 is as fast as the agent takes it.
        loop: Whether it starts again at its end, as a new recording.
    """

    speed: Speed = 1.0
    loop: bool = False


class WfdbReplaySettings(ReplayTable, frozen=True, kw_only=True, tag="wfdb"):
    """ECG (and the record's other waveforms) from WFDB records, one after the other.

    Attributes:
        paths: Records without suffix; ``physionet:mitdb/100`` fetches from PhysioNet.
        frame_ms: Length of a chunk.
        device: What is shown as the device.
    """

    paths: Annotated[tuple[Path, ...], msgspec.Meta(min_length=1)]
    frame_ms: Annotated[int, msgspec.Meta(ge=100, le=500)] = 100
    device: ShortText = "WFDB replay"


class WfdbVitalsSettings(ReplayTable, frozen=True, kw_only=True, tag="wfdb_vitals"):
    """Vitals from a WFDB record of numerics, such as the ``*n`` records of MIMIC.

    Attributes:
        path: The record without suffix.
        device: What is shown as the device.
    """

    path: Path
    device: ShortText = "WFDB numerics replay"


class CsvVitalsSettings(ReplayTable, frozen=True, kw_only=True, tag="csv_vitals"):
    """Vitals from a CSV file whose first column is the time: ``t_s``, ``t_ms`` or ``minute``.

    Attributes:
        path: The file.
        device: What is shown as the device.
        every_s: At most one set of values in so many seconds, as the table of topics plans.
    """

    path: Path
    device: ShortText = "CSV vitals replay"
    every_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 5.0


class MrxCaseSettings(ReplayTable, frozen=True, kw_only=True, tag="mrx_case"):
    """A case exported by a Philips HeartStart MRx: events, trends, waves and 12-leads.

    Attributes:
        folder: The folder with ``INDEX.XML``.
        frame_ms: Length of a chunk of its waves.
    """

    folder: Path
    frame_ms: Annotated[int, msgspec.Meta(ge=100, le=500)] = 100


class NmeaReplaySettings(ReplayTable, frozen=True, kw_only=True, tag="nmea"):
    """Positions from a log of NMEA 0183 sentences.

    Attributes:
        path: The file.
        uere_m: The receiver's range error (one sigma), for a radius where it gives only HDOP.
    """

    path: Path
    uere_m: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 6.0


class GpxReplaySettings(ReplayTable, frozen=True, kw_only=True, tag="gpx"):
    """Positions from a GPX track with times.

    Attributes:
        path: The file.
    """

    path: Path


class CsvTrackSettings(ReplayTable, frozen=True, kw_only=True, tag="csv_track"):
    """Positions from a CSV file: ``t_ms,lat,lon[,heading_rad|heading_deg][,speed_mps]``, WGS-84.

    Attributes:
        path: The file.
        rate_hz: At most this many positions a second; the rest of the file is passed over.
    """

    path: Path
    rate_hz: Annotated[float, msgspec.Meta(gt=0, le=10)] = 1.0


class Waypoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A point of a drawn route.

    Attributes:
        speed_mps: Speed from here to the next point; None takes the route's.
        stop_s: Time standing here.
    """

    latitude_deg: Latitude
    longitude_deg: Longitude
    speed_mps: Annotated[float, msgspec.Meta(gt=0, le=100)] | None = None
    stop_s: Annotated[float, msgspec.Meta(ge=0, le=86400)] = 0.0


class RouteSettings(ReplayTable, frozen=True, kw_only=True, tag="route"):
    """Positions along a drawn route; synthetic.

    Attributes:
        waypoints: At least two points.
        speed_mps: Speed between points that name none.
        radius_m: Radius of uncertainty that is stated with each position, 95 %.
    """

    waypoints: Annotated[tuple[Waypoint, ...], msgspec.Meta(min_length=2)]
    speed_mps: Annotated[float, msgspec.Meta(gt=0, le=100)] = 12.0
    radius_m: Annotated[float, msgspec.Meta(ge=0)] = 5.0


class GpsdSettings(SensorTable, frozen=True, kw_only=True, tag="gpsd"):
    """Positions from a running gpsd.

    Attributes:
        host: Where gpsd listens.
        port: Its port.
        device: Only this receiver of several, such as ``/dev/ttyUSB0``.
        origin: ``replay`` where gpsd is fed from a log (gpsfake).
        silence_s: Silence after which the connection is given up and made anew.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 2947
    device: str | None = None
    origin: Literal["live", "replay"] = "live"
    silence_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 15.0


class SyntheticPatientSettings(SensorTable, frozen=True, kw_only=True, tag="synthetic_patient"):
    """A patient who does not exist: 12-lead ECG and vitals after a small scenario.

    Attributes:
        scenario: The course of the vitals; the ECG's shape is a healthy one, only its rate
            follows.
        duration_s: Length after which it ends; None goes on.
        sampling_frequency_hz: Rate of the ECG.
        frame_ms: Length of a chunk.
        ecg: Whether it gives an ECG; a recording may take its place.
        vitals: Whether it gives vitals; a recording may take its place.
        seed: The same seed gives the same patient.
        speed: 1 is real time, N is N times faster, 0 is as fast as the agent takes it.
    """

    scenario: Literal["stable", "stemi", "stroke", "sepsis", "bleeding"] = "stable"
    duration_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    ecg: bool = True
    vitals: bool = True
    sampling_frequency_hz: Annotated[int, msgspec.Meta(ge=100, le=1000)] = 500
    frame_ms: Annotated[int, msgspec.Meta(ge=100, le=500)] = 100
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 1
    speed: Speed = 1.0


SensorSettings: TypeAlias = (
    WfdbReplaySettings
    | WfdbVitalsSettings
    | CsvVitalsSettings
    | MrxCaseSettings
    | NmeaReplaySettings
    | GpxReplaySettings
    | CsvTrackSettings
    | RouteSettings
    | GpsdSettings
    | SyntheticPatientSettings
)
"""Any ``[[sensor]]`` table; an unknown kind or key is refused when the file is read."""
