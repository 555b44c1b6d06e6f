"""When a sentence of real-time text is complete: for speech synthesis and for the record.

Text comes character by character and may be erased again. A sentence counts as complete at its
punctuation, at a new line, when it has grown too long for one breath, or when its writer pauses.
What was complete and is changed afterwards comes once more, whole, and says that it corrects.
Pure; the time is an argument, in seconds of any steady clock.
"""

from __future__ import annotations

import unicodedata
from collections import deque
from dataclasses import dataclass
from typing import Literal

from streams.t140 import MISSING, T140Display, Taken

PAUSE_S = 1.5
"""A pause after which what was written counts as said."""

WORD_PAUSE_S = 2.5
"""The same after a letter of a word that a space may still have to end."""

LONGEST = 200
"""Characters of one utterance: some 15 s of speech."""

REVISABLE = 64
"""Utterances that a later change can still bring back."""

Reason = Literal["punctuation", "line", "pause", "length", "end"]

_ENDS = frozenset("。！？｡!?…⋯‼⁇⁈⁉؟۔।॥")
_CLOSERS = frozenset("\"')]}”’»›）」』】》〉〕")
_BREAKS = frozenset(" ,;:，、；：")
# Sentences rarely end with these ("no." is an answer, so it is none of them).
_RARELY_LAST = (
    "mr mrs ms dr st ave rd blvd apt bldg rm fl nr ph tel ext jr sr prof rev approx vs e.g i.e "
    "a.m p.m u.s u.k min sec hr hrs yr yrs wt ht temp kg mg ml cm mm km mi ft lb lbs oz hwy"
)
_ABBREVIATIONS = frozenset(_RARELY_LAST.split())


@dataclass(frozen=True)
class Utterance:
    """One complete sentence, or what stands for one.

    Attributes:
        text: Its text, without new lines; a mark stands where text was lost.
        begin: Its first character's position in the display.
        end: The position after its last.
        reason: Why it counts as complete.
        corrects: Whether something that it repeats was given before and is changed now.
        is_damaged: Whether text of it was lost.
    """

    text: str
    begin: int
    end: int
    reason: Reason
    corrects: bool
    is_damaged: bool


class Utterances:
    """Cuts a display's text into utterances as it grows."""

    def __init__(self, *, pause_s: float = PAUSE_S, word_pause_s: float = WORD_PAUSE_S) -> None:
        """Begin at the start of a text.

        Args:
            pause_s: The pause that ends an utterance.
            word_pause_s: The same within what may be a word.
        """
        self._pause_s = pause_s
        self._word_pause_s = word_pause_s
        self._said_to = 0
        self._said: deque[tuple[int, int]] = deque(maxlen=REVISABLE)
        self._corrects = False
        self._due: float | None = None

    def take(self, display: T140Display, taken: Taken, now: float) -> list[Utterance]:
        """Return what the last piece completed; to be called after each `T140Display.take`."""
        self._take_back(taken.kept)
        found: list[Utterance] = []
        while (cut := self._find_end(display)) is not None:
            found += self._say(display, *cut)
        if taken.kept < taken.end or found:
            self._due = self._pause_ends(display, now)
        return found

    def due(self) -> float | None:
        """Return when to call `wait`; None while nothing waits to be said."""
        return self._due

    def wait(self, display: T140Display, now: float) -> list[Utterance]:
        """Return what a pause completed."""
        if self._due is None or now < self._due:
            return []
        self._due = None
        return self._say(display, display.end, "pause")

    def finish(self, display: T140Display) -> list[Utterance]:
        """Return the rest: the writer is gone."""
        self._due = None
        return self._say(display, display.end, "end")

    def _take_back(self, kept: int) -> None:
        while self._said and self._said[-1][1] > kept:
            self._said_to = self._said.pop()[0]
            self._corrects = True
        self._said_to = min(self._said_to, kept)

    def _find_end(self, display: T140Display) -> tuple[int, Reason] | None:
        begin = max(self._said_to, display.left)
        text = display.characters(begin)
        for at, character in enumerate(text[:LONGEST]):
            if character == "\n":
                return begin + at + 1, "line"
            if character in _ENDS or (character == "." and _is_full_stop(text, at)):
                return begin + _after_closers(text, at), "punctuation"
        if len(text) > LONGEST:
            breaks = [at for at in range(LONGEST // 2, LONGEST) if text[at] in _BREAKS]
            return begin + (breaks[-1] + 1 if breaks else LONGEST), "length"
        return None

    def _say(self, display: T140Display, end: int, reason: Reason) -> list[Utterance]:
        begin = max(self._said_to, display.left)
        self._said_to = end
        text = display.between(begin, end)
        begin += len(text) - len(text.lstrip())  # white space is never more than one code point
        if not any(unicodedata.category(character)[0] in "LNS" for character in text):
            return []
        restart = _word_start(display, begin)
        corrects = self._corrects or restart < begin
        self._corrects = False
        whole = display.between(restart, end).strip()
        self._said.append((restart, end))
        return [Utterance(whole, restart, end, reason, corrects, MISSING in whole)]

    def _pause_ends(self, display: T140Display, now: float) -> float | None:
        rest = display.between(self._said_to, display.end)
        if not rest.strip():
            return None
        return now + (self._word_pause_s if _is_word(rest[-1]) else self._pause_s)


def _is_word(character: str) -> bool:
    """Whether words of this character's script are divided by spaces."""
    return character[0].isalpha() and not "\u2e80" <= character[0] <= "\ua4cf"


def _is_full_stop(text: list[str], at: int) -> bool:
    """Whether the full stop at ``at`` ends a sentence, as far as can be told by now."""
    following = text[at + 1] if at + 1 < len(text) else ""
    if following and not following.isspace() and following not in _CLOSERS:
        return False
    start = at
    while start > 0 and not text[start - 1].isspace() and text[start - 1] not in _BREAKS:
        start -= 1
    word = "".join(text[start:at]).lstrip("\"'(“‘").lower()
    if word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha()):
        return False
    if following:
        return not (word.isdigit() and start == 0)  # "1. " numbers what follows
    # Nothing after it yet: a digit or another point may follow, so only a word decides now.
    return len(word) > 1 and word[-1].isalpha() and "." not in word


def _after_closers(text: list[str], at: int) -> int:
    at += 1
    while at < len(text) and (text[at] in _CLOSERS or text[at] in _ENDS or text[at] == "."):
        at += 1
    return at


def _word_start(display: T140Display, begin: int) -> int:
    """Return where the word begins that ``begin`` stands in the middle of; else ``begin``."""
    here = display.characters(begin)[:1]
    if not here or not _is_word(here[0]):
        return begin
    start = begin
    while start > display.left and _is_word(display.between(start - 1, start)):
        start -= 1
    return start
