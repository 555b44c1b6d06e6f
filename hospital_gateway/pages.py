"""The open pages of this hospital: what each gets, and the note that somebody read it.

A message is encoded once for all pages. Before a page is shown a case for the first time, and
before it gets live ECG, that reading is in the audit log; where it cannot be written, nothing
is shown.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from hospital_gateway.board import Board, Delta
from hospital_gateway.live import LiveFrame, LiveStreams
from streams.errors import StorageError
from streams.journal import Journal
from streams.web import PageSocket, RequestError

MOST_LOOKED_AT = 8
"""Cases whose live ECG one page may have at once: the wall shows six."""

PAUSE_S = 0.05
"""Least time between two rounds of state messages."""

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Viewer:
    """One open page.

    Attributes:
        socket: Its WebSocket.
        who: Whose seat it is.
        noted: Cases of which the audit log says that this page shows them.
        looks: Cases whose live ECG it gets.
    """

    socket: PageSocket
    who: str
    noted: set[str] = field(default_factory=set)
    looks: set[str] = field(default_factory=set)


class Pages:
    """All open pages."""

    def __init__(
        self,
        *,
        board: Board,
        journal: Journal,
        hub_now_ns: Callable[[], int],
        heading: dict[str, Any],
        ended: Callable[[str], None],
    ) -> None:
        """Prepare.

        Args:
            board: What is shown.
            journal: Holds the audit log.
            hub_now_ns: The hub's clock, as far as it is known here.
            heading: What every snapshot begins with: the hospital, roles, limits.
            ended: Called with a case that is no longer coming here.
        """
        self.live = LiveStreams(board, self.send_frame)
        self.recorded: Callable[[str], Awaitable[list[bytes]]] = _nothing
        self.changed = asyncio.Event()
        self.room: Callable[[], dict[str, Any] | None] = lambda: None
        self.upstream: dict[str, Any] = {"state": "connecting", "since_ms": 0}
        self._board, self._journal = board, journal
        self._hub_now_ns, self._heading, self._ended = hub_now_ns, heading, ended
        self._viewers: dict[PageSocket, Viewer] = {}
        self._current: set[str] = set()

    def __len__(self) -> int:
        return len(self._viewers)

    async def note_board(self, who: str) -> set[str]:
        """Write down that somebody opens the board; return the cases on it.

        Raises:
            StorageError: It cannot be written: show nothing.
        """
        cases = set(self._board.cases())
        for case in sorted(cases):
            await self.note(who, "board", case)
        return cases

    async def note(self, who: str, what: str, case: str | None) -> None:
        """Write one reading of patient data, or an action, into the audit log.

        Raises:
            StorageError: It cannot be written: show nothing.
        """
        await self._journal.note_read(who, what, case, self._hub_now_ns())

    def join(self, socket: PageSocket, who: str, noted: set[str]) -> None:
        """Take a page in and give it the whole board."""
        viewer = Viewer(socket, who, set(noted))
        self._viewers[socket] = viewer
        shown = [case for case in self._board.cases() if case in noted]
        snapshot = {
            "type": "snapshot",
            "now_ms": self._now_ms(),
            **self._heading,
            "seat": who,
            "upstream": self.upstream,
            "room": self.room(),
            "cases": [self._board.whole(case) for case in shown],
        }
        socket.send_state(msgspec.json.encode(snapshot).decode())
        if len(shown) < len(self._board.cases()):
            self.changed.set()

    def leave(self, socket: PageSocket) -> None:
        """Forget a page."""
        self._viewers.pop(socket, None)

    async def look(self, socket: PageSocket, cases: object) -> None:
        """Give a page the live ECG of these cases, and of no other, from now on.

        Raises:
            RequestError: Not a list of cases, or too many.
            UnknownCaseError: One of them is not known here.
            StorageError: The audit log cannot be written.
        """
        viewer = self._viewers.get(socket)
        if not isinstance(cases, list) or not all(isinstance(case, str) for case in cases):
            raise RequestError("look: cases wants a list of case ids")
        if len(cases) > MOST_LOOKED_AT:
            raise RequestError(f"look: at most {MOST_LOOKED_AT} cases at once")
        if viewer is None:
            return
        wanted = {case for case in cases if self._board.known(case).is_current}
        viewer.looks &= wanted
        for case in sorted(wanted - viewer.looks):
            await self.note(viewer.who, "live ecg", case)
            for frame in self.live.past(case) or await self.recorded(case):
                socket.send_frame(frame)
            viewer.looks.add(case)

    def send_frame(self, frame: LiveFrame) -> None:
        """Give a frame to the pages that look at its case."""
        for viewer in self._viewers.values():
            if frame.case in viewer.looks:
                viewer.socket.send_frame(frame.data)

    def tell(self, message: dict[str, Any], case: str | None = None) -> None:
        """Tell all pages something; with a case, only those that show it."""
        text = self._encode(message)
        for viewer in self._viewers.values():
            if case is None or case in viewer.noted:
                viewer.socket.send_state(text)

    async def run(self) -> None:
        """Tell the pages of every change of the board, until cancelled."""
        while True:
            await self.changed.wait()
            self.changed.clear()
            changes = self._board.take_changes()
            self._end_streams()
            for case in self._unseen() - changes.keys():
                changes[case] = Delta()
            for case, delta in changes.items():
                with contextlib.suppress(StorageError):
                    await self._tell_case(case, delta)
            await asyncio.sleep(PAUSE_S)

    def _unseen(self) -> set[str]:
        """Return cases on the board that a page does not show yet."""
        shown = set(self._board.cases())
        return {case for viewer in self._viewers.values() for case in shown - viewer.noted}

    def _end_streams(self) -> None:
        current = {one.case for one in self._board.arrivals if one.is_current}
        for case in self._current - current:
            self.live.end(case)
            for viewer in self._viewers.values():
                viewer.looks.discard(case)
            self._ended(case)
        self._current = current

    async def _tell_case(self, case: str, delta: Delta) -> None:
        if not self._board.is_shown(case):
            self.tell({"type": "gone", "case": case}, case)
            for viewer in self._viewers.values():
                viewer.noted.discard(case)
            return
        update = {
            "type": "case",
            "card": self._board.card(case),
            "curves": delta.curves,
            "lines": delta.lines,
            "facts": delta.facts,
            "again": delta.again,
        }
        text = self._encode(update)
        whole: str | None = None
        for viewer in list(self._viewers.values()):
            if case in viewer.noted:
                viewer.socket.send_state(text)
                continue
            await self.note(viewer.who, "board", case)
            viewer.noted.add(case)
            # What came before this page knew the case was told to nobody: it gets all.
            whole = whole or self._encode({**update, **self._board.whole(case), "whole": True})
            viewer.socket.send_state(whole)

    def _now_ms(self) -> float:
        return self._hub_now_ns() // 1000 / 1000

    def _encode(self, message: dict[str, Any]) -> str:
        return msgspec.json.encode({**message, "now_ms": self._now_ms()}).decode()


async def _nothing(_: str) -> list[bytes]:
    return []
