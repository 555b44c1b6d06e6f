"""What a person at the board does: see a patient coming, say something, clear an ended case.

Each action becomes a fact in the outbox before it is answered. It shows at once as *made*, then
as *delivered* when the hub has it in the case's journal.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from typing import Annotated, Any, TypeAlias

import msgspec

from hospital_gateway.bay_merge import destinations
from hospital_gateway.board import Board
from hospital_gateway.room import StateRoom
from streams.clock import Clock
from streams.codec import decode, open_body
from streams.identity import is_id
from streams.messages import Acknowledged, CaseNote, Identifier, ShortText
from streams.outbox import Draft, Outbox
from streams.web import RequestError

_Role = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"\S")]
# JSON has no end of numbers: one that is no time at all (NaN, 1e305) must not reach the arithmetic.
_Milliseconds = Annotated[float, msgspec.Meta(gt=0, le=9_000_000_000_000)]
_DAY_NS = 86_400 * 10**9
_Sentence = Annotated[str, msgspec.Meta(min_length=1, max_length=4000, pattern=r"\S")]


class _Action(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="action"
):
    case: Identifier


class Acknowledge(_Action, frozen=True, kw_only=True, tag="acknowledge"):
    """A role has seen that the patient is coming."""

    role: _Role
    person: ShortText | None = None


class Note(_Action, frozen=True, kw_only=True, tag="note"):
    """A sentence for the case's timeline.

    Attributes:
        text: The sentence.
        at_ms: When it was true, by the hub's clock, milliseconds since 1970; None is now.
            At most a day back, as at the vehicle, and not in the future.
    """

    text: _Sentence
    at_ms: _Milliseconds | None = None


class Dismiss(_Action, frozen=True, kw_only=True, tag="dismiss"):
    """Take a case that was diverted or closed off the board."""


CaseAction: TypeAlias = Acknowledge | Note | Dismiss
Action: TypeAlias = CaseAction | StateRoom


def read_action(message: dict[str, Any]) -> Action:
    """Read an action: ``{"action": …, "case": …, …}``, with or without ``"type": "action"``.

    What is stated of the room (``room.py``) has no case.

    Raises:
        RequestError: The action is unknown or a field is wrong; the text says which.
    """
    fields = {name: value for name, value in message.items() if name not in ("type", "request")}
    try:
        action: Action = msgspec.convert(fields, Action)
    except (msgspec.ValidationError, OverflowError) as error:  # a whole number above any float
        raise RequestError(f"action: {error}") from error
    return action


class Actions:
    """Does what the pages and the API ask for."""

    def __init__(
        self,
        *,
        hospital: str,
        roles: Collection[str],
        board: Board,
        outbox: Outbox,
        clock: Clock,
        offset_ns: Callable[[], int],
        made: Callable[[], None],
        destination: Callable[[str], str] = lambda _case: "hub",
    ) -> None:
        """Prepare.

        Args:
            hospital: Name of this hospital.
            roles: Who may acknowledge here.
            board: What is shown.
            outbox: Where facts for the hub are written.
            clock: This machine's clocks.
            offset_ns: What to add to this machine's wall clock to get the hub's.
            made: Called when a fact waits or the board has changed.
            destination: Where in the outbox what is done with a case goes.
        """
        self._hospital, self._board, self._outbox = hospital, board, outbox
        self._roles = [role.strip() for role in roles]
        self._clock, self._offset_ns, self._made = clock, offset_ns, made
        self._destination = destination

    def perform(self, action: CaseAction) -> dict[str, Any]:
        """Do one action; return what happened.

        Raises:
            RequestError: The case, the role or a time is not such that it can be done.
            StorageError: The disk refuses; nothing was done.
        """
        match action:
            case Acknowledge():
                answer = self._acknowledge(action)
            case Note():
                answer = self._note(action)
            case Dismiss():
                answer = self._dismiss(action)
        self._made()
        done = action.__struct_config__.tag
        return {"ok": True, "action": done, "case": action.case, **answer}

    def restore(self) -> int:
        """Show again what was acknowledged before a restart and is still on its way."""
        count = 0
        waiting = [
            self._outbox.waiting(one, "urgent", 0, 10_000) for one in destinations(self._outbox)
        ]
        for entry in itertools.chain.from_iterable(waiting):
            envelope = decode(entry.data)
            if envelope.kind == "acknowledged" and envelope.case and is_id(envelope.case):
                at_ns = envelope.source_ns + (envelope.offset_ns or 0)
                body = open_body(envelope, Acknowledged)
                self._board.made(envelope.case, envelope.id, body, at_ns)
                count += 1
        return count

    def _acknowledge(self, action: Acknowledge) -> dict[str, Any]:
        arrival = self._board.current(action.case)
        role = action.role.strip()
        if role not in self._roles:
            known = ", ".join(self._roles)
            raise RequestError(f"action: there is no such role at this hospital; it has: {known}")
        if any(
            mark.role == role and not mark.problem for mark in self._board.card(action.case).seen
        ):
            return {"text": f"{role} has acknowledged before", "already": True}
        body = Acknowledged(hospital=self._hospital, role=role, person=action.person)
        draft = Draft("acknowledged", body, case=action.case, drill=arrival.drill)
        envelope = self._outbox.add(self._destination(action.case), draft)
        at_ns = envelope.source_ns + (envelope.offset_ns or 0)
        self._board.made(action.case, envelope.id, body, at_ns)
        return {"text": f"acknowledged as {role}", "id": envelope.id}

    def _note(self, action: Note) -> dict[str, Any]:
        arrival = self._board.current(action.case)
        wall_ns = self._clock.wall_ns()
        said_ns = wall_ns if action.at_ms is None else int(action.at_ms * 1e6) - self._offset_ns()
        if said_ns > wall_ns:
            raise RequestError("action: at_ms lies in the future; check the time")
        if said_ns < wall_ns - _DAY_NS:
            raise RequestError("action: at_ms lies more than a day back; check the time")
        body = CaseNote(text=action.text.strip(), at_ns=said_ns)
        draft = Draft("case_note", body, case=action.case, drill=arrival.drill)
        envelope = self._outbox.add(self._destination(action.case), draft)
        return {"text": "noted", "id": envelope.id}

    def _dismiss(self, action: Dismiss) -> dict[str, Any]:
        place = self._board.dismiss(action.case)
        self._outbox.add_all([], mark=(f"dismissed/{action.case}", place))
        return {"text": "taken off the board"}
