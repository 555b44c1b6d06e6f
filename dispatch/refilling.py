"""What a hospital or vehicle that lost its copy is sent again: the open cases that are its own.

The facts go into the outbox once more, under new numbers; whoever has one already knows it by its
id. So a gateway with an empty disk gets back each case in progress, from its first fact on, and
can prove the chain again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from dispatch.case_routing import DECIDING, Router, destination, wants
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
    """Return the open cases that are routed to a party at a position of the journal."""
    found = []
    for case in await journal.begun_cases("case_opened", "case_closed"):
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
