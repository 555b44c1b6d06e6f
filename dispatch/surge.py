"""Surge: many more calls than usual, and what a seat may do about it. Pure.

It begins by itself when the calls of the last five minutes come at five times the usual rate
(Beijing's rate in December 2022), and ends when they have come at less than half of that for ten
minutes; a seat may switch it on or off for good. Pages then order the queue by urgency, put what
is likely a repeat last, and ask for less; a message to all who wait takes calls off the lines.
"""

from __future__ import annotations

from collections import deque
from typing import Annotated, Literal

import msgspec

from dispatch.calls import WAITING
from dispatch.cases import Case, CaseBook
from dispatch.errors import ConflictError
from streams.call_messages import CallerMessage, Surge
from streams.chain import Stored
from streams.codec import any_body
from streams.messages import Identifier
from streams.outbox import Draft

SECOND_NS = 1_000_000_000
WINDOW_S = 300.0
TIMES = 5.0
LEAST = 10
"""Calls in the window below which nothing is a surge, however rare calls are."""
CALM_S = 600.0


class SetSurge(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
    tag_field="action", tag="set_surge",
):  # fmt: skip
    """Switch the surge on or off, or leave it to the rate of calls again."""

    id: Identifier | None = None
    mode: Literal["on", "off", "auto"]


class NotifyCallers(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
    tag_field="action", tag="notify_callers",
):  # fmt: skip
    """Write to many callers at once.

    Attributes:
        text: The message; ``{link}`` stands for each one's own link.
        to: ``waiting``: whose call nobody has; ``without_unit``: to whom no unit is under way.
    """

    id: Identifier | None = None
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=400, pattern=r"\S")]
    to: Literal["waiting", "without_unit"]


class SurgeWatch:
    """Follows the calls and says when a surge begins and ends. ``take`` each stored fact once."""

    def __init__(self, usual_per_hour: float) -> None:
        """Prepare.

        Args:
            usual_per_hour: Calls that come in an hour of a usual day.
        """
        self.state = Surge(is_on=False, usual_per_hour=usual_per_hour)
        self._usual = usual_per_hour
        self._rang: deque[int] = deque()
        self._calm_since_ns: int | None = None

    def take(self, fact: Stored) -> None:
        """Note a call that rang, or what was decided."""
        if fact.envelope.kind == "surge":
            body = any_body(fact.envelope)
            assert isinstance(body, Surge)
            self.state, self._calm_since_ns = body, None
        elif fact.envelope.kind == "call_step" and getattr(
            any_body(fact.envelope), "step", ""
        ) == "rang":  # fmt: skip
            self._rang.append(fact.corrected_ns)

    def per_hour(self, now_ns: int) -> float:
        """Return the calls of the last minutes, as of an hour."""
        while self._rang and self._rang[0] < now_ns - round(WINDOW_S * SECOND_NS):
            self._rang.popleft()
        return len(self._rang) * 3600 / WINDOW_S

    def look(self, now_ns: int) -> list[Draft]:
        """Return the fact that a surge begins or ends, once; nothing where a seat has fixed it.

        Args:
            now_ns: The hub's wall clock.
        """
        rate = self.per_hour(now_ns)
        if self.state.fixed:
            return []
        if not self.state.is_on:
            begins = len(self._rang) >= LEAST and rate >= TIMES * self._usual
            return [self._said(is_on=True, rate=rate)] if begins else []
        if rate >= TIMES * self._usual / 2:
            self._calm_since_ns = None
        elif self._calm_since_ns is None:
            self._calm_since_ns = now_ns
        elif now_ns - self._calm_since_ns >= CALM_S * SECOND_NS:
            return [self._said(is_on=False, rate=rate)]
        return []

    def decide(self, action: SetSurge, now_ns: int, seat: str) -> list[Draft]:
        """Return the fact that a seat's word on the surge makes.

        Raises:
            ConflictError: It is so already.
        """
        rate = self.per_hour(now_ns)
        if action.mode == "auto":
            is_on = len(self._rang) >= LEAST and rate >= TIMES * self._usual
        else:
            is_on = action.mode == "on"
        fixed = action.mode != "auto"
        if (self.state.is_on, self.state.fixed) == (is_on, fixed):
            raise ConflictError("it is so already", kind="same")
        return [self._said(is_on=is_on, rate=rate, seat=seat, fixed=fixed)]

    def _said(self, *, is_on: bool, rate: float, seat: str = "", fixed: bool = False) -> Draft:
        body = Surge(is_on=is_on, seat=seat, fixed=fixed, per_hour=rate, usual_per_hour=self._usual)
        return Draft("surge", body)


def decide_notify(action: NotifyCallers, book: CaseBook, seat: str) -> list[Draft]:
    """Return the messages to all callers that are meant, each number once.

    Raises:
        ConflictError: There is nobody to write to.
    """
    found: dict[str, Case] = {}
    for case in book.open():
        if case.call is None or not case.call.number.startswith("+") or case.linked_to is not None:
            continue
        waits = case.call.phase in WAITING
        if waits if action.to == "waiting" else not case.has_crew_under_way:
            found.setdefault(case.call.number, case)
    if not found:
        raise ConflictError("there is no caller to write to", kind="nobody")
    return [
        Draft(
            "caller_message",
            CallerMessage(state="asked", number=number, text=action.text, seat=seat),
            origin=case.opened_as,
            case=case.id,
            drill=case.drill,
        )
        for number, case in found.items()
    ]
