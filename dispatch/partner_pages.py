"""Partners as the console's page gets them: JSON-able, times in ms. Pure."""

from __future__ import annotations

from typing import Any

from dispatch.cases import Case
from dispatch.partner_actions import number_of
from dispatch.partner_book import Message, Partnership
from dispatch.partner_settings import Partners


def known(partners: Partners) -> list[dict[str, str]]:
    """Return who can be told."""
    return [
        {"name": one.name, "label": one.title, "kind": one.kind, "contact": one.contact}
        for one in partners.all.values()
    ]


def told(case: Case) -> dict[str, Any]:
    """Return what each partner was told of a case, how far it came, and what it answered."""
    return {
        "partners": {name: _partnership(one) for name, one in case.partners.items()},
        "call_back": number_of(case),
    }


def _partnership(one: Partnership) -> dict[str, Any]:
    answer = one.answer
    return {
        "stands": bool(one.standing),
        "last": None if one.last is None else _message(one.last),
        "answer": None if answer is None else {
            "status": answer.status,
            "note": answer.note,
            "at_ms": answer.at_ns // 1_000_000,
        },
    }  # fmt: skip


def _message(one: Message) -> dict[str, Any]:
    asked, done = one.asked, one.done
    return {
        "message": asked.message,
        "change": asked.change,
        "purposes": list(asked.purposes),
        "note": asked.note,
        "with_number": asked.with_number,
        "state": asked.state if done is None else done.state,
        "asked_ms": one.asked_ns // 1_000_000,
        "done_ms": None if done is None else one.done_ns // 1_000_000,
        "reason": None if done is None else done.reason,
        "tries": 0 if done is None else done.tries,
        "document": asked.document,
    }
