"""What partners were told of a case and what they answered: a fold of its facts. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.chain import Stored
from streams.partner_messages import PartnerAnswered, PartnerTold

ANSWERS_KEPT = 200
"""Of one partner in one case; more are refused, for no emergency has so many."""


@dataclass(slots=True)
class Message:
    """One message to a partner, and how far it came.

    Attributes:
        asked: The fact that made it.
        asked_ns: When, by the hub's clock.
        done: The fact that says how it went; None while it is on its way.
        done_ns: When that was.
    """

    asked: PartnerTold
    asked_ns: int
    done: PartnerTold | None = None
    done_ns: int = 0

    @property
    def has_failed(self) -> bool:
        """Whether it was given up."""
        return self.done is not None and self.done.state == "failed"


@dataclass(slots=True)
class Partnership:
    """One partner in one case.

    Attributes:
        messages: By identifier, in the order of being asked for.
        answers: With the time at which each came, by the hub's clock, in that order.
    """

    messages: dict[str, Message] = field(default_factory=dict)
    answers: list[tuple[int, PartnerAnswered]] = field(default_factory=list)

    @property
    def pending(self) -> Message | None:
        """The first message that is still to be sent."""
        return next((one for one in self.messages.values() if one.done is None), None)

    @property
    def last(self) -> Message | None:
        """The last message."""
        return next(reversed(self.messages.values()), None)

    @property
    def standing(self) -> list[Message]:
        """What the partner has, or may get yet, since the last cancellation that reached it."""
        found: list[Message] = []
        for one in self.messages.values():
            if one.has_failed:
                continue
            if one.asked.change == "cancel":
                found = []
            else:
                found.append(one)
        return found

    @property
    def answer(self) -> PartnerAnswered | None:
        """How far the partner is: what is newest by its own times, of the standing messages."""
        names = {one.asked.message for one in self.standing}
        found = [(body.at_ns, came, body) for came, body in self.answers if body.message in names]
        return max(found, key=lambda one: one[:2])[2] if found else None


Partnerships = dict[str, Partnership]


def fold_partner(partners: Partnerships, fact: Stored, body: PartnerTold | PartnerAnswered) -> None:
    """Fold a stored fact in."""
    one = partners.setdefault(body.partner, Partnership())
    if isinstance(body, PartnerAnswered):
        one.answers.append((fact.corrected_ns, body))
    elif body.state == "asked":
        one.messages.setdefault(body.message, Message(body, fact.corrected_ns))
    elif (message := one.messages.get(body.message)) is not None:
        message.done, message.done_ns = body, fact.corrected_ns
