"""Control sequences of T.140: where they end, so that no part of them is shown.

The forms are those of ECMA-48 (ISO 6429), which T.140 (section 8) takes: ESC sequences, CSI (SGR
among them), and strings (SOS, DCS, OSC, PM, APC) up to ST, each in 7 bits and in 8. Nothing here
may silence a person: whatever cannot be part of a sequence ends it, and so do a new line, lost
text, and a sequence or string that is longer than any should be.
"""

from __future__ import annotations

from enum import Enum, auto

LONGEST_STRING = 255
"""Characters of a string between SOS and ST (T.140, section 8.4)."""

LONGEST_SEQUENCE = 32
"""Characters of a CSI or ESC sequence; a longer one is none."""


class _Within(Enum):
    """In what the next character stands."""

    TEXT = auto()
    ESCAPE = auto()
    SEQUENCE = auto()
    STRING = auto()
    STRING_ESCAPE = auto()
    """An ESC in a string: ST may follow."""


_STRINGS = (_Within.STRING, _Within.STRING_ESCAPE)
_INTRODUCERS = {
    "\x1b": _Within.ESCAPE,
    "\x9b": _Within.SEQUENCE,
    **dict.fromkeys("\x90\x98\x9d\x9e\x9f", _Within.STRING),  # DCS, SOS, OSC, PM, APC
}
_AFTER_ESCAPE = {"[": _Within.SEQUENCE, **dict.fromkeys("PX]^_", _Within.STRING)}
_ABORTS = {"\x18", "\x1a"}  # CAN and SUB
_STRING_TERMINATOR = "\x9c"


class ControlSequences:
    """Tells control sequences from text, character by character.

    Attributes:
        consumed: Characters that were part of a sequence.
    """

    def __init__(self) -> None:
        """Begin in text."""
        self.consumed = 0
        self._within = _Within.TEXT
        self._length = 0

    def take(self, character: str, *, ends_all: bool) -> bool:
        """Whether a character is part of a control sequence.

        Args:
            character: The next code point.
            ends_all: Whether it is one that no sequence contains: a new line, or lost text.
        """
        if ends_all:
            self._within = _Within.TEXT
        is_part = self._goes_on(character) or self._begins(character)
        self.consumed += is_part
        return is_part

    def _begins(self, character: str) -> bool:
        self._within = _INTRODUCERS.get(character, _Within.TEXT)
        self._length = 0
        return self._within is not _Within.TEXT

    def _goes_on(self, character: str) -> bool:
        if self._within is _Within.TEXT:
            return False
        self._length += 1
        if character in _ABORTS:
            self._within = _Within.TEXT
            return True
        if self._within in _STRINGS:
            return self._string_goes_on(character)
        if self._within is _Within.ESCAPE and self._length == 1 and character in _AFTER_ESCAPE:
            self._within, self._length = _AFTER_ESCAPE[character], 0
            return True
        # ECMA-48, sections 5.3 and 5.4: parameters and intermediates, then one final byte.
        lowest_final = "0" if self._within is _Within.ESCAPE else "@"
        if lowest_final <= character <= "~":
            self._within = _Within.TEXT
            return True
        return " " <= character < lowest_final and self._length < LONGEST_SEQUENCE

    def _string_goes_on(self, character: str) -> bool:
        is_second_half = self._within is _Within.STRING_ESCAPE and character == "\\"
        if is_second_half or character == _STRING_TERMINATOR:
            self._within = _Within.TEXT
            return True
        self._within = _Within.STRING_ESCAPE if character == "\x1b" else _Within.STRING
        return self._length <= LONGEST_STRING
