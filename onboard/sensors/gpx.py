"""Positions from a GPX track, with the recorded timing."""

from __future__ import annotations

import gpxpy
from gpxpy.gpx import GPXException

from onboard.errors import SensorError
from onboard.sensors import safe_xml
from onboard.sensors.settings import GpxReplaySettings
from onboard.sensors.track import (
    Track,
    TrackCondition,
    TrackPoint,
    TrackReplay,
    TrackTime,
    is_place,
    read_bytes,
)


class GpxReplay(TrackReplay[GpxReplaySettings]):
    """Replays the tracks of a GPX file one after the other; points without a time are passed over.

    GPX positions are WGS-84 and carry no usable measure of their error, so no radius is stated.
    """

    def read(self) -> Track:
        """Read the file.

        Raises:
            SensorError: It is no GPX, or no track point has a time.
        """
        path = self.settings.path
        data = read_bytes(self.name, path)
        try:
            safe_xml.check(data)
            document = gpxpy.parse(data)
        except (GPXException, ValueError, LookupError, AttributeError, TypeError) as error:
            raise SensorError(self.name, f"{path}: not valid GPX: {error}") from error
        time = TrackTime()
        track: list[TrackPoint | TrackCondition] = []
        for point in (p for t in document.tracks for s in t.segments for p in s.points):
            if point.time is None or not is_place(point.latitude, point.longitude):
                continue
            cut = time.advance(point.time.timestamp())
            if cut is not None:
                track.append(TrackCondition(time.offset_s, cut))
            speed_mps = point.speed if point.speed is not None and 0 <= point.speed < 200 else None
            track.append(
                TrackPoint(time.offset_s, point.latitude, point.longitude, speed_mps=speed_mps)
            )
        if not track:
            raise SensorError(self.name, f"{path}: no track point with a time")
        return track
