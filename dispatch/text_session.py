"""What one page or telephone of a caller writes: every character once, in lines with names. Pure.

The text is a T.140 stream whose characters are counted from the session's first one. A page sends
from where the hub says it has come to, so what is sent twice after a broken link counts once, and
nothing is left out. A line is a turn; erasing over its end opens the one before again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from streams.errors import ForerunError
from streams.plain_text import plain
from streams.t140 import LINE_SEPARATOR, T140Display
from streams.text_messages import TextTurn, Way
from streams.utterances import Utterance, Utterances

LONGEST_LINE = 2000
"""Characters of one turn; a person who writes on without a line's end gets one."""
SECOND_NS = 1_000_000_000
MOST_TAKEN = 200_000
"""Characters of one session: ten hours of quick typing. More is no person."""


class TextGapError(ForerunError):
    """Characters are missing before those that came, or there are too many."""

    reason = "text_gap"


@dataclass(slots=True)
class Line:
    """One line as it stands.

    Attributes:
        turn: Its name.
        text: Its text.
        begun_ns: When its first character came, by the hub's clock.
        changed_ns: When it was changed last.
        finished: Whether its end was written.
        stored: The text that is stored, with whether it was finished then; None for nothing.
    """

    turn: str
    text: str
    begun_ns: int
    changed_ns: int
    finished: bool = False
    stored: tuple[str, bool] | None = None

    @property
    def is_stored(self) -> bool:
        """Whether it is stored as it stands; one that nobody has begun to write need not be."""
        if self.stored is None:
            return not self.text and not self.finished
        return self.stored == (self.text, self.finished)


class CallerWriting:
    """The lines of one session.

    Attributes:
        taken: How many characters of it have come.
        lines: Those that may still change or are not stored, the oldest first.
    """

    def __init__(self, session: str, way: Way, new_turn: Callable[[], str]) -> None:
        """Begin with nothing.

        Args:
            session: The session's name for itself.
            way: By which way its text comes.
            new_turn: Makes names of turns.
        """
        self.session = session
        self.way = way
        self.taken = 0
        self.lines: list[Line] = []
        self._new_turn = new_turn
        self._first = 0
        self._display = T140Display()
        self._sentences = Utterances()
        self._complete: list[Utterance] = []

    @classmethod
    def again(
        cls, session: str, way: Way, new_turn: Callable[[], str], turns: Iterable[TextTurn]
    ) -> CallerWriting:
        """Return a session as its stored turns leave it, after a restart of the hub."""
        made = cls(session, way, new_turn)
        own = [one for one in turns if one.session == session]
        made.taken = max((one.upto for one in own), default=0)
        for one in own:
            if not (one.text or one.finished):
                continue  # erased over its beginning
            made._display.take(one.text + (LINE_SEPARATOR if one.finished else ""))
            made.lines.append(
                Line(one.turn, one.text, one.begun_ns, one.ended_ns, one.finished,
                     (one.text, one.finished))
            )  # fmt: skip
        made._sentences.finish(made._display)  # was said before
        return made

    def take(self, start: int, text: str, now_ns: int) -> list[Line]:
        """Take characters of the stream; return the lines that they change.

        Args:
            start: How many characters of the session came before them.
            text: The characters.
            now_ns: The hub's clock.

        Raises:
            TextGapError: Some before them are missing, or the session wrote too much.
        """
        if start > self.taken:
            raise TextGapError(f"characters {self.taken} to {start} are missing: send from there")
        new = text[self.taken - start :]
        if self.taken + len(new) > MOST_TAKEN:
            raise TextGapError(f"more than {MOST_TAKEN} characters are no person's")
        self.taken += len(new)
        self._enter(new, now_ns)
        if len(self._display.lines[-1]) > LONGEST_LINE:
            self._enter(LINE_SEPARATOR, now_ns)
        return self._compare(now_ns)

    def sentences(self, now_ns: int) -> list[Utterance]:
        """Return the sentences that are complete by now and were not returned before."""
        complete, self._complete = self._complete, []
        complete += self._sentences.wait(self._display, now_ns / SECOND_NS)
        shown = [replace(one, text=plain(one.text)) for one in complete]
        return [one for one in shown if one.text.strip()]

    def _enter(self, text: str, now_ns: int) -> None:
        taken = self._display.take(text)
        self._complete += self._sentences.take(self._display, taken, now_ns / SECOND_NS)

    def _compare(self, now_ns: int) -> list[Line]:
        """Bring the lines to what the display shows; return those that are another now."""
        shown, first = self._display.lines, self._display.first_line
        while self._first < first and self.lines and self.lines[0].is_stored:
            self._first += 1
            del self.lines[0]
        while len(self.lines) < first + len(shown) - self._first:
            self.lines.append(Line(self._new_turn(), "", now_ns, now_ns))
        changed = []
        for number, line in enumerate(self.lines, self._first - first):
            if number < 0:
                continue  # out of reach of a backspace, and not stored yet
            # Here and not before the display: a backspace erases what its writer sees as one.
            text = plain(shown[number]) if number < len(shown) else ""
            finished = number < len(shown) - 1
            if (line.text, line.finished) != (text, finished):
                if not line.text:
                    line.begun_ns = now_ns
                line.text, line.finished, line.changed_ns = text, finished, now_ns
                changed.append(line)
        return changed

    def unstored(self, now_ns: int, pause_ns: int) -> list[Line]:
        """Return all lines that are not stored, once one of them is finished or pauses.

        They are stored together: each says up to where the session's characters are stored.
        """
        waiting = [line for line in self.lines if not line.is_stored]
        due = any(line.finished or now_ns - line.changed_ns >= pause_ns for line in waiting)
        return waiting if due else []

    def turn_of(self, line: Line) -> TextTurn:
        """Return the fact of a line as it stands."""
        return TextTurn(
            turn=line.turn, who="caller", way=self.way, text=line.text, finished=line.finished,
            begun_ns=line.begun_ns, ended_ns=line.changed_ns, session=self.session,
            upto=self.taken,
        )  # fmt: skip
