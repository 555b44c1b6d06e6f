"""What a seat may do with the video of a caller, and which fact that makes. Pure."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec

from dispatch.cases import Case
from dispatch.errors import ConflictError
from dispatch.sending import draft_for
from streams.caller_video_messages import CallerVideo, VideoStep
from streams.messages import Body, Identifier, ShortText
from streams.outbox import Draft

Shown = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_]{0,39}$")]


class _VideoAction(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="action"
):
    id: Identifier | None = None
    case: Identifier


class AskVideo(_VideoAction, frozen=True, kw_only=True, tag="ask_video"):
    """Ask the caller to show what there is to see; the caller decides on the page."""


class LookVideo(_VideoAction, frozen=True, kw_only=True, tag="look_video"):
    """See the caller's picture clearly."""


class BlurVideo(_VideoAction, frozen=True, kw_only=True, tag="blur_video"):
    """See it no more."""


class StopVideo(_VideoAction, frozen=True, kw_only=True, tag="stop_video"):
    """End the caller's video; until it is asked for again the caller begins no new one."""

    reason: ShortText = ""


class SpeakVideo(_VideoAction, frozen=True, kw_only=True, tag="speak_video"):
    """Speak to the caller's page, or no more; one seat does at a time."""

    on: bool


class ShowPictogram(_VideoAction, frozen=True, kw_only=True, tag="show_pictogram"):
    """Show the caller one of our pictures; an image of the seat's own has a door of its own."""

    pictogram: Shown


class HidePicture(_VideoAction, frozen=True, kw_only=True, tag="hide_picture"):
    """Take away what is shown."""


VideoAction: TypeAlias = (
    AskVideo | LookVideo | BlurVideo | StopVideo | SpeakVideo | ShowPictogram | HidePicture
)

_STEPS: Final[dict[type[VideoAction], VideoStep]] = {
    AskVideo: "asked",
    LookVideo: "looked",
    BlurVideo: "blurred",
    StopVideo: "stopped",
    ShowPictogram: "picture_shown",
    HidePicture: "picture_gone",
}


def decide_video(action: VideoAction, case: Case, seat: str) -> Draft:
    """Return the fact that an action makes.

    Args:
        action: What is asked for.
        case: The case, which is open.
        seat: Who asks.

    Raises:
        ConflictError: There is no such video, nobody would see it, or it changes nothing.
    """
    step, video = step_of(action), case.video
    if isinstance(action, AskVideo | ShowPictogram) and not case.talk.is_open:
        raise ConflictError(
            "the caller has no page open: send the link first (P)", kind="no_reader", case=case.id
        )
    if not video.may(step):
        raise ConflictError(_why_not(case, step), kind="video", case=case.id)
    if _changes_nothing(action, case, seat):
        raise ConflictError("it is so already", kind="same", case=case.id)
    body = CallerVideo(
        step=step, by="seat", who=seat,
        reason=action.reason.strip() if isinstance(action, StopVideo) else "",
        pictogram=action.pictogram if isinstance(action, ShowPictogram) else "",
    )  # fmt: skip
    return draft_for(case, "caller_video", body)


def step_of(action: VideoAction) -> VideoStep:
    """Return the step that an action is."""
    if isinstance(action, SpeakVideo):
        return "voice_on" if action.on else "voice_off"
    return _STEPS[type(action)]


def is_same_video(action: VideoAction, body: Body, seat: str) -> bool:
    """Whether a fact is what an action asks for."""
    assert isinstance(body, CallerVideo)
    same = (body.step, body.by, body.who) == (step_of(action), "seat", seat)
    if isinstance(action, StopVideo):
        return same and body.reason == action.reason.strip()
    return same and (not isinstance(action, ShowPictogram) or body.pictogram == action.pictogram)


def _changes_nothing(action: VideoAction, case: Case, seat: str) -> bool:
    video = case.video
    match action:
        case LookVideo():
            return seat in video.looking
        case BlurVideo():
            return seat not in video.looking
        case SpeakVideo():
            return (video.voice == seat) == action.on
        case ShowPictogram():
            return video.picture is not None and video.picture.pictogram == action.pictogram
        case HidePicture():
            return video.picture is None
    return False


def _why_not(case: Case, step: VideoStep) -> str:
    match case.video.phase, step:
        case "asked", "asked":
            return "the caller is asked already"
        case "on", "asked":
            return "the caller shows it already"
    return "the caller shows no picture"
