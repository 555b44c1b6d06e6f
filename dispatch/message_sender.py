"""Text messages to callers: a gateway sends them, and the case says how that went."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial

import aiohttp
import structlog

from dispatch.caller_link import LinkSeal
from dispatch.case_record import CaseRecord
from streams.call_messages import CallerMessage
from streams.chain import Stored
from streams.codec import open_body
from streams.errors import StorageError
from streams.health import DROPPED
from streams.outbox import Draft

TIMEOUT = aiohttp.ClientTimeout(total=10.0)
WAITING = 5000
"""Messages that may wait for the gateway: a whole town is told at once."""
WORKERS = 4

log = structlog.get_logger(__name__)


class MessageSender:
    """Sends what seats ask for, and stores how that went."""

    def __init__(
        self, record: CaseRecord, seal: LinkSeal, *, gateway: str, token: str,
        text: str, base: Callable[[], str],
    ) -> None:  # fmt: skip
        """Prepare; ``run`` does the work.

        Args:
            record: Told how it went.
            seal: Makes the tokens of links.
            gateway: Where messages are posted as JSON, ``{"to": …, "text": …}``; empty for none.
            token: Bearer token for it; empty for none.
            text: The message of one that has none of its own.
            base: Says how a link's address begins, before ``/here/``.
        """
        self._record = record
        self._seal = seal
        self._gateway = gateway
        self._token = token
        self._text = text
        self._base = base
        self._asked: asyncio.Queue[tuple[str, CallerMessage]] = asyncio.Queue(WAITING)

    def link(self, case: str) -> str:
        """Return the address at which the phone of a case's caller tells where it is."""
        return f"{self._base()}/here/{self._seal.token(case)}"

    def take(self, fact: Stored) -> None:
        """Take a stored fact: one that asks for a message has it sent."""
        if fact.envelope.kind != "caller_message" or fact.envelope.case is None:
            return
        body = open_body(fact.envelope, CallerMessage)
        if body.state != "asked":
            return
        try:
            self._asked.put_nowait((fact.envelope.case, body))
        except asyncio.QueueFull:
            DROPPED.labels("caller_message").inc()
            log.error("message not sent: too many wait", case=fact.envelope.case)  # noqa: TRY400

    async def run(self) -> None:
        """Send until cancelled."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT, headers=headers) as http,
            asyncio.TaskGroup() as group,
        ):
            for number in range(WORKERS):
                group.create_task(self._work(http), name=f"hub.messages[{number}]")

    async def _work(self, http: aiohttp.ClientSession) -> None:
        while True:
            case, asked = await self._asked.get()
            reason = await self._send(http, case, asked)
            state = CallerMessage(
                state="failed" if reason else "sent", number=asked.number, reason=reason or None
            )
            with contextlib.suppress(StorageError):  # the seat sees no answer, and asks again
                await self._record.add(partial(self._drafts, case, state))

    async def _send(self, http: aiohttp.ClientSession, case: str, asked: CallerMessage) -> str:
        """Post a message; return why it was not taken, or an empty text."""
        if not self._gateway:
            return "no message gateway is set up: [sms] gateway in the settings"
        text = (asked.text or self._text).replace("{link}", self.link(case))
        message = {"to": asked.number, "text": text}
        try:
            async with http.post(self._gateway, json=message) as answer:
                return "" if answer.status < 300 else f"the gateway answered {answer.status}"
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return f"the gateway does not answer: {type(error).__name__} {error}"[:500]

    def _drafts(self, name: str, body: CallerMessage) -> list[Draft]:
        case = self._record.book.get(name)
        origin = case.opened_as if case else "live"
        return [Draft("caller_message", body, origin, name, drill=bool(case and case.drill))]
