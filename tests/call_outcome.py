"""What a call left behind, as text that is the same for two calls that went the same way.

It is read off the journal once the hub has ended, so nothing that was only shown can pass. Names,
times and texts that differ from call to call are left out; order and number of all facts are not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from dispatch.text_book import Conversation
from streams.call_messages import CallerMessage, CallStep
from streams.chain import Stored, verify
from streams.codec import any_body
from streams.guidance_messages import GuidanceMark, GuidanceStep
from streams.journal import Journal
from streams.messages import Body, CaseAmended, CaseClosed, CaseNote, Milestone, UnitAssigned
from streams.text_messages import CallerProfile, TextChannel, TextSpoken, TextTurn

MS_NS = 1_000_000
TALK = (TextTurn, TextChannel, CallerProfile)


async def facts_of(journal_url: str, case: str) -> list[Stored]:
    """Return a case's facts in their order, with an unbroken chain.

    Args:
        journal_url: Database of a hub that has ended.
        case: Its id.
    """
    async with Journal(journal_url) as journal:
        facts = await journal.facts(case=case, limit=None)
    verify(iter(facts))
    return facts


def outcome_of(
    facts: Sequence[Stored],
    pages: Sequence[tuple[str, Sequence[str]]],
    unsaid: Collection[str] = (),
    as_meant: Callable[[str], str] = str,
) -> str:
    """Return what was said, who the caller is, what was done, what pages showed: one line each.

    Args:
        facts: Of the case, in their order.
        pages: Name of each page, and its lines; one that shows what the journal says is "as said".
        unsaid: Lines of what was done that may come or not.
        as_meant: Gives what stands for a text that was recognised from speech.
    """
    talk, done = Conversation(), []
    for fact in facts:
        body = any_body(fact.envelope)
        if isinstance(body, TALK):
            talk.take(body)
        if not isinstance(body, (TextSpoken, TextTurn)):
            done.append(fact_words(fact.envelope.kind, body))
    needs = talk.profile.needs if talk.profile else ()
    turns = sorted(talk.turns.values(), key=_place_of)
    turns = [one for one in turns if one.text]
    shown = [_as_shown(one, talk) for one in turns]
    return "\n".join(
        [
            *_section("said", [_as_stored(one, talk, as_meant) for one in turns]),
            *_section("spoken to the seat", spoken_of(facts)),
            *_section("needs", needs),
            *_section("done", [one for one in done if one not in unsaid]),
            *(
                line
                for name, lines in pages
                for line in _section(name, ["as said"] if lines == shown else lines)
            ),
        ]
    )


def _place_of(turn: TextTurn) -> tuple[int, int, str]:
    """Return when a turn was whole, and read: where it stands on all pages."""
    read_ns = turn.ended_ns + (turn.latency_ms or 0) * MS_NS
    return read_ns // MS_NS, turn.begun_ns, turn.turn


def spoken_of(facts: Iterable[Stored]) -> list[str]:
    """Return what sounded at a seat, in the order in which it began to."""
    bodies = [any_body(fact.envelope) for fact in facts if fact.envelope.kind == "text_spoken"]
    return [
        ("again, corrected: " if one.corrects else "") + one.text
        for one in bodies
        if isinstance(one, TextSpoken)
    ]


def _as_stored(turn: TextTurn, talk: Conversation, as_meant: Callable[[str], str]) -> str:
    """Return by whom, how and what was said, and whether its end was written or it was changed."""
    way = "" if turn.way == "page" else f" by {turn.way}"
    marks = "" if turn.finished else " [unfinished]"
    text = as_meant(turn.text) if turn.way == "speech" else turn.text
    return f"{turn.who}{way}: {text}{marks}{_corrected(turn, talk)}"


def _as_shown(turn: TextTurn, talk: Conversation) -> str:
    """Return what a page has of a turn."""
    return f"{turn.who}: {turn.text}{_corrected(turn, talk)}"


def _corrected(turn: TextTurn, talk: Conversation) -> str:
    return " [corrected]" if turn.turn in talk.corrected else ""


def fact_words(kind: str, body: Body) -> str:  # noqa: PLR0911 - one line of a table each
    """Return one fact as a line, without what differs from call to call."""
    match body:
        case CallStep():
            words = (body.step, body.seat and f"by {body.seat}", body.reason or "")
            return f"call {' '.join(filter(None, words))}"
        case CaseAmended():
            known = (body.address, body.complaint, body.severity)
            return f"case: {', '.join(filter(None, known))}"
        case CaseClosed():
            return f"case closed: {body.outcome}"
        case CaseNote():
            return f"note: {body.text}"
        case Milestone():
            return f"{body.stage.replace('_', ' ')}"
        case UnitAssigned():
            return f"{body.unit} sent"
        case TextChannel():
            return f"caller's page {body.state}"
        case CallerProfile():
            return f"profile: {', '.join(body.needs) or 'none'} ({body.seat or 'caller'})"
        case CallerMessage():
            return f"message {body.state} {body.text}".strip()
        case GuidanceStep():
            to = f"{body.protocol}:{body.step}" if body.step else body.reason
            return f"guide {body.act} {body.answer or ''} -> {to}".replace("  ", " ")
        case GuidanceMark():
            return f"mark {body.mark}"
        case _:
            return kind.replace("_", " ")


def _section(name: str, lines: Iterable[str]) -> list[str]:
    found = list(lines)
    return [f"{name}:", *(f"  {line}" for line in found)] if found else []
