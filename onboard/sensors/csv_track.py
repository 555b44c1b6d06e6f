"""Positions from a CSV track in WGS-84, with the recorded timing."""

from __future__ import annotations

import csv
import io
import math

from onboard.errors import SensorError
from onboard.sensors.settings import CsvTrackSettings
from onboard.sensors.track import (
    Track,
    TrackCondition,
    TrackPoint,
    TrackReplay,
    TrackTime,
    is_place,
    read_bytes,
)


class CsvTrack(TrackReplay[CsvTrackSettings]):
    """Replays rows of ``t_ms,lat,lon`` with, where given, heading and speed.

    ``heading_deg`` counts clockwise from north; ``heading_rad`` counter-clockwise from east, as
    vehicles' own odometry does (REP 103, and what the CICV5G test vehicle wrote).
    """

    def read(self) -> Track:
        """Read the file.

        Raises:
            SensorError: It has not these columns or no position.
        """
        path = self.settings.path
        data = read_bytes(self.name, path)
        try:
            rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig")))
            missing = {"t_ms", "lat", "lon"} - set(rows.fieldnames or ())
            if missing:
                raise ValueError(f"no column {', '.join(sorted(missing))}")
            track = self._trace(rows)
        except (ValueError, csv.Error) as error:
            raise SensorError(self.name, f"{path}: not a CSV track: {error}") from error
        if not any(isinstance(item, TrackPoint) for item in track):
            raise SensorError(self.name, f"{path}: no position")
        return track

    def _trace(self, rows: csv.DictReader[str]) -> list[TrackPoint | TrackCondition]:
        time = TrackTime()
        track: list[TrackPoint | TrackCondition] = []
        period_s = 1 / self.settings.rate_hz
        next_s, refused = 0.0, 0
        for row in rows:
            at_ms, latitude, longitude = (_number(row.get(key)) for key in ("t_ms", "lat", "lon"))
            if at_ms is None or latitude is None or longitude is None:
                refused += 1
                continue
            if not is_place(latitude, longitude):
                refused += 1
                continue
            cut = time.advance(at_ms / 1000)
            if cut is not None:
                track.append(TrackCondition(time.offset_s, cut))
            if time.offset_s + 1e-9 < next_s:
                continue
            next_s = max(next_s + period_s, time.offset_s)
            track.append(
                TrackPoint(
                    time.offset_s,
                    latitude,
                    longitude,
                    speed_mps=_speed(_number(row.get("speed_mps"))),
                    heading_deg=_heading(row),
                )
            )
        if refused:
            track.insert(0, TrackCondition(0.0, f"skipped rows of the track: {refused}"))
        return track


def _number(text: object) -> float | None:
    try:
        number = float(str(text))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _speed(speed_mps: float | None) -> float | None:
    return speed_mps if speed_mps is not None and 0 <= speed_mps < 200 else None


def _heading(row: dict[str, str]) -> float | None:
    degrees = _number(row.get("heading_deg"))
    radians = _number(row.get("heading_rad"))
    if degrees is None and radians is not None:
        degrees = 90 - math.degrees(radians)
    return None if degrees is None else degrees % 360
