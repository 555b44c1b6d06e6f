"""Triage of a mass-casualty incident by START and JumpSTART, as tables. Pure.

START (Super G., Groth S., Hook R. et al.: *START: Simple Triage and Rapid Treatment Plan*, Hoag
Memorial Hospital Presbyterian, Newport Beach 1994; with the radial pulse of the 1996 revision
beside capillary refill). JumpSTART for children (Romig L.E.: *Pediatric triage. A system to
JumpSTART your triage of young patients at MCIs*, JEMS 27(7), 2002, 52-63).

Each table goes from question to question until a tag is reached; a question that has no answer
yet is what is asked next. The page walks the same tables, so there is one of each. A tag is a
priority among many, not a diagnosis, and holds until the patient is looked at again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from streams.incident_messages import Findings, Method, Tag

CHILD_YEARS: Final = 8
"""Younger than this, or who looks so, is triaged by JumpSTART (Romig 2002)."""

ADULT_RATE_PER_MIN: Final = 30
"""START: more breaths a minute than this are immediate."""

CHILD_RATES_PER_MIN: Final = (15, 45)
"""JumpSTART: below the one or above the other is immediate."""

REFILL_S: Final = 2.0
"""Capillary refill above this is poor perfusion (START 1994)."""

Question = Literal[
    "walks", "breathes", "breathes_after_airway", "breathes_after_rescue", "rate", "pulse",
    "pulse_without_breath", "obeys", "responds",
]  # fmt: skip
"""What is looked at; ``pulse_without_breath`` is the finding ``pulse`` at another place."""

Answer: TypeAlias = str
"""``yes`` and ``no``; of ``rate`` a ``Rate``, of ``responds`` a ``Responds``."""

Reason = Literal[
    "walks", "not_breathing", "breathes_with_airway", "breathes_with_rescue", "breathing_rate",
    "perfusion", "mental_status", "stable", "walks_without_breath",
]  # fmt: skip
"""What decided; each has its words in the page's catalogue."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A tag, and what decided."""

    tag: Tag
    reason: Reason


@dataclass(frozen=True, slots=True)
class Triage:
    """What came out.

    Attributes:
        tag: None: not yet, something is to be looked at first.
        reason: What decided; of "not yet" only where findings exclude each other.
        ask: What is to be looked at next; None once there is a tag.
    """

    tag: Tag | None
    reason: Reason | None = None
    ask: Question | None = None


Table: TypeAlias = Mapping[Question, Mapping[Answer, "Question | Verdict"]]

START: Final[Table] = {
    "walks": {"yes": Verdict("minor", "walks"), "no": "breathes"},
    "breathes": {"yes": "rate", "no": "breathes_after_airway"},
    "breathes_after_airway": {
        "yes": Verdict("immediate", "breathes_with_airway"),
        "no": Verdict("expectant", "not_breathing"),
    },
    "rate": {"normal": "pulse", "high": Verdict("immediate", "breathing_rate")},
    "pulse": {"yes": "obeys", "no": Verdict("immediate", "perfusion")},
    "obeys": {"yes": Verdict("delayed", "stable"), "no": Verdict("immediate", "mental_status")},
}
"""For adults. Of the rate only above 30 counts, so a low one is as good as normal."""

JUMPSTART: Final[Table] = {
    "walks": {"yes": Verdict("minor", "walks"), "no": "breathes"},
    "breathes": {"yes": "rate", "no": "breathes_after_airway"},
    "breathes_after_airway": {
        "yes": Verdict("immediate", "breathes_with_airway"),
        "no": "pulse_without_breath",
    },
    "pulse_without_breath": {
        "yes": "breathes_after_rescue",
        "no": Verdict("expectant", "not_breathing"),
    },
    "rate": {
        "normal": "pulse",
        "low": Verdict("immediate", "breathing_rate"),
        "high": Verdict("immediate", "breathing_rate"),
    },
    "pulse": {"yes": "responds", "no": Verdict("immediate", "perfusion")},
    "breathes_after_rescue": {
        "yes": Verdict("immediate", "breathes_with_rescue"),
        "no": Verdict("expectant", "not_breathing"),
    },
    "responds": {
        "alert": Verdict("delayed", "stable"),
        "voice": Verdict("delayed", "stable"),
        "pain": Verdict("delayed", "stable"),
        "pain_inappropriate": Verdict("immediate", "mental_status"),
        "unresponsive": Verdict("immediate", "mental_status"),
    },
}
"""For children: one with a pulse who does not breathe with an open airway gets rescue breaths."""

TABLES: Final[Mapping[Method, Table]] = {"start": START, "jumpstart": JUMPSTART}

RANK: Final[Mapping[Tag, int]] = {"immediate": 0, "delayed": 1, "minor": 2, "expectant": 3}
"""In which order patients are treated and transported."""

GRAVITY: Final[Mapping[Tag, int]] = {"minor": 0, "delayed": 1, "immediate": 2, "expectant": 3}
"""How badly off a patient is."""


def method_for(age_years: int | None, *, looks_child: bool) -> Method:
    """Return the method for a patient: by age where it is known, else by look."""
    child = looks_child if age_years is None else age_years < CHILD_YEARS
    return "jumpstart" if child else "start"


def triage(findings: Findings, method: Method) -> Triage:
    """Return the tag that the findings give, or what is to be looked at next.

    Args:
        findings: What was looked at so far; what comes after a tag is not read.
        method: ``start`` or ``jumpstart``; by ``hand`` there is nothing to follow.

    Raises:
        ValueError: ``method`` has no table.
    """
    table = TABLES.get(method)
    if table is None:
        raise ValueError(f"{method!r} is no method with a table")
    if findings.walks and findings.breathes is False:
        return Triage(None, "walks_without_breath", "walks")
    step: Question | Verdict = "walks"
    while not isinstance(step, Verdict):
        answer = _answer(step, findings, method)
        if answer is None:
            return Triage(None, ask=step)
        step = table[step][answer]
    return Triage(step.tag, step.reason)


def _answer(question: Question, findings: Findings, method: Method) -> Answer | None:
    match question:
        case "rate":
            return _rate(findings, method)
        case "pulse":
            return _yes(_perfused(findings) if method == "start" else findings.pulse)
        case "pulse_without_breath":
            return _yes(findings.pulse)
        case "obeys":
            return _yes(_obeys(findings))
        case "responds":
            return findings.responds
        case _:
            return _yes(getattr(findings, question))


def _rate(findings: Findings, method: Method) -> Answer | None:
    """Return how the respiratory rate stands to the limits; what was counted comes first."""
    count = findings.rate_per_min
    low, high = (0, ADULT_RATE_PER_MIN) if method == "start" else CHILD_RATES_PER_MIN
    if count is not None:
        word = "low" if count < low else "high" if count > high else "normal"
    elif findings.rate is None:
        return None
    else:
        word = findings.rate
    return "normal" if method == "start" and word == "low" else word


def _perfused(findings: Findings) -> bool | None:
    """Whether perfusion is good; one bad sign is enough for bad."""
    refill = None if findings.refill_s is None else findings.refill_s <= REFILL_S
    signs = [sign for sign in (findings.pulse, refill) if sign is not None]
    return all(signs) if signs else None


def _obeys(findings: Findings) -> bool | None:
    """Whether commands are obeyed; who only answers to voice may or may not, so it is asked."""
    if findings.obeys is not None:
        return findings.obeys
    if findings.responds in (None, "voice"):
        return None
    return findings.responds == "alert"


def _yes(finding: bool | None) -> Answer | None:
    return None if finding is None else "yes" if finding else "no"
