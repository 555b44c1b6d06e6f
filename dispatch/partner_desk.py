"""Where partners' answers come in: each becomes a fact of the case that it is about.

    POST /partner/answers   a CAP ``Ack``, ``Error`` or ``Update`` (``dispatch.cap``), or as JSON
        {"message": "…", "status": "accepted", "note": "…", "at": "2026-11-23T08:00:00+08:00",
         "id": "…"}         note, at and id may be absent

Open to credentials of the role ``partner`` alone, whose name is that of the partner in the
settings. An answer counts only to a message that this partner was told; of any other it gets to
know nothing, not even whether there is one. A repeat is harmless.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Any

import msgspec
import structlog
from aiohttp import web

from dispatch.cap import Answer, CapError, read_cap
from dispatch.case_record import CaseRecord
from dispatch.cases import Case
from dispatch.errors import ConflictError, UnknownError
from dispatch.partner_book import ANSWERS_KEPT, Partnership
from dispatch.partner_message import case_of, fit, use_of
from dispatch.partner_settings import Partners
from streams.clock import Clock
from streams.errors import CredentialError
from streams.health import REFUSED
from streams.messages import ShortText, Text
from streams.outbox import Draft
from streams.partner_messages import PartnerAnswered, PartnerStatus
from streams.web import Verify, token_of

OPEN = ("/partner/",)
"""Paths at which the pages' guard lets in everybody: the handlers check for themselves."""
AHEAD_NS = 60_000_000_000
"""A partner's time may be this much ahead of the hub's; beyond, the hub's own counts."""
BEHIND_NS = 24 * 3600 * 1_000_000_000

log = structlog.get_logger(__name__)


class JsonAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as JSON; fields that are not known are left alone."""

    message: ShortText
    status: PartnerStatus
    note: Text = ""
    at: Annotated[datetime.datetime, msgspec.Meta(tz=True)] | None = None
    id: ShortText = ""


class PartnerDesk:
    """Takes the answers."""

    def __init__(
        self, record: CaseRecord, partners: Partners, verify: Verify, clock: Clock
    ) -> None:
        """Prepare; ``add_routes`` puts the door into an application."""
        self._record = record
        self._partners = partners
        self._verify = verify
        self._clock = clock

    def add_routes(self, app: web.Application) -> None:
        """Add the door to an application."""
        app.router.add_post("/partner/answers", self.answers)

    async def answers(self, request: web.Request) -> web.Response:
        """Take an answer; 422 names what of it cannot be read, 404 is for what it was not told."""
        name = self._admit(request)
        body = await request.read()
        try:
            answer = read_answer(body)
            repeated = await self.take(name, answer)
        except CapError as error:
            REFUSED.labels("partner", error.reason).inc()
            log.warning("partner's answer not read", partner=name, error=str(error))
            wrong = {"ok": False, "field": error.field, "error": str(error)}
            return web.json_response(wrong, status=error.status)
        told: dict[str, Any] = {"ok": True}
        return web.json_response(told | ({"repeated": True} if repeated else {}))

    async def take(self, partner: str, answer: Answer) -> bool:
        """Store an answer; return whether it was there before.

        Raises:
            UnknownError: This partner was told no such message.
            CapError: It says nothing, or is of an exercise where the case is not.
            ConflictError: The partner has said too much already.
            StorageError: Nothing was done, trying again helps.
        """
        if not answer.messages:
            raise CapError("references", "refers to no message")
        identifier = await self._find(partner, answer)
        stored = await self._record.add(lambda: self._decide(partner, identifier, answer))
        return not stored

    async def _find(self, partner: str, answer: Answer) -> str:
        """Return the last of the messages that an answer names which this partner was told."""
        for identifier in reversed(answer.messages):
            name = case_of(identifier)
            case = await self._record.case(name) if name is not None else None
            if case is not None and identifier in _told(case, partner).messages:
                return identifier
        raise UnknownError("message", answer.messages[-1])

    def _decide(self, partner: str, identifier: str, answer: Answer) -> list[Draft]:
        case = self._record.book.get(case_of(identifier))
        if case is None or identifier not in _told(case, partner).messages:
            raise UnknownError("message", identifier)
        told = _told(case, partner)
        if use_of(case) == "Actual" and answer.use not in ("", "Actual"):
            raise CapError("status", f"{answer.use[:40]!r} to a message that is Actual")
        body = PartnerAnswered(
            partner=partner,
            name=self._partners.find(partner).title,
            status=answer.status or (told.answer.status if told.answer else "received"),
            message=identifier,
            at_ns=self._when(answer),
            note=fit(answer.note)[:4000],
            answer=answer.name,
        )
        if _is_known(told, body, answer):
            return []
        if len(told.answers) >= ANSWERS_KEPT:
            raise ConflictError(f"{ANSWERS_KEPT} answers in one case are enough: call", kind="many")
        return [Draft("partner_answered", body, case.opened_as, case.id, drill=case.drill)]

    def _when(self, answer: Answer) -> int:
        now_ns = self._clock.wall_ns()
        at_ns = now_ns if answer.at_ns is None else answer.at_ns
        return at_ns if now_ns - BEHIND_NS <= at_ns <= now_ns + AHEAD_NS else now_ns

    def _admit(self, request: web.Request) -> str:
        """Return the partner that asks.

        Raises:
            CredentialError: It is none, or not one of the settings.
        """
        try:
            holder = self._verify(token_of(request))
            if holder.role != "partner":
                raise CredentialError(f"{holder.name} is not a partner but: {holder.role}")
            if holder.name not in self._partners.all:
                raise CredentialError(f"{holder.name} is no partner of the settings")
        except CredentialError as error:
            REFUSED.labels("partner", error.reason).inc()
            raise
        return holder.name


def read_answer(body: bytes) -> Answer:
    """Read an answer, CAP or JSON: what begins with ``<`` is CAP.

    Raises:
        CapError: It is neither; names the field.
    """
    if body.lstrip().removeprefix(b"\xef\xbb\xbf").startswith(b"<"):
        return read_cap(body)
    try:
        told = msgspec.json.decode(body, type=JsonAnswer)
    except msgspec.ValidationError as error:
        text = str(error)
        field = text.partition("`$.")[2].partition("`")[0] or "body"
        raise CapError(field, text[:300]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CapError("body", f"neither CAP nor JSON: {error}"[:300]) from None
    at_ns = None
    if told.at is not None:
        at_ns = max(0, round(told.at.timestamp() * 1000)) * 1_000_000
    return Answer((told.message,), told.status, told.note, at_ns, told.id)


def _told(case: Case, partner: str) -> Partnership:
    return case.partners.get(partner) or Partnership()


def _is_known(told: Partnership, body: PartnerAnswered, answer: Answer) -> bool:
    """Whether an answer is a repeat: by its name, else by being what was said last."""
    if answer.name:
        return any(one.answer == answer.name for _, one in told.answers)
    if not told.answers:
        return False
    last = told.answers[-1][1]
    same = (last.status, last.message, last.note) == (body.status, body.message, body.note)
    return same and (answer.at_ns is None or answer.at_ns == last.at_ns)
