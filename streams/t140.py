"""Real-time text as people see it: the presentation of ITU-T T.140 (02/98 and Addendum 1).

`T140Display` takes pieces of T.140 as they come, cut anywhere, and holds what is on the screen.
Pure: no clock, no input or output. `static/t140.js` is the same for pages, and a test in a real
browser holds the two together. The sender's side is `streams.t140_typing`.

What each code does here (T.140, section 8 and Addendum 1):

* U+2028, CR LF, a lone CR, a lone LF, U+2029 and U+0085: a new line. LF right after CR is part of
  it, also when it comes in the next piece.
* U+0008: erases the last character as a person sees it (`streams.graphemes`), or the new line.
* U+0007: an alert, counted. U+0009 (not in T.140): a space. U+FEFF: nothing, wherever it comes.
* U+FFFD: text was lost. It is shown as one mark, however often it comes in a row. What belongs to
  a lost character (combining marks, the second half of a flag) is part of the mark. **A backspace
  never erases a mark nor anything before it**: nobody knows how much of what it was to erase was
  lost, and erasing a character that the sender still sees would be worse than showing one too many
  beside a mark.
* ESC sequences, CSI (SGR among them) and strings from SOS to ST: consumed, and bounded
  (`streams.t140_controls`). All other control characters are dropped.
* Lone surrogates and bytes that are no UTF-8 are lost text.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from streams.graphemes import Kind, append, kind_of
from streams.t140_controls import ControlSequences

MISSING = "\ufffd"
"""The mark of lost text (T.140 Addendum 1)."""

LINE_SEPARATOR = "\u2028"
BACKSPACE = "\b"
BYTE_ORDER_MARK = "\ufeff"

KEPT = 8000
"""Characters that stay within reach of backspaces; older ones leave as finished."""

_NEW_LINES = {"\n", "\r", "\u0085", LINE_SEPARATOR, "\u2029"}
_SURROGATES = re.compile("[\ud800-\udfff]")
_OF_A_LOST_CHARACTER = {Kind.MARK, Kind.JOINER, Kind.FLAG_LETTER, Kind.VOWEL, Kind.TRAILING}


@dataclass(frozen=True)
class Taken:
    """What one piece changed.

    Positions count characters as people see them since the beginning, a new line as one.

    Attributes:
        kept: All before this position is as it was.
        end: Where the text ends now.
        alerts: How often the sender asked for attention (U+0007).
        left: Text that is now out of reach and no longer held, its new lines as line feeds.
    """

    kept: int
    end: int
    alerts: int = 0
    left: str = ""


class T140Display:
    """What a receiver of T.140 shows.

    Attributes:
        left: Number of characters that are no longer held.
        first_line: Number of the first line that is held, from 0.
    """

    def __init__(self, *, kept: int = KEPT) -> None:
        """Begin with an empty display.

        Args:
            kept: How many characters are held, 2 or more.
        """
        self.left = 0
        self.first_line = 0
        self._most = max(2, kept)
        self._shown: list[str] = []
        self._controls = ControlSequences()
        self._after_return = False
        self._high = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._alerts = 0
        self._kept = 0
        self._leaving: list[str] = []

    @property
    def end(self) -> int:
        """Where the text ends: how many characters people see, those that left included."""
        return self.left + len(self._shown)

    @property
    def consumed(self) -> int:
        """Characters that were control sequences and not text."""
        return self._controls.consumed

    @property
    def text(self) -> str:
        """What is held, lines divided by line feeds."""
        return "".join(self._shown)

    @property
    def lines(self) -> list[str]:
        """The lines that are held; the last one is being written."""
        return self.text.split("\n")

    def between(self, begin: int, end: int) -> str:
        """Return the text between two positions, as far as it is held."""
        return "".join(self._shown[max(0, begin - self.left) : max(0, end - self.left)])

    def characters(self, begin: int) -> list[str]:
        """Return the characters from a position on, as far as they are held."""
        return self._shown[max(0, begin - self.left) :]

    def take(self, piece: str) -> Taken:
        """Show the next piece of text, cut anywhere."""
        self._alerts, self._leaving, self._kept = 0, [], self.end
        for character in self._whole(piece):
            if character != BYTE_ORDER_MARK:  # a sign of life, also between CR and LF
                self._character(character)
        return Taken(self._kept, self.end, self._alerts, "".join(self._leaving))

    def take_bytes(self, data: bytes) -> Taken:
        """Show the next piece as UTF-8, cut anywhere, also within a character."""
        return self.take(self._decoder.decode(data))

    def finish(self) -> Taken:
        """The sender is gone: half a character at the very end is lost text."""
        rest = self._decoder.decode(b"", True) + (MISSING if self._high else "")
        self._high = ""
        return self.take(rest)

    def _whole(self, piece: str) -> str:
        """Join surrogates to characters; half a one at the end waits for the next piece."""
        if not self._high and not _SURROGATES.search(piece):
            return piece
        piece = self._high + piece
        self._high = piece[-1] if piece and "\ud800" <= piece[-1] <= "\udbff" else ""
        units = piece[: -1 if self._high else None].encode("utf-16-le", "surrogatepass")
        return units.decode("utf-16-le", "replace")

    def _character(self, character: str) -> None:
        follows_return, self._after_return = self._after_return, False
        is_new_line = character in _NEW_LINES
        if self._controls.take(character, ends_all=is_new_line or character == MISSING):
            return
        if is_new_line:
            if not (character == "\n" and follows_return):
                self._append("\n")
            self._after_return = character == "\r"
        elif character == BACKSPACE:
            self._erase()
        elif character == "\a":
            self._alerts += 1
        elif character == "\t":
            self._append(" ")
        elif character == MISSING:
            self._mark()
        elif character >= "\xa0" or " " <= character <= "~":
            self._append(character)

    def _append(self, character: str) -> None:
        shown = self._shown
        if shown and shown[-1] == MISSING and kind_of(character) in _OF_A_LOST_CHARACTER:
            return
        if append(shown, character):
            self._kept = min(self._kept, self.end - 1)
        elif len(shown) > self._most:
            self._leave()

    def _mark(self) -> None:
        if not self._shown or self._shown[-1] != MISSING:
            self._shown.append(MISSING)

    def _erase(self) -> None:
        if self._shown and self._shown[-1] != MISSING:
            self._shown.pop()
            self._kept = min(self._kept, self.end)

    def _leave(self) -> None:
        """Let the oldest quarter go, whole lines of it where there are any."""
        most = len(self._shown) - self._most * 3 // 4
        cut = next((at for at in range(most, 0, -1) if self._shown[at - 1] == "\n"), most)
        gone = self._shown[:cut]
        del self._shown[:cut]
        self.left += cut
        self.first_line += gone.count("\n")
        self._leaving += gone
