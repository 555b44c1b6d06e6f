"""From a field that a person edits to real-time text: the sender's side of T.140.

T.140 has no cursor: whatever is changed in the middle is erased back to there and written again.
`T140Typing` is told what the field holds and gives what to send: backspaces to the common
beginning, then the new text. What is typed and erased between two transmissions is never sent.
Pure; the time is an argument, in seconds of any steady clock. `static/t140.js` is the same.

An input method's composition (pinyin before a choice is made) is not text yet: the page holds the
field back until it is committed, and tells it here only then.
"""

from __future__ import annotations

from collections import deque

from streams.t140 import BACKSPACE, LINE_SEPARATOR, T140Display

INTERVAL_S = 0.3
"""Between two transmissions (RFC 4103, section 5.1: 300 ms; at most 500 ms)."""

CHARACTERS_PER_S = 30
"""Code points that a receiver takes, on average over 10 s (RFC 4103, section 6; RFC 8865, 4.2)."""

LONGEST_FIELD = 10_000
"""Characters in a field, and in lines that wait to be sent."""

_REPLACED = str.maketrans({"\ufffd": "\u25a1"})
"""A pasted U+FFFD would read as lost text: it goes out as an empty square."""


class FieldTooLongError(ValueError):
    """More text at once than a call can carry; nothing of it was taken.

    Attributes:
        characters: How many there were.
    """

    def __init__(self, characters: int) -> None:
        super().__init__(f"{characters} characters are over the limit of {LONGEST_FIELD}")
        self.characters = characters


class CharacterAllowance:
    """How many characters may go out now: an average with room for a second's burst.

    A bucket of one second's worth, filled with nine tenths of the rate, so that in no 10 s more
    than ten times the rate goes out.
    """

    def __init__(self, per_s: float = CHARACTERS_PER_S) -> None:
        """Begin with a full second's worth.

        Args:
            per_s: The receiver's ``cps``, above 0.
        """
        self.most = per_s
        self._refill = 0.9 * per_s
        self._left = float(per_s)
        self._at: float | None = None

    def left(self, now: float) -> float:
        """Return how many characters may go out now; below 0 after a long one."""
        if self._at is not None:
            self._left = min(self.most, self._left + max(0.0, now - self._at) * self._refill)
        self._at = now
        return self._left

    def covers(self, cost: int, now: float) -> bool:
        """Whether something of this many characters may go out now."""
        return self.left(now) >= min(cost, self.most) - 1e-9

    def spend(self, cost: int) -> None:
        """Take off what went out."""
        self._left -= cost

    def when(self, cost: int, now: float) -> float:
        """Return from when on something of this many characters may go out."""
        return now + max(0.0, min(cost, self.most) - self.left(now)) / self._refill


def as_sent(field: str) -> list[str]:
    """Return a field's text as the other side will see it, character by character.

    New lines of any form are line feeds, tabs are spaces, control characters are gone, a U+FFFD
    or half a surrogate pair is an empty square.

    Raises:
        FieldTooLongError: The field holds more than ``LONGEST_FIELD`` code points.
    """
    if len(field) > LONGEST_FIELD:
        raise FieldTooLongError(len(field))
    joined = field.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    kept = "".join(
        character for character in joined.translate(_REPLACED) if character not in _NOT_TYPED
    )
    display = T140Display(kept=LONGEST_FIELD + 1)
    display.take(kept)
    return display.characters(0)


_NOT_TYPED = {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))} - set("\t\n\r\u0085")
"""Control characters, which would act at the other side instead of standing there."""


class T140Typing:
    """Turns the states of a field into T.140.

    Attributes:
        sent: What the other side sees of the line that is being typed.
    """

    def __init__(
        self, *, interval_s: float = INTERVAL_S, characters_per_s: float = CHARACTERS_PER_S
    ) -> None:
        """Begin with an empty field.

        Args:
            interval_s: The least time between two transmissions, 0.5 at most by RFC 4103.
            characters_per_s: The receiver's ``cps``.
        """
        self.sent: list[str] = []
        self._interval_s = interval_s
        self._allowance = CharacterAllowance(characters_per_s)
        self._finished: deque[list[str]] = deque()
        self._field: list[str] = []
        self._last: float | None = None
        self._same: int | None = 0
        """Characters that `sent` and what is wanted have in common; None: to be counted anew."""

    def edit(self, field: str) -> None:
        """Say what the field holds now, without what is still being composed.

        Raises:
            FieldTooLongError: It holds too much; the state before stays.
        """
        self._field = as_sent(field)
        self._same = None

    def end_line(self) -> None:
        """The line is finished (Enter was pressed) and the field is empty again.

        Raises:
            FieldTooLongError: Too much waits already; the line stays in the field.
        """
        waiting = sum(map(len, self._finished)) + len(self._field)
        if waiting > LONGEST_FIELD:
            raise FieldTooLongError(waiting)
        self._finished.append([*self._field, "\n"])
        self._field = []
        self._same = None

    @property
    def waiting_lines(self) -> int:
        """Finished lines of which the other side does not see all."""
        return len(self._finished)

    @property
    def is_idle(self) -> bool:
        """Whether the other side sees all there is."""
        return not self._finished and self.sent == self._field

    def due(self, now: float) -> float | None:
        """Return when to call `take`, now or later; None while there is nothing to send."""
        piece = self._next()
        if piece is None:
            return None
        ready = self._allowance.when(len(piece), now)
        return ready if self._last is None else max(ready, self._last + self._interval_s)

    def take(self, now: float) -> str:
        """Return what to send now as T.140; empty when it is not time or nothing is new."""
        if self._last is not None and now < self._last + self._interval_s - 1e-9:
            return ""
        pieces: list[str] = []
        while (piece := self._next()) is not None and self._allowance.covers(len(piece), now):
            self._allowance.spend(len(piece))
            self._note(piece)
            pieces.append(LINE_SEPARATOR if piece == "\n" else piece)
        if pieces:
            self._last = now
        return "".join(pieces)

    def _next(self) -> str | None:
        """Return the next character to send, or a backspace; None when all is sent."""
        wanted, same = self._wanted()
        left_over = len(self.sent) - same
        if left_over == 0:
            return wanted[same] if same < len(wanted) else None
        # A mark that was added to the last character needs no backspace: it joins by itself.
        if left_over == 1 and same < len(wanted) and wanted[same].startswith(self.sent[same]):
            return wanted[same][len(self.sent[same]) :]
        return BACKSPACE

    def _note(self, piece: str) -> None:
        """Do to `sent` what the other side does with a piece that `_next` gave."""
        wanted, same = self._wanted()
        if len(self.sent) > same:
            self.sent.pop()
        if piece != BACKSPACE:
            self.sent.append(wanted[same])
            self._same = same + 1
        if self._finished and self._same == len(wanted) == len(self.sent):
            self._finished.popleft()
            self.sent = []
            self._same = None

    def _wanted(self) -> tuple[list[str], int]:
        """Return what the other side is to see, and how much of it stands there already."""
        wanted = self._finished[0] if self._finished else self._field
        if self._same is None:
            self._same = _common(self.sent, wanted)
        return wanted, self._same


def _common(first: list[str], second: list[str]) -> int:
    """Return how many characters two texts have in common at their beginning."""
    for at, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return at
    return min(len(first), len(second))
