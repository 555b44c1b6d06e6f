"""What the hub's own pages must know about the hub: which part does not work, and since when."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypedDict

from streams.health import Check

LOOK_S = 1.0
"""How often the checks of ``/healthz`` are looked at for the pages."""


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
    """Keeps since when each part of the hub does not work. Pure but for the checks."""

    def __init__(self, checks: Callable[[], Mapping[str, Check]]) -> None:
        """Prepare; ``checks`` are those of ``/healthz``."""
        self._checks = checks
        self._standing: dict[str, Trouble] = {}

    def look(self, now_ms: int) -> bool:
        """Ask the checks; return whether there is something else to tell than before."""
        before = self.standing
        self._standing = {
            part: {
                "part": part,
                "text": check["text"],
                "since_ms": self._standing[part]["since_ms"] if part in self._standing else now_ms,
            }
            for part, check in self._checks().items()
            if not check["ok"]
        }
        return self.standing != before

    @property
    def standing(self) -> list[Trouble]:
        """What does not work, as it was when last looked at."""
        return list(self._standing.values())
