"""The door without a call: somebody who cannot speak opens one, from a link or a code on a poster.

    GET  /help          the page: one button
    POST /help          {"phone": "…"}  ->  {"path": "/here/…"}; 429 with Retry-After over a limit
    GET  /help/code     the page's address as a QR code, to print
    GET  /help/about    {"address": "https://…/help", "number": "120"}

No account: whoever reaches the hub can open it, so cases are limited by address and in all. A
phone that opens it again comes back to its case, known by a random name that it keeps.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Annotated

import msgspec
from aiohttp import web

from dispatch.call_api import told
from dispatch.call_desk import CallDesk
from dispatch.caller_link import LinkSeal
from dispatch.cases import CaseBook
from dispatch.intake import Ring
from dispatch.text_pages import HELP_PAGE
from dispatch.text_settings import HelpSettings
from streams.clock import Clock
from streams.errors import CredentialError
from streams.health import REFUSED, Check

OPEN = ("/help",)
"""Paths at which the pages' guard lets in everybody."""

ADDRESS_S, ALL_S = 600.0, 60.0
ADDRESSES_KEPT = 10_000
SECOND_NS = 1_000_000_000
_PREFIX = "help/"


class _Opened(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the page says.

    Attributes:
        phone: Its random name, which it keeps.
    """

    phone: Annotated[str, msgspec.Meta(pattern="^[0-9A-Za-z-]{16,64}$")]


class Turnstile:
    """Counts who came in, by address and in all. Pure; times in seconds of any steady clock."""

    def __init__(self, per_address: int, per_minute: int) -> None:
        """Begin with nobody.

        Args:
            per_address: So many of one address in ``ADDRESS_S``.
            per_minute: So many of all in ``ALL_S``.
        """
        self._per_address = per_address
        self._per_minute = per_minute
        self._of: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque()
        self._refused: deque[float] = deque(maxlen=10_000)

    def wait_s(self, address: str, now: float) -> float:
        """Return how long somebody has to wait; 0: he comes in, and is counted."""
        mine = self._of.setdefault(address, deque())
        self._of.move_to_end(address)
        while len(self._of) > ADDRESSES_KEPT:
            self._of.popitem(last=False)
        waits = [
            _wait(mine, self._per_address, ADDRESS_S, now),
            _wait(self._all, self._per_minute, ALL_S, now),
        ]
        if max(waits) > 0:
            self._refused.append(now)
            return max(waits)
        mine.append(now)
        self._all.append(now)
        return 0.0

    def refused(self, now: float) -> int:
        """Return how many were turned away in the last minute."""
        return sum(at > now - ALL_S for at in self._refused)


def _wait(came: deque[float], most: int, within_s: float, now: float) -> float:
    while came and came[0] <= now - within_s:
        came.popleft()
    return came[0] + within_s - now if len(came) >= most else 0.0


class HelpDoor:
    """The handlers."""

    def __init__(
        self,
        settings: HelpSettings,
        desk: CallDesk,
        book: CaseBook,
        *,
        seal: LinkSeal,
        clock: Clock,
        base: Callable[[], str],
    ) -> None:
        """Prepare; ``add_routes`` puts them into an application.

        Args:
            settings: Whether there is a door, and its limits.
            desk: Opens a case for a call that rings.
            book: The cases.
            seal: Makes the link of a case.
            clock: The hub's.
            base: Returns the address of the hub as phones reach it.
        """
        self._settings = settings
        self._desk = desk
        self._book = book
        self._seal = seal
        self._clock = clock
        self._base = base
        self._turnstile = Turnstile(settings.per_address, settings.per_minute)
        self._pages = Path(str(resources.files("dispatch"))) / "static" / "help"

    def add_routes(self, app: web.Application) -> None:
        """Add page and doors to an application, if they are wanted."""
        if not self._settings.on:
            return
        app.router.add_get("/help", self.page)
        app.router.add_post("/help", self.open)
        app.router.add_get("/help/code", self.code)
        app.router.add_get("/help/about", self.about)

    def checks(self) -> dict[str, Check]:
        """Return what seats must know: whether people are turned away."""
        count = self._turnstile.refused(self._now())
        text = f"{count} in the last minute" if count else "nobody is turned away"
        return {"help": {"ok": not count, "text": text}}

    async def page(self, _: web.Request) -> web.StreamResponse:
        """Answer with the page."""
        return web.FileResponse(self._pages / "index.html")

    async def code(self, _: web.Request) -> web.StreamResponse:
        """Answer with the page that draws the code."""
        return web.FileResponse(self._pages / "code.html")

    async def about(self, _: web.Request) -> web.Response:
        """Answer with the address and the number to call."""
        address = self._base().rstrip("/") + "/help"
        return web.json_response({"address": address, "number": self._settings.number})

    async def open(self, request: web.Request) -> web.Response:
        """Open a case, or come back to the one that is open."""
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.host:
            raise CredentialError(f"a page from {origin} may not open this door")
        opened = await told(request, _Opened)
        known, name = self._call_of(opened.phone)
        if known is not None:
            return self._go_on(known)
        wait_s = self._turnstile.wait_s(request.remote or "", self._now())
        if wait_s > 0:
            REFUSED.labels("help", "flood").inc()
            seconds = math.ceil(wait_s)
            body = {"retry_s": seconds, "number": self._settings.number}
            return web.json_response(body, status=429, headers={"Retry-After": str(seconds)})
        return self._go_on(await self._desk.ring(Ring(call=name, line="text", dialled=HELP_PAGE)))

    def _call_of(self, phone: str) -> tuple[str | None, str]:
        """Return the open case of a phone, or None and the name of its next call."""
        begin, count = f"{_PREFIX}{phone}/", 0
        for case in reversed(self._book.recent()):
            if case.call is not None and case.call.call.startswith(begin):
                if case.is_open:
                    return case.id, case.call.call
                count = max(count, _number(case.call.call.removeprefix(begin)))
        return None, f"{begin}{count + 1}"

    def _go_on(self, case: str) -> web.Response:
        return web.json_response({"path": f"/here/{self._seal.token(case)}"})

    def _now(self) -> float:
        return self._clock.monotonic_ns() / SECOND_NS


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
