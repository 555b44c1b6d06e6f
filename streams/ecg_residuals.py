"""Residuals of an ECG frame to bytes and back: folding, byte planes, deflate.

The transform before it (`streams.ecg_block`) does most of the work. zlib with run lengths only
(Z_RLE) is the cheapest coder that the standard library and a browser share; the planes make its
one-byte symbols fit, and a zero plane costs next to nothing.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from streams.ecg_leads import MAX_I32, Samples
from streams.errors import MalformedError


class EcgBlockError(MalformedError):
    """Bytes that are no ECG block, or not one of this description; the message says why."""

    reason = "ecg_block"


def pack_residuals(plain: Samples, derived: Samples) -> tuple[int, bytes]:
    """Return the plane bits of the flags, and the residuals deflated.

    Args:
        plain: (leads, n - 1) residuals of plain leads; there may be none.
        derived: (leads, n) residuals of derived leads; there may be none.
    """
    plain_planes, plain_bytes = _to_planes(plain)
    derived_planes, derived_bytes = _to_planes(derived)
    flags = plain_planes - 1 | (derived_planes - 1) << 2
    if not plain_bytes and not derived_bytes:
        return flags, b""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    packed = packer.compress(plain_bytes)
    if plain_bytes and derived_bytes:
        # A Huffman table of their own: small residuals would pay for the wide ones.
        packed += packer.flush(zlib.Z_BLOCK)
    return flags, packed + packer.compress(derived_bytes) + packer.flush()


def unpack_residuals(
    flags: int, packed: bytes, plain: tuple[int, int], derived: tuple[int, int]
) -> tuple[Samples, Samples]:
    """Return the residuals in the shapes given; the inverse of `pack_residuals`.

    Raises:
        EcgBlockError: The bytes are no deflate stream of exactly this content.
    """
    plain_bytes = plain[0] * plain[1] * ((flags & 3) + 1)
    size = plain_bytes + derived[0] * derived[1] * ((flags >> 2 & 3) + 1)
    octets = np.frombuffer(_inflate(packed, size), np.uint8)
    return _from_planes(octets[:plain_bytes], plain), _from_planes(octets[plain_bytes:], derived)


def _inflate(packed: bytes, size: int) -> bytes:
    if not size and not packed:
        return b""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        # One byte more than wanted: the limit bounds memory, and the end mark is still read.
        octets = unpacker.decompress(packed, size + 1)
    except zlib.error as error:
        raise EcgBlockError(f"residuals are no deflate stream: {error}") from error
    if len(octets) != size or not unpacker.eof or unpacker.unused_data:
        raise EcgBlockError(f"residuals are not the {size} bytes that the header announces")
    return octets


def _to_planes(residuals: Samples) -> tuple[int, bytes]:
    """Return the number of byte planes and the planes, lowest first, each lead after lead."""
    if not residuals.size:
        return 1, b""
    folded = residuals << 1
    folded ^= residuals >> 31
    octets = folded.astype("<i4", copy=False).view(np.uint8).reshape(-1, 4)
    bits = int(np.bitwise_or.reduce(folded.view(np.uint32), axis=None)).bit_length()
    planes = max(1, -(-bits // 8))
    return planes, octets[:, :planes].T.tobytes()


def _from_planes(octets: npt.NDArray[np.uint8], shape: tuple[int, int]) -> Samples:
    size = shape[0] * shape[1]
    if not size:
        return np.zeros(shape, np.int32)
    folded = np.zeros((size, 4), np.uint8)
    folded[:, : len(octets) // size] = octets.reshape(-1, size).T
    numbers = folded.view("<i4")[:, 0]
    residuals: Samples = (numbers >> 1 & MAX_I32) ^ -(numbers & 1)
    return residuals.reshape(shape)
