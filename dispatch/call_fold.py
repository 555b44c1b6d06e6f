"""What stands around a case beside the patient: its call, places, links, partners, writing. Pure.

A part of the fold of ``dispatch.cases``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from dispatch.calls import Call
from dispatch.location.best import best_position
from dispatch.location.plausibility import Fix
from dispatch.partner_book import fold_partner
from streams.call_messages import CallerPosition, CallStep, CaseLinked, LocationRefused
from streams.caller_video_messages import CallerVideo
from streams.chain import Stored
from streams.guidance_messages import GuidanceMark, GuidanceStep
from streams.partner_messages import PartnerAnswered, PartnerTold
from streams.text_messages import CallerProfile, TextChannel, TextTurn

if TYPE_CHECKING:
    from dispatch.cases import Case

FUSED = 500
"""Positions of a caller that are looked at, the newest: half an hour of one who moves."""

Around: TypeAlias = (
    CallStep | CallerPosition | LocationRefused | CaseLinked | PartnerTold | PartnerAnswered
    | TextTurn | TextChannel | CallerProfile | GuidanceStep | GuidanceMark
    | CallerVideo
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """What a source said of the caller's place, and when it came, by the hub's clock."""

    body: CallerPosition
    received_ns: int


def fixes_of(case: Case) -> list[Fix]:
    """Return where sources say that the caller is: the last ``FUSED`` of it."""
    return [
        Fix(said.body.position, said.received_ns, said.body.fix)
        for said in list(case.fixes.values())[-FUSED:]
        if said.body.position is not None
    ]


def fold_around(case: Case, fact: Stored, body: Around) -> None:
    """Fold a fact in."""
    match body:
        case PartnerTold() | PartnerAnswered():
            fold_partner(case.partners, fact, body)
        case TextTurn() | TextChannel() | CallerProfile():
            case.talk.take(body)
        case GuidanceStep() | GuidanceMark():
            case.guide.take(body)
        case CallerVideo():
            case.video.take(body, fact.corrected_ns)
        case CallStep():
            case.call = case.call or Call()
            case.call.take(body, fact.corrected_ns)
        case CallerPosition():
            case.fixes.setdefault(body.fix, Said(body, fact.corrected_ns))
            case.located = best_position(fixes_of(case), fact.corrected_ns).position
        case LocationRefused():
            case.unread.append(body)
        case CaseLinked():
            _link(case, body)


def _link(case: Case, body: CaseLinked) -> None:
    if body.is_duplicate:
        case.linked_to = body.other if body.linked else None
    elif body.linked and body.other not in case.linked:
        case.linked.append(body.other)
    elif not body.linked and body.other in case.linked:
        case.linked.remove(body.other)
