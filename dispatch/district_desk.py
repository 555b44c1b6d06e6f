"""The desk where districts meet: seats here and a neighbour's calls, seats there and ours.

A neighbour's wish is done through the desk of all others, under the name ``region/seat``, so of
all seats of all districts one wins a call and each other is told. Every wish has a ULID and is
answered once: it waits on the disk of who made it while the home of the case is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection
from typing import Any, Final

import msgspec
import structlog

from dispatch import unit_requests
from dispatch.actions import ActionDesk
from dispatch.call_desk import CallDesk
from dispatch.case_record import CaseRecord
from dispatch.case_routing import DISTRICT
from dispatch.case_sharing import SHARING, Sharing, region_of, seat_name, to_share
from dispatch.cases import Case
from dispatch.district_actions import (
    ANSWERING,
    AskUnit,
    GrantUnit,
    RefuseUnit,
    TakeBackUnit,
    TakeOverCall,
    Understood,
    UnitAction,
    check_at_home,
    fields_of,
    unit_action,
)
from dispatch.districts import Districts
from dispatch.errors import ConflictError, DispatchError, UnknownError
from dispatch.foreign_cases import Asked, Foreign, ForeignCases, typed
from dispatch.unit_requests import ASKING, Cards, OwnRequests
from streams.chain import Stored
from streams.clock import Clock
from streams.codec import any_body, decode, open_body
from streams.district_messages import DistrictAnswer, DistrictRequest, UnitReply
from streams.errors import ForerunError, StorageError
from streams.identity import is_id, new_id
from streams.journal import Journal
from streams.outbox import Draft, Outbox
from streams.web import RequestError

LOOK_S: Final = 0.25
"""How often is looked which call nobody answers."""

KEEP_S: Final = 5.0
"""How often is kept from where on the journal is to be read at the next start."""

MARK: Final = "foreign_from"
ANSWERED: Final = "district_requests_answered"
PAGE: Final = 500

READ: Final = frozenset({"district_fact", "unit_request", "unit_request_ended", "unit_lent"})
"""Kinds from which a neighbour's cases and requests are built."""

log = structlog.get_logger(__name__)


class DistrictDesk(ActionDesk):
    """Does what seats ask for, also with what is a neighbour's; answers the neighbours' seats.

    Attributes:
        region: Our own.
        foreign: The calls that neighbours share with us.
        cards: The units that neighbours ask for.
        own: The units that we asked neighbours for.
        sharing: With whom our cases are shared.
        told: Is given what a home answered to a seat's request.
        seats: Returns the seats that are there.
    """

    def __init__(
        self,
        record: CaseRecord,
        journal: Journal,
        outbox: Outbox,
        clock: Clock,
        *,
        districts: Districts,
        calls: CallDesk,
        region: str,
        overflow_s: float,
        seat_grace_s: float,
    ) -> None:
        """Prepare; ``restore`` and ``run`` follow.

        Args:
            record: Our own cases.
            journal: Where neighbours' facts are read at start.
            outbox: Keeps what was answered, and what waits.
            clock: The hub's clocks.
            districts: Tells neighbours.
            calls: Frees the calls of seats that are gone.
            region: Our own.
            overflow_s: A call that rings for so long is shared; 0 for never.
            seat_grace_s: A seat that is gone for so long loses its calls.
        """
        super().__init__(record, journal, clock)
        self.foreign = ForeignCases(region)
        self.cards = Cards()
        self.own = OwnRequests()
        self.sharing = Sharing()
        self.told: Callable[[Asked, DistrictAnswer], None] = lambda _asked, _answer: None
        self.seats: Callable[[], Collection[str]] = tuple
        self._outbox = outbox
        self._districts = districts
        self._calls = calls
        self.region = region
        self._overflow_s = overflow_s
        self._grace_ns = round(seat_grace_s * 1e9)
        self._missed: dict[str, int] = {}
        self._answered = outbox.mark(ANSWERED)
        self._wake = asyncio.Event()

    async def restore(self) -> None:
        """Read what neighbours share and ask for, and follow the record from there on.

        Raises:
            StorageError: Journal or outbox cannot be read.
        """
        for case in self._record.book.recent():  # one may have been closed just before a crash
            facts = await self._journal.facts(case=case.id, kinds=SHARING | ASKING, limit=None)
            self.sharing.learn(case.id, [f for f in facts if f.envelope.kind in SHARING], 0)
            for fact in facts:
                self.own.take(fact)
        self._record.follow(self._stored)
        if not self._districts.senders:
            return
        after = max(0, self._outbox.mark(MARK) - 1)
        while page := await self._journal.facts(kinds=READ, after=after, limit=PAGE):
            after = page[-1].position
            for fact in page:
                self._take_foreign(fact)
        for region in self._districts.senders:
            self._read_waiting(region)

    async def act(self, data: bytes, who: str) -> dict[str, Any]:
        """Do an action, of one's own district or, with ``home``, of a neighbour; see the base."""
        fields = fields_of(data)
        if "home" in fields:
            return await self._ask_home(fields, who)
        action = unit_action(fields, data)
        if action is not None:
            return await self._act_on_unit(action, who)
        if fields.get("action") in ("answer_call", "call_back"):
            self._check_ears(who)
        return await super().act(data, who)

    async def take(self, region: str, fact: Stored) -> None:
        """Follow what neighbours tell: see ``Districts.follow``."""
        match any_body(fact.envelope):
            case DistrictRequest() as body:
                await self._answer(region, body, fact.position)
            case DistrictAnswer() as body:
                if (asked := self.foreign.answered(body)) is not None:
                    self.told(asked, body)
            case UnitReply() as body:
                case = await self._record.case(body.case)
                if case is not None:
                    name = case.id
                    await self._record.add(lambda: self._replied(name, body))

    async def run(self) -> None:
        """Share calls that nobody answers until cancelled; without neighbours there are none."""
        if not self._districts.senders:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._share(), name="districts.share")
            group.create_task(self._keep(), name="districts.keep")

    # What seats of ours do.

    async def _ask_home(self, fields: dict[str, Any], who: str) -> dict[str, Any]:
        home, kind = fields.pop("home"), check_at_home(fields.get("action"))
        one = self.foreign.get(fields.get("case") if isinstance(fields.get("case"), str) else None)
        if one is None or one.region != home:
            raise UnknownError("case of a neighbour", str(fields.get("case")))
        request = fields.setdefault("id", new_id())
        if not isinstance(request, str) or not is_id(request):
            raise RequestError("id is no ULID")
        await self._journal.note_read(
            f"seat/{who}", f"action {kind}, at {home}", one.id, self._clock.wall_ns()
        )
        if request in one.asked:
            return {"ok": True, "case": one.id, "sent": home, "request": request}
        self._check_can_ask(one, kind, who)
        action = msgspec.json.encode(fields)
        if kind != "seat_lost":
            self.check(action)  # that a person is told at once what is wrong with it
        try:
            body = DistrictRequest(
                region=self.region, seat=who, case=one.id, request=request, action=action
            )
            self._districts.send(home, Draft("district_request", body, origin=one.case.opened_as))
        except msgspec.ValidationError as error:
            raise RequestError(str(error)) from error
        self.foreign.ask(body, kind, typed(action), self._clock.wall_ns())
        return {"ok": True, "case": one.id, "sent": home, "request": request}

    def _check_can_ask(self, one: Foreign, kind: str, who: str) -> None:
        if one.left is not None:
            raise _left(one.left.seat)
        if kind not in ANSWERING:
            return
        neighbour = self._districts.neighbours.get(one.region)
        if neighbour is None or not neighbour.connected:
            raise ConflictError(
                f"{one.region} is cut off: its calls cannot be answered from here", kind="cut_off"
            )
        if kind != "call_back_done" and one.case.call and one.case.call.is_spoken:
            self._check_ears(who, but=one.id)
            self._check_own_ears(who)

    def _check_ears(self, who: str, but: str = "") -> None:
        """A seat speaks with one caller at a time, also when he is a neighbour's."""
        other = self.foreign.speaking(seat_name(self.region, who), but)
        if other is not None:
            raise _speaking(who, other.case)

    def _check_own_ears(self, who: str) -> None:
        for case in self._record.book.recent():
            call = case.call
            if call is None or call.seat != who or not call.is_spoken:
                continue
            if call.phase in ("talking", "offered", "calling"):
                raise _speaking(who, case)

    async def _act_on_unit(self, action: UnitAction, who: str) -> dict[str, Any]:
        kind, case = action.__struct_config__.tag, getattr(action, "case", None)
        now_ns = self._clock.wall_ns()
        await self._journal.note_read(f"seat/{who}", f"action {kind}", case, now_ns)
        if isinstance(action, Understood):
            self.foreign.understood(action.case, who)
            return {"ok": True, "case": action.case, "made": []}
        if isinstance(action, TakeOverCall):
            await self._take_over(action.case)
            return {"ok": True, "case": action.case, "made": ["call_step"]}
        if isinstance(action, AskUnit | TakeBackUnit) and not await self._record.case(action.case):
            raise UnknownError("case", action.case)
        new_case = new_id()
        made = await self._record.add(lambda: self._unit_drafts(action, who, new_case))
        case = made[-1].envelope.case if made else case
        return {"ok": True, "case": case, "made": [fact.envelope.kind for fact in made]}

    async def _take_over(self, name: str) -> None:
        """Free a call whose seat nobody here can reach."""
        case = await self._record.case(name)
        seat = case.call.seat if case is not None and case.call is not None else ""
        there = self._districts.neighbours.get(region_of(seat))
        if there is None or there.connected:
            raise ConflictError("no neighbour that is cut off has this call", kind="not_cut_off")
        await self._calls.seat_lost(seat)

    def _unit_drafts(self, action: UnitAction, who: str, new_case: str) -> list[Draft]:
        fleet, book = self._record.fleet, self._record.book
        match action:
            case AskUnit():
                return unit_requests.ask(
                    self._case(action.case), self._districts.neighbours.get(action.neighbour),
                    action.unit, self.own, request=action.id or new_case, seat=who,
                    reason=action.reason,
                )  # fmt: skip
            case TakeBackUnit():
                case = self._case(action.case)
                return unit_requests.take_back(case, action.request, self.own, who)
            case RefuseUnit():
                card = self.cards.get(action.request)
                return unit_requests.refuse(card, fleet, who, action.reason.strip())
            case GrantUnit():
                return unit_requests.grant(
                    self.cards.get(action.request), fleet, book, new_case=new_case, seat=who,
                    reason=action.reason,
                )  # fmt: skip
        return []

    def _case(self, name: str) -> Case:
        case = self._record.book.get(name)
        if case is None:
            raise UnknownError("case", name)
        return case

    # What seats of neighbours want.

    async def _answer(self, region: str, body: DistrictRequest, position: int) -> None:
        """Do what a neighbour's seat asks for, and say what came of it: once."""
        if position <= self._answered:
            return  # answered before a crash
        answer = DistrictAnswer(region=self.region, request=body.request, case=body.case, ok=True)
        try:
            await self._do(region, body)
        except StorageError:
            raise  # given again after a second
        except ForerunError as error:
            told = self.describe(error)
            answer = msgspec.structs.replace(
                answer, ok=False, error=str(error)[:4000], conflict=told.get("conflict", {})
            )
        draft = Draft("district_answer", answer)
        self._districts.send_all([(region, draft)], (ANSWERED, position))
        self._answered = position

    async def _do(self, region: str, body: DistrictRequest) -> None:
        case = await self._record.case(body.case)
        if case is None or region not in self.sharing.was(body.case):
            raise UnknownError("case that is shared", body.case)
        fields, who = fields_of(body.action), seat_name(region, body.seat)
        if (fields.get("case"), fields.get("id")) != (body.case, body.request):
            raise DispatchError("the request names another case, or another id")
        kind = check_at_home(fields.get("action"))
        if kind == "seat_lost":
            await self._calls.seat_lost(who)
            return
        is_done = await self._journal.find(body.request) is not None
        # What was written down before the call went to somebody else is true all the same.
        may = self.sharing.was(body.case) if kind == "note" else self.sharing.of(body.case)
        if not is_done and region not in may:
            raise _left(case.call.seat if case.call else "")
        await super().act(body.action, who)

    def _replied(self, case: str, body: UnitReply) -> list[Draft]:
        return unit_requests.answered(self._case(case), body, self.own)

    # What goes on by itself.

    def _stored(self, fact: Stored) -> None:
        kind = fact.envelope.kind
        self.sharing.take(fact)
        self.own.take(fact)
        if kind in READ:
            self._take_foreign(fact)
        if kind in ("call_step", "case_closed"):
            self._wake.set()

    def _take_foreign(self, fact: Stored) -> None:
        if fact.envelope.kind == "district_fact":
            self.foreign.take(fact)
        else:
            self.cards.take(fact)

    async def _share(self) -> None:
        """Share what nobody answers, and no longer what somebody has."""
        while True:
            for case in [
                *self._record.book.open(),
                *map(self._record.book.get, self.sharing.shared()),
            ]:
                if case is not None and self._sharing_of(case):
                    with contextlib.suppress(StorageError):  # looked at again
                        await self._record.add(lambda case=case: self._sharing_of(case))  # type: ignore[misc]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_S)
            self._wake.clear()

    def _sharing_of(self, case: Case) -> list[Draft]:
        connected = [one.region for one in self._districts.neighbours.all() if one.connected]
        drafts = to_share(
            case, self.sharing.of(case.id), connected, self._overflow_s, self._clock.wall_ns()
        )
        return [*drafts, *unit_requests.no_longer_needed(case, self.own)]

    async def _keep(self) -> None:
        """Keep from where the journal is to be read at the next start; free lost seats' calls."""
        kept = self._outbox.mark(MARK)
        while True:
            await asyncio.sleep(min(KEEP_S, max(0.5, self._grace_ns / 4e9)))
            self.own.forget(self._record.book)
            firsts = (self.foreign.first_position(), self.cards.first_position())
            first = min((one for one in firsts if one is not None), default=self._record.position)
            with contextlib.suppress(StorageError, ForerunError):
                if first > kept:
                    self._outbox.add_all([], (MARK, first))
                    kept = first
                await self._free_lost(self._clock.monotonic_ns())

    async def _free_lost(self, now_ns: int) -> None:
        """Tell the homes of calls whose seat here is gone."""
        there = {seat_name(self.region, seat) for seat in self.seats()}
        held = {
            one.id: one.case.call.seat
            for one in self.foreign.shown()
            if one.case.call is not None and region_of(one.case.call.seat) == self.region
        }
        missing = {case: seat for case, seat in held.items() if seat not in there}
        self._missed = {case: self._missed.get(case, now_ns) for case in missing}
        for case, since_ns in self._missed.items():
            one = self.foreign.get(case)
            if one is None or now_ns - since_ns < self._grace_ns:
                continue
            if any(asked.action == "seat_lost" for asked in one.waiting):
                continue
            fields = {"action": "seat_lost", "case": case, "home": one.region}
            await self._ask_home(fields, missing[case].rpartition("/")[2])

    def _read_waiting(self, region: str) -> None:
        """Read which requests were made and are not yet at their home."""
        after = 0
        while entries := self._outbox.waiting(DISTRICT + region, "urgent", after, PAGE):
            after = entries[-1].sequence
            for entry in entries:
                if entry.kind == "district_request":
                    body = open_body(decode(entry.data), DistrictRequest)
                    kind = str(fields_of(body.action).get("action"))
                    self.foreign.ask(body, kind, typed(body.action), entry.made_ns)


def _left(seat: str) -> ConflictError:
    if seat:
        return ConflictError(f"{seat} has this call", kind="taken", seat=seat)
    return ConflictError("the case is shared no more", kind="unshared")


def _speaking(seat: str, case: Case) -> ConflictError:
    return ConflictError(
        f"{seat} speaks on another line ({case.alias}): hold or end that call first",
        kind="speaking", case=case.id, alias=case.alias,
    )  # fmt: skip
