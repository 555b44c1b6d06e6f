"""A time code drawn into a picture, to measure the delay from glass to glass.

Two rows of black and white cells along the upper edge carry 40 bits of Unix time in
milliseconds and 8 bits of checksum. Each row begins with white, black and ends with black,
white: those four give the threshold and make an ordinary picture an unlikely time code.

    columns   0     1     2 ... 25     26    27
    row 0     white black time 39..16  black white
    row 1     white black time 15..0, CRC-8   black white

A cell is 1/32 of the width by 1/24 of the height, so the code survives scaling (10 x 10 pixels
at 320 x 240) and VP8 at a low bit rate; readers look at the middle half of each cell only.
``streams/static/timecode.js`` reads the same from a ``<video>``. Pure.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COLUMNS = 28
ROWS = 2
CELLS_PER_WIDTH = 32
CELLS_PER_HEIGHT = 24

_TIME_BITS = 40
_WRAP = 1 << _TIME_BITS
_POLYNOMIAL = 0x07  # CRC-8 of ITU-T I.432.1
_WHITE, _BLACK, _GREY = 220, 30, 128
_LEAST_CONTRAST = 60
_EDGE_LEFT = (1, 0)
_EDGE_RIGHT = (0, 1)

Plane = NDArray[np.uint8]


def write_time_code(luma: Plane, chroma: tuple[Plane, Plane], unix_ms: int) -> None:
    """Draw a time code into a YUV 4:2:0 picture, in place.

    Args:
        luma: Shape (height, width), at least 128 x 72 pixels.
        chroma: The two planes of shape (height // 2, width // 2); they are made grey below the
            code.
        unix_ms: Milliseconds since 1970 in UTC.

    Raises:
        ValueError: The picture is too small for a code that can be read.
    """
    height, width = luma.shape
    if width < 128 or height < 72:
        raise ValueError(f"a picture of {width}x{height} is too small for a time code")
    lines = _edges(height, CELLS_PER_HEIGHT, ROWS)
    columns = _edges(width, CELLS_PER_WIDTH, COLUMNS)
    for row, bits in enumerate(_rows(unix_ms)):
        for column, bit in enumerate(bits):
            top, bottom = lines[row], lines[row + 1]
            luma[top:bottom, columns[column] : columns[column + 1]] = _WHITE if bit else _BLACK
    for plane in chroma:
        plane[: lines[-1] // 2 + 1, : columns[-1] // 2 + 1] = _GREY


def read_time_code(luma: Plane, near_ms: int) -> int | None:
    """Read a time code back.

    Args:
        luma: Shape (height, width), of any scale.
        near_ms: A time within 17 years of the code's, which fills in its upper bits.

    Returns:
        Milliseconds since 1970 in UTC, or None where there is no time code or it is damaged.
    """
    height, width = luma.shape
    bits: list[int] = []
    for row in range(ROWS):
        levels = [_level(luma, row, column, height, width) for column in range(COLUMNS)]
        whites, blacks = (levels[0], levels[-1]), (levels[1], levels[-2])
        if min(whites) - max(blacks) < _LEAST_CONTRAST:
            return None
        threshold = (min(whites) + max(blacks)) / 2
        bits += [int(level > threshold) for level in levels[2:-2]]
    value = int("".join(map(str, bits)), 2)
    time, checksum = value >> 8, value & 0xFF
    if _checksum(time) != checksum:
        return None
    return near_ms + ((time - near_ms + _WRAP // 2) % _WRAP) - _WRAP // 2


def _rows(unix_ms: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    time = unix_ms % _WRAP
    word = time << 8 | _checksum(time)
    bits = tuple(word >> place & 1 for place in range(47, -1, -1))
    return (
        (*_EDGE_LEFT, *bits[:24], *_EDGE_RIGHT),
        (*_EDGE_LEFT, *bits[24:], *_EDGE_RIGHT),
    )


def _checksum(time: int) -> int:
    crc = 0
    for byte in time.to_bytes(5, "big"):
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ _POLYNOMIAL if crc & 0x80 else crc << 1) & 0xFF
    # A black strip would otherwise be the valid code of time 0.
    return crc ^ 0x55


def _edges(size: int, parts: int, count: int) -> list[int]:
    return [round(size * index / parts) for index in range(count + 1)]


def _level(luma: Plane, row: int, column: int, height: int, width: int) -> float:
    cell_height, cell_width = height / CELLS_PER_HEIGHT, width / CELLS_PER_WIDTH
    top = int((row + 0.25) * cell_height)
    left = int((column + 0.25) * cell_width)
    bottom = max(top + 1, int((row + 0.75) * cell_height))
    right = max(left + 1, int((column + 0.75) * cell_width))
    return float(luma[top:bottom, left:right].mean())
