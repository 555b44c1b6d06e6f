"""The doors by which positions of callers come in.

    POST /aml                 a phone's AML form (ETSI TS 103 625); answered 200 whatever it says
    POST /exchange/aml-sms    {"number": "+86…", "text": "A…ML=1;…"} or "data" in hexadecimal
    POST /exchange/sip        a SIP INVITE as it came (RFC 6442); ?call= and ?number= say whose
    POST /exchange/pidf-lo    a PIDF-LO document (RFC 4119, 5491); ?call= and ?number= say whose
    POST /exchange/positions  the operator's network position, see ``dispatch.location.network``

All but the first are open to exchanges alone. What cannot be read is a fact that names the
field, and so is a warning; a phone is answered 200 all the same, because it would try again with
the same bytes, and because a call must never wait for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import msgspec
import structlog
from aiohttp import web

from dispatch.call_api import CallApi, told
from dispatch.call_desk import CallDesk
from dispatch.intake import CallName
from dispatch.location.aml import read_data_sms, read_sms
from dispatch.location.aml_https import read_form
from dispatch.location.errors import LocationError, NoLocationError
from dispatch.location.network import read_network
from dispatch.location.pidf_lo import read_pidf_lo
from dispatch.location.reading import Reading
from dispatch.location.sip import read_sip
from dispatch.location_client import LocationClient, heard_of
from streams.call_messages import LocationRefused
from streams.clock import Clock
from streams.errors import StorageError
from streams.health import REFUSED
from streams.messages import ShortText
from streams.web import RequestError

PER_MINUTE = 6000
"""Messages of phones that are taken in a minute; it takes no credential to send one."""

log = structlog.get_logger(__name__)


class SmsMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An AML message as a message gateway passes it on."""

    number: ShortText
    text: str = ""
    data: str = ""


class Whose(msgspec.Struct, frozen=True, kw_only=True):
    """To which call something belongs: by the exchange's name of it, or by the number."""

    call: CallName | None = None
    number: ShortText = ""


class LocationApi:
    """The handlers."""

    def __init__(
        self, desk: CallDesk, calls: CallApi, client: LocationClient, clock: Clock, aml_key: str
    ) -> None:
        """Prepare; ``add_routes`` puts them into an application.

        Args:
            desk: Takes what is read.
            calls: Lets exchanges in.
            client: Asks for what comes by reference.
            clock: The hub's clocks.
            aml_key: The secret shared with who sends AML forms; empty for none.
        """
        self._desk = desk
        self._calls = calls
        self._client = client
        self._clock = clock
        self._aml_key = aml_key.encode() or None
        self._minute = (0, 0)

    def add_routes(self, app: web.Application) -> None:
        """Add the doors to an application."""
        app.router.add_post("/aml", self.aml)
        app.router.add_post("/exchange/aml-sms", self.aml_sms)
        app.router.add_post("/exchange/sip", self.sip)
        app.router.add_post("/exchange/pidf-lo", self.pidf_lo)
        app.router.add_post("/exchange/positions", self.network)

    async def aml(self, request: web.Request) -> web.Response:
        """Take a phone's form; what is wrong with it is kept here, and no matter of the phone."""
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            body = b""  # read as one that says nothing: it names a field that is missing
        if self._is_flood():
            REFUSED.labels("aml", "flood").inc()
            return web.json_response({"ok": True})
        with contextlib.suppress(LocationError):  # it is kept, see above
            try:
                await self._take(
                    "aml", body, lambda now: read_form(body, now, self._aml_key), Whose()
                )
            except StorageError as error:
                log.error("a phone's position is lost", error=str(error))  # noqa: TRY400
        return web.json_response({"ok": True})

    async def aml_sms(self, request: web.Request) -> web.Response:
        """Take an AML message from a message gateway."""
        self._calls.admit(request)
        sms = await told(request, SmsMessage)

        def read(now_ns: int) -> Reading:
            return read_data_sms(sms.data, now_ns) if sms.data else read_sms(sms.text, now_ns)

        raw = (sms.data or sms.text).encode()
        return await self._answer("aml", raw, read, Whose(number=sms.number))

    async def sip(self, request: web.Request) -> web.Response:
        """Take the INVITE of a call."""
        self._calls.admit(request)
        body = await request.read()
        return await self._answer("pidf", body, lambda now: read_sip(body, now), _whose(request))

    async def pidf_lo(self, request: web.Request) -> web.Response:
        """Take a document."""
        self._calls.admit(request)
        body = await request.read()
        return await self._answer(
            "pidf", body, lambda now: read_pidf_lo(body, now), _whose(request)
        )

    async def network(self, request: web.Request) -> web.Response:
        """Take what the operator's network knows."""
        self._calls.admit(request)
        body = await request.read()
        return await self._answer(
            "network", body, lambda now: read_network(body, now), _whose(request)
        )

    async def _answer(
        self, source: str, raw: bytes, read: Callable[[int], Reading], whose: Whose
    ) -> web.Response:
        """Take a message and tell its sender what it came to: 200, or 422 with the field."""
        try:
            case = await self._take(source, raw, read, whose)
        except LocationError as error:
            wrong = {"ok": False, "field": error.field, "error": str(error)}
            return web.json_response(wrong, status=422)
        return web.json_response({"ok": True, "case": case})

    async def _take(
        self, source: str, raw: bytes, read: Callable[[int], Reading], whose: Whose
    ) -> str | None:
        """Read a message and put it to its call; return the case.

        Raises:
            LocationError: It says no place; that is kept.
            StorageError: Nothing was done.
        """
        number, call = self._desk.number(whose.number), whose.call or ""
        try:
            reading = read(self._clock.wall_ns())
        except LocationError as error:
            if isinstance(error, NoLocationError):
                number = number or self._desk.number(error.reading.number or "")
            body = LocationRefused(
                source=source, field=error.field[:200], text=error.text, number=number,
                message=raw[:1000].decode(errors="replace"),
            )  # fmt: skip
            await self._desk.not_located(body, call=call)
            raise
        number = number or self._desk.number(reading.number or "")
        case = await self._desk.located(heard_of(reading, number), call=call)
        await self._client.follow(reading, number, call)
        return case

    def _is_flood(self) -> bool:
        minute = self._clock.monotonic_ns() // 60_000_000_000
        count = self._minute[1] + 1 if self._minute[0] == minute else 1
        self._minute = (minute, count)
        return count > PER_MINUTE


def _whose(request: web.Request) -> Whose:
    try:
        return msgspec.convert(dict(request.query), Whose)
    except msgspec.ValidationError as error:
        raise RequestError(str(error)) from error
