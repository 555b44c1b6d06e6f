"""What a caller and the dispatcher wrote to each other, as the case's facts say. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.text_messages import CallerProfile, TextChannel, TextTurn

TURNS_KEPT = 1000
"""Of one case; beyond, the oldest leave the view and the journal has them."""


@dataclass(slots=True)
class Conversation:
    """The writing of one case.

    Attributes:
        turns: Each as it stands last, by name, in the order in which they began to be stored.
        corrected: Turns whose text was another one once they were finished.
        sessions: The caller's pages and telephones, as each was last said to be.
        profile: How one has to talk with the caller; None while nobody said so.
    """

    turns: dict[str, TextTurn] = field(default_factory=dict)
    corrected: set[str] = field(default_factory=set)
    sessions: dict[str, TextChannel] = field(default_factory=dict)
    profile: CallerProfile | None = None

    def take(self, body: TextTurn | TextChannel | CallerProfile) -> None:
        """Fold a fact in; all are the hub's own, so the last one stored is the last one said."""
        match body:
            case TextTurn():
                before = self.turns.get(body.turn)
                if before is not None and before.finished and before.text != body.text:
                    self.corrected.add(body.turn)
                self.turns[body.turn] = body
                while len(self.turns) > TURNS_KEPT:
                    gone = next(iter(self.turns))
                    del self.turns[gone]
                    self.corrected.discard(gone)
            case TextChannel():
                self.sessions[body.session] = body
            case CallerProfile():
                self.profile = body

    @property
    def is_open(self) -> bool:
        """Whether the caller can read what is written now."""
        return any(one.state == "opened" for one in self.sessions.values())

    def has(self, body: TextTurn | TextChannel | CallerProfile) -> bool:
        """Whether the last fact of its kind says the same."""
        match body:
            case TextTurn():
                before = self.turns.get(body.turn)
                return before is not None and (before.text, before.finished) == (
                    body.text, body.finished,
                )  # fmt: skip
            case TextChannel():
                known = self.sessions.get(body.session)
                if known is None:
                    return body.state != "opened"
                is_gone = known.state == "closed" and body.state == "lost"
                return known.state == body.state or is_gone
            case CallerProfile():
                profile = self.profile
                return profile is not None and (profile.needs, profile.language) == (
                    body.needs, body.language,
                )  # fmt: skip
