"""A district's own rules for its units: its border, its clock, and how many stay free. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from dispatch.arrival import Place
from dispatch.location.districts import Border, District, check_border
from streams.errors import ConfigError

ShiftText = Annotated[
    str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")
]
"""From and until, in the district's time: ``07:00-19:00``; ``19:00-07:00`` goes over midnight."""


@dataclass(frozen=True, slots=True)
class DistrictRules:
    """What holds in a district.

    Attributes:
        border: Corners of its border, WGS-84; empty is without one.
        keep_free: So many units are to stay free in it.
        zone: Its time zone, for shifts.
    """

    border: tuple[Place, ...] = ()
    keep_free: int = 0
    zone: tzinfo = UTC

    def holds(self, place: Place) -> bool:
        """Whether a place is within the border; without one every place is."""
        return not self.border or District("", (self.border,)).holds(*place)

    def local(self, now_ns: int) -> datetime:
        """Return the time of day in the district."""
        return datetime.fromtimestamp(now_ns // 1_000_000_000, self.zone)

    def is_on_shift(self, shifts: Sequence[str], now_ns: int) -> bool:
        """Whether one of the shifts is going on; without any a unit always serves."""
        local = self.local(now_ns)
        now_min = local.hour * 60 + local.minute
        return not shifts or any(_lasts(shift, now_min) for shift in shifts)


class DistrictSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The district's rules as the configuration names them."""

    border: Border = ()
    keep_free: Annotated[int, msgspec.Meta(ge=0)] = 0
    time_zone: str = "UTC"

    def rules(self) -> DistrictRules:
        """Return the rules.

        Raises:
            ConfigError: There is no such time zone, or the border has no inside.
        """
        check_border(self.border, "[district]")
        try:
            zone = ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ConfigError(f"[district] no time zone {self.time_zone!r}") from error
        return DistrictRules(self.border, self.keep_free, zone)


def _lasts(shift: str, now_min: int) -> bool:
    begin, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in shift.split("-"))
    if begin < end:
        return begin <= now_min < end
    return now_min >= begin or now_min < end  # over midnight; the same time twice is all day
