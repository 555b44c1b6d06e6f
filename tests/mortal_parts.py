"""Parts of a process that ends where a test wants it to: outbox and journal on disk, no tasks."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from streams.chain import Arrived, Refused, Stored
from streams.journal import Journal
from streams.messages import Envelope
from streams.outbox import Draft, Outbox


class Killed(Exception):  # noqa: N818 - it is no error
    """A process ended in the middle of its work."""


class MortalOutbox(Outbox):
    """The outbox of a process that may end, or whose disk may refuse, at one of its writes.

    Attributes:
        made: All that was made, by destination.
        fault: What happens at the write after ``writes_left`` others; None for nothing.
    """

    made: dict[str, list[Envelope]]
    fault: Exception | None = None
    writes_left = 0

    def add_all(
        self, drafts: Iterable[tuple[str, Draft]], mark: tuple[str, int] | None = None
    ) -> list[Envelope]:
        """Write, unless the fault comes before; a process may also end right after."""
        drafts = list(drafts)
        fault = self.fault if self.writes_left == 0 else None
        self.writes_left -= 1
        if fault is not None:
            self.fault = None
            if not isinstance(fault, Killed) or fault.args == ("before",):
                raise fault
        made = super().add_all(drafts, mark)
        for (party, _), envelope in zip(drafts, made, strict=True):
            self.made[party].append(envelope)
        if fault is not None:
            raise fault
        return made


class MortalJournal(Journal):
    """The journal of a process that may end at a commit.

    Attributes:
        death: What happens at the next commit; None for nothing.
    """

    death: Killed | None = None

    async def append_all(self, arrived: Sequence[Arrived | Refused]) -> list[Stored | None]:
        """Store, unless the process ends before it does; it may also end right after."""
        if self.death is not None and self.death.args == ("before",):
            raise self.death
        stored = await super().append_all(arrived)
        if self.death is not None:
            raise self.death
        return stored


class NoTasks:
    """A task group that starts nothing: the test gives the senders their turns."""

    def create_task(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        del name
        work.close()
