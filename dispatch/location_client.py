"""Asking location servers: for a reference that came with a call, and an operator for a number.

HELD over HTTP (RFC 5985; a reference is asked as RFC 6753 says). A reference is somebody else's
word: only servers that the settings name are asked, and nothing is followed elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import structlog

from dispatch.call_desk import CallDesk
from dispatch.intake import Heard
from dispatch.location.errors import LocationError
from dispatch.location.held import MEDIA_TYPE, location_request, read_held
from dispatch.location.reading import Reading
from streams.call_messages import LocationRefused
from streams.clock import Clock
from streams.errors import StorageError

TIMEOUT = aiohttp.ClientTimeout(total=8.0, connect=3.0)
LARGEST = 256 * 1024
"""Bytes of an answer that are read."""
WAITING = 200
"""Questions that may wait; beyond, the call is told that nobody was asked."""
WORKERS = 8
"""Questions under way at once."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and for which call.

    Attributes:
        uri: The server or reference.
        number: Whose place; empty for a reference, which knows.
        call: The exchange's name of the call.
        caller: The call's number, to which the answer belongs.
    """

    uri: str
    number: str
    call: str
    caller: str


class LocationClient:
    """Asks, and gives what is answered to the desk; ``run`` does the work."""

    def __init__(
        self, desk: CallDesk, clock: Clock, *, operator: str, servers: Sequence[str]
    ) -> None:
        """Prepare.

        Args:
            desk: Gets the answers.
            clock: The hub's clocks.
            operator: Address of the server that knows places by numbers; empty for none.
            servers: Beginnings of the addresses that references may have.
        """
        self._desk = desk
        self._clock = clock
        self._operator = operator
        self._servers = tuple(servers)
        self._waiting: asyncio.Queue[Question] = asyncio.Queue(WAITING)

    async def ask_operator(self, number: str, call: str) -> None:
        """Ask the operator's server where a number is; without one, or a number, do nothing."""
        if self._operator and number.startswith("+"):
            await self._put(Question(self._operator, number, call, number))

    async def follow(self, reading: Reading, number: str, call: str) -> None:
        """Ask the references of a reading."""
        for reference in reading.references:
            if reference.uri.startswith(self._servers or ("\0",)):
                await self._put(Question(reference.uri, "", call, number))
            else:
                text = f"{reference.uri[:200]}: not one of calls.location_servers in the settings"
                await self._refuse("held", "locationURI", text, number, call)

    async def run(self) -> None:
        """Ask until cancelled."""
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as http,
            asyncio.TaskGroup() as group,
        ):
            for number in range(WORKERS):
                group.create_task(self._work(http), name=f"hub.location[{number}]")

    async def _put(self, question: Question) -> None:
        try:
            self._waiting.put_nowait(question)
        except asyncio.QueueFull:
            text = f"{WAITING} questions wait already: this one was not asked"
            await self._refuse("held", "question", text, question.caller, question.call)

    async def _work(self, http: aiohttp.ClientSession) -> None:
        while True:
            question = await self._waiting.get()
            try:
                await self._ask(http, question)
            except StorageError as error:
                log.error("answer not stored", call=question.call, error=str(error))  # noqa: TRY400

    async def _ask(self, http: aiohttp.ClientSession, question: Question) -> None:
        try:
            document = location_request(question.number or None)
            async with http.post(
                question.uri, data=document, headers={"Content-Type": MEDIA_TYPE},
                allow_redirects=False,
            ) as answer:  # fmt: skip
                found = await answer.content.read(LARGEST)
                if answer.status != 200:
                    raise LocationError("status", f"the server answered {answer.status}")
            reading = read_held(found, self._clock.wall_ns())
        except LocationError as error:
            await self._refuse("held", error.field, error.text, question.caller, question.call)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            text = f"{question.uri[:200]}: {type(error).__name__} {error}".strip()
            await self._refuse("held", "server", text, question.caller, question.call)
        else:
            heard = heard_of(reading, question.caller)
            await self._desk.located(heard, call=question.call)

    async def _refuse(self, source: str, field: str, text: str, number: str, call: str) -> None:
        body = LocationRefused(source=source, field=field[:200], text=text, number=number)
        await self._desk.not_located(body, call=call)


def heard_of(reading: Reading, number: str) -> Heard:
    """Return what a reading says of a caller.

    Args:
        reading: The message, read.
        number: Of whom, E.164.
    """
    civic = reading.addresses[0] if reading.addresses else None
    return Heard(reading.positions, number, civic, reading.language or "", reading.warnings)
