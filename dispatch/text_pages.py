"""What pages are shown of the writing between a caller and the dispatcher. Pure; times in ms."""

from __future__ import annotations

from typing import Any

from dispatch.cases import Case
from dispatch.text_session import CallerWriting, Line
from streams.text_messages import TextTurn

MS_NS = 1_000_000


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
    turns.sort(key=lambda one: (one["begun_ms"], one["turn"]))
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
