"""Opens a sensor from its settings."""

from __future__ import annotations

import asyncio
import importlib
from typing import Protocol

from onboard.sensors.pace import Sleep
from onboard.sensors.readings import Sensor
from onboard.sensors.settings import (
    CsvTrackSettings,
    CsvVitalsSettings,
    GpsdSettings,
    GpxReplaySettings,
    MrxCaseSettings,
    NmeaReplaySettings,
    RouteSettings,
    SensorSettings,
    SensorTable,
    SyntheticPatientSettings,
    WfdbReplaySettings,
    WfdbVitalsSettings,
)
from streams.clock import Clock

# By name, so that a vehicle without WFDB replay does not load wfdb and what it needs.
_SENSORS: dict[type[SensorTable], tuple[str, str]] = {
    WfdbReplaySettings: ("wfdb_replay", "WfdbReplay"),
    WfdbVitalsSettings: ("wfdb_vitals", "WfdbVitals"),
    CsvVitalsSettings: ("csv_vitals", "CsvVitals"),
    MrxCaseSettings: ("mrx_case", "MrxCase"),
    NmeaReplaySettings: ("nmea", "NmeaReplay"),
    GpxReplaySettings: ("gpx", "GpxReplay"),
    CsvTrackSettings: ("csv_track", "CsvTrack"),
    RouteSettings: ("route", "Route"),
    GpsdSettings: ("gpsd", "Gpsd"),
    SyntheticPatientSettings: ("synthetic_patient", "SyntheticPatient"),
}


class _SensorClass(Protocol):
    def __call__(self, settings: SensorTable, clock: Clock, sleep: Sleep) -> Sensor: ...


def open_sensor(settings: SensorSettings, clock: Clock, sleep: Sleep = asyncio.sleep) -> Sensor:
    """Return the sensor of these settings; nothing is read or connected yet.

    Args:
        settings: A ``[[sensor]]`` table.
        clock: The clocks by which its readings are stamped.
        sleep: How it waits; tests bring their own.
    """
    module, name = _SENSORS[type(settings)]
    make: _SensorClass = getattr(importlib.import_module(f"onboard.sensors.{module}"), name)
    return make(settings, clock, sleep)
