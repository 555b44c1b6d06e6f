"""The engine of the life-support guide: what a seat asks for becomes the next fact. Pure.

The state is folded from facts (``dispatch.guidance.run``); this decides them. A repeat of what was
done already makes none. What cannot be done is refused with what stands in the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dispatch.errors import ConflictError, DispatchError, UnknownError
from dispatch.guidance.protocol import Library, Step
from dispatch.guidance.requests import (
    MS_NS,
    AnswerGuide,
    GoBack,
    GoOn,
    GoTo,
    GuideAction,
    NoteMoment,
    SkipStep,
    StartGuide,
    StopGuide,
)
from dispatch.guidance.run import Guide, Place, Run
from streams.guidance_messages import (
    GuidanceAct,
    GuidanceFact,
    GuidanceMark,
    GuidanceStep,
    Wording,
)

AHEAD_NS: Final = 60_000_000_000
"""A noted time may be this much ahead of the hub's clock: the clocks of seats differ."""

MOST_FACTS: Final = 2000
"""Of one run: an hour of a step every two seconds."""

StepAction = AnswerGuide | GoOn | SkipStep | GoTo | GoBack


@dataclass(frozen=True, slots=True)
class _Move:
    """Where a step action leads, and how."""

    act: GuidanceAct
    to: Place
    answer: str = ""
    answer_text: Wording | None = None
    reason: str | None = None


def decide(
    guide: Guide,
    action: GuideAction,
    library: Library,
    *,
    now_ns: int,
    rang_ns: int,
    new_run: str,
    seat: str,
) -> tuple[GuidanceFact, ...]:
    """Return the facts that an action makes: one, or none where it was done already.

    Args:
        guide: All guiding of the case.
        action: What is asked for.
        library: The protocols in force.
        now_ns: The hub's clock.
        rang_ns: When the call rang; 0 where the case has none.
        new_run: Id for a run that is started, a ULID.
        seat: Who asks.

    Raises:
        ConflictError: The guide is at another step by now, is over, or cannot go that way.
        UnknownError: No such protocol, step, answer or run.
        DispatchError: A time cannot be, or a reason is missing.
    """
    if isinstance(action, StartGuide):
        return _start(guide, action, library, now_ns=now_ns, new_run=new_run, seat=seat)
    run = guide.runs.get(action.run)
    if run is None or run.now is None:
        raise UnknownError("guide", action.run)
    if len(run.facts) >= MOST_FACTS:
        raise ConflictError("this guiding is too long: stop it and start again", kind="long")
    match action:
        case StopGuide():
            return _stop(run, action, now_ns, seat)
        case NoteMoment():
            return _note(run, action, now_ns=now_ns, rang_ns=rang_ns, seat=seat)
        case AnswerGuide() | GoOn() | SkipStep() | GoTo() | GoBack():
            return _step(run, action, library, now_ns, seat)


def _start(
    guide: Guide, action: StartGuide, library: Library, *, now_ns: int, new_run: str, seat: str
) -> tuple[GuidanceFact, ...]:
    protocol = library.protocol(action.protocol)
    to = library.arrive(protocol.id, protocol.start)
    for run in guide.newest_first:
        if run.is_on and run.patient == action.patient:
            if run.place == to:
                return ()
            raise ConflictError(
                f"the guide goes on at {':'.join(run.place or ())}: go to another protocol from "
                "there, or name another patient",
                kind="guide_on", run=run.id,
            )  # fmt: skip
    fresh = Run(new_run)
    move = _Move("started", to)
    return (_fact(fresh, move, library, now_ns=now_ns, seat=seat, patient=action.patient),)


def _step(
    run: Run, action: StepAction, library: Library, now_ns: int, seat: str
) -> tuple[GuidanceFact, ...]:
    seen = action.protocol, action.step
    if run.place != seen:
        if _is_repeat(run, action, library):
            return ()
        where = ":".join(run.place) if run.place else "its end"
        raise ConflictError(
            f"the guide is at {where} and no longer at {':'.join(seen)}",
            kind="guide_moved", run=run.id, at=where,
        )  # fmt: skip
    move = _move(run, action, library)
    return (_fact(run, move, library, now_ns=now_ns, seat=seat, patient=run.patient),)


def _move(run: Run, action: StepAction, library: Library) -> _Move:
    """Return where an action on the step where the guide is leads.

    Raises:
        ConflictError: It leads nowhere.
        UnknownError: No such answer, protocol or step.
    """
    if isinstance(action, GoTo):
        return _override(action, library)
    if isinstance(action, GoBack):
        trail = run.trail()
        if len(trail) < 2:
            raise ConflictError("this is where the guide began", kind="guide_first", run=run.id)
        return _Move("back", trail[-2])
    step = library.step(action.protocol, action.step)
    name = f"{action.protocol}:{action.step}"
    match action:
        case AnswerGuide():
            answer = next((one for one in step.answers if one.id == action.answer), None)
            if answer is None:
                known = ", ".join(one.id for one in step.answers)
                raise UnknownError("answer", action.answer, known)
            to = library.arrive(action.protocol, answer.to)
            return _Move("answered", to, answer.id, answer.text)
        case GoOn():
            if step.to is None:
                what = "is a question: answer it" if step.kind == "question" else "stands"
                raise ConflictError(f"{name} {what}", kind="guide_no_way", run=run.id)
            return _Move("done", library.arrive(action.protocol, step.to))
        case SkipStep():
            if step.way_past is None:
                raise ConflictError(
                    f"{name} stands until the crew is there: go to another step",
                    kind="guide_no_way", run=run.id,
                )  # fmt: skip
            to = library.arrive(action.protocol, step.way_past)
            return _Move("skipped", to, reason=action.reason.strip())


def _override(action: GoTo, library: Library) -> _Move:
    protocol = library.protocol(action.to_protocol)
    to = protocol.id, action.to_step or protocol.start
    step = library.step(*to)
    if step.switch is not None and step.switch not in library.switches:
        raise ConflictError(
            f"{':'.join(to)} is switched off: the settings do not allow {step.switch!r}",
            kind="guide_switched_off", switch=step.switch,
        )  # fmt: skip
    return _Move("overridden", to, reason=action.reason.strip())


def _is_repeat(run: Run, action: StepAction, library: Library) -> bool:
    """Whether the guide is where it is because of the same action: a second tap, a lost answer."""
    now = run.now
    if now is None or (now.from_protocol, now.from_step) != (action.protocol, action.step):
        return False
    match action:
        case AnswerGuide():
            return now.act == "answered" and now.answer == action.answer
        case GoTo():
            protocol = library.protocol(action.to_protocol)
            to = protocol.id, action.to_step or protocol.start
            return now.act == "overridden" and run.place == to
        case GoOn():
            return now.act == "done"
        case SkipStep():
            return now.act == "skipped"
        case GoBack():
            return now.act == "back"


def _stop(run: Run, action: StopGuide, now_ns: int, seat: str) -> tuple[GuidanceFact, ...]:
    now = run.now
    if now is None or not run.is_on:
        return ()
    return (
        GuidanceStep(
            run=run.id, act="stopped", number=run.next_number, at_ns=max(now_ns, now.at_ns),
            protocol=now.protocol, version=now.version, title=now.title,
            from_protocol=now.protocol, from_step=now.step, reason=action.reason.strip(),
            seat=seat, patient=run.patient,
        ),
    )  # fmt: skip


def _note(
    run: Run, action: NoteMoment, *, now_ns: int, rang_ns: int, seat: str
) -> tuple[GuidanceFact, ...]:
    at_ns = now_ns if action.at_ms is None else action.at_ms * MS_NS
    reason = (action.reason or "").strip() or None
    if at_ns > now_ns + AHEAD_NS:
        raise DispatchError("a moment that is still to come cannot be noted")
    if at_ns < rang_ns // MS_NS * MS_NS:
        raise DispatchError("that was before the call rang")
    known = run.moments().get(action.mark)
    if action.mark == "rescuer_change":
        known = max(run.rescuer_changes(), default=None)
    if action.withdrawn:
        if known is None:
            return ()
        if reason is None:
            raise DispatchError("taking a moment back wants a reason")
    elif known is not None and (known == at_ns or _is_second_tap(run, action, now_ns)):
        return ()
    return (
        GuidanceMark(
            run=run.id, mark=action.mark, number=run.next_number, at_ns=at_ns, noted_ns=now_ns,
            withdrawn=action.withdrawn, reason=reason, seat=seat,
        ),
    )  # fmt: skip


def _is_second_tap(run: Run, action: NoteMoment, now_ns: int) -> bool:
    """Whether the same button was pressed less than a second before, without a time of its own."""
    last = run.facts[-1]
    return (
        action.at_ms is None
        and isinstance(last, GuidanceMark)
        and last.mark == action.mark
        and not last.withdrawn
        and 0 <= now_ns - last.noted_ns < 1_000 * MS_NS
    )


def _fact(
    run: Run, move: _Move, library: Library, *, now_ns: int, seat: str, patient: str
) -> GuidanceStep:
    """Return the fact of coming to a step, with all that is needed to show it later."""
    step: Step = library.step(*move.to)
    protocol = library.protocol(move.to[0])
    now = run.now
    came = run.place or ("", "")
    return GuidanceStep(
        run=run.id, act=move.act, number=run.next_number,
        at_ns=now_ns if now is None else max(now_ns, now.at_ns),
        protocol=protocol.id, version=protocol.version, step=step.id, kind=step.kind,
        title=protocol.title.text, text=step.text, pictogram=step.pictogram,
        source=library.cite(step), timer=step.timer, metronome_per_min=step.metronome or 0,
        rescuer_change_s=step.rescuer_change_s or 0, recheck_s=step.recheck_s or 0,
        from_protocol=came[0], from_step=came[1], answer=move.answer,
        answer_text=move.answer_text, reason=move.reason, seat=seat, patient=patient,
    )  # fmt: skip
