"""The console's sockets: a snapshot first, then what changes, built once for all pages.

Changes are gathered and sent at most ten times a second, the first at once. What is pushed to a
page was noted as read when the page came (the queue) or began to watch a case (all of it).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
import structlog
from aiohttp import web

from dispatch import case_pages, guide_pages
from dispatch.actions import ActionDesk
from dispatch.advice import Advice
from dispatch.call_desk import CallDesk
from dispatch.caller_place import Places
from dispatch.case_pages import Reached
from dispatch.case_record import CaseRecord
from dispatch.cases import Case
from dispatch.district_pages import DistrictPages
from dispatch.seats import SeatWatch
from dispatch.text_desk import TextDesk
from dispatch.trouble import LOOK_S, TroubleWatch
from streams.chain import Stored
from streams.clock import Clock
from streams.errors import ForerunError, StorageError
from streams.health import LATENCY, REFUSED
from streams.journal import Journal
from streams.messages import Identifier
from streams.web import HOLDER, PageSocket, RequestError, serve_page

PAUSE_S = 0.1
"""Between two rounds of changes."""
TICK_S = 1.5
"""A page hears something at least so often, else it takes the link for dead."""
ADVISED_BY = frozenset(
    {"caller_position", "case_amended", "case_linked", "unit_assigned", "pre_alert"}
    | {"incident_declared", "incident_closed", "patient_tagged", "patient_moved"}
)
"""Kinds that change what is suggested for their case at once."""
OF_PATIENT = frozenset(
    {"milestone", "case_closed", "unit_assigned", "unit_released", "hospital_chosen"}
)
"""Kinds that change how an incident looks, when they are of the case of one of its patients."""
BINDING = frozenset(
    {"hospital_state", "hospital_chosen", "hospital_stood_down", "case_closed", "milestone"}
)
"""Kinds that change what is shown of hospitals: their room, and who is on the way there."""
SUGGEST_EVERY = 2
"""Ticks between two suggestions for a watched case."""

Read = TypeVar("Read")

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Watcher:
    seat: str
    case: str | None = None


class Console:
    """All open console pages of this hub."""

    def __init__(
        self,
        record: CaseRecord,
        journal: Journal,
        desk: ActionDesk,
        *,
        clock: Clock,
        advice: Advice,
        reached: Reached,
        media: Callable[[], dict[str, list[str]]],
        about: dict[str, Any],
        trouble: TroubleWatch,
        missing: Callable[[], list[dict[str, Any]]],
        calls: CallDesk,
        places: Places,
        abroad: DistrictPages,
        texts: TextDesk,
        seat_grace_s: float,
    ) -> None:
        """Prepare; ``run`` sends the changes.

        Args:
            record: The cases and units.
            journal: Where reads are noted.
            desk: Does the pages' actions.
            clock: The hub's clocks.
            advice: What is suggested for a case.
            reached: How far a fact has come.
            media: Streams that are live now, by unit.
            about: What the snapshot says of the hub itself.
            trouble: What of the hub does not work; looked at here.
            missing: Facts that are missing and were asked for again.
            calls: Frees the calls of a seat that is gone.
            places: Where callers are.
            abroad: What is shown of neighbouring districts.
            texts: What callers are writing now.
            seat_grace_s: So long a seat may be without a page before it counts as gone.
        """
        self._record = record
        self._journal = journal
        self._desk = desk
        self._clock = clock
        self._advice = advice
        self._reached = reached
        self._media = media
        self._about = about
        self._trouble = trouble
        self._missing = missing
        self._places = places
        self._abroad = abroad
        self._calls = calls
        self._texts = texts
        texts.show = self._show_writing
        self._unplaced: list[dict[str, Any]] = []
        self._seats = SeatWatch(calls, record.book, seat_grace_s)
        self._told_missing: list[dict[str, Any]] = []
        self._pages: dict[PageSocket, _Watcher] = {}
        self._cases: set[str] = set()
        self._to_advise: set[str] = set()
        self._units: set[str] = set()
        self._hospitals_changed = False
        self._live: dict[str, list[str]] = {}
        self._wake = asyncio.Event()

    def fact_stored(self, fact: Stored) -> None:
        """Note that a case has a new fact."""
        if fact.envelope.case is not None:
            self.case_changed(fact.envelope.case)
            if fact.envelope.kind in ADVISED_BY:
                self._to_advise.add(fact.envelope.case)
            if fact.envelope.kind in OF_PATIENT:
                self._tell_incident(fact.envelope.case)
        source = fact.envelope.source
        if source in self._record.fleet.units:
            self.unit_changed(source)
        if fact.envelope.kind == "surge":
            surge = case_pages.surge(self._record.surge.state)
            self._send(_encode({"type": "surge", "surge": surge}))
        if fact.envelope.kind in ("unit_assigned", "unit_released", "case_closed"):
            self._units.update(self._record.fleet.units)
        if fact.envelope.kind in BINDING:
            self._hospitals_changed = True
            self._wake.set()
        if fact.envelope.kind == "hospital_state":
            self._to_advise.update(w.case for w in self._pages.values() if w.case is not None)

    def _tell_incident(self, case: str) -> None:
        """Note that an incident looks different, because the case of one of its patients does."""
        own = self._record.book.get(case)
        if own is not None and own.patient_of is not None:
            self.case_changed(own.patient_of[0])
            self._to_advise.add(own.patient_of[0])

    @property
    def seats(self) -> list[str]:
        """Seats with an open page."""
        return self._seats.there

    def wake(self) -> None:
        """Say that something is to be sent that is not a case or unit of ours."""
        self._wake.set()

    def tell_answer(self, seat: str, answer: dict[str, Any]) -> None:
        """Tell a seat what a neighbour answered to its action."""
        for page, watcher in self._pages.items():
            if watcher.seat == seat:
                page.send_state(_encode({"type": "answer", **answer}))

    def case_changed(self, case: str) -> None:
        """Note that a case looks different now."""
        self._cases.add(case)
        self._wake.set()

    def unit_changed(self, unit: str) -> None:
        """Note that a unit looks different now."""
        self._units.add(unit)
        self._wake.set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one page's socket."""
        seat = request[HOLDER].name
        await self._note_read(seat, "console: queue", None)

        def joined(page: PageSocket) -> None:
            self._tell_trouble()  # that the snapshot is not a second behind
            page.send_state(_encode(self._snapshot(seat)))
            page.send_state(_encode({"type": "unplaced", "unplaced": self._unplaced}))
            self._pages[page] = _Watcher(seat)
            self._tell_seats()

        return await serve_page(request, joined, self._left, self._hear)

    async def run(self) -> None:
        """Send changes and ticks until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_changes(), name="console.changes")
            group.create_task(self._tick(), name="console.ticks")
            group.create_task(self._watch_trouble(), name="console.trouble")

    def _left(self, page: PageSocket) -> None:
        self._pages.pop(page, None)
        self._tell_seats()

    def _tell_seats(self) -> None:
        """Tell all pages which seats are there."""
        seats = sorted({watcher.seat for watcher in self._pages.values()})
        if self._seats.are(seats):
            self._send(_encode({"type": "seats", "seats": seats}))

    async def _hear(self, page: PageSocket, message: dict[str, Any]) -> None:
        watcher = self._pages[page]
        match message.get("type"):
            case "watch":
                await self._watch(page, watcher, message.get("case"))
            case "action":
                await self._act(page, watcher, message)
            case "writing":
                said = _read(message, _Writing)
                self._texts.draft(said.case, watcher.seat, said.turn, said.text)
            case "drawn":
                _note_drawn(message)
            case kind:
                raise RequestError(f"a message of type {kind!r} is not understood")

    async def _watch(self, page: PageSocket, watcher: _Watcher, case: object) -> None:
        found = await self._record.case(case) if isinstance(case, str) else None
        if found is None:
            watcher.case = None
            if isinstance(case, str) and self._abroad.detail(case) is not None:
                await self._note_read(watcher.seat, "console: case of a neighbour", case)
                watcher.case = case
                self._send_abroad(case)
            return
        await self._note_read(watcher.seat, "console: case", found.id)
        watcher.case = found.id
        page.send_state(self._detail(found))
        page.send_state(self._suggestions(found))
        for line in self._texts.live(found.id):
            page.send_state(_encode(line))

    def _show_writing(self, case: str, message: dict[str, Any]) -> None:
        """Show at once what is written in a case to the pages that watch it."""
        if any(watcher.case == case for watcher in self._pages.values()):
            self._send(_encode(message), watching=case)

    async def _act(self, page: PageSocket, watcher: _Watcher, message: dict[str, Any]) -> None:
        fields = {name: value for name, value in message.items() if name != "type"}
        try:
            answer = await self._desk.act(msgspec.json.encode(fields), watcher.seat)
        except ForerunError as error:
            answer = self._desk.describe(error)
        kind = "sent" if "sent" in answer else "answer"  # a neighbour answers by itself
        answer |= {"type": kind, "id": fields.get("id"), "action": fields.get("action")}
        page.send_state(_encode(answer))

    async def _send_changes(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            cases, self._cases = self._cases, set()
            units, self._units = self._units, set()
            to_advise, self._to_advise = self._to_advise, set()
            hospitals, self._hospitals_changed = self._hospitals_changed, False
            if self._pages:
                with _logged_fault():
                    if hospitals:
                        told = {"type": "hospitals", "hospitals": self._hospitals()}
                        self._send(_encode(told))
                    self._send_cases(cases)
                    self._send_suggestions(to_advise)
                    self._send_units(units)
                    self._send_changes_abroad()
            await asyncio.sleep(PAUSE_S)

    async def _tick(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(TICK_S)
            ticks += 1
            self._send(_encode({"type": "tick", "now_ms": self._now_ms()}))
            await self._seats.free_lost(self._clock.monotonic_ns())
            await self._look_for_surge()
            self._tell_unplaced()
            with _logged_fault():
                self._send_periodic(suggest=ticks % SUGGEST_EVERY == 0)

    def _tell_unplaced(self) -> None:
        """Tell all pages of positions of which no call is known, when that is others now."""
        before, self._unplaced = self._unplaced, self._calls.unplaced_now()
        if self._unplaced != before:
            self._send(_encode({"type": "unplaced", "unplaced": self._unplaced}))

    async def _look_for_surge(self) -> None:
        with contextlib.suppress(StorageError):  # the next tick looks again
            now_ns = self._clock.wall_ns()
            if self._record.surge.look(now_ns):
                await self._record.add(lambda: self._record.surge.look(now_ns))

    def _send_periodic(self, *, suggest: bool) -> None:
        before_missing, self._told_missing = self._told_missing, self._missing()
        if self._told_missing or before_missing:
            self._send(_encode({"type": "missing", "missing": self._told_missing}))
        before, self._live = self._live, self._media()
        if self._live != before:
            self._send_units({*self._live, *before})
        if suggest:
            self._send_units(self._record.fleet.units)
            watched = {w.case for w in self._pages.values() if w.case is not None}
            self._send_suggestions(watched)
            for case in watched:
                found = self._record.book.get(case)
                if found is not None and found.fixes:  # grows older and wider
                    self._send(self._case(found))

    def _send_suggestions(self, cases: Iterable[str]) -> None:
        watched = {watcher.case for watcher in self._pages.values()}
        for case in watched.intersection(cases):
            if (found := self._record.book.get(case)) is not None:
                self._send(self._suggestions(found), watching=case)

    async def _watch_trouble(self) -> None:
        while True:
            self._tell_trouble()
            await asyncio.sleep(LOOK_S)

    def _tell_trouble(self) -> None:
        """Tell all pages when a part of the hub fails or works again."""
        if self._trouble.look(self._now_ms()):
            standing = self._trouble.standing
            log.warning("hub's parts", failing=standing)
            message = {"type": "trouble", "now_ms": self._now_ms(), "trouble": standing}
            self._send(_encode(message))

    def _send_cases(self, cases: Iterable[str]) -> None:
        for case in cases:
            found = self._record.book.get(case)
            if found is None:
                continue
            self._advice.look(found)
            self._send(self._case(found))
            if any(watcher.case == case for watcher in self._pages.values()):
                self._send(self._detail(found), watching=case)

    def _send_changes_abroad(self) -> None:
        for message in self._abroad.changes():
            self._send(_encode(message))
            if message["type"] == "foreign":
                self._send_abroad(message["case"]["id"])

    def _send_abroad(self, case: str) -> None:
        """Send what is shown of a neighbour's case to who watches it."""
        if any(watcher.case == case for watcher in self._pages.values()):
            self._send(_encode(self._abroad.detail(case) or {"type": "tick"}), watching=case)

    def _send_units(self, units: Iterable[str]) -> None:
        known = [self._unit(name) for name in units if name in self._record.fleet.units]
        if known and self._pages:
            self._send(_encode({"type": "units", "now_ms": self._now_ms(), "units": known}))

    def _send(self, text: str, *, watching: str | None = None) -> None:
        for page, watcher in self._pages.items():
            if watching is None or watcher.case == watching:
                page.send_state(text)

    def _snapshot(self, seat: str) -> dict[str, Any]:
        fleet = self._record.fleet
        return {
            "type": "snapshot",
            "now_ms": self._now_ms(),
            "seat": seat,
            "seats": self._seats.there,
            "surge": case_pages.surge(self._record.surge.state),
            **self._about,
            "trouble": self._trouble.standing,
            "cases": [self._summary(case) for case in self._record.book.recent()],
            "units": [self._unit(name) for name in fleet.units],
            "tracks": {unit.name: case_pages.track(unit) for unit in fleet.units.values()},
            "hospitals": self._hospitals(),
            **self._abroad.snapshot(),
        }

    def _summary(self, case: Case) -> dict[str, Any]:
        more = {"place": self._places.of(case), "maybe": self._advice.likely(case)}
        more |= self._advice.incident(case) | self._abroad.of_own(case)
        return case_pages.summary(case, self._reached) | more

    def _case(self, case: Case) -> str:
        whole = self._summary(case)
        return _encode({"type": "case", "now_ms": self._now_ms(), "case": whole})

    def _unit(self, name: str) -> dict[str, Any]:
        fleet, book = self._record.fleet, self._record.book
        shown = case_pages.unit(fleet.units[name], fleet, book, self._clock.wall_ns())
        return shown | {"streams": self._live.get(name, [])}

    def _hospitals(self) -> list[dict[str, Any]]:
        fleet, book = self._record.fleet, self._record.book
        return [case_pages.hospital(one, fleet, book) for one in fleet.hospitals.values()]

    def _detail(self, case: Case) -> str:
        body = case_pages.detail(case, self._reached) | self._advice.incident_detail(case)
        body |= self._guide(case)
        return _encode({"type": "detail", "now_ms": self._now_ms(), "case": case.id, **body})

    def _guide(self, case: Case) -> dict[str, Any]:
        fleet, now_ns = self._record.fleet, self._clock.wall_ns()
        near = guide_pages.aeds(case, fleet.aeds, fleet.district.local(now_ns))
        return guide_pages.guide(case, fleet.protocols) | near

    def _suggestions(self, case: Case) -> str:
        return _encode({"type": "suggestions", "case": case.id, **self._advice.of(case)})

    async def _note_read(self, seat: str, what: str, case: str | None) -> None:
        await self._journal.note_read(f"seat/{seat}", what, case, self._clock.wall_ns())

    def _now_ms(self) -> int:
        return self._clock.wall_ns() // 1_000_000


@contextlib.contextmanager
def _logged_fault() -> Iterator[None]:
    """Let a fault in what pages are shown end this round, not the hub: facts go on coming."""
    try:
        yield
    except Exception:
        REFUSED.labels("console", "fault").inc()
        log.exception("pages not told")


class _Drawn(msgspec.Struct):
    kind: str
    latencies_ms: list[float]


class _Writing(msgspec.Struct):
    case: Identifier
    turn: Identifier
    text: Annotated[str, msgspec.Meta(max_length=2000)]


def _read(message: dict[str, Any], kind: type[Read]) -> Read:
    try:
        return msgspec.convert(message, kind)
    except msgspec.ValidationError as error:
        raise RequestError(str(error)) from error


def _note_drawn(message: dict[str, Any]) -> None:
    """Keep what the page says about the time from the source to its screen."""
    drawn = _read(message, _Drawn)
    if drawn.kind not in ("fact", "video", "position"):
        raise RequestError(f"nothing of kind {drawn.kind!r} is drawn here")
    for latency_ms in drawn.latencies_ms[:1000]:
        LATENCY.labels(drawn.kind, "console").observe(max(0.0, latency_ms) / 1000)


def _encode(message: dict[str, Any]) -> str:
    return msgspec.json.encode(message).decode()
