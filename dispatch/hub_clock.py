"""The hub's clock: the one by which a region's runs are told; it never jumps and never goes back.

It begins no earlier than the newest fact in the journal, so a hub that is started again after
the machine's clock was set back goes on from where it was. While it runs it follows what NTP
slews, and no step (``streams.clock.SteadyClock``). The machine's own clock should be right
before the hub is started: ``/healthz`` says when the two differ.
"""

from __future__ import annotations

import structlog

from streams.clock import Clock, SteadyClock
from streams.health import Check
from streams.journal import Journal

MOST_AHEAD_NS = 24 * 3600 * 1_000_000_000
"""A journal that is further ahead of the machine's clock was written with a wrong one."""

NOTABLE_NS = 1_000_000_000

log = structlog.get_logger(__name__)


async def hub_clock(journal: Journal, machine: Clock) -> Clock:
    """Return a clock that goes on where a journal ends.

    Raises:
        StorageError: The journal cannot be read.
    """
    last = await journal.last_position()
    facts = await journal.facts(after=last - 1, limit=1) if last else []
    newest_ns = facts[0].received_ns if facts else 0
    ahead_ns = newest_ns - machine.wall_ns()
    if ahead_ns > MOST_AHEAD_NS:
        log.error("the journal's newest fact is in the future, times go back", by_ns=ahead_ns)
        newest_ns = 0
    elif ahead_ns > 0:
        log.warning("the machine's clock was set back, times go on from before", by_ns=ahead_ns)
    return SteadyClock(machine, after_ns=newest_ns)


def check_clock(clock: Clock) -> Check:
    """Return what ``/healthz`` says of the hub's clock; it is never a reason to end a hub."""
    if not isinstance(clock, SteadyClock):
        return {"ok": True, "text": "the machine's"}
    difference_ns = clock.behind_machine_ns
    if abs(difference_ns) < NOTABLE_NS:
        return {"ok": True, "text": "goes with the machine's"}
    seconds = f"{abs(difference_ns) / 1e9:.0f} s"
    words = f"the machine's was set {'forward' if difference_ns > 0 else 'back'} by {seconds}"
    return {"ok": True, "text": f"{words}; times of facts do not follow before the next start"}
