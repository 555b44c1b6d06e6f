"""What the hub's own pages must know about the hub: which part does not work, and since when."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypedDict

from streams.health import Check

LOOK_S = 1.0
"""How often the checks of ``/healthz`` are looked at for the pages."""

STARTING_MS = 4000
"""A part that has not worked yet is given so long after the hub's start before pages hear of it."""


class Trouble(TypedDict):
    """A part that does not work.

    Attributes:
        part: Its name in ``/healthz``: ``broker``, ``journal`` or ``relay``.
        text: What ``/healthz`` says of it.
        since_ms: When it was first seen so, by the hub's clock, ms since 1970.
    """

    part: str
    text: str
    since_ms: int


class TroubleWatch:
    """Keeps since when each part of the hub does not work. Pure but for the checks.

    A hub that starts is not yet connected, and that is no trouble. What has worked once and
    fails is told at once.
    """

    def __init__(self, checks: Callable[[], Mapping[str, Check]]) -> None:
        """Prepare; ``checks`` are those of ``/healthz``."""
        self._checks = checks
        self._standing: dict[str, Trouble] = {}
        self._worked: set[str] = set()
        self._started_ms: int | None = None
        self._now_ms = 0

    def look(self, now_ms: int) -> bool:
        """Ask the checks; return whether there is something else to tell than before."""
        before = self.standing
        checks = self._checks()
        self._started_ms = now_ms if self._started_ms is None else self._started_ms
        self._now_ms = now_ms
        self._worked.update(part for part, check in checks.items() if check["ok"])
        self._standing = {
            part: {
                "part": part,
                "text": check["text"],
                "since_ms": self._standing[part]["since_ms"] if part in self._standing else now_ms,
            }
            for part, check in checks.items()
            if not check["ok"]
        }
        return self.standing != before

    @property
    def standing(self) -> list[Trouble]:
        """What is to be told of what did not work when last looked at."""
        starting = self._started_ms is None or self._now_ms - self._started_ms < STARTING_MS
        return [
            trouble
            for part, trouble in self._standing.items()
            if part in self._worked or not starting
        ]
