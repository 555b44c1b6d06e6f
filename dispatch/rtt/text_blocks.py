"""T140blocks to characters and back: UTF-8 that may be cut anywhere, also by a loss."""

from __future__ import annotations

import codecs

from streams.t140 import MISSING


class BlockDecoder:
    """Decodes consecutive blocks; a loss takes the halves of characters at its edges with it."""

    def __init__(self) -> None:
        """Begin at a character's first byte."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._is_after_loss = False

    def take(self, data: bytes) -> str:
        """Return the characters that are whole now; bytes that are no UTF-8 become marks."""
        if self._is_after_loss and data:
            # Bytes that continue a character whose beginning was lost.
            data = data.lstrip(_CONTINUATIONS)
            self._is_after_loss = not data
        return self._decoder.decode(data)

    def lose(self) -> str:
        """Something is missing here: return its mark."""
        self._decoder.reset()
        self._is_after_loss = True
        return MISSING

    def finish(self) -> str:
        """Return a mark if the text ended within a character."""
        rest = self._decoder.decode(b"", True)
        self._decoder.reset()
        return rest


_CONTINUATIONS = bytes(range(0x80, 0xC0))
