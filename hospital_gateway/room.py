"""What this hospital states of its room: made here, kept, on its way to the hub, or there.

A statement goes into the outbox first, from then on it reaches the hub whatever happens, and
then into the journal, which has all that was ever stated here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import structlog

from streams.chain import Arrived
from streams.clock import Clock
from streams.codec import decode, encode, open_body
from streams.errors import StorageError
from streams.hospital_messages import HospitalState, Places
from streams.journal import Journal
from streams.messages import Envelope, ShortText, Text
from streams.outbox import Draft, Outbox
from streams.topics import find
from streams.web import RequestError

KIND = "hospital_state"
LANE = find(KIND).lane

log = structlog.get_logger(__name__)


class StateRoom(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="action",
    tag="state_room",
):
    """State the room there is now; what is not named is not stated any more.

    Attributes:
        beds: Free beds.
        resus_bays: Free resuscitation bays.
        diversion: Whether patients are to be taken elsewhere; wants a reason.
        reason: Why.
        role: What the person is; empty where the seat did not choose.
    """

    beds: Places | None = None
    resus_bays: Places | None = None
    diversion: bool = False
    reason: Text = ""
    role: ShortText = ""


@dataclass(slots=True)
class Statement:
    """What was stated last.

    Attributes:
        id: The fact's.
        body: What was said.
        stated_ns: When, by the hub's clock.
        state: ``delivered`` once the hub stores it.
        problem: Why the hub refused it.
    """

    id: str
    body: HospitalState
    stated_ns: int
    state: Literal["made", "delivered", "refused"] = "made"
    problem: str | None = None


class Room:
    """The room of this hospital, as its people state it."""

    def __init__(
        self,
        *,
        hospital: str,
        roles: Collection[str],
        drill: bool,
        outbox: Outbox,
        journal: Journal,
        clock: Clock,
        hub_now_ns: Callable[[], int],
        changed: Callable[[], None],
    ) -> None:
        """Prepare; ``restore`` shows what was stated before.

        Args:
            hospital: Name of this hospital.
            roles: What a person here can be.
            drill: Whether this gateway belongs to an exercise.
            outbox: Where facts for the hub are written.
            journal: Keeps what was stated.
            clock: This machine's clocks.
            hub_now_ns: The hub's clock, as far as it is known here.
            changed: Called when there is something new to show or to send.
        """
        self._hospital, self._drill = hospital, drill
        self._roles = [role.strip() for role in roles]
        self._outbox, self._journal = outbox, journal
        self._clock, self._hub_now_ns, self._changed = clock, hub_now_ns, changed
        self._last: Statement | None = None

    async def restore(self) -> None:
        """Show what was stated before a restart, and whether the hub has it.

        Raises:
            StorageError: Journal or outbox cannot be read.
        """
        for fact in await self._journal.newest(KIND, self._hospital, 1):
            body = open_body(fact.envelope, HospitalState)
            self._last = Statement(fact.envelope.id, body, fact.corrected_ns, "delivered")
        for envelope in self._waiting():  # the last of them is the newest of all
            await self._keep(envelope)
            body = open_body(envelope, HospitalState)
            self._last = Statement(envelope.id, body, _made_ns(envelope))

    async def state(self, action: StateRoom, seat: str) -> dict[str, Any]:
        """State the room; return what happened.

        Args:
            action: What is stated.
            seat: Who states it.

        Raises:
            RequestError: A diversion without a reason, nothing at all, or no such role.
            StorageError: The disk refuses; nothing was stated.
        """
        body = self._checked(action, seat)
        envelope = self._outbox.add("hub", Draft(KIND, body, drill=self._drill))
        self._last = Statement(envelope.id, body, self._hub_now_ns())
        self._changed()
        try:
            await self._keep(envelope)
        except StorageError as error:  # it is on its way all the same, and is kept at a restart
            log.error("statement not in the journal", id=envelope.id, error=str(error))  # noqa: TRY400
        return {"ok": True, "action": "state_room", "text": "stated", "id": envelope.id}

    def take_receipt(self) -> None:
        """Look whether the hub has what was stated last, after a receipt was taken."""
        last = self._last
        if last is None or last.state != "made":
            return
        try:
            waits = any(envelope.id == last.id for envelope in self._waiting())
        except StorageError:
            return  # the next receipt tells it again
        if not waits:
            last.state = "delivered"
            self._changed()

    def refused(self, fact_id: str, text: str) -> None:
        """Show that the hub refused what was stated last."""
        if self._last is not None and self._last.id == fact_id:
            self._last.state, self._last.problem = "refused", text
            self._changed()

    def shown(self) -> dict[str, Any] | None:
        """Return what a page shows of it; None where nothing was ever stated."""
        last = self._last
        if last is None:
            return None
        return {
            "beds": last.body.beds,
            "resus_bays": last.body.resus_bays,
            "diversion": last.body.diversion,
            "reason": last.body.reason,
            "role": last.body.role,
            "seat": last.body.seat,
            "stated_ms": last.stated_ns // 1000 / 1000,
            "state": last.state,
            "problem": last.problem,
        }

    def _checked(self, action: StateRoom, seat: str) -> HospitalState:
        reason, role = action.reason.strip(), action.role.strip()
        if action.diversion and not reason:
            raise RequestError("action: a diversion wants its reason: dispatch and crews read it")
        if action.beds is None and action.resus_bays is None and not action.diversion:
            raise RequestError("action: nothing is stated: name beds, resus_bays or diversion")
        if role and role not in self._roles:
            known = ", ".join(self._roles)
            raise RequestError(f"action: there is no such role at this hospital; it has: {known}")
        return HospitalState(
            beds=action.beds,
            resus_bays=action.resus_bays,
            diversion=action.diversion,
            reason=reason if action.diversion else "",
            role=role,
            seat=seat,
        )

    def _waiting(self) -> list[Envelope]:
        entries = self._outbox.waiting("hub", LANE, 0, 10_000)
        return [decode(entry.data) for entry in entries if entry.kind == KIND]

    async def _keep(self, envelope: Envelope) -> None:
        now_ns = self._hub_now_ns()
        await self._journal.append(Arrived(encode(envelope), now_ns, _made_ns(envelope)))


def _made_ns(envelope: Envelope) -> int:
    return envelope.source_ns + (envelope.offset_ns or 0)
