"""Where the vehicle is and was: the newest position, and those since the last track fact. Pure."""

from __future__ import annotations

from collections import deque

from streams.messages import Origin, Position

TRACK_S = 10.0
"""How often the positions become a track fact."""

TRACK_LIMIT = 500
"""A track fact is made earlier when so many positions wait: it has room for 1,000."""

SHOWN = 600
"""Positions kept for the page's map."""


class Positions:
    """Takes every position a sensor gives."""

    def __init__(self) -> None:
        """Begin knowing nothing."""
        self.newest: Position | None = None
        self.origin: Origin = "live"
        self.shown: deque[tuple[float, float]] = deque(maxlen=SHOWN)
        self._track: list[Position] = []
        self._track_origin: Origin = "live"
        self._sent: Position | None = None

    @property
    def track_is_full(self) -> bool:
        """Whether a track fact should be made now."""
        return len(self._track) >= TRACK_LIMIT

    def take(self, position: Position, origin: Origin) -> None:
        """Take a position."""
        if self.newest is None or position.measured_ns >= self.newest.measured_ns:
            self.newest, self.origin = position, origin
            self.shown.append((position.latitude_deg, position.longitude_deg))
        if len(self._track) < 2 * TRACK_LIMIT:
            self._track.append(position)
        self._track_origin = origin

    def take_unsent(self) -> Position | None:
        """Return the newest position if it was not returned before."""
        if self.newest is self._sent:
            return None
        self._sent = self.newest
        return self.newest

    def take_track(self) -> tuple[list[Position], Origin]:
        """Return the positions since the last call, oldest first, and their origin."""
        track, self._track = self._track, []
        return track, self._track_origin

    def give_back(self, track: list[Position]) -> None:
        """Put a track back whose fact could not be made."""
        self._track = (track + self._track)[-2 * TRACK_LIMIT :]
