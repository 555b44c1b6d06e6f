"""An image that a seat shows to a caller: what it is, and what in it is no picture. Pure.

A photograph tells where and when it was taken and with which telephone; none of it goes out. Kinds
are told by their first bytes and not by what somebody says that they are.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from dispatch.errors import DispatchError

MOST_BYTES = 1024 * 1024

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT: Final = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT"}
)
"""Chunks that make the picture (W3C PNG, section 11); text, times, EXIF and profiles do not."""

_JPEG_BARE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a length (ITU-T T.81, table B.1)."""

_SOS, _EOI, _COM, _APP0, _ADOBE, _APP15 = 0xDA, 0xD9, 0xFE, 0xE0, 0xEE, 0xEF

_AFTER_SCAN: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
"""The marker that ends coded data: 00 is a stuffed byte, D0 to D7 restart (ITU-T T.81, B.1.1.5)."""

_WEBP_KEPT: Final = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"})
_WEBP_SAYS_EXIF_XMP_ICC: Final = 0b0010_1100


class PictureError(DispatchError):
    """What was given cannot be shown."""

    reason = "picture"
    status = 422


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as it is passed on.

    Attributes:
        media_type: ``image/png``, ``image/jpeg`` or ``image/webp``.
        data: The image, without what is no picture.
    """

    media_type: str
    data: bytes

    @property
    def sha256(self) -> str:
        """Of the data, in hexadecimal digits."""
        return sha256(self.data).hexdigest()


def read_picture(data: bytes) -> Picture:
    """Return an image without its metadata.

    Raises:
        PictureError: It is larger than ``MOST_BYTES``, none of the three kinds, or cut off.
    """
    if len(data) > MOST_BYTES:
        raise PictureError(f"the picture has {len(data)} bytes: at most {MOST_BYTES} are shown")
    try:
        if data.startswith(_PNG):
            return Picture("image/png", _clean_png(data))
        if data.startswith(b"\xff\xd8\xff"):
            return Picture("image/jpeg", _clean_jpeg(data))
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return Picture("image/webp", _clean_webp(data))
    except (struct.error, IndexError) as error:
        raise PictureError("the picture is cut off or damaged") from error
    raise PictureError("only PNG, JPEG and WebP are shown")


def _clean_png(data: bytes) -> bytes:
    kept, at = bytearray(_PNG), len(_PNG)
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise IndexError
        if kind in _PNG_KEPT:
            kept += data[at:end]
        if kind == b"IEND":
            return bytes(kept)
        at = end


def _clean_jpeg(data: bytes) -> bytes:
    kept, at, has_scan = bytearray(data[:2]), 2, False
    while True:
        if data[at] != 0xFF:
            raise IndexError
        marker = data[at + 1]
        if marker == _EOI and has_scan:
            return bytes(kept) + data[at : at + 2]  # what a telephone hangs behind it stays here
        if marker in _JPEG_BARE or marker == _EOI:
            raise IndexError
        (length,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + length
        if marker == _SOS:
            found = _AFTER_SCAN.search(data, end)
            if found is None:
                raise IndexError
            has_scan, end = True, found.start()
        if marker == _ADOBE or not (marker == _COM or _APP0 < marker <= _APP15):
            kept += data[at:end]  # Adobe's segment says how the colours are coded
        if length < 2 or end >= len(data):
            raise IndexError
        at = end


def _clean_webp(data: bytes) -> bytes:
    (size,) = struct.unpack_from("<I", data, 4)
    if size + 8 > len(data):
        raise IndexError
    kept, at = bytearray(), 12
    while at < size + 8:
        kind, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length + length % 2
        if at + 8 + length > len(data):
            raise IndexError
        if kind in _WEBP_KEPT:
            chunk = bytearray(data[at:end])
            if kind == b"VP8X":
                chunk[8] &= ~_WEBP_SAYS_EXIF_XMP_ICC & 0xFF
            kept += chunk
        at = end
    return b"RIFF" + struct.pack("<I", 4 + len(kept)) + b"WEBP" + bytes(kept)
