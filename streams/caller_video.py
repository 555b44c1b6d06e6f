"""Where the video with a caller stands, as a case's facts say: the same at hub, crew and hospital.

Pure. Steps are folded in the order of the case. Which step may follow on which is a table, for
whoever makes the fact; one that is stored is folded whatever it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from streams.caller_video_messages import CallerVideo, VideoStep
from streams.identity import is_id

Phase = Literal["off", "asked", "on", "refused", "withdrawn", "stopped"]
"""``on``: the caller consents now. ``stopped``: a seat ended it; the caller begins no new one."""

CAMERA, VOICE = "camera", "seat"
"""What the caller's page publishes, and what a seat says to it."""

_CALLER = "caller-"

_WITHIN: tuple[VideoStep, ...] = ("looked", "blurred", "voice_on", "voice_off", "watched")

NEXT: dict[tuple[Phase, VideoStep], Phase] = {
    ("off", "asked"): "asked",
    ("refused", "asked"): "asked",
    ("withdrawn", "asked"): "asked",
    ("stopped", "asked"): "asked",
    ("off", "consented"): "on",
    ("asked", "consented"): "on",
    ("refused", "consented"): "on",
    ("withdrawn", "consented"): "on",
    ("on", "consented"): "on",  # another page of the caller's, or the same one opened again
    ("asked", "refused"): "refused",
    ("on", "refused"): "refused",  # the phone's camera, after its owner had said yes
    ("on", "withdrawn"): "withdrawn",
    ("on", "stopped"): "stopped",
    ("asked", "stopped"): "stopped",
    **{("on", step): "on" for step in _WITHIN},
}
"""(where it is, what happens) -> where it is then; a pair that is missing is not to be made."""


def resource_of(case: str, stream: str) -> str:
    """Return the media relay's resource of a case's caller, such as ``caller-01J…/camera``."""
    return f"{_CALLER}{case}/{stream}"


def case_of_resource(resource: str) -> str | None:
    """Return the case of a caller's resource; None for those of vehicles."""
    owner = resource.partition("/")[0]
    case = owner.removeprefix(_CALLER)
    return case if owner != case and is_id(case) else None


@dataclass(slots=True)
class VideoState:
    """The video with one caller.

    Attributes:
        phase: Where it is.
        since_ns: Since when, by the hub's clock.
        last: The step that brought it there; None before the first.
        session: The caller's page that shows its picture.
        looking: Seats that see it clearly, in the order of their looking.
        voice: The seat that speaks to the caller's page; empty for none.
        watching: Crews and hospitals that watched since the consent, as ``unit/unit-7``.
        picture: What is shown to the caller; None for nothing.
    """

    phase: Phase = "off"
    since_ns: int = 0
    last: CallerVideo | None = None
    session: str = ""
    looking: list[str] = field(default_factory=list)
    voice: str = ""
    watching: list[str] = field(default_factory=list)
    picture: CallerVideo | None = None

    @property
    def is_on(self) -> bool:
        """Whether the caller consents now."""
        return self.phase == "on"

    def may(self, step: VideoStep) -> bool:
        """Whether a step may follow here."""
        return step.startswith("picture_") or (self.phase, step) in NEXT

    def take(self, body: CallerVideo, at_ns: int) -> None:
        """Fold a step in.

        Args:
            body: What happened.
            at_ns: When, by the hub's clock.
        """
        match body.step:
            case "picture_shown":
                self.picture = body
            case "picture_gone":
                self.picture = None
            case "looked" | "blurred" | "voice_on" | "voice_off" | "watched":
                if self.is_on:
                    self._within(body)
            case step if (phase := NEXT.get((self.phase, step))) is not None:
                self._move(phase, body, at_ns)

    def _move(self, phase: Phase, body: CallerVideo, at_ns: int) -> None:
        again = phase == "on" and self.phase == "on"
        self.phase, self.last = phase, body
        self.since_ns = self.since_ns if again else at_ns
        self.session = body.session if phase == "on" else ""
        if not again:
            self.looking, self.watching, self.voice = [], [], ""

    def _within(self, body: CallerVideo) -> None:
        match body.step:
            case "looked" if body.who not in self.looking:
                self.looking.append(body.who)
            case "blurred" if body.who in self.looking:
                self.looking.remove(body.who)
            case "voice_on":
                self.voice = body.who
            case "voice_off" if self.voice == body.who:
                self.voice = ""
            case "watched" if f"{body.by}/{body.who}" not in self.watching:
                self.watching.append(f"{body.by}/{body.who}")
