"""What a caller without a page of ours reads, as T.140: the seats' turns and drafts, typed. Pure.

A page is told turns and drafts as they are; a text telephone or a foreign client sees characters,
as if the dispatcher typed them: backspaces where a draft changes, a new line where a turn ends. A
turn that is corrected later is said again. What a broken channel may have swallowed is said again
in the next one: RFC 8865 (section 5) allows that where there is reason to think that it was lost,
and a line twice is better than an instruction never.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from streams.health import DROPPED
from streams.t140 import LINE_SEPARATOR
from streams.t140_typing import CHARACTERS_PER_S, INTERVAL_S, FieldTooLongError, T140Typing

CORRECTED = {"en": "Correction: ", "zh": "更正：", "": "更正 · Correction: "}
CLOSED = {
    "en": "The emergency service has closed this case.",
    "zh": "急救中心已结束此事件。",
    "": "急救中心已结束此事件。 · The emergency service has closed this case.",
}


class SeatText:
    """Types to one reader what seats say; times are seconds of any steady clock."""

    def __init__(
        self,
        *,
        language: str = "",
        characters_per_s: float = CHARACTERS_PER_S,
        interval_s: float = INTERVAL_S,
    ) -> None:
        """Begin with nothing said.

        Args:
            language: That the reader reads, as BCP 47 says it; both where nobody knows.
            characters_per_s: What the reader's side takes (``cps``).
            interval_s: The least time between two transmissions.
        """
        self._interval_s = interval_s
        self._language = {"en": "en", "zh": "zh"}.get(language[:2].lower(), "")
        self._typing = T140Typing(interval_s=interval_s, characters_per_s=characters_per_s)
        self._first = ""
        self._has_spoken = False
        self._turns: dict[str, str] = {}
        self._drafts: dict[str, str] = {}
        self._step = ("", "")
        self._unconfirmed: deque[str] = deque()

    def hear(self, told: dict[str, Any]) -> None:
        """Take what the text desk tells pages; what is no text for people is passed over."""
        match told["type"]:
            case "welcome":
                for turn in told["turns"]:
                    self._hear_turn(turn)
                self._drafts = {one["turn"]: one["text"] for one in told["drafts"]}
                self._hear_step(told["step"])
            case "turn":
                self._hear_turn(told["turn"])
            case "writing":
                self._drafts.pop(told["turn"], None)
                if told["text"]:
                    self._drafts[told["turn"]] = told["text"]
            case "step":
                self._hear_step(told["step"])
            case "closed":
                self._say_line(CLOSED[self._language])
        self._show_draft()

    def due(self, now: float) -> float | None:
        """Return when to call `take`; None while all is said."""
        return now if self._first else self._typing.due(now)

    def take(self, now: float) -> str:
        """Return the T.140 to send now, or nothing."""
        text = self._first + self._typing.take(now)
        self._first = ""
        self._has_spoken |= bool(text)
        return text

    @property
    def is_idle(self) -> bool:
        """Whether all that was said has been given out."""
        return not self._first and self._typing.is_idle

    def confirm(self) -> None:
        """Note that all that was given out has arrived."""
        while len(self._unconfirmed) > self._typing.waiting_lines:
            self._unconfirmed.popleft()

    def again(self, characters_per_s: float) -> None:
        """Begin a new channel after one that broke: say again what may not have arrived."""
        self._typing = T140Typing(interval_s=self._interval_s, characters_per_s=characters_per_s)
        self._first = LINE_SEPARATOR if self._has_spoken else ""
        lines, self._unconfirmed = self._unconfirmed, deque()
        for line in lines:
            self._say_line(line)
        self._show_draft()

    def _hear_turn(self, turn: dict[str, Any]) -> None:
        if turn["who"] != "dispatcher" or not turn["text"]:
            return
        name, text = turn["turn"], turn["text"]
        self._drafts.pop(name, None)
        before = self._turns.get(name)
        if before != text:
            self._turns[name] = text
            self._say_line(text if before is None else CORRECTED[self._language] + text)

    def _hear_step(self, step: dict[str, Any] | None) -> None:
        """Say a step of the guide, once."""
        if step is None or not step["step"] or self._step == (step["run"], step["step"]):
            return
        self._step = (step["run"], step["step"])
        text = step["text"]
        self._say_line(text[self._language] if self._language else f"{text['zh']} · {text['en']}")

    def _say_line(self, line: str) -> None:
        try:
            self._typing.edit(line)
            self._typing.end_line()
        except FieldTooLongError:
            DROPPED.labels("seat_text").inc()  # minutes of it wait already
            return
        self._unconfirmed.append(line)

    def _show_draft(self) -> None:
        """Have the youngest draft typed behind what is said."""
        self._typing.edit(next(reversed(self._drafts.values()), ""))
