"""What the crew can ask for, and which facts that makes. Pure.

An action is JSON with its name in ``action``, the same from the page and from
``POST /api/action``. Times in it are milliseconds since 1970 by the hub's clock, as far as it is
known here: the page shows that time.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from onboard.errors import RefusedActionError
from onboard.run import Event, step
from onboard.situation import Case, Fact, Situation
from streams.bay_messages import BayHandover
from streams.identity import is_id, new_id
from streams.messages import (
    Age,
    Body,
    CaseNote,
    Identifier,
    Milestone,
    Name,
    Pathway,
    PreAlert,
    RunEnded,
    RunStarted,
    Severity,
    Sex,
    ShortText,
    Stage,
)
from streams.video_messages import VideoRecording

MS = 1_000_000
AHEAD_NS = 60_000_000_000
"""A time given by the crew may be this far ahead; more is a mistyped one."""

BACK_NS = 24 * 3600 * 1_000_000_000
"""And this far back."""

Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]

SEVERITIES: dict[Pathway, Severity] = {
    "stemi": "red",
    "stroke": "red",
    "trauma": "red",
    "cardiac_arrest": "red",
    "sepsis": "red",
    "obstetric": "yellow",
    "paediatric": "yellow",
    "other": "yellow",
}
"""What a pathway counts as unless the crew says otherwise: time-critical ones are red."""


class _Action(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
              tag_field="action"):  # fmt: skip
    """Base of all actions.

    Attributes:
        id: A ULID of the page's own, the same each time it asks for the same thing: what was
            asked for twice is done once. It becomes the id of the fact.
    """

    id: Identifier | None = None


class StartRun(_Action, frozen=True, kw_only=True, tag="start_run"):
    """The crew begins the run; from now on the sensors belong to the unknown patient.

    Attributes:
        crew: Who they are.
        own: Begin a run that nobody called for: a case of its own, of which dispatch hears when
            there is a link.
    """

    crew: ShortText | None = None
    own: bool = False


class EndRun(_Action, frozen=True, kw_only=True, tag="end_run"):
    """The run is over."""

    reason: ShortText = "handed_over"


class Stamp(_Action, frozen=True, kw_only=True, tag="milestone"):
    """A stage was reached, now or at ``at_ms``; a second stamp corrects the first.

    Attributes:
        stage: Which.
        at_ms: When it was true; None is now. A correction must say it.
        corrects: The stamp that is corrected; the newest of the stage when absent.
    """

    stage: Stage
    at_ms: Milliseconds | None = None
    corrects: Identifier | None = None


class SendPreAlert(_Action, frozen=True, kw_only=True, tag="pre_alert"):
    """The crew's word to the ER; sent again it replaces the one before."""

    pathway: Pathway
    severity: Severity | None = None
    age_years: Age | None = None
    age_is_estimate: bool = True
    sex: Sex = "unknown"
    text: Words | None = None


class Note(_Action, frozen=True, kw_only=True, tag="note"):
    """A sentence on the case, true at ``at_ms`` (now when absent)."""

    text: Words
    at_ms: Milliseconds | None = None


class Camera(_Action, frozen=True, kw_only=True, tag="camera"):
    """The crew switches the cabin camera."""

    on: bool


class Record(_Action, frozen=True, kw_only=True, tag="record"):
    """The crew has the camera's video of this case kept on board, or no longer."""

    on: bool


class AtBay(_Action, frozen=True, kw_only=True, tag="bay_handover"):
    """The ER has read the QR code to its end: the patient is handed over at its bay."""

    hospital: Name
    facts: Annotated[int, msgspec.Meta(ge=1, le=2**31)]


Action: TypeAlias = StartRun | EndRun | Stamp | SendPreAlert | Note | Camera | Record | AtBay

_KINDS: dict[type[_Action], str] = {
    StartRun: "run_started",
    EndRun: "run_ended",
    Stamp: "milestone",
    SendPreAlert: "pre_alert",
    Note: "case_note",
    Record: "video_recording",
    AtBay: "bay_handover",
}
"""The fact that an action makes."""

_EVENTS: dict[type[_Action], Event] = {
    StartRun: "start",
    EndRun: "end",
    Stamp: "stamp",
    SendPreAlert: "alert",
    Note: "note",
    Camera: "camera",
    Record: "record",
    AtBay: "bay",
}


def is_repeated(action: Action, known: Fact | None) -> bool:
    """Whether an action was done before, given the fact that has its id.

    Raises:
        RefusedActionError: The id is no ULID, or is that of something else.
    """
    if action.id is not None and not is_id(action.id):
        raise RefusedActionError(f"id {action.id!r} is no ULID")
    if known is None:
        return False
    if known.own and known.envelope.kind == _KINDS.get(type(action)):
        return True
    raise RefusedActionError(
        f"the id {action.id} is that of another fact ({known.envelope.kind}): nothing was done"
    )


def decide(
    action: Action, situation: Situation, now_ns: int, offset_ns: int = 0
) -> list[tuple[str, Body]]:
    """Return the facts that an action makes, as (kind, body).

    Args:
        action: What the crew wants.
        situation: As it is.
        now_ns: The vehicle's wall clock, which stamps the facts.
        offset_ns: What to add to it to get the hub's.

    Raises:
        ImpossibleEventError: The run's state does not take it; the text names both.
        RefusedActionError: It makes no sense; the text says why.
    """
    own = isinstance(action, StartRun) and action.own
    step(situation.state, "begin" if own else _EVENTS[type(action)])
    case = situation.case
    body: Body
    match action:
        case StartRun() if own or case is not None:
            body = RunStarted(crew=action.crew)
        case _ if case is None:
            raise RefusedActionError("there is no case; wait for the assignment")
        case Camera():
            return []
        case EndRun():
            body = RunEnded(reason=action.reason)
        case Stamp():
            body = _milestone(action, case, now_ns, offset_ns)
        case SendPreAlert():
            body = _pre_alert(action)
        case Note():
            body = CaseNote(text=action.text, at_ns=_true_time(action.at_ms, now_ns, offset_ns))
        case Record():
            body = VideoRecording(state="started" if action.on else "stopped")
        case AtBay():
            body = BayHandover(hospital=action.hospital, at_ns=now_ns, way="qr", facts=action.facts)
    return [(_KINDS[type(action)], body)]


def case_of(action: Action, situation: Situation) -> str | None:
    """Return the case that an action's facts belong to: a new one for a run of the crew's own."""
    if isinstance(action, StartRun) and action.own:
        return new_id()
    return situation.current


def _milestone(action: Stamp, case: Case, now_ns: int, offset_ns: int) -> Milestone:
    known = case.stamps().get(action.stage)
    if known is None and action.corrects is not None:
        raise RefusedActionError(f"{action.stage} has no stamp {action.corrects} to correct")
    if known is not None and action.at_ms is None:
        raise RefusedActionError(
            f"{action.stage} is stamped already; say at_ms, its true time, to correct it"
        )
    if known is not None and action.corrects not in (None, known.id):
        raise RefusedActionError(
            f"{action.stage} was corrected meanwhile: its newest stamp is {known.id}"
        )
    return Milestone(
        stage=action.stage,
        at_ns=_true_time(action.at_ms, now_ns, offset_ns),
        corrects=known.id if known else None,
    )


def _pre_alert(action: SendPreAlert) -> PreAlert:
    return PreAlert(
        pathway=action.pathway,
        severity=action.severity or SEVERITIES[action.pathway],
        age_years=action.age_years,
        age_is_estimate=action.age_is_estimate,
        sex=action.sex,
        text=action.text,
    )


def _true_time(at_ms: int | None, now_ns: int, offset_ns: int) -> int:
    if at_ms is None:
        return now_ns
    at_ns = at_ms * MS - offset_ns
    if at_ns > now_ns + AHEAD_NS:
        raise RefusedActionError("at_ms lies in the future; check the time")
    if at_ns < now_ns - BACK_NS:
        raise RefusedActionError("at_ms lies more than a day back; check the time")
    return min(at_ns, now_ns)
