"""The link that a caller's phone opens: a token that names one case, and the SMS that brings it.

The token is the case's id with a seal (HMAC-SHA-256 under a key of this hub, 96 bits of it): who
has it may tell the position of that caller, for as long as the case is open, and read nothing.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path

import aiohttp
import structlog

from dispatch.case_record import CaseRecord
from streams.call_messages import CallerLink
from streams.chain import Stored
from streams.codec import open_body
from streams.errors import CredentialError, StorageError
from streams.health import DROPPED
from streams.identity import is_id
from streams.outbox import Draft
from streams.private_files import write_private

SEAL_BYTES = 12
KEY_BYTES = 32
TIMEOUT = aiohttp.ClientTimeout(total=10.0)
WAITING = 500
"""Messages that may wait for the gateway."""

log = structlog.get_logger(__name__)


class LinkSeal:
    """Makes and checks the tokens of one hub."""

    def __init__(self, key: bytes) -> None:
        """Take the key."""
        self._key = key

    @classmethod
    def of(cls, state: Path) -> LinkSeal:
        """Read the key of a hub's state folder; made at the first start.

        Raises:
            OSError: The folder cannot be read or written.
        """
        path = state / "links.key"
        if not path.exists():
            write_private(path, secrets.token_bytes(KEY_BYTES))
        return cls(path.read_bytes())

    def token(self, case: str) -> str:
        """Return the token of a case: 42 characters that need no escape in an address."""
        return case + self._seal(case)

    def case(self, token: str) -> str:
        """Return the case of a token.

        Raises:
            CredentialError: This hub never made it.
        """
        case, seal = token[:26], token[26:]
        if not is_id(case) or not hmac.compare_digest(seal.encode(), self._seal(case).encode()):
            raise CredentialError("the address of this page is not complete, or was never given")
        return case

    def _seal(self, case: str) -> str:
        full = hmac.digest(self._key, case.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(full[:SEAL_BYTES]).decode()


class LinkSender:
    """Sends the link by the message gateway of the settings, and says how that went."""

    def __init__(
        self,
        record: CaseRecord,
        seal: LinkSeal,
        *,
        gateway: str,
        token: str,
        text: str,
        base: Callable[[], str],
    ) -> None:
        """Prepare; ``run`` does the work.

        Args:
            record: Told how it went.
            seal: Makes the tokens.
            gateway: Where messages are posted as JSON, ``{"to": …, "text": …}``; empty for none.
            token: Bearer token for it; empty for none.
            text: The message, with ``{link}``.
            base: Says how the link's address begins, before ``/here/``.
        """
        self._record = record
        self._seal = seal
        self._gateway = gateway
        self._token = token
        self._text = text
        self._base = base
        self._asked: asyncio.Queue[tuple[str, str]] = asyncio.Queue(WAITING)

    def link(self, case: str) -> str:
        """Return the address for a caller."""
        return f"{self._base()}/here/{self._seal.token(case)}"

    def take(self, fact: Stored) -> None:
        """Take a stored fact: one that asks for a link has it sent."""
        if fact.envelope.kind != "caller_link" or fact.envelope.case is None:
            return
        body = open_body(fact.envelope, CallerLink)
        if body.state != "asked":
            return
        try:
            self._asked.put_nowait((fact.envelope.case, body.number))
        except asyncio.QueueFull:
            DROPPED.labels("caller_link").inc()
            log.error("link not sent: too many wait", case=fact.envelope.case)  # noqa: TRY400

    async def run(self) -> None:
        """Send until cancelled."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        async with aiohttp.ClientSession(timeout=TIMEOUT, headers=headers) as http:
            while True:
                case, number = await self._asked.get()
                reason = await self._send(http, case, number)
                state = CallerLink(
                    state="failed" if reason else "sent", number=number, reason=reason or None
                )
                with contextlib.suppress(StorageError):  # the seat sees no answer, and asks again
                    await self._record.add(partial(self._drafts, case, state))

    async def _send(self, http: aiohttp.ClientSession, case: str, number: str) -> str:
        """Post the message; return why it was not taken, or an empty text."""
        if not self._gateway:
            return "no message gateway is set up: [sms] gateway in the settings"
        message = {"to": number, "text": self._text.replace("{link}", self.link(case))}
        try:
            async with http.post(self._gateway, json=message) as answer:
                return "" if answer.status < 300 else f"the gateway answered {answer.status}"
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return f"the gateway does not answer: {type(error).__name__} {error}"[:500]

    def _drafts(self, name: str, body: CallerLink) -> list[Draft]:
        case = self._record.book.get(name)
        origin = case.opened_as if case else "live"
        return [Draft("caller_link", body, origin, name, drill=bool(case and case.drill))]
