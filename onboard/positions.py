"""Where the vehicle is and was: the newest position, and those since the last track fact. Pure."""

from __future__ import annotations

from collections import deque

from onboard.hearing import Heard
from streams.messages import Origin, Position, least_real
from streams.topics import find

TRACK_S = 10.0
"""How often the positions become a track fact."""

TRACK_LIMIT = 500
"""A track fact is made earlier when so many positions wait: it has room for 1,000."""

SHOWN = 600
"""Positions kept for the page's map."""

_SILENT_NS = int((find("position").stale_after_s or 0) * 1e9)


class Positions:
    """Takes every position a sensor gives."""

    def __init__(self) -> None:
        """Begin knowing nothing."""
        self.newest: Position | None = None
        self.origin: Origin = "live"
        self.shown: deque[tuple[float, float]] = deque(maxlen=SHOWN)
        self._track: list[tuple[Position, Origin]] = []
        self._heard: Heard | None = None
        self._sent: Position | None = None

    @property
    def track_is_full(self) -> bool:
        """Whether a track fact should be made now."""
        return len(self._track) >= TRACK_LIMIT

    def take(self, position: Position, origin: Origin, sensor: str, now_ns: int) -> None:
        """Take a position.

        Args:
            position: As the sensor gave it.
            origin: live, replay or synthetic.
            sensor: Its name; each sensor's positions come in order.
            now_ns: Monotonic time.
        """
        heard = Heard(sensor, position.measured_ns, now_ns)
        if heard.replaces(self._heard, _SILENT_NS):
            self.newest, self.origin, self._heard = position, origin, heard
            self.shown.append((position.latitude_deg, position.longitude_deg))
        if len(self._track) < 2 * TRACK_LIMIT:
            self._track.append((position, origin))

    def take_unsent(self) -> Position | None:
        """Return the newest position if it was not returned before."""
        if self.newest is self._sent:
            return None
        self._sent = self.newest
        return self.newest

    def take_track(self) -> tuple[list[Position], Origin]:
        """Return the positions since the last call, oldest first, and their origin.

        Where they are of several, it is the least real one: nothing synthetic passes for live.
        """
        track, self._track = self._track, []
        origin = least_real(*(origin for _, origin in track))
        return [position for position, _ in track], origin

    def give_back(self, track: list[Position], origin: Origin) -> None:
        """Put a track back whose fact could not be made."""
        before = [(position, origin) for position in track]
        self._track = (before + self._track)[-2 * TRACK_LIMIT :]
