"""Values that are no number (NaN) or have no end, left out where a sensor gives them. Pure.

The hub refuses a whole fact for one such value, so a driver's mistake would cost the others that
came with it.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from streams.messages import Numeric, Position, Vitals


def without_impossible(
    reading: Position | Vitals,
) -> tuple[Position | Vitals | None, list[str]]:
    """Return a reading without what is no number, and the names of what was left out.

    Returns:
        None in place of the reading where nothing worth telling is left: no value, or no place.
    """
    left_out = [
        name
        for name in reading.__struct_fields__
        if not _is_finite(_number(getattr(reading, name)))
    ]
    if not left_out:
        return reading, []
    if isinstance(reading, Position) and {"latitude_deg", "longitude_deg"} & set(left_out):
        return None, left_out
    left = msgspec.structs.replace(reading, **dict.fromkeys(left_out))
    if isinstance(left, Vitals) and not any(
        isinstance(getattr(left, name), Numeric) for name in left.__struct_fields__
    ):
        return None, left_out
    return left, left_out


def _number(value: Any) -> Any:
    return value.value if isinstance(value, Numeric) else value


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
