"""The video with callers at the hub: what their pages say becomes facts, and facts become ends.

Picture and sound are forwarded by the media relay and written nowhere; an image that a seat shows
is kept in memory until it is taken away or the case is closed. Whoever loses the right to publish
or to watch is cut off when the fact is stored that takes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from dispatch import caller_video_pages
from dispatch.caller_picture import Picture
from dispatch.case_record import CaseRecord
from dispatch.cases import Case
from dispatch.errors import ConflictError, UnknownError
from dispatch.relay import Relay
from dispatch.sending import draft_for
from streams.caller_video import CAMERA, VOICE, resource_of
from streams.caller_video_messages import CallerVideo
from streams.chain import Stored
from streams.clock import Clock
from streams.errors import StorageError
from streams.health import REFUSED
from streams.identity import new_id
from streams.outbox import Draft

LOOK_S = 1.0
GONE_NS = 5_000_000_000
"""A seat whose page has no connection to the picture for so long sees it no more."""
SILENT_NS = 20_000_000_000
"""One that took the word has so long for its browser's question about the microphone."""
MOST_PICTURES = 64
"""Images in memory, one a case; beyond, the oldest goes."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Absent:
    """Since when (monotonic) seats that look or speak have no connection, by case and seat."""

    since_ns: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def is_over(self, key: tuple[str, str, str], now_ns: int, grace_ns: int) -> bool:
        return now_ns - self.since_ns.setdefault(key, now_ns) >= grace_ns

    def keep_only(self, keys: set[tuple[str, str, str]]) -> None:
        self.since_ns = {key: at for key, at in self.since_ns.items() if key in keys}


class CallerVideoDesk:
    """Takes what callers' pages say of their video, and keeps the relay to what facts allow."""

    def __init__(self, record: CaseRecord, relay: Relay, clock: Clock) -> None:
        """Prepare; ``take`` must be given each stored fact, and ``run`` looks after seats.

        Attributes:
            tell: Tells all open pages of a case's caller something.
            end_lost: Ends the relay's sessions that have no right any more.
        """
        self.tell: Callable[[str, dict[str, Any]], None] = lambda _case, _message: None
        self.end_lost: Callable[[], int] = lambda: 0
        self._record = record
        self._relay = relay
        self._clock = clock
        self._pictures: dict[str, tuple[str, Picture]] = {}
        self._absent = _Absent()

    # --- what the caller says ----------------------------------------------------------------

    async def say(self, case: str, body: CallerVideo) -> None:
        """Store a step that a caller's page took.

        Raises:
            ConflictError: A seat stopped the video, or the case is closed.
            StorageError: The journal refuses; the page asks again.
        """

        def made() -> list[Draft]:
            found = self._open(case)
            video = found.video
            if body.step == "consented":
                if video.is_on and video.session == body.session:
                    return []
                if not video.may("consented"):
                    raise ConflictError(
                        "the dispatcher stopped the video: it begins when you are asked again",
                        kind="stopped", case=case,
                    )  # fmt: skip
            elif not video.may(body.step) or (video.is_on and video.session != body.session):
                return []  # it is over already, or another page's
            return [draft_for(found, "caller_video", body)]

        await self._record.add(made)

    async def note_watched(self, case: Case, role: str, name: str) -> None:
        """Store that a crew or a hospital begins to watch, once for each consent.

        Raises:
            StorageError: The journal refuses: nothing is shown.
        """
        by = "unit" if role == "unit" else "hospital"
        body = CallerVideo(step="watched", by=by, who=name)  # type: ignore[arg-type]

        def made() -> list[Draft]:
            found = self._record.book.get(case.id)
            if found is None or not found.video.is_on or f"{by}/{name}" in found.video.watching:
                return []
            return [draft_for(found, "caller_video", body)]

        await self._record.add(made)

    # --- what a seat shows -------------------------------------------------------------------

    async def show(self, case: str, picture: Picture, seat: str) -> None:
        """Show a caller an image.

        Raises:
            UnknownError: There is no such case.
            ConflictError: It is closed, or no page of the caller is open.
            StorageError: The journal refuses; nothing is shown.
        """
        body = CallerVideo(
            step="picture_shown", by="seat", who=seat, media_type=picture.media_type,
            size_bytes=len(picture.data), sha256=picture.sha256,
        )  # fmt: skip
        before = self._pictures.get(case)

        def made() -> list[Draft]:
            found = self._open(case)
            if not found.talk.is_open:
                raise ConflictError(
                    "the caller has no page open: send the link first (P)",
                    kind="no_reader", case=case,
                )  # fmt: skip
            self._pictures[case] = (new_id(), picture)  # before the page is told of it
            while len(self._pictures) > MOST_PICTURES:
                del self._pictures[next(iter(self._pictures))]
            return [draft_for(found, "caller_video", body)]

        try:
            await self._record.add(made)
        except StorageError:
            self._pictures.pop(case, None)
            if before is not None:
                self._pictures[case] = before
            raise

    def picture(self, case: str, name: str) -> Picture:
        """Return an image that is shown now.

        Raises:
            UnknownError: It is not, or no more.
        """
        known, picture = self._pictures.get(case, ("", None))
        if picture is None or known != name:
            raise UnknownError("picture", name)
        return picture

    # --- what facts do -----------------------------------------------------------------------

    def shown(self, case: Case) -> dict[str, Any]:
        """Return what the caller's page is to show."""
        return caller_video_pages.for_caller(case, self._pictures.get(case.id, (None, None))[0])

    def take(self, fact: Stored) -> None:
        """Tell the caller's page what a fact changed; drop an image that is no more shown."""
        kind, name = fact.envelope.kind, fact.envelope.case
        if kind not in ("caller_video", "case_closed") or name is None:
            return
        case = self._record.book.get(name)
        if case is None:
            return
        picture = case.video.picture
        if not case.is_open or picture is None or picture.pictogram:
            self._pictures.pop(name, None)
        self.tell(name, {"type": "video", **self.shown(case)})

    # --- what nobody says --------------------------------------------------------------------

    async def run(self) -> None:
        """End what has no right, and note seats whose page is gone, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                self.end_lost()
                await self._note_absent()
            except StorageError as error:
                REFUSED.labels("caller_video", error.reason).inc()
                log.warning("seat that is gone not noted yet", error=str(error))
            except Exception:
                # One video's surprise must not end the hub: facts go on coming.
                REFUSED.labels("caller_video", "fault").inc()
                log.exception("videos not looked after")

    async def _note_absent(self) -> None:
        now_ns = self._clock.monotonic_ns()
        over, keys = [], set()
        for case, step, seat in self._without_connection():
            keys.add((case, step, seat))
            grace_ns = GONE_NS if step == "blurred" else SILENT_NS
            if self._absent.is_over((case, step, seat), now_ns, grace_ns):
                over.append((case, step, seat))
        self._absent.keep_only(keys)
        for case, step, seat in over:
            await self._record.add(partial(self._ended, case, step, seat))
        for one in self._record.book.open():
            if self._has_lost_image(one):
                await self._record.add(partial(self._image_gone, one.id))

    def _without_connection(self) -> list[tuple[str, str, str]]:
        """Return case, step that would end it, and seat, of seats that have no connection."""
        resources = self._relay.snapshot().resources
        found = []
        for case in self._record.book.open():
            if not case.video.is_on:
                continue
            camera = resources.get(resource_of(case.id, CAMERA))
            there = {viewer.identity for viewer in camera.viewers} if camera else set()
            gone = [seat for seat in case.video.looking if f"seat/{seat}" not in there]
            found += [(case.id, "blurred", seat) for seat in gone]
            voice = resources.get(resource_of(case.id, VOICE))
            if case.video.voice and (voice is None or voice.source is None):
                found.append((case.id, "voice_off", case.video.voice))
        return found

    def _ended(self, name: str, step: str, seat: str) -> list[Draft]:
        case = self._record.book.get(name)
        if case is None or not case.is_open:
            return []
        stands = seat in case.video.looking if step == "blurred" else case.video.voice == seat
        body = CallerVideo(step=step, by="hub", who=seat, reason="page_gone")  # type: ignore[arg-type]
        return [draft_for(case, "caller_video", body)] if stands else []

    def _has_lost_image(self, case: Case) -> bool:
        """Whether an image is said to be shown that is in memory no more: the hub was ended."""
        picture = case.video.picture
        return picture is not None and not picture.pictogram and case.id not in self._pictures

    def _image_gone(self, name: str) -> list[Draft]:
        case = self._record.book.get(name)
        if case is None or not case.is_open or not self._has_lost_image(case):
            return []
        body = CallerVideo(step="picture_gone", by="hub", reason="not_kept")
        return [draft_for(case, "caller_video", body)]

    def _open(self, name: str) -> Case:
        case = self._record.book.get(name)
        if case is None:
            raise UnknownError("case", name)
        if not case.is_open:
            raise ConflictError("the case is closed", kind="closed", case=name)
        return case
