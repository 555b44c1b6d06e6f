"""The doors of the video with callers, beside WHIP and WHEP.

    POST /here/{token}/video             {"step": "consented" | "refused" | "withdrawn", …}
    GET  /here/{token}/picture/{name}    the image that a seat shows
    POST /api/cases/{case}/caller-picture    the image, as it is; a seat's

A step is answered when it is stored: the page asks for the camera only then.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from aiohttp import web

from dispatch.call_api import told
from dispatch.caller_api import CallerApi
from dispatch.caller_picture import MOST_BYTES, PictureError, read_picture
from dispatch.caller_video import CallerVideoDesk
from streams.caller_video_messages import CallerVideo
from streams.clock import Clock
from streams.journal import Journal
from streams.messages import Identifier
from streams.web import HOLDER

Why = Annotated[str, msgspec.Meta(pattern=r"^[a-z_]{0,40}$")]


class VideoSaid(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller's page says of its video.

    Attributes:
        session: Its name for itself, a ULID that it keeps while it is open.
        language: In which the question was read.
        reason: Of ``refused`` and ``withdrawn``: a word of the page's, where it was not the person.
    """

    step: Literal["consented", "refused", "withdrawn"]
    session: Identifier
    language: Annotated[str, msgspec.Meta(max_length=20)] = ""
    reason: Why = ""


class CallerVideoApi:
    """The handlers."""

    def __init__(
        self, desk: CallerVideoDesk, callers: CallerApi, journal: Journal, clock: Clock
    ) -> None:
        """Prepare; ``add_routes`` puts them into an application."""
        self._desk = desk
        self._callers = callers
        self._journal = journal
        self._clock = clock

    def add_routes(self, app: web.Application) -> None:
        """Add the doors to an application."""
        app.router.add_post("/here/{token}/video", self.say)
        app.router.add_get("/here/{token}/picture/{name}", self.picture)
        app.router.add_post("/api/cases/{case}/caller-picture", self.show)

    async def say(self, request: web.Request) -> web.Response:
        """Take a step of a caller's page."""
        case = await self._callers.case_of(request)
        said = await told(request, VideoSaid)
        body = CallerVideo(
            step=said.step, by="caller", session=said.session,
            language=said.language if said.step == "consented" else "", reason=said.reason,
        )  # fmt: skip
        await self._desk.say(case.id, body)
        return web.json_response({"ok": True})

    async def picture(self, request: web.Request) -> web.Response:
        """Answer with the image that is shown to the caller of a link."""
        case = await self._callers.case_of(request)
        shown = self._desk.picture(case.id, request.match_info["name"])
        headers = {"Cache-Control": "no-store"}  # on no disk of the caller's either
        return web.Response(body=shown.data, content_type=shown.media_type, headers=headers)

    async def show(self, request: web.Request) -> web.Response:
        """Show the caller of a case an image."""
        case, seat = request.match_info["case"], request[HOLDER].name
        picture = read_picture(await _read(request))
        now_ns = self._clock.wall_ns()
        await self._journal.note_read(f"seat/{seat}", "action show_picture", case, now_ns)
        await self._desk.show(case, picture, seat)
        return web.json_response({"ok": True, "size_bytes": len(picture.data)})


async def _read(request: web.Request) -> bytes:
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > MOST_BYTES:
            raise PictureError(f"the picture has more than {MOST_BYTES} bytes")
    return bytes(body)
