"""What pages are shown of the life-support guide. Pure; times in ms, by the hub's clock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from dispatch.aed import AedList
from dispatch.cases import Case, position_of
from dispatch.errors import UnknownError
from dispatch.guidance.meaning import proposed
from dispatch.guidance.protocol import Library, Step
from dispatch.guidance.run import Run
from streams.guidance_messages import GuidanceStep

MS_NS = 1_000_000
AEDS_SHOWN = 2


def known(library: Library) -> list[dict[str, Any]]:
    """Return the protocols by name, as a page lists them."""
    return [
        {"id": one.id, "title": msgspec.to_builtins(one.title.text), "version": one.version,
         "review": msgspec.to_builtins(one.review.text)}
        for one in library.protocols.values()
    ]  # fmt: skip


def guide(case: Case, library: Library) -> dict[str, Any]:
    """Return where the guide of a case is: a run for each patient, the newest first."""
    runs = [_run(run, library) for run in case.guide.newest_first if run.now is not None]
    for run in runs:
        run["proposal"] = _proposal(case, case.guide.runs[run["run"]], library)
    return {"guide": runs}


def aeds(case: Case, listed: AedList | None, local: datetime) -> dict[str, Any]:
    """Return the nearest defibrillators while somebody is pushing, or may soon have to."""
    place = position_of(case)
    run = case.guide.current
    if listed is None or place is None or run is None or "arrest" not in (run.place or ("",))[0]:
        return {"aeds": []}
    near = listed.nearest(place[0], place[1], local, most=AEDS_SHOWN)
    return {
        "aeds": [
            {"name": one.aed.name, "note": one.aed.note, "distance_m": round(one.distance_m),
             "is_open": one.is_open, "latitude_deg": one.aed.latitude_deg,
             "longitude_deg": one.aed.longitude_deg}
            for one in near
        ]
    }  # fmt: skip


def told(body: GuidanceStep) -> dict[str, Any]:
    """Return a step as the caller sees it."""
    return {
        "run": body.run,
        "step": body.step,
        "kind": body.kind,
        "text": msgspec.to_builtins(body.text),
        "pictogram": body.pictogram,
        "metronome_per_min": body.metronome_per_min,
        "at_ms": body.at_ns // MS_NS,
    }


def _run(run: Run, library: Library) -> dict[str, Any]:
    now = run.now
    assert now is not None
    moments = {mark: at_ns // MS_NS for mark, at_ns in run.moments().items()}
    changes = run.rescuer_changes()
    step = _step(now, library)
    return {
        **told(now),
        "is_on": run.is_on,
        "patient": run.patient,
        "protocol": now.protocol,
        "title": msgspec.to_builtins(now.title),
        "version": now.version,
        "source": now.source,
        "started_ms": run.started_ns // MS_NS,
        "rescuer_change_s": now.rescuer_change_s,
        "recheck_s": now.recheck_s,
        "moments": moments,
        "changed_ms": changes[-1] // MS_NS if changes else None,
        "answers": [
            {"id": one.id, "text": msgspec.to_builtins(one.text), "unsure": one.unsure}
            for one in (step.answers if step else ())
        ],
        "may_go_on": step is not None and step.to is not None and step.kind != "question",
        "may_skip": step is not None and step.way_past is not None,
        "may_go_back": len(run.trail()) > 1,
    }


def _proposal(case: Case, run: Run, library: Library) -> dict[str, Any] | None:
    """Return what the guide proposes to note; nothing of an event with many patients."""
    if case.incident is not None or not run.is_on:
        return None
    found = proposed(
        run, library,
        severity=case.severity, severity_ns=case.severity_ns, complaint=case.complaint,
    )  # fmt: skip
    if found is None:
        return None
    complaint = found.complaint and msgspec.to_builtins(found.complaint)
    return {"severity": found.severity, "complaint": complaint, "why": found.why}


def _step(now: GuidanceStep, library: Library) -> Step | None:
    """Return the step as the protocols in force have it; None where they have none."""
    try:
        return library.step(now.protocol, now.step) if now.step else None
    except UnknownError:
        return None
