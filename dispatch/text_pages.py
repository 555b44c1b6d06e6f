"""What pages are shown of the writing between a caller and the dispatcher. Pure; times in ms."""

from __future__ import annotations

import re
from typing import Any, Literal

from dispatch.cases import Case
from dispatch.text_session import CallerWriting, Line
from streams.text_messages import TextTurn

MS_NS = 1_000_000
HELP_PAGE = "/help"
"""What stands as dialled where a call was opened on our own page."""
_DIALLED = re.compile(r"\+?[0-9*#]{2,20}")

CallerStands = Literal[
    "none", "ringing", "seen", "waits", "held", "read", "calling", "lost", "over", "ended"
]  # fmt: skip
"""How a caller's call stands for him: ``none``: there is no call, so nobody is known to read;
``seen``: it rings, and a seat wrote all the same; ``waits``: nobody has it any more; ``read``: a
seat has it; ``ended``: by a dispatcher; ``over``: ended otherwise. In the last three writing calls
again."""
HelpStands = Literal["none", "assigned", "under_way", "there"]


def turn(body: TextTurn, *, corrected: bool) -> dict[str, Any]:
    """Return a turn as it stands."""
    return {
        "turn": body.turn,
        "who": body.who,
        "way": body.way,
        "text": body.text,
        "finished": body.finished,
        "corrected": corrected,
        "begun_ms": body.begun_ns // MS_NS,
        "ended_ms": body.ended_ns // MS_NS,
        "seat": body.seat,
        "heard": body.heard,
        "confidence": body.confidence,
        "latency_ms": body.latency_ms,
    }


def written(case: str, writing: CallerWriting, line: Line) -> dict[str, Any]:
    """Return the message of a caller's line as it stands while it is written."""
    return {
        "type": "writing",
        "case": case,
        "turn": line.turn,
        "who": "caller",
        "session": writing.session,
        "text": line.text,
        "finished": line.finished,
        "begun_ms": line.begun_ns // MS_NS,
        "at_ms": line.changed_ns // MS_NS,
    }


def talk(case: Case) -> dict[str, Any]:
    """Return what the console shows of a case's writing."""
    found = case.talk
    turns = [turn(one, corrected=one.turn in found.corrected) for one in found.turns.values()]
    turns.sort(key=place_of)
    states = [one.state for one in found.sessions.values()]
    return {
        "talk": {
            "turns": [one for one in turns if one["text"]],
            "reader": "opened" if "opened" in states else states[-1] if states else None,
            "way": next(iter(found.sessions.values())).way if states else None,
            "needs": list(found.profile.needs) if found.profile else [],
            "language": found.profile.language if found.profile else "",
        }
    }


def place_of(one: dict[str, Any]) -> tuple[int, int, str]:
    """Return what sorts a turn: when it was whole, and read; not when its first key was."""
    return one["ended_ms"] + (one["latency_ms"] or 0), one["begun_ms"], one["turn"]


def for_caller_status(case: Case) -> dict[str, Any]:
    """Return what the caller's page says of the call and of help; only what facts say.

    A unit that a neighbour lent is not known here as under way, and nothing is said of it.
    """
    return {
        "status": {
            "call": _call_stands(case),
            "help": _help_stands(case),
            "place": _is_placed(case),
        }
    }


def dialled(case: Case) -> str:
    """Return what calls again: a number as a phone can call it, or our page; empty if not known."""
    number = case.call.dialled if case.call is not None else ""
    return number if _DIALLED.fullmatch(number) or number == HELP_PAGE else ""


def _call_stands(case: Case) -> CallerStands:
    call = case.call
    match call.phase if call is not None else None:
        case "ringing" if _is_seen(case):
            return "seen"
        case "talking" | "offered":
            return "read"
        case "unattended":
            return "waits"
        case "ended":
            return "ended" if call is not None and call.ended_by else "over"
        case None:
            return "none"
        case phase:
            return phase


def _is_placed(case: Case) -> bool:
    """Whether anybody knows where help has to go."""
    return bool(case.address) or case.position is not None or case.located is not None


def _is_seen(case: Case) -> bool:
    """Whether a seat dealt with the caller, if only in writing."""
    said = any(one.who == "dispatcher" for one in case.talk.turns.values())
    return said or case.guide.current is not None or case.video.phase in ("asked", "on")


def _help_stands(case: Case) -> HelpStands:
    if not case.has_crew_under_way:
        return "none"
    match case.stage:
        case None:
            return "assigned"
        case "en_route":
            return "under_way"
        case "on_scene" | "patient_contact":
            return "there"
        case _:
            return "none"  # it has left with the patient: nothing more comes
