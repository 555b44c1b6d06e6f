"""When a silent connection counts as dead. Pure: it is given what was seen, and the time.

The question is never how old data is: on a full link old data still comes. It is whether
*anything* comes back, down to a bare acknowledgement of the other side's TCP, while something is
asked of it. With nothing under way a ping is sent, so that something must come.

Two seconds of silence end a path. There are three reasons to be more patient:

- a slow path: with a round trip of 3 s the next sign of life may rightly take 3 s. The patience
  is at least three times what TCP itself waits before it repeats (RFC 6298: round trip plus four
  deviations), so that two repeats as well were lost;
- a lossy path, where all repeats of two seconds may be lost though it lives. Whoever is given up
  while the next connection stands at once was a false alarm; each doubles the patience for a
  while;
- a busy other side: its system acknowledges, its program does not answer. That is told apart by
  what comes at the level of the program, which gets ``answer_s``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SILENCE_S = 2.0
LONGEST_SILENCE_S = 10.0
REPEATS = 3
ASK_AFTER_S = 0.6
"""After so long without a sign, something is sent that must be answered."""

MOST_DOUBLINGS = 2
CALM_S = 60.0
"""After so long without a false alarm the patience is halved again."""

Verdict = Literal["fine", "ask", "dead"]


@dataclass(frozen=True, slots=True)
class Sign:
    """One look at a connection.

    Attributes:
        arrived: A count that grows with every sign of the other side's system.
        answered: A count that grows with everything that the other side's program says, or with
            what its system has taken of ours.
        under_way: Whether the other side's system owes a sign now.
        repeat_after_s: After how long its TCP repeats: round trip plus four deviations.
        extra_s: Time that a large message may take on top, at the level of the program.
    """

    arrived: int
    answered: tuple[int, ...]
    under_way: bool
    repeat_after_s: float
    extra_s: float = 0.0


class Patience:
    """How much longer than usual to wait, learned from false alarms; outlives connections."""

    def __init__(self) -> None:
        """Start with the usual patience."""
        self._doublings = 0
        self._since_s = float("-inf")

    def factor(self, now_s: float) -> float:
        """Return by how much the usual times are multiplied."""
        while self._doublings and now_s - self._since_s >= CALM_S:
            self._doublings -= 1
            self._since_s += CALM_S
        return float(2**self._doublings)

    def false_alarm(self, now_s: float) -> None:
        """Note that a path was given up which had not been away."""
        self.factor(now_s)
        self._doublings = min(self._doublings + 1, MOST_DOUBLINGS)
        self._since_s = now_s


class Silence:
    """Judges one connection; ``look`` at it several times a second."""

    def __init__(self, patience: Patience, now_s: float, answer_s: float) -> None:
        """Begin with a connection that has just been made.

        Args:
            patience: Of the transport.
            now_s: Monotonic time.
            answer_s: How long the other side's program may say nothing while it owes an answer.
        """
        self.why = ""
        self._patience = patience
        self._answer_s = answer_s
        self._arrived, self._arrived_s = -1, now_s
        self._answered: tuple[int, ...] = ()
        self._answered_s = now_s
        self._owed_since_s: float | None = None
        self._asked_s = now_s
        self._program_asked_s: float | None = None

    def look(self, sign: Sign, now_s: float) -> Verdict:
        """Say what to do: nothing, send something that must be answered, or give up."""
        if sign.arrived != self._arrived:
            self._arrived, self._arrived_s = sign.arrived, now_s
        if sign.answered != self._answered:
            self._answered, self._answered_s = sign.answered, now_s
            self._program_asked_s = None
        if not sign.under_way:
            self._owed_since_s = None
        elif self._owed_since_s is None:
            self._owed_since_s = now_s
        factor = self._patience.factor(now_s)
        if self._is_away(sign, factor, now_s) or self._is_mute(sign, factor, now_s):
            return "dead"
        if now_s - max(self._arrived_s, self._asked_s) >= ASK_AFTER_S:
            return self._ask(now_s)
        # Signs of the system alone may hide a program that has stopped.
        if now_s - max(self._answered_s, self._asked_s) >= ASK_AFTER_S:
            return self._ask(now_s)
        return "fine"

    def _ask(self, now_s: float) -> Verdict:
        self._asked_s = now_s
        if self._program_asked_s is None:
            self._program_asked_s = now_s
        return "ask"

    def _is_away(self, sign: Sign, factor: float, now_s: float) -> bool:
        patience_s = factor * SILENCE_S
        patience_s = max(patience_s, min(REPEATS * sign.repeat_after_s, LONGEST_SILENCE_S))
        quiet_s = now_s - self._arrived_s
        # Owed for most of that time too: an idle process may have been stopped meanwhile.
        owed_s = 0.0 if self._owed_since_s is None else now_s - self._owed_since_s
        if quiet_s < patience_s - 0.05 or owed_s < patience_s - ASK_AFTER_S - 0.35:
            return False
        self.why = f"nothing arrived for {quiet_s:.1f} s"
        return True

    def _is_mute(self, sign: Sign, factor: float, now_s: float) -> bool:
        if self._program_asked_s is None:
            return False
        quiet_s = now_s - max(self._answered_s, self._program_asked_s)
        patience_s = min(REPEATS * sign.repeat_after_s, LONGEST_SILENCE_S)
        if quiet_s < max(factor * self._answer_s, patience_s) + sign.extra_s:
            return False
        self.why = f"no answer for {quiet_s:.1f} s"
        return True
