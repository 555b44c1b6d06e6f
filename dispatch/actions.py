"""The desk where actions come in, from the console's socket and from scripts alike."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from dispatch.case_actions import Action
from dispatch.case_record import CaseRecord
from dispatch.errors import ConflictError, DispatchError
from streams.clock import Clock
from streams.errors import ForerunError
from streams.health import REFUSED
from streams.journal import Journal
from streams.web import Handler, RequestError

_decoder: msgspec.json.Decoder[Action] = msgspec.json.Decoder(Action)


class ActionDesk:
    """Decodes an action, writes into the audit log who asks for it, and has it done."""

    def __init__(self, record: CaseRecord, journal: Journal, clock: Clock) -> None:
        """Prepare."""
        self._record = record
        self._journal = journal
        self._clock = clock

    async def act(self, data: bytes, who: str) -> dict[str, Any]:
        """Do an action given as JSON; return what happened.

        Args:
            data: The JSON object, see ``dispatch.case_actions``.
            who: The seat.

        Raises:
            RequestError: It is no action; names the field.
            DispatchError: It is not done, and why.
            StorageError: Nothing was done; trying again helps.
        """
        action = self.check(data)
        case = getattr(action, "case", None)
        kind = action.__struct_config__.tag
        await self._journal.note_read(f"seat/{who}", f"action {kind}", case, self._clock.wall_ns())
        return await self._record.act(action, who)

    @staticmethod
    def check(data: bytes) -> Action:
        """Return the action that is given as JSON.

        Raises:
            RequestError: It is none; names the field.
        """
        try:
            return _decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RequestError(str(error)) from error

    @staticmethod
    def describe(error: ForerunError) -> dict[str, Any]:
        """Return an error as it is told to who asked; counted by reason."""
        REFUSED.labels("action", error.reason).inc()
        told: dict[str, Any] = {"ok": False, "error": str(error), "retry": error.retry}
        if isinstance(error, ConflictError):
            told["conflict"] = error.conflict
        return told


@web.middleware
async def tell_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware: the hub's own errors become JSON with their status (404, 409 …)."""
    try:
        return await handler(request)
    except DispatchError as error:
        return web.json_response(ActionDesk.describe(error), status=error.status)
