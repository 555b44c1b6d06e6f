"""A drawn picture for a vehicle without a camera, marked as synthetic in the picture itself.

Colour bars after SMPTE EG 1 (the upper two thirds), a bar that sweeps once in four seconds so
that a frozen picture is seen as frozen, the time, and the word SYNTHETIC between stripes. The
upper twelfth stays free for a time code. Pure.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""RGB, shape (height, width, 3)."""

_BARS = (
    (192, 192, 192),
    (192, 192, 0),
    (0, 192, 192),
    (0, 192, 0),
    (192, 0, 192),
    (192, 0, 0),
    (0, 0, 192),
)
_SWEEP_S = 4.0
_GLYPH_ROWS, _GLYPH_COLUMNS = 7, 5

# Five columns a row, most significant bit left.
_GLYPHS = {
    "S": (0x0E, 0x11, 0x10, 0x0E, 0x01, 0x11, 0x0E),
    "Y": (0x11, 0x11, 0x0A, 0x04, 0x04, 0x04, 0x04),
    "N": (0x11, 0x19, 0x15, 0x13, 0x11, 0x11, 0x11),
    "T": (0x1F, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04),
    "H": (0x11, 0x11, 0x11, 0x1F, 0x11, 0x11, 0x11),
    "E": (0x1F, 0x10, 0x10, 0x1E, 0x10, 0x10, 0x1F),
    "I": (0x0E, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0E),
    "C": (0x0E, 0x11, 0x10, 0x10, 0x10, 0x11, 0x0E),
    "0": (0x0E, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0E),
    "1": (0x04, 0x0C, 0x04, 0x04, 0x04, 0x04, 0x0E),
    "2": (0x0E, 0x11, 0x01, 0x06, 0x08, 0x10, 0x1F),
    "3": (0x0E, 0x11, 0x01, 0x06, 0x01, 0x11, 0x0E),
    "4": (0x02, 0x06, 0x0A, 0x12, 0x1F, 0x02, 0x02),
    "5": (0x1F, 0x10, 0x1E, 0x01, 0x01, 0x11, 0x0E),
    "6": (0x0E, 0x10, 0x10, 0x1E, 0x11, 0x11, 0x0E),
    "7": (0x1F, 0x01, 0x02, 0x04, 0x04, 0x04, 0x04),
    "8": (0x0E, 0x11, 0x11, 0x0E, 0x11, 0x11, 0x0E),
    "9": (0x0E, 0x11, 0x11, 0x0F, 0x01, 0x01, 0x0E),
    ":": (0x00, 0x04, 0x04, 0x00, 0x04, 0x04, 0x00),
    " ": (0x00,) * _GLYPH_ROWS,
}


class DrawnPicture:
    """Draws the picture for any instant; what does not change is drawn once."""

    def __init__(self, width: int, height: int) -> None:
        """Prepare for one size, at least 128 x 72 pixels."""
        self._width = width
        self._height = height
        self._base = self._draw_base()

    def draw(self, unix_s: float) -> Picture:
        """Return the picture for an instant."""
        picture = self._base.copy()
        self._sweep(picture, unix_s)
        clock = datetime.fromtimestamp(unix_s, tz=UTC).strftime("%H:%M:%S")
        self._write(picture, clock, top=int(self._height * 0.72))
        return picture

    def _draw_base(self) -> Picture:
        height, width = self._height, self._width
        picture = np.zeros((height, width, 3), dtype=np.uint8)
        bars = np.array(_BARS, dtype=np.uint8)
        picture[height // 12 : height * 2 // 3] = bars[np.arange(width) * len(_BARS) // width]
        lines, columns = np.mgrid[0:height, 0:width]
        stripes = (lines + columns) // max(8, width // 40) % 2
        band = slice(height * 5 // 6, height)
        picture[band] = np.where(stripes[band, :, None] == 0, (160, 120, 0), (40, 40, 40))
        self._write(picture, "SYNTHETIC", top=int(height * 0.86), boxed=True)
        return picture

    def _sweep(self, picture: Picture, unix_s: float) -> None:
        left = int(unix_s % _SWEEP_S / _SWEEP_S * self._width)
        upper, lower = self._height * 2 // 3 - self._height // 12, self._height * 2 // 3
        picture[upper:lower] = 16
        picture[upper:lower, left : left + max(4, self._width // 40)] = 235

    def _write(self, picture: Picture, text: str, *, top: int, boxed: bool = False) -> None:
        scale = max(1, self._height // 90)
        stencil = _stencil(text).repeat(scale, axis=0).repeat(scale, axis=1)
        left = max(0, (self._width - stencil.shape[1]) // 2)
        place = picture[top : top + stencil.shape[0], left : left + stencil.shape[1]]
        if boxed:
            picture[
                max(0, top - scale) : top + stencil.shape[0] + scale,
                max(0, left - scale) : left + stencil.shape[1] + scale,
            ] = 0
        place[stencil[: place.shape[0], : place.shape[1]]] = 235


def _stencil(text: str) -> NDArray[np.bool_]:
    """Return a text as booleans of shape (7, 6 per character)."""
    stencil = np.zeros((_GLYPH_ROWS, (_GLYPH_COLUMNS + 1) * len(text)), dtype=np.bool_)
    for index, character in enumerate(text):
        left = index * (_GLYPH_COLUMNS + 1)
        for row, bits in enumerate(_GLYPHS[character]):
            for column in range(_GLYPH_COLUMNS):
                stencil[row, left + column] = bits >> (_GLYPH_COLUMNS - 1 - column) & 1
    return stencil
