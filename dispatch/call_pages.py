"""Calls as the console's page gets them: JSON-able, times in ms. Pure."""

from __future__ import annotations

from typing import Any

from dispatch.call_fold import Said
from dispatch.cases import Case

UNANSWERED_SENT = 120
"""Characters of the caller's last words that a row of the queue gets."""
FIXES_SENT = 50
"""Positions of a caller that a page gets: the last ones; the journal has all."""


def call(case: Case) -> dict[str, Any] | None:
    """Return what the queue shows of the call of a case; None where none opened it."""
    one = case.call
    if one is None or one.phase is None:
        return None
    return {
        "phase": one.phase,
        "seat": one.seat,
        "offered_to": one.offered_to,
        "number": one.number,
        "line": one.line,
        "silent": one.silent,
        "wrote": one.wrote,
        "rang_ms": _ms(one.rang_ns),
        "since_ms": _ms(one.since_ns),
        "answered_ms": _ms(one.answered_ns),
        "call_backs": one.call_backs,
        "unanswered": _unanswered(case),
    }


def _unanswered(case: Case) -> dict[str, Any] | None:
    """Return the caller's last words, while no seat has written anything after them."""
    whole = [turn for turn in case.talk.turns.values() if turn.text]
    last = max(whole, key=lambda turn: (turn.ended_ns, turn.turn), default=None)
    if last is None or last.who != "caller":
        return None
    return {"text": last.text[-UNANSWERED_SENT:], "at_ms": _ms(last.ended_ns)}


def fix(said: Said) -> dict[str, Any] | None:
    """Return one position of a caller, as its source gave it; None for an address alone."""
    one, position = said.body, said.body.position
    if position is None:
        return None
    return {
        "fix": one.fix,
        "latitude_deg": position.latitude_deg,
        "longitude_deg": position.longitude_deg,
        "radius_m": position.radius_m,
        "confidence": position.confidence,
        "source": position.source,
        "at_ms": _ms(position.measured_ns),
        "altitude_m": position.altitude_m,
        "datum": position.given.datum if position.given else position.datum,
        "civic": one.civic,
        "warnings": list(one.warnings),
    }


def located(case: Case) -> dict[str, Any]:
    """Return what is known of where the caller is: positions, and what could not be read."""
    fixes = [shown for one in case.fixes.values() if (shown := fix(one)) is not None]
    return {
        "fixes": fixes[-FIXES_SENT:],
        "fixes_in_all": len(fixes),
        "addresses": list(
            dict.fromkeys(one.body.civic for one in case.fixes.values() if one.body.civic)
        ),
        "unread": [
            {"source": one.source, "field": one.field, "text": one.text}
            for one in case.unread[-FIXES_SENT:]
        ],
    }


def _ms(time_ns: int | None) -> int | None:
    return None if time_ns is None else time_ns // 1_000_000
