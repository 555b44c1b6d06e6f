"""A call: its state machine as a table, and what is known of it. Pure.

A call opens its case when it rings, so that everything from the first second on stands in one
journal; what the two are to each other later (linked, closed while somebody still talks) is no
matter of the table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from dispatch.errors import ConflictError
from streams.call_messages import CallStep, Line, Step

Phase = Literal[
    "ringing", "talking", "held", "offered", "unattended", "lost", "calling", "ended"
]  # fmt: skip
"""``offered``: its seat gives it to another, and talks until that one takes it. ``unattended``:
its caller is there and no seat has him: his seat is gone, or he writes after the end. ``lost``:
the caller is gone before anybody had done with him. ``calling``: a seat calls him back."""

TABLE: dict[tuple[Phase | None, Step], Phase] = {
    (None, "rang"): "ringing",
    ("ringing", "answered"): "talking",
    ("ringing", "hung_up"): "lost",
    ("talking", "silent"): "talking",
    ("talking", "held"): "held",
    ("talking", "offered"): "offered",
    ("talking", "hung_up"): "ended",
    ("talking", "seat_lost"): "unattended",
    ("held", "answered"): "talking",
    ("held", "hung_up"): "lost",
    ("held", "seat_lost"): "unattended",
    ("offered", "taken"): "talking",
    ("offered", "declined"): "talking",
    ("offered", "withdrawn"): "talking",
    ("offered", "hung_up"): "ended",
    ("offered", "seat_lost"): "unattended",
    ("unattended", "answered"): "talking",
    ("unattended", "hung_up"): "lost",
    ("lost", "called_back"): "calling",
    ("lost", "gave_up"): "ended",
    ("calling", "connected"): "talking",
    ("calling", "unanswered"): "lost",
    ("calling", "hung_up"): "lost",
    ("calling", "seat_lost"): "lost",
    ("ended", "called_back"): "calling",
    ("ended", "wrote"): "unattended",
    ("lost", "wrote"): "unattended",
    ("ended", "answered"): "talking",  # taken back: who may says `dispatch.call_actions`
}
"""What follows from what; a pair that is missing is refused with both names in it."""

WAITING: frozenset[Phase] = frozenset({"ringing", "held", "unattended", "lost"})
"""Somebody has to do something about it."""

ON_LINE: frozenset[Phase] = frozenset({"talking", "held", "offered", "calling"})
"""A seat has it."""


@dataclass(slots=True)
class Call:
    """What is known of a call.

    Attributes:
        seat: Who has it now; empty while nobody has.
        offered_to: The seat to which it is offered; empty unless it is.
        since_ns: When its phase began, by the hub's clock.
        answered_ns: When a seat first answered.
        silent: Whether nobody spoke; until it is over.
        call_backs: How often a seat called back.
        wrote: Whether it waits because its caller wrote once it was over.
        ended_by: The seat that ended it; empty where nobody did, or the line.
    """

    phase: Phase | None = None
    call: str = ""
    number: str = ""
    dialled: str = ""
    line: Line = "voice"
    seat: str = ""
    offered_to: str = ""
    rang_ns: int = 0
    since_ns: int = 0
    answered_ns: int | None = None
    silent: bool = False
    call_backs: int = 0
    wrote: bool = False
    ended_by: str = ""
    seats: list[str] = field(default_factory=list)

    @property
    def is_live(self) -> bool:
        """Whether it is not over: somebody calls, talks, waits or has to be called back."""
        return self.phase not in (None, "ended")

    @property
    def has_caller(self) -> bool:
        """Whether somebody is on the line, answered or not."""
        return self.is_live and self.phase != "lost"

    @property
    def is_spoken(self) -> bool:
        """Whether it takes all of a seat's ears."""
        return self.line in ("voice", "video", "ecall")

    def after(self, step: Step) -> Phase:
        """Return the phase that follows from a step.

        Raises:
            ConflictError: From here the step is not possible; both names are in the text.
        """
        try:
            return TABLE[self.phase, step]
        except KeyError:
            raise ConflictError(
                f"a call that is {self.phase or 'not known'} cannot become {step!r}",
                kind="call", phase=self.phase or "", step=step, seat=self.seat,
            ) from None  # fmt: skip

    def take(self, body: CallStep, at_ns: int) -> None:
        """Fold a stored step in; one that does not fit (of another release) changes nothing."""
        phase = TABLE.get((self.phase, body.step))
        if phase is None:
            return
        if body.step == "rang":
            self.call, self.number = body.call, body.number
            self.dialled, self.line, self.rang_ns = body.dialled, body.line, at_ns
        if phase != self.phase:
            self.since_ns = at_ns
        self.phase = phase
        self.offered_to = body.to_seat if body.step == "offered" else ""
        self.silent = body.step == "silent" or (self.silent and phase in ON_LINE)
        self.wrote = body.step == "wrote"
        self.ended_by = body.seat if phase == "ended" and body.step == "hung_up" else ""
        if body.step in ("answered", "taken", "called_back"):
            self.seat = body.seat
            if body.seat not in self.seats:
                self.seats.append(body.seat)
        elif phase not in ON_LINE:
            self.seat = ""
        if body.step == "answered" and self.answered_ns is None:
            self.answered_ns = at_ns
        self.call_backs += body.step == "called_back"
