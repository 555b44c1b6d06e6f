"""The hub's record: facts go into the journal, and from there, in its order, into the views.

Whatever is shown or decided rests on what is stored: a fact changes a view only after its
commit, and at start the views are built from the journal alone. One writer at a time, so the
order of the views is the order of the journal, and an action is decided on what stands.

A year of cases is not read for that: only those that are open, the last closed ones, and of
each unit its last positions. An older case is read when somebody asks for it or it gets a fact.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import structlog

from dispatch.bay_arrivals import opening, reconciling
from dispatch.call_actions import LinkCase
from dispatch.case_actions import Action, Decision, check_id, decide
from dispatch.cases import CLOSED_KEPT, UNREAD, Case, CaseBook
from dispatch.errors import ConflictError, UnknownError
from dispatch.repeats import is_repeat
from dispatch.surge import NotifyCallers, SetSurge, SurgeWatch, decide_notify
from dispatch.units import Fleet
from streams.chain import Arrived, Refused, Stored
from streams.clock import Clock
from streams.codec import any_body, encode
from streams.delivery import Examined
from streams.errors import StorageError
from streams.health import DUPLICATES, REFUSED, STORED
from streams.identity import new_id
from streams.inbox import Line
from streams.journal import Journal
from streams.messages import Lane
from streams.outbox import Draft, Outbox
from streams.source_clocks import SourceClocks
from streams.topics import TOPICS, find

PAGE = 1000
"""Facts read from the journal at once."""

READ = frozenset(kind for kind, topic in TOPICS.items() if topic.is_fact) - UNREAD
"""Kinds that a case's view is built from: all but the thousands that do not change it."""

TRACKS_READ = 20
STATES_READ = 100
"""Of each unit, at start: its last tracks, and the last that its sensors said."""

ROOMS_READ = 10
"""Of each hospital, at start: what it stated last of its room, for lanes may overtake."""

Follower = Callable[[Stored], None]
"""Is given each stored fact once, in the order of the journal."""

log = structlog.get_logger(__name__)


class CaseRecord:
    """The journal with the views that rest on it."""

    def __init__(
        self,
        journal: Journal,
        outbox: Outbox,
        fleet: Fleet,
        clock: Clock,
        usual_per_hour: float = math.inf,
    ) -> None:
        """Prepare; ``restore`` builds the views.

        Attributes:
            surge: Whether many more calls come than usual.
            clocks: Knows when facts were made whose source did not know it yet.
            retimed: Told a case whose facts got their times.

        Args:
            journal: The record, opened.
            outbox: Gives the envelopes of the hub's own facts their source and epoch.
            fleet: Units and hospitals.
            clock: The hub's clocks.
            usual_per_hour: Calls of a usual hour.
        """
        self.book = CaseBook()
        self.surge = SurgeWatch(usual_per_hour)
        self.fleet = fleet
        self.position = 0
        self.works = True
        self._journal = journal
        self._outbox = outbox
        self._clock = clock
        self._followers: list[Follower] = []
        self._lock = asyncio.Lock()
        self.clocks = SourceClocks()
        self.retimed: Callable[[str], None] = lambda _case: None
        self._again: set[str] = set()
        self._numbers: dict[Lane, int] = {}

    def follow(self, follower: Follower) -> None:
        """Have each fact given to ``follower`` after it is stored; from ``restore`` on."""
        self._followers.append(follower)

    async def restore(self) -> int:
        """Build the views from the journal; return how many facts were read for that.

        Raises:
            StorageError: The journal cannot be read.
        """
        async with self._lock:
            self.position = await self._journal.last_position()
            cases = set(await self._journal.begun_cases("case_opened", "case_closed"))
            cases.update(await self._journal.last_cases("case_closed", CLOSED_KEPT))
            count = 0
            for case in sorted(cases):  # by their opening
                count += await self._read(case, recent=True)
            for unit in self.fleet.units:
                tracks = await self._journal.newest("track", unit, TRACKS_READ)
                states = await self._journal.newest("sensor_state", unit, STATES_READ)
                for fact in [*tracks, *states]:
                    _show(self.fleet.take, self.clocks.place(fact))
                count += len(tracks) + len(states)
            for hospital in self.fleet.hospitals:
                rooms = await self._journal.newest("hospital_state", hospital, ROOMS_READ)
                for fact in rooms:
                    _show(self.fleet.take, self.clocks.place(fact))
                count += len(rooms)
            for fact in await self._journal.newest("surge", self._outbox.source, 1):
                self.surge.take(self.clocks.place(fact))
            await self._read_again()
            await self._reconcile(case.id for case in self.book.recent())
        return count

    async def case(self, name: str) -> Case | None:
        """Return a case, also one of long ago; None when the journal has none of that name.

        Raises:
            StorageError: The journal cannot be read.
        """
        async with self._lock:
            await self._know(name)
            return self.book.get(name)

    async def take(
        self, items: Sequence[Examined | Refused]
    ) -> list[tuple[Arrived | Refused, Stored | None]]:
        """Store what came, in order; give each as it was judged, with what was stored of it.

        Nothing is stored of what was there before or is refused. A unit's fact of a case to
        which it never was assigned, and a hospital's of a case that is not its own now, are
        refused here with reason ``case``. One of a case of which nobody heard opens it: its crew
        began it without a link (``dispatch.bay_arrivals``).

        Raises:
            StorageError: Not stored; the sources will send again.
        """
        async with self._lock:
            await self._catch_up_if_behind()
            for item in items:
                if isinstance(item, Examined):
                    await self._know(item.envelope.case)
                    await self._open_for_crew(item)
            checked = [self._judge(one) if isinstance(one, Examined) else one for one in items]
            for one in checked:
                if isinstance(one, Refused):
                    REFUSED.labels("hub", one.reason).inc()
            stored = await self._store(checked)
            await self._reconcile({fact.envelope.case for fact in stored if fact is not None})
        outcome = list(zip(checked, stored, strict=True))
        DUPLICATES.inc(sum(isinstance(item, Arrived) and fact is None for item, fact in outcome))
        return outcome

    async def act(self, action: Action, seat: str) -> dict[str, Any]:
        """Do what a seat or a script asks for; return what is told to it.

        Raises:
            DispatchError: It is not done, and why; also when its id was used for another.
            StorageError: The journal refuses; nothing was done, trying again helps.
        """
        check_id(action)
        async with self._lock:
            await self._catch_up_if_behind()
            if action.id is not None and (made := await self._journal.find(action.id)):
                return self._repeated(action, made, seat)
            await self._know(getattr(action, "case", None))
            if isinstance(action, LinkCase):
                await self._know(action.to)
            now_ns = self._clock.wall_ns()
            decision = self._decide(action, now_ns, seat)
            if not decision.drafts:
                return decision.answer()
            items = [self._arrived(draft) for draft in decision.drafts[:-1]]
            items.append(self._arrived(decision.drafts[-1], action.id))
            stored = await self._store(items)
            assert stored[-1] is not None, "an id was looked up and is there all the same"
        return decision.answer()

    def _decide(self, action: Action, now_ns: int, seat: str) -> Decision:
        if isinstance(action, SetSurge):
            return Decision("", tuple(self.surge.decide(action, now_ns, seat)))
        if isinstance(action, NotifyCallers):
            return Decision("", tuple(decide_notify(action, self.book, seat)))
        return decide(action, self.book, self.fleet, now_ns, new_id(), seat=seat)

    async def add(self, decide: Callable[[], Sequence[Draft]]) -> list[Stored]:
        """Store facts that the hub makes by itself; return them.

        Args:
            decide: Called once nobody else writes: it sees the cases as they stand.

        Raises:
            DispatchError: ``decide`` refuses; nothing was done.
            StorageError: The journal refuses; nothing was done, trying again helps.
        """
        async with self._lock:
            await self._catch_up_if_behind()
            stored = await self._store([self._arrived(draft) for draft in decide()])
        return [fact for fact in stored if fact is not None]

    async def _open_for_crew(self, item: Examined) -> None:
        """Open the case of a unit's fact, where the journal has none of that name."""
        envelope = item.envelope
        if item.address.scope != "unit" or envelope.case is None or self.book.get(envelope.case):
            return
        try:
            drafts = opening(envelope, self.fleet)
        except UnknownError as error:  # refused below, as every unit's that has no part in it
            log.warning("case not opened", case=envelope.case, error=str(error))
            return
        log.info("case opened for its crew", case=envelope.case, unit=envelope.source)
        await self._store([self._arrived(draft) for draft in drafts])

    async def _reconcile(self, names: Iterable[str | None]) -> None:
        """Choose the hospital at whose bay a patient was handed over past the hub."""
        for case in filter(None, map(self.book.get, names)):
            try:
                drafts = reconciling(case, self.fleet)
            except UnknownError as error:
                REFUSED.labels("bay", "unknown_hospital").inc()
                log.error("handed over at a bay that is not known", case=case.id, error=str(error))  # noqa: TRY400
                continue
            if drafts:
                log.warning("handed over at the bay", case=case.id, hospital=case.bay)
                await self._store([self._arrived(draft) for draft in drafts])

    def _judge(self, item: Examined) -> Arrived | Refused:
        """Return the fact if its maker has a right to the case, else its refusal."""
        envelope, arrived = item.envelope, item.arrived
        case = self.book.get(envelope.case)
        reason, text = "case", f"{envelope.source} has no part in case {envelope.case}"
        if case is not None and case.drill != envelope.drill:
            reason, text = "drill", "an exercise and the real thing do not share a case"
        elif envelope.case is None or self._may_add(item):
            return arrived
        return Refused(
            arrived.received_ns, str(item.address), reason, text, arrived.data,
            arrived.line, arrived.sequence,
        )  # fmt: skip

    def _may_add(self, item: Examined) -> bool:
        case = self.book.get(item.envelope.case)
        if case is None:
            return False
        if item.address.scope == "unit":
            return item.address.name in case.units
        return item.address.name == case.hospital

    def _arrived(self, draft: Draft, fact_id: str | None = None) -> Arrived:
        """Return one of the hub's own facts, numbered without a gap in its lane."""
        lane = find(draft.kind).lane
        line = Line(self._outbox.source, self._outbox.epoch, lane)
        if lane not in self._numbers:
            ahead = self._journal.inbox.ahead(line)
            self._numbers[lane] = ahead[-1][1] if ahead else self._journal.inbox.stored(line)
        number = self._numbers[lane] = self._numbers[lane] + 1
        envelope = self._outbox.envelope(draft, lane, number)
        if fact_id is not None:
            envelope = msgspec.structs.replace(envelope, id=fact_id)
        wall_ns = self._clock.wall_ns()
        return Arrived(encode(envelope), wall_ns, envelope.source_ns, line, number)

    def _repeated(self, action: Action, fact: Stored, seat: str) -> dict[str, Any]:
        """Answer an action whose id was used, by what the journal has under that id."""
        made = fact.envelope
        own = made.source == self._outbox.source
        if not own or not is_repeat(action, made, any_body(made), seat):
            raise ConflictError(
                f"the id {made.id} was used for another action ({made.kind}): nothing was done; "
                f"a new action needs a new id",
                kind="id", case=made.case or "",
            )  # fmt: skip
        return {"ok": True, "case": made.case, "made": [made.kind], "repeated": True}

    async def _store(self, items: Sequence[Arrived | Refused]) -> list[Stored | None]:
        try:
            stored = await self._journal.append_all(items)
            for fact in stored:
                if fact is not None:
                    STORED.labels(fact.envelope.kind).inc()
                    await self._apply(fact)
            await self._read_again()
        except BaseException:
            # The disk refused, or who asked was cancelled: part of it may be stored, and what is
            # stored is read before anything else is decided.
            self.works = False
            raise
        return stored

    async def _catch_up_if_behind(self) -> None:
        """Read what is stored and not yet in the views, after a commit with an unknown end."""
        if self.works:
            return
        await self._journal.settle()
        self._numbers.clear()
        while facts := await self._journal.facts(after=self.position, limit=PAGE):
            for fact in facts:
                await self._apply(fact)
        await self._read_again()
        self.works = True

    async def _know(self, case: str | None) -> None:
        """Have a case in the book, if the journal has it."""
        if case is not None and self.book.get(case) is None:
            await self._read(case, recent=False)
            await self._read_again()

    async def _read(self, case: str, *, recent: bool) -> int:
        """Read one case into the book, as the journal has it up to here; return how many facts."""
        last = await self._journal.last_number(case, self.position)
        if not last:
            return 0
        facts = await self._facts_of(case)
        for fact in facts:
            self._again |= self.clocks.take(fact)[1] - {case}
        await self._learn_clocks(facts)
        begun = self.book.begin(case, recent=recent)
        for fact in facts:
            _show(self.book.take, self.clocks.place(fact))
        begun.facts = last
        return len(facts)

    async def _facts_of(self, case: str) -> list[Stored]:
        return await self._journal.facts(case=case, kinds=READ, until=self.position, limit=None)

    async def _learn_clocks(self, facts: Iterable[Stored]) -> None:
        """Look beyond a case for the first moment at which its sources knew the hub's time."""
        unplaced: dict[str, int] = {}
        for fact in facts:
            envelope = fact.envelope
            if envelope.offset_ns is None and envelope.boot and not self.clocks.made_ns(envelope):
                unplaced[envelope.source] = fact.position
        for source, position in unplaced.items():
            for fact in await self._journal.facts(
                source=source, kinds=READ, after=position, until=self.position, limit=PAGE
            ):
                self._again |= self.clocks.take(fact)[1]

    async def _read_again(self) -> None:
        """Fold cases anew of which the time of some facts has become known."""
        while self._again:
            case = min(self._again)
            if self.book.get(case) is not None:
                try:
                    facts = await self._facts_of(case)
                except (
                    StorageError
                ) as error:  # what was stored is stored; the next fact tries again
                    log.error("case not read again", case=case, error=str(error))  # noqa: TRY400
                    return
                self.book.read_again(case, map(self.clocks.place, facts))
                self.retimed(case)
                log.info("times became known", case=case, facts=len(facts))
            self._again.discard(case)

    async def _apply(self, fact: Stored) -> None:
        """Give a stored fact to the views, and the case with it if it was not in memory."""
        case = fact.envelope.case
        if case is not None and (fact.case_sequence or 0) > 1 and self.book.get(case) is None:
            await self._read(case, recent=False)  # up to the position before
        placed, again = self.clocks.take(fact)
        self._again |= again
        self.position = fact.position
        for view in (self.book.take, self.fleet.take, self.surge.take):
            _show(view, placed)
        for follower in self._followers:
            _show(follower, fact)


def _show(view: Callable[[Stored], object], fact: Stored) -> None:
    """Give a fact to a view; a fault in one keeps no other from it, and no fact from coming."""
    try:
        view(fact)
    except Exception:
        REFUSED.labels("hub", "fault").inc()
        log.exception("fact not shown", kind=fact.envelope.kind, id=fact.envelope.id)
