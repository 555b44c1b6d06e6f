"""What pages are told of the video with a caller. Pure; times in ms."""

from __future__ import annotations

from typing import Any

from dispatch.cases import Case
from streams.caller_video import CAMERA, VOICE, resource_of

MS_NS = 1_000_000


def for_console(case: Case) -> dict[str, Any]:
    """Return what a seat is shown."""
    video = case.video
    last, picture = video.last, video.picture
    return {
        "caller_video": {
            "phase": video.phase,
            "since_ms": video.since_ns // MS_NS,
            "by": last.by if last else "",
            "who": last.who if last else "",
            "reason": last.reason if last else "",
            "looking": list(video.looking),
            "watching": list(video.watching),
            "voice": video.voice,
            "picture": None
            if picture is None
            else {"pictogram": picture.pictogram, "who": picture.who},
        }
    }


def for_caller(case: Case, image: str | None) -> dict[str, Any]:
    """Return what the caller's page is shown.

    Args:
        case: The case.
        image: Name of the image that is shown, while the hub has it.
    """
    video = case.video
    picture = video.picture
    shown: dict[str, str] | None = None
    if picture is not None and picture.pictogram:
        shown = {"pictogram": picture.pictogram}
    elif picture is not None and image is not None:
        shown = {"image": image}
    return {
        "video": {
            "phase": video.phase,
            "session": video.session,
            "is_clear": bool(video.looking),
            "watching": sorted({one.partition("/")[0] for one in video.watching}),
            "voice": bool(video.voice),
            "picture": shown,
            "publish": f"/whip/{resource_of(case.id, CAMERA)}",
            "hear": f"/whep/{resource_of(case.id, VOICE)}",
        }
    }
