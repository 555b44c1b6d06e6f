"""What a caller may see of recognised speech, and what a seat has to confirm first. Pure.

Recognition mishears numbers as other numbers, and no confidence tells: what is in doubt by its
kind never stands in front of a caller before a person has looked at it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dispatch.speech.confirm import Doubt, doubts
from dispatch.speech.engine import DOUBTFUL, Heard

MASK = "▢▢"
"""Stands for what is being checked."""

MS_NS = 1_000_000
SECOND_NS = 1_000_000_000

Wait = Literal["", "draft", "doubts", "confidence", "no_page", "not_stored"]
"""Why an utterance has not been said to the caller: it goes on, something of it is to be
confirmed, the whole of it is unsure, the caller has no page that could show it at once, or the
journal refused it."""


@dataclass(frozen=True, slots=True)
class SpokenTurn:
    """One utterance of a seat as it stands.

    Attributes:
        turn: The turn that it becomes, a ULID.
        text: What was recognised; empty when it was no speech.
        language: ``en`` or ``zh``.
        confidence: 0 to 1, see ``engine.Heard``.
        begun_ns: When its first sound was heard, by the hub's wall clock.
        ended_ns: When its last was.
        doubts: What of it is to be confirmed.
        wait: Why it is not said yet; empty for what may be said at once.
    """

    turn: str
    text: str
    language: str
    confidence: float
    begun_ns: int
    ended_ns: int
    doubts: tuple[Doubt, ...]
    wait: Wait

    @property
    def shown(self) -> str:
        """What of it may stand in front of the caller now."""
        return masked(self.text, self.doubts) if self.wait else self.text

    @property
    def read_back(self) -> str:
        """What is said to the seat so that a mishearing is heard."""
        kinds = [one.read_back for one in self.doubts if one.kind != "yes_no"]
        return ("。" if self.language == "zh" else ". ").join(dict.fromkeys(kinds))


def spoken_turn(turn: str, heard: Heard, now_ns: int, *, has_page: bool) -> SpokenTurn:
    """Return an utterance as the recogniser has it now.

    Args:
        turn: The name of the turn that it becomes.
        heard: Draft or final.
        now_ns: The hub's wall clock.
        has_page: Whether the caller has a page that shows it at once; a caller who reads whole
            messages gets none that nobody looked at.
    """
    found = doubts(heard.text, heard.language)
    wait: Wait = ""
    if not heard.final:
        wait = "draft"
    elif found:
        wait = "doubts"
    elif heard.confidence < DOUBTFUL:
        wait = "confidence"
    elif not has_page:
        wait = "no_page"
    return SpokenTurn(
        turn=turn,
        text=heard.text,
        language=heard.language,
        confidence=round(heard.confidence, 3),
        begun_ns=now_ns - round(heard.after_begin_s * SECOND_NS),
        ended_ns=now_ns - round(heard.latency_s * SECOND_NS),
        doubts=found,
        wait=wait,
    )


def masked(text: str, found: Sequence[Doubt]) -> str:
    """Return a text with what is in doubt left open."""
    for doubt in reversed(found):
        text = text[: doubt.begin] + MASK + text[doubt.end :]
    return text


def told(case: str, spoken: SpokenTurn) -> dict[str, Any]:
    """Return the message that shows an utterance to its seat."""
    return {
        "type": "heard",
        "case": case,
        "turn": spoken.turn,
        "text": spoken.text,
        "language": spoken.language,
        "confidence": spoken.confidence,
        "is_doubtful": spoken.confidence < DOUBTFUL,
        "begun_ms": spoken.begun_ns // MS_NS,
        "ended_ms": spoken.ended_ns // MS_NS,
        "wait": spoken.wait,
        "doubts": [
            {
                "begin": one.begin, "end": one.end, "kind": one.kind,
                "value": one.value, "read_back": one.read_back,
            }
            for one in spoken.doubts
        ],
    }  # fmt: skip
