"""What a hospital or vehicle that lost its copy is sent again: the open cases that are its own.

The facts go into the outbox once more, under new numbers; whoever has one already knows it by its
id. So a gateway with an empty disk gets back each case in progress, from its first fact on, and
can prove the chain again. A case that was elsewhere meanwhile it gets back when it returns.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from dispatch.case_routing import DECIDING, Forward, Router, destination, wants
from streams.chain import Stored
from streams.journal import Journal
from streams.topics import Scope

PAGE = 200
"""Facts read, and written into the outbox, at once."""


async def party_of(lost: Stored, journal: Journal) -> str | None:
    """Return whose word it is that a copy was lost; None where nothing is routed to it."""
    source = lost.envelope.source
    scopes: tuple[Scope, ...] = ("hospital", "unit")
    for scope in scopes:
        party = destination(scope, source)
        if await open_cases(party, lost.position, journal):
            return party
    return None


async def open_cases(party: str, until: int, journal: Journal) -> list[str]:
    """Return the cases that were open and routed to a party at a position of the journal."""
    found = []
    for case in await journal.begun_cases("case_opened", "case_closed", until):
        router = Router()
        last = await journal.last_number(case, until)
        deciding = await journal.facts(case=case, kinds=DECIDING, until=until, limit=None)
        router.learn(case, deciding, last)
        if last and router.gets(party, case):
            found.append(case)
    return found


async def pages_for(party: str, until: int, journal: Journal) -> AsyncIterator[list[Stored]]:
    """Give the facts of a party's open cases, as far as it was sent them, in order.

    Args:
        party: The destination.
        until: The journal's position of the word that they are lost.
        journal: The journal.
    """
    for case in await open_cases(party, until, journal):
        after = 0
        while page := await journal.facts(case=case, after=after, until=until, limit=PAGE):
            after = page[-1].position
            yield [fact for fact in page if wants(party, fact.envelope)]


async def whole_if_lost(order: Forward, journal: Journal) -> Forward:
    """Return an order to a party that returns to a case, from the first fact on if that is lost.

    Args:
        order: What would go there if it still had what it was sent before.
        journal: The journal, which tells whether it lost its copy since then.
    """
    _, _, name = order.destination.partition("/")
    lost = await journal.newest("copy_lost", name, 1)
    if not lost:
        return order
    (left,) = await journal.facts(case=order.case, beyond=order.after - 1, limit=1)
    return replace(order, after=0) if lost[0].position > left.position else order
