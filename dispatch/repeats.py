"""Whether an action that comes with a used id is a repeat, or another action. Pure.

A page or a script that got no answer sends its action again with the same id. Only if it asks
for what was done, "done" is a true answer; anything else would be swallowed by it.
"""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from dispatch.call_actions import (
    OWNERS,
    AnswerCall,
    CallAction,
    CallBack,
    CallBackDone,
    DeclineCall,
    GiveUpCall,
    LinkCase,
    OfferCall,
    SendLink,
    UnlinkCase,
)
from dispatch.caller_video_actions import VideoAction, is_same_video
from dispatch.case_actions import (
    MS_NS,
    Action,
    AddNote,
    AmendCase,
    AssignUnit,
    ChooseHospital,
    CloseCase,
    OpenCase,
    Place,
    ReleaseUnit,
)
from dispatch.guidance.requests import MADE as GUIDANCE_FACTS
from dispatch.guidance.requests import GuideAction
from dispatch.guidance.requests import is_same as is_same_guide
from dispatch.incident_requests import MADE as INCIDENT_FACTS
from dispatch.incident_requests import IncidentAction, is_same, read
from dispatch.partner_actions import CancelPartner, TellPartner
from dispatch.surge import NotifyCallers, SetSurge
from dispatch.text_actions import NoteProfile, SayText
from streams.call_messages import CallStep, CaseLinked, Step, Surge
from streams.messages import Body, CaseNote, Envelope, Position
from streams.partner_messages import PartnerTold

_MADE: dict[type[Any], str] = {
    OpenCase: "case_opened",
    AmendCase: "case_amended",
    AssignUnit: "unit_assigned",
    ReleaseUnit: "unit_released",
    ChooseHospital: "hospital_chosen",
    AddNote: "case_note",
    CloseCase: "case_closed",
    LinkCase: "case_linked",
    UnlinkCase: "case_linked",
    TellPartner: "partner_told",
    CancelPartner: "partner_told",
    **dict.fromkeys(get_args(CallAction), "call_step"),
    **INCIDENT_FACTS,
    **GUIDANCE_FACTS,
    **dict.fromkeys(get_args(VideoAction), "caller_video"),
    SendLink: "caller_message",
    SayText: "text_turn",
    NoteProfile: "caller_profile",
    NotifyCallers: "caller_message",
    SetSurge: "surge",
}
"""Kind of the main fact of each action."""

_CONDITIONS = frozenset({"previous", "recommended"})
"""Named alike in action and fact, but what the action *requires*, not what it asks for."""


_STEPS: dict[type[Any], frozenset[Step]] = {
    **{action: frozenset({step}) for action, step in OWNERS.items()},
    AnswerCall: frozenset({"answered", "taken"}),
    OfferCall: frozenset({"offered"}),
    DeclineCall: frozenset({"declined"}),
    CallBack: frozenset({"called_back"}),
    CallBackDone: frozenset({"connected", "unanswered"}),
    GiveUpCall: frozenset({"gave_up"}),
}
"""The step of a call that each action is."""


def is_repeat(action: Action, made: Envelope, body: Body, seat: str = "") -> bool:
    """Whether ``action`` asks for just the fact that was made under its id.

    Conditions (``previous``, ``replaces``, ``override``) are not compared: they speak of how
    things stood before. A note without a time of its own is the same whenever it is sent.

    Args:
        action: What is asked for now.
        made: The fact's envelope.
        body: The fact's body.
        seat: Who asks.
    """
    if made.kind != _MADE[type(action)] or not _same_case(action, made):
        return False
    if isinstance(action, AddNote) and action.at_ms is not None:
        assert isinstance(body, CaseNote)
        if action.at_ms * MS_NS != body.at_ns:
            return False
    if isinstance(body, CallStep | CaseLinked | Surge):
        return _is_same_step(action, body, seat)
    if isinstance(action, GuideAction | IncidentAction | VideoAction):
        return _is_same_event(action, body, seat)
    if isinstance(body, PartnerTold) and isinstance(action, CancelPartner) != (
        body.change == "cancel"
    ):
        return False
    asked, stands = msgspec.structs.asdict(action), msgspec.structs.asdict(body)
    if asked.get("alias", "") is None:
        del asked["alias"]  # the hub made one up
    common = (asked.keys() & stands.keys()) - _CONDITIONS
    return all(_plain(asked[name]) == _plain(stands[name]) for name in common)


def _is_same_event(
    action: GuideAction | IncidentAction | VideoAction, body: Body, seat: str
) -> bool:
    if isinstance(action, VideoAction):
        return is_same_video(action, body, seat)
    if isinstance(action, GuideAction):
        return is_same_guide(action, body)
    return is_same(action, body, read(getattr(action, "code", "")))


def _is_same_step(action: Action, body: CallStep | CaseLinked | Surge, seat: str) -> bool:
    """Whether an action of a call, a link or a surge is what was done under its id."""
    if isinstance(body, CallStep):
        return body.step in _STEPS[type(action)] and body.seat == seat and _agree(action, body)
    if isinstance(body, CaseLinked):
        return body.linked == isinstance(action, LinkCase) and body.is_duplicate
    return isinstance(action, SetSurge) and _is_said(action, body)


def _is_said(action: SetSurge, body: Surge) -> bool:
    if action.mode == "auto":
        return not body.fixed
    return body.fixed and body.is_on == (action.mode == "on")


def _same_case(action: Action, made: Envelope) -> bool:
    if isinstance(action, NotifyCallers | SetSurge):
        return True
    if isinstance(action, OpenCase):
        return (action.origin, action.drill) == (made.origin, made.drill)
    return action.case == made.case


def _agree(action: Action, body: CallStep) -> bool:
    """Whether what an action on a call asks for beside its step is what was done."""
    if isinstance(action, OfferCall):
        return body.to_seat == action.to
    if isinstance(action, CallBackDone):
        return (body.step == "connected") == action.connected
    return True


def _plain(value: object) -> object:
    """Return a value as it is compared: text without its margins, a place without its time."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, Place | Position):
        return (value.latitude_deg, value.longitude_deg, value.radius_m, value.source)
    return value
