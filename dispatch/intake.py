"""What an exchange or a location source tells of a call, and which facts that makes. Pure.

A call opens its case when it rings. A position is put to the call of its number: to the one that
is live, else to the last one, for half an hour after it ended. One of a number of which no call
is known is kept without a case, and put to the call if one comes within ten minutes. What cannot
be read is a fact as well: nobody has to wonder why there is no position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec
import phonenumbers

from dispatch.cases import Case, CaseBook
from dispatch.errors import ConflictError
from streams.call_messages import CallerPosition, CallStep, Line, LocationRefused
from streams.chain import Stored
from streams.codec import any_body
from streams.identity import alias, new_id
from streams.messages import CaseOpened, Origin, Position, ShortText
from streams.outbox import Draft

SECOND_NS = 1_000_000_000
UNPLACED_S = 600.0
"""So long a position waits for a call of its number."""
AFTER_S = 1800.0
"""So long after its end a call still gets positions."""
UNPLACED_KEPT = 1000
MESSAGE_KEPT = 1000
"""Of a message that could not be read so many characters are kept."""

CallName = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"\S")]


class Ring(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call that rings, as an exchange tells it.

    Attributes:
        call: The exchange's own name of it, by which it is known on: ringing twice is one call.
        number: Who calls, as dialled from here or with its plus; empty when withheld.
    """

    call: CallName
    number: ShortText = ""
    dialled: ShortText = ""
    line: Line = "voice"
    origin: Origin = "live"


class LineStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happened on the line without a seat's doing."""

    step: Literal["hung_up", "connected", "unanswered"]


@dataclass(frozen=True, slots=True)
class Heard:
    """What one message said of a caller's place.

    Attributes:
        positions: What it says, the best first.
        number: Of whom, E.164; empty where it does not say.
        civic: An address in it.
        language: That the phone is set to.
        warnings: What was odd about it.
    """

    positions: Sequence[Position]
    number: str = ""
    civic: str | None = None
    language: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Unplaced:
    """Positions of which no call is known yet, by their ids. ``take`` each stored fact once."""

    waiting: dict[str, tuple[int, CallerPosition]] = field(default_factory=dict)

    def take(self, fact: Stored) -> None:
        """Note a position without a case, or that one was put to a case."""
        if fact.envelope.kind != "caller_position":
            return
        body = any_body(fact.envelope)
        assert isinstance(body, CallerPosition)
        if fact.envelope.case is not None:
            self.waiting.pop(body.fix, None)
            return
        self.waiting[body.fix] = (fact.corrected_ns, body)
        while len(self.waiting) > UNPLACED_KEPT:
            del self.waiting[next(iter(self.waiting))]

    def of(self, number: str, now_ns: int) -> list[CallerPosition]:
        """Return what waits for a call of a number, the oldest first."""
        if not number:
            return []
        return [body for body in self.recent(now_ns) if body.number == number]

    def recent(self, now_ns: int) -> list[CallerPosition]:
        """Return what still waits for a call; older ones are forgotten here, not in the journal."""
        since_ns = now_ns - round(UNPLACED_S * SECOND_NS)
        for fix in [fix for fix, (at_ns, _) in self.waiting.items() if at_ns < since_ns]:
            del self.waiting[fix]
        return [body for _, body in self.waiting.values()]


def e164(number: str, country: str) -> str:
    """Return a number as E.164 with its plus (ITU-T E.164), or as it is where it is none.

    Args:
        number: As an exchange, a ``tel:`` URI (RFC 3966) or a SIP user part says it.
        country: ISO 3166 code of the country from which it is dialled, such as ``CN``.
    """
    bare = number.strip().removeprefix("tel:").partition(";")[0]
    try:
        parsed = phonenumbers.parse(bare, country)
    except phonenumbers.NumberParseException:
        return bare
    if not phonenumbers.is_possible_number(parsed):
        return bare
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


def call_named(book: CaseBook, call: str) -> Case | None:
    """Return the case of the call that the exchange names so, the newest."""
    for case in reversed(book.recent()):
        if case.call is not None and case.call.call == call:
            return case
    return None


def call_of(book: CaseBook, number: str, now_ns: int) -> Case | None:
    """Return the case to which a position of a number belongs, or None."""
    if not number:
        return None
    found = [c for c in book.recent() if c.call is not None and c.call.number == number]
    live = [case for case in found if case.call is not None and case.call.is_live]
    since_ns = now_ns - round(AFTER_S * SECOND_NS)
    ended = [case for case in found if case.call is not None and case.call.since_ns >= since_ns]
    return next(reversed(live or ended), None)


def ring(told: Ring, unplaced: Unplaced, country: str, now_ns: int) -> tuple[str, list[Draft]]:
    """Return a new case, and the facts that open it: its call, and positions that waited for it.

    The caller has looked before whether the call is known (``call_named``).
    """
    case, number = new_id(), e164(told.number, country)
    opened = CaseOpened(address="", complaint="", alias=alias(case), caller=number or None)
    rang = CallStep(
        step="rang", call=told.call, number=number, dialled=told.dialled, line=told.line
    )
    waited = unplaced.of(number, now_ns)
    return case, [
        Draft("case_opened", opened, origin=told.origin, case=case),
        Draft("call_step", rang, origin=told.origin, case=case),
        *(Draft("caller_position", body, origin=told.origin, case=case) for body in waited),
    ]


def line_step(told: LineStep, case: Case) -> list[Draft]:
    """Return the fact that the exchange's word on a call makes; none where it is so already.

    Raises:
        ConflictError: The call is not in a state from which that is possible.
    """
    assert case.call is not None
    if told.step == "hung_up" and (case.call.phase in ("lost", "ended") or case.call.wrote):
        return []  # of one who wrote afterwards it is late word: the line was over, the page is not
    case.call.after(told.step)
    body = CallStep(step=told.step)
    return [Draft("call_step", body, origin=case.opened_as, case=case.id, drill=case.drill)]


def seat_lost(seat: str, book: CaseBook) -> list[Draft]:
    """Return the facts that free the calls of a seat that is gone."""
    drafts = []
    for case in book.recent():
        if case.call is None or case.call.seat != seat:
            continue
        body = CallStep(step="seat_lost", seat=seat)
        try:
            case.call.after("seat_lost")
        except ConflictError:
            continue
        drafts.append(Draft("call_step", body, case.opened_as, case.id, drill=case.drill))
    return drafts


def wrote_again(case: Case) -> list[Draft]:
    """Return the fact by which a call that is over rings again, because its caller writes.

    None while somebody has it or it rings already, and none of a closed case: its pages say so.
    """
    if not case.is_open or case.call is None or case.call.phase not in ("ended", "lost"):
        return []
    body = CallStep(step="wrote")
    return [Draft("call_step", body, case.opened_as, case.id, drill=case.drill)]


def positions(heard: Heard, case: Case | None) -> list[Draft]:
    """Return the facts of what a source says; what the case has already makes none."""
    known = [said.body for said in case.fixes.values()] if case is not None else []
    said: list[Position | None] = list(heard.positions)
    if not said and heard.civic:
        said = [None]
    drafts = []
    for position in said:
        if any((one.position, one.civic) == (position, heard.civic) for one in known):
            continue
        body = CallerPosition(
            position=position, fix=new_id(), number=heard.number, civic=heard.civic,
            language=heard.language, warnings=tuple(one[:200] for one in heard.warnings),
        )  # fmt: skip
        drafts.append(_of_case(case, "caller_position", body))
    return drafts


def refusal(body: LocationRefused, case: Case | None) -> Draft:
    """Return the fact that a message about a caller's place could not be read."""
    short = msgspec.structs.replace(
        body, message=body.message[:MESSAGE_KEPT], text=body.text[:MESSAGE_KEPT]
    )
    return _of_case(case, "location_refused", short)


def _of_case(case: Case | None, kind: str, body: CallerPosition | LocationRefused) -> Draft:
    if case is None:
        return Draft(kind, body)
    return Draft(kind, body, origin=case.opened_as, case=case.id, drill=case.drill)
