"""Sends messages to partners, tries again while a server is down, and says how it went.

What waits stands in the journal and nowhere else: a fact ``asked`` without one that says ``sent``
or ``failed``. So after a restart it goes on; a message that was taken right before is sent once
more, under the same identifier. Messages of one case go in their order; a message that a partner
does not take keeps those of other cases waiting no longer than one try.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import aiohttp
import structlog

from dispatch.cap import MEDIA_TYPE
from dispatch.case_record import CaseRecord
from dispatch.partner_book import Message
from dispatch.partner_settings import Partners, PartnerSettings
from streams.authority import client_context
from streams.chain import Stored
from streams.clock import Clock
from streams.codec import open_body
from streams.errors import StorageError
from streams.health import REFUSED
from streams.outbox import Draft
from streams.partner_messages import PartnerTold

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
STORE_AGAIN_S = 1.0
PASSING = frozenset({408, 425, 429})
"""Statuses below 500 that say that a later try may be taken."""
SECOND_NS = 1_000_000_000

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Tries:
    """How often a message was tried, and when it is to be again (monotonic, ns)."""

    count: int = 0
    due_ns: int = 0
    pause_s: float = FIRST_PAUSE_S


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Why a message was not taken, empty when it was; and whether to try again.

    The reasons are few and begin alike, so that a page can say them in its own language.
    """

    reason: str = ""
    again: bool = False


class PartnerSender:
    """Delivers what stands in the journal; ``run`` does the work."""

    def __init__(self, record: CaseRecord, partners: Partners, clock: Clock) -> None:
        """Prepare; ``restore`` follows once the record has been read.

        Args:
            record: The cases; told how it went.
            partners: Who is told, and where.
            clock: The hub's clocks.

        Raises:
            ConfigError: The file of a partner's authority is no certificate.
        """
        self._record = record
        self._partners = partners
        self._clock = clock
        self._cases: dict[str, None] = {}
        self._tries: dict[str, _Tries] = {}
        self._wake = {name: asyncio.Event() for name in partners.all}
        self._trust = {
            one.name: client_context(Path(one.authority) if one.authority else None)
            for one in partners.all.values()
            if one.url.startswith("https:")
        }

    def restore(self) -> None:
        """Find what was asked for and not sent before this life of the hub."""
        for case in self._record.book.recent():
            if any(one.pending for one in case.partners.values()):
                self._cases[case.id] = None

    def take(self, fact: Stored) -> None:
        """Take a stored fact: one that has a partner told is sent."""
        if fact.envelope.kind != "partner_told" or fact.envelope.case is None:
            return
        body = open_body(fact.envelope, PartnerTold)
        self._cases[fact.envelope.case] = None
        if (wake := self._wake.get(body.partner)) is not None:
            wake.set()

    async def run(self) -> None:
        """Send until cancelled, each partner by a task of its own."""
        await self._fail_strangers()
        async with (
            aiohttp.ClientSession() as http,
            asyncio.TaskGroup() as group,
        ):
            for one in self._partners.all.values():
                group.create_task(self._serve(http, one), name=f"hub.partner[{one.name}]")

    async def _serve(self, http: aiohttp.ClientSession, partner: PartnerSettings) -> None:
        wake = self._wake[partner.name]
        while True:
            wake.clear()
            waiting = await self._waiting(partner.name)
            if not waiting:
                await wake.wait()
                continue
            tries, case, message = min(waiting, key=lambda one: one[0].due_ns)
            wait_s = (tries.due_ns - self._clock.monotonic_ns()) / SECOND_NS
            if wait_s > 0:
                try:
                    await asyncio.wait_for(wake.wait(), wait_s)
                except TimeoutError:
                    pass
                else:
                    continue  # something new: it may be due before
            await self._try(http, partner, case, message, tries)

    async def _try(
        self,
        http: aiohttp.ClientSession,
        partner: PartnerSettings,
        case: str,
        message: Message,
        tries: _Tries,
    ) -> None:
        outcome = await self._post(http, partner, message.asked)
        tries.count += 1
        if not outcome.reason:
            await self._say(case, message, "sent", tries.count)
            return
        REFUSED.labels("partner", partner.name).inc()
        name = message.asked.message
        log.warning("partner not told", partner=partner.name, message=name, reason=outcome.reason)
        late_ns = self._clock.wall_ns() + round(tries.pause_s * SECOND_NS) - message.asked_ns
        if not outcome.again or late_ns > partner.retry_minutes * 60 * SECOND_NS:
            await self._say(case, message, "failed", tries.count, outcome.reason)
            return
        tries.due_ns = self._clock.monotonic_ns() + round(tries.pause_s * SECOND_NS)
        tries.pause_s = min(2 * tries.pause_s, LONGEST_PAUSE_S)

    async def _post(
        self, http: aiohttp.ClientSession, partner: PartnerSettings, told: PartnerTold
    ) -> _Outcome:
        kind = MEDIA_TYPE if told.format == "cap" else "application/json"
        headers = {"Content-Type": f"{kind}; charset=utf-8"}
        if partner.token:
            headers["Authorization"] = f"Bearer {partner.token}"
        try:
            async with http.post(
                partner.url,
                data=told.document.encode(),
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=partner.timeout_s),
                allow_redirects=False,  # what a case says goes to the address of the settings alone
                ssl=self._trust.get(partner.name, True),
            ) as answer:
                if 200 <= answer.status < 300:
                    return _Outcome()
                again = answer.status >= 500 or answer.status in PASSING
                return _Outcome(f"answered {answer.status}", again)
        except aiohttp.InvalidURL as error:
            return _Outcome(f"bad address: {error}"[:500])
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.info("partner's server", partner=partner.name, error=str(error)[:500])
            return _Outcome(f"no answer: {type(error).__name__}", again=True)

    async def _waiting(self, partner: str) -> list[tuple[_Tries, str, Message]]:
        """Return, of each case, the first message that a partner is still to get."""
        found = []
        for name in list(self._cases):
            case = self._record.book.get(name)
            if case is None:  # closed so long ago that it left memory meanwhile
                try:
                    case = await self._record.case(name)
                except StorageError as error:
                    log.error("case not read", case=name, error=str(error))  # noqa: TRY400
                    continue
            if case is None or not any(one.pending for one in case.partners.values()):
                self._cases.pop(name, None)
                continue
            told = case.partners.get(partner)
            message = told.pending if told is not None else None
            if message is not None:
                tries = self._tries.setdefault(message.asked.message, _Tries())
                found.append((tries, name, message))
        return found

    async def _say(
        self,
        case: str,
        message: Message,
        state: Literal["sent", "failed"],
        count: int,
        reason: str = "",
    ) -> None:
        """Have it stored how a message went; until the journal takes it."""
        asked = message.asked
        body = PartnerTold(
            state=state,
            partner=asked.partner,
            name=asked.name,
            message=asked.message,
            change=asked.change,
            format=asked.format,
            reason=reason or None,
            tries=count,
        )
        while True:
            try:
                await self._record.add(partial(self._drafts, case, body))
                break
            except StorageError as error:
                log.error("not stored that a partner was told", error=str(error))  # noqa: TRY400
                await asyncio.sleep(STORE_AGAIN_S)
        self._tries.pop(asked.message, None)

    def _drafts(self, name: str, body: PartnerTold) -> list[Draft]:
        case = self._record.book.get(name)
        origin = case.opened_as if case else "live"
        return [Draft("partner_told", body, origin, name, drill=bool(case and case.drill))]

    async def _fail_strangers(self) -> None:
        """Say of what waits for a partner that is in the settings no more that it cannot go."""
        for name in list(self._cases):
            case = self._record.book.get(name)
            for told in list(case.partners.values()) if case is not None else ():
                while (message := told.pending) and message.asked.partner not in self._wake:
                    reason = "not in the settings"
                    await self._say(name, message, "failed", 0, reason)
