"""What the guide's way so far says of the case: how urgent, and what has happened. Pure.

The protocols have it beside their steps, with its source. Nothing is set by it: a seat is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dispatch.guidance.protocol import Library, Meaning
from dispatch.guidance.run import Place, Run
from streams.guidance_messages import Wording
from streams.messages import Severity

URGENCY: Final[dict[Severity, int]] = {"unknown": 0, "green": 1, "yellow": 2, "red": 3}


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a seat is asked to note of the case.

    Attributes:
        severity: None where the case says as much, or somebody chose.
        complaint: None where somebody wrote one.
        why: Source and section.
    """

    severity: Severity | None
    complaint: Wording | None
    why: str


def proposed(
    run: Run, library: Library, *, severity: Severity, severity_ns: int, complaint: str
) -> Proposal | None:
    """Return what the guide proposes to note of a case, or None.

    A severity is never lowered by it, and not proposed again once somebody chose one after the
    guide had come there. A complaint is proposed while there is none, or one that the guide knows.

    Args:
        run: Of which guiding.
        library: The protocols in force.
        severity: Of the case, as it stands.
        severity_ns: When that was said, by the hub's clock.
        complaint: Of the case, as it stands.
    """
    found = meaning(run, library)
    if found is None:
        return None
    means, place = found
    since_ns = next((one.at_ns for one in run.steps if (one.protocol, one.step) == place), 0)
    is_chosen = severity != "unknown" and severity_ns >= since_ns
    is_raised = URGENCY[means.severity] > URGENCY[severity] and not is_chosen
    words = complaint.strip()
    is_ours = not words or any(words in (one.en, one.zh) for one in _all(library))
    is_said = words in (means.en, means.zh)
    if not is_raised and (not is_ours or is_said):
        return None
    return Proposal(
        severity=means.severity if is_raised else None,
        complaint=means.text if is_ours and not is_said else None,
        why=f"{library.sources[means.source].short}: {means.section}",
    )


def meaning(run: Run, library: Library) -> tuple[Meaning, Place] | None:
    """Return what the way of a run means, and the step from which on it does; None for nothing.

    The last branch that says something counts, else the protocol that was reached last.
    """
    whole: tuple[Meaning, Place] | None = None
    for place in reversed(run.trail()):
        if whole is not None and place[0] != whole[1][0]:
            break
        protocol = library.protocols.get(place[0])
        step = protocol.find(place[1]) if protocol is not None else None
        if step is not None and step.means is not None:
            return step.means, place
        if protocol is not None and protocol.means is not None:
            whole = protocol.means, place  # the first step of it that was reached
    return whole


def _all(library: Library) -> Iterator[Meaning]:
    for protocol in library.protocols.values():
        if protocol.means is not None:
            yield protocol.means
        yield from (one.means for one in protocol.step if one.means is not None)
