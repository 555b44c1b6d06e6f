"""What a vehicle hands over at the bay: all that it still has of a case."""

from __future__ import annotations

from collections.abc import Iterable

from onboard.logbook import Logbook
from onboard.outgoing import HUB
from streams.bay_code import MOST_CARRIED, BayContent, frames_of
from streams.bay_messages import VERSION, CarriedFact
from streams.codec import decode
from streams.messages import Lane, Name
from streams.outbox import Outbox

PAGE = 500
"""Facts read from the outbox at once."""

WITHOUT_WAVEFORM: tuple[Lane, ...] = ("urgent", "facts", "vitals")
ALL: tuple[Lane, ...] = (*WITHOUT_WAVEFORM, "record")

_THINNED = "vitals"
_LEFT_OUT = frozenset({"device_event", "quality_step", "link_outage", "clock_state", "run_report"})
"""Not in QR codes where it gets tight: about the devices and the link, not about the patient."""


def facts_of(
    logbook: Logbook, outbox: Outbox, case: str, lanes: Iterable[Lane] = ALL
) -> list[CarriedFact]:
    """Return all facts of a case that are on board, each once, byte for byte.

    These are the facts that the hub has not receipted, and all of the logbook's: the hub's own,
    and what the crew did. Vital signs and waveforms that the hub has receipted are not here any
    more: the hospital gets them from the hub.

    Raises:
        StorageError: The disk fails.
    """
    found = {
        decode(data).id: CarriedFact(place, at_hub_ns, data)
        for place, at_hub_ns, data in logbook.of_case(case)
    }
    for lane in lanes:
        after = 0
        while entries := outbox.waiting(HUB, lane, after, PAGE):
            after = entries[-1].sequence
            for entry in entries:
                envelope = decode(entry.data)
                if envelope.case == case:
                    found.setdefault(envelope.id, CarriedFact(0, 0, entry.data))
    return list(found.values())


def code_of(
    facts: list[CarriedFact], *, unit: Name, label: str, region: Name, drill: bool, wall_ns: int
) -> tuple[BayContent, list[str]]:
    """Return what goes into QR codes, and their texts.

    Where all of it is too much, only every 2nd, 4th, 8th … of the vital signs goes, always the
    newest with them; and where that is not enough, nothing about devices and link.

    Args:
        facts: Facts of one case, at least one; its waveform is left out.
        unit: This vehicle.
        label: Its name for people.
        region: Its region.
        drill: Whether it is an exercise.
        wall_ns: The vehicle's wall clock.

    Raises:
        ValueError: It cannot be made to fit: more notes than anybody writes.
    """
    kinds = [(fact, decode(fact.data)) for fact in facts]
    kept = [
        (fact, envelope.kind)
        for fact, envelope in kinds
        if envelope.lane != "record" and envelope.kind != "ecg_started"
    ]
    for every in (1, 2, 4, 8, 16, 32, 64, 128, 0):
        chosen = _thinned(kept, every)
        if not chosen or len(chosen) > MOST_CARRIED:
            continue
        content = BayContent(
            version=VERSION, unit=unit, label=label, region=region, case=kinds[0][1].case or "",
            drill=drill, wall_ns=wall_ns, all_facts=len(kept), carried=chosen,
        )  # fmt: skip
        frames = frames_of(content)
        if frames is not None:
            return content, frames
    raise ValueError("the case is too large for QR codes")


def _thinned(kept: list[tuple[CarriedFact, str]], every: int) -> list[CarriedFact]:
    """Return the facts with every n-th of the vital signs, counted from the newest; 0: the last."""
    signs = [fact for fact, kind in kept if kind == _THINNED]
    taken = {id(fact) for fact in (signs[::-1][::every] if every else signs[-1:])}
    return [
        fact
        for fact, kind in kept
        if (id(fact) in taken if kind == _THINNED else every == 1 or kind not in _LEFT_OUT)
    ]
