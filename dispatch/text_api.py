"""The doors by which callers write.

    GET  /here/{token}/text   WebSocket of the caller's page, JSON both ways
    POST /exchange/texts      {"number": "+86…", "text": "…", "message": "gw-77", "line": "sms"}

The page says ``hello`` first, then ``text`` (characters and how many came before them), ``needs``
and ``bye``; it is told ``welcome``, ``taken``, ``turn``, ``writing``, ``status`` (how call and help
stand), ``step`` (of the guide), ``video`` and ``closed``. A gateway's
message belongs to the call of its number, and is one that rings where there is none.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from aiohttp import web

from dispatch.call_api import CallApi, told
from dispatch.call_desk import CallDesk
from dispatch.caller_api import CallerApi
from dispatch.intake import Ring
from dispatch.text_desk import Hello, TextDesk
from streams.messages import Count, Origin, ShortText
from streams.text_messages import Need
from streams.web import PageSocket, RequestError, serve_page

Told = TypeVar("Told")

PIECE = 2000
"""Characters that a page may send at once: it sends several times a second."""


class _Text(msgspec.Struct, frozen=True, kw_only=True):
    start: Count
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=PIECE)]


class _Needs(msgspec.Struct, frozen=True, kw_only=True):
    needs: Annotated[tuple[Need, ...], msgspec.Meta(max_length=4)]
    language: Annotated[str, msgspec.Meta(max_length=20)] = ""


class WholeText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message as an SMS or app gateway passes it on.

    Attributes:
        number: Who wrote, E.164.
        text: All of it.
        message: The gateway's own name of it: the same one twice is one.
        line: By which way it came.
    """

    number: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=4000, pattern=r"\S")]
    message: Annotated[ShortText, msgspec.Meta(min_length=1)]
    line: Literal["sms", "app"] = "sms"
    origin: Origin = "live"


class TextApi:
    """The handlers."""

    def __init__(
        self, desk: TextDesk, calls: CallDesk, exchange: CallApi, callers: CallerApi
    ) -> None:
        """Prepare; ``add_routes`` puts them into an application.

        Args:
            desk: Takes what is written.
            calls: Opens a case for a message without a call.
            exchange: Lets gateways in.
            callers: Knows the tokens of callers.
        """
        self._desk = desk
        self._calls = calls
        self._exchange = exchange
        self._callers = callers

    def add_routes(self, app: web.Application) -> None:
        """Add the doors to an application."""
        app.router.add_get("/here/{token}/text", self.page)
        app.router.add_post("/exchange/texts", self.message)

    async def message(self, request: web.Request) -> web.Response:
        """Take a whole message; answer with its case."""
        self._exchange.admit(request)
        body = await told(request, WholeText)
        number = self._calls.number(body.number)
        case = self._desk.case_of_number(number)
        if case is None:
            ring = Ring(
                call=f"{body.line}/{body.message}", number=number, line=body.line,
                origin=body.origin,
            )  # fmt: skip
            case = await self._calls.ring(ring)
        await self._desk.take_message(case, body.text, body.line, body.message)
        return web.json_response({"ok": True, "case": case})

    async def page(self, request: web.Request) -> web.StreamResponse:
        """Serve a caller's page until it leaves."""
        case = await self._callers.case_of(request)

        async def hear(page: PageSocket, said: dict[str, Any]) -> None:
            match said.get("type"):
                case "hello":
                    await self._desk.join(case, page, _read(said, Hello))
                case "text":
                    piece = _read(said, _Text)
                    self._desk.write(case.id, page, piece.start, piece.text)
                case "needs":
                    needs = _read(said, _Needs)
                    await self._desk.note_needs(case.id, needs.needs, needs.language)
                case "bye":
                    await self._desk.goodbye(case.id, page)
                case kind:
                    raise RequestError(f"a message of type {kind!r} is not understood")

        return await serve_page(
            request, lambda _page: None, lambda page: self._desk.left(case.id, page), hear
        )


def _read(said: dict[str, Any], kind: type[Told]) -> Told:
    try:
        return msgspec.convert(said, kind)
    except msgspec.ValidationError as error:
        raise RequestError(str(error)) from error
