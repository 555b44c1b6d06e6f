"""The hub's record: facts go into the journal, and from there, in its order, into the views.

Whatever is shown or decided rests on what is stored: a fact changes a view only after its
commit, and at start the views are built from the journal alone. One writer at a time, so the
order of the views is the order of the journal, and an action is decided on what stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog

from dispatch.case_actions import Action, check_id, decide
from dispatch.cases import CaseBook
from dispatch.errors import ConflictError
from dispatch.repeats import is_repeat
from dispatch.units import Fleet
from streams.chain import Arrived, Refused, Stored
from streams.clock import Clock
from streams.codec import any_body, encode
from streams.delivery import Examined
from streams.errors import StorageError
from streams.health import DUPLICATES, REFUSED, STORED
from streams.identity import new_id
from streams.journal import Journal
from streams.messages import Lane
from streams.outbox import Draft, Outbox
from streams.source_clocks import SourceClocks
from streams.topics import find

PAGE = 1000
"""Facts read from the journal at once."""

Follower = Callable[[Stored], None]
"""Is given each stored fact once, in the order of the journal."""

log = structlog.get_logger(__name__)


class CaseRecord:
    """The journal with the views that rest on it."""

    def __init__(self, journal: Journal, outbox: Outbox, fleet: Fleet, clock: Clock) -> None:
        """Prepare; ``restore`` builds the views.

        Attributes:
            clocks: Knows when facts were made whose source did not know it yet.
            retimed: Told a case whose facts got their times.

        Args:
            journal: The record, opened.
            outbox: Gives the envelopes of the hub's own facts their source and epoch.
            fleet: Units and hospitals.
            clock: The hub's clocks.
        """
        self.book = CaseBook()
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
        self._made: dict[str, int] = {}  # positions of the hub's own facts, by id

    def follow(self, follower: Follower) -> None:
        """Have each fact given to ``follower`` after it is stored; from ``restore`` on."""
        self._followers.append(follower)

    async def restore(self) -> int:
        """Build the views from the journal; return how many facts it has.

        Raises:
            StorageError: The journal cannot be read.
        """
        before = self.position
        async with self._lock:
            await self._catch_up()
        return self.position - before

    async def take(
        self, items: Sequence[Examined | Refused]
    ) -> list[tuple[Arrived | Refused, Stored | None]]:
        """Store what came, in order; give each as it was judged, with what was stored of it.

        Nothing is stored of what was there before or is refused. A unit's fact of a case to
        which it never was assigned, and a hospital's of a case that is not its own now, are
        refused here with reason ``case``.

        Raises:
            StorageError: Not stored; the sources will send again.
        """
        async with self._lock:
            checked = [self._judge(one) if isinstance(one, Examined) else one for one in items]
            for one in checked:
                if isinstance(one, Refused):
                    REFUSED.labels("hub", one.reason).inc()
            stored = await self._store(checked)
        outcome = list(zip(checked, stored, strict=True))
        DUPLICATES.inc(sum(isinstance(item, Arrived) and fact is None for item, fact in outcome))
        return outcome

    async def act(self, action: Action) -> dict[str, Any]:
        """Do what a seat or a script asks for; return what is told to it.

        Raises:
            DispatchError: It is not done, and why; also when its id was used for another.
            StorageError: The journal refuses; nothing was done, trying again helps.
        """
        check_id(action)
        async with self._lock:
            if action.id is not None and action.id in self._made:
                return await self._repeated(action, self._made[action.id])
            now_ns = self._clock.wall_ns()
            decision = decide(action, self.book, self.fleet, now_ns, new_id())
            items = [self._arrived(draft) for draft in decision.drafts[:-1]]
            items.append(self._arrived(decision.drafts[-1], action.id))
            stored = await self._store(items)
            if stored[-1] is None:
                raise ConflictError("the id was used for another fact", kind="id")
        return decision.answer()

    def _judge(self, item: Examined) -> Arrived | Refused:
        """Return the fact if its maker has a right to the case, else its refusal."""
        envelope, arrived = item.envelope, item.arrived
        if envelope.case is None or self._may_add(item):
            return arrived
        text = f"{envelope.source} has no part in case {envelope.case}"
        return Refused(
            arrived.received_ns, str(item.address), "case", text, arrived.data,
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
        self._numbers[lane] = self._numbers.get(lane, 0) + 1
        envelope = self._outbox.envelope(draft, lane, self._numbers[lane])
        if fact_id is not None:
            envelope = msgspec.structs.replace(envelope, id=fact_id)
        return Arrived(encode(envelope), self._clock.wall_ns(), envelope.source_ns)

    async def _repeated(self, action: Action, position: int) -> dict[str, Any]:
        """Answer an action whose id was used, by what the journal has under that id."""
        (fact,) = await self._journal.facts(after=position - 1, limit=1)
        made = fact.envelope
        if not is_repeat(action, made, any_body(made)):
            raise ConflictError(
                f"the id {made.id} was used for another action ({made.kind}): nothing was done; "
                f"a new action needs a new id",
                kind="id", case=made.case or "",
            )  # fmt: skip
        return {"ok": True, "case": made.case, "made": [made.kind], "repeated": True}

    async def _store(self, items: Sequence[Arrived | Refused]) -> list[Stored | None]:
        if not self.works:
            await self._catch_up()
        try:
            stored = await self._journal.append_all(items)
        except StorageError:
            self.works = False  # part of it may be stored: read that before anything else
            raise
        for fact in stored:
            if fact is not None:
                STORED.labels(fact.envelope.kind).inc()
                self._apply(fact)
        await self._read_again()
        return stored

    async def _catch_up(self) -> None:
        while facts := await self._journal.facts(after=self.position, limit=PAGE):
            for fact in facts:
                self._apply(fact)
        await self._read_again()
        self.works = True

    async def _read_again(self) -> None:
        """Fold cases anew of which the time of some facts has become known."""
        while self._again:
            case, after = min(self._again), 0
            found: list[Stored] = []
            try:
                while facts := await self._journal.facts(case=case, after=after, limit=PAGE):
                    found += map(self.clocks.place, facts)
                    after = facts[-1].position
            except StorageError as error:  # what was stored is stored; the next fact tries again
                log.error("case not read again", case=case, error=str(error))  # noqa: TRY400
                return
            self._again.discard(case)
            self.book.read_again(case, found)
            self.retimed(case)
            log.info("times became known", case=case, facts=len(found))

    def _apply(self, fact: Stored) -> None:
        envelope = fact.envelope
        self.position = fact.position
        if envelope.source == self._outbox.source:
            self._made[envelope.id] = fact.position
            if envelope.epoch == self._outbox.epoch:
                last = self._numbers.get(envelope.lane, 0)
                self._numbers[envelope.lane] = max(last, envelope.sequence)
        placed, again = self.clocks.take(fact)
        self._again |= again
        self.book.take(placed)
        self.fleet.take(placed)
        for follower in self._followers:
            follower(fact)
