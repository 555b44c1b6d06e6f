"""Positions from a log of NMEA 0183 sentences, with the recorded timing."""

from __future__ import annotations

from datetime import date

from onboard.errors import SensorError
from onboard.sensors.accuracy import radius_of_deviations, radius_of_hdop
from onboard.sensors.nmea_epochs import ROLLOVER, Epoch, NmeaEpochs
from onboard.sensors.settings import NmeaReplaySettings
from onboard.sensors.track import (
    Track,
    TrackCondition,
    TrackPoint,
    TrackReplay,
    TrackTime,
    read_bytes,
)

DAY_S = 86400.0


class NmeaReplay(TrackReplay[NmeaReplaySettings]):
    """Replays an NMEA log: a position per moment with a fix, a condition where that is lost."""

    def read(self) -> Track:
        """Read the log.

        Raises:
            SensorError: It cannot be read, or no line of it is a sentence.
        """
        path = self.settings.path
        data = read_bytes(self.name, path)
        reading = NmeaEpochs()
        epochs = [epoch for line in data.splitlines() if (epoch := reading.feed(line))]
        last = reading.close()
        if last is not None:
            epochs.append(last)
        if not epochs:
            raise SensorError(self.name, f"{path}: no NMEA sentence with a time or position")
        track = trace(epochs, self.settings.uere_m)
        if reading.refused:
            counts = ", ".join(f"{n} {reason}" for reason, n in sorted(reading.refused.items()))
            return [TrackCondition(0.0, f"skipped lines of the log: {counts}"), *track]
        return track


def trace(epochs: list[Epoch], uere_m: float) -> list[TrackPoint | TrackCondition]:
    """Turn epochs into a track: time added up, and the fix's coming and going said once."""
    time = TrackTime()
    had_fix: bool | None = None
    last_date: date | None = None
    track: list[TrackPoint | TrackCondition] = []

    def say(text: str) -> None:
        track.append(TrackCondition(time.offset_s, text))

    for epoch in epochs:
        cut = time.advance(epoch.time_of_day_s, wraps_s=DAY_S)
        if cut is not None:
            say(cut)
        if epoch.date is not None:
            if last_date is not None and _rolled_over(last_date, epoch.date):
                say(f"week rollover: the receiver's date jumps from {last_date} to {epoch.date}")
            last_date = epoch.date
        if epoch.has_fix is not had_fix:
            if had_fix is not None or not epoch.has_fix:
                say("fix again" if epoch.has_fix else epoch.refusal or "no fix")
            had_fix = epoch.has_fix
        if epoch.has_fix:
            track.append(_point(epoch, time.offset_s, uere_m))
    return track


def _rolled_over(before: date, after: date) -> bool:
    """Whether two dates lie a week-number period apart, give or take a day."""
    return abs(abs((after - before).days) - ROLLOVER.days) <= 1


def _point(epoch: Epoch, offset_s: float, uere_m: float) -> TrackPoint:
    assert epoch.latitude_deg is not None
    assert epoch.longitude_deg is not None
    radius_m = None
    if epoch.deviations_m is not None:
        radius_m = radius_of_deviations(*epoch.deviations_m)
    if radius_m is None and epoch.hdop is not None:
        radius_m = radius_of_hdop(epoch.hdop, uere_m)
    speed_mps = epoch.speed_mps
    return TrackPoint(
        offset_s=offset_s,
        latitude_deg=epoch.latitude_deg,
        longitude_deg=epoch.longitude_deg,
        radius_m=radius_m,
        speed_mps=None if speed_mps is None else max(0.0, speed_mps),
        heading_deg=epoch.heading_deg,
    )
