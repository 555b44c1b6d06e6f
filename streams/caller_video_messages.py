"""The body of the facts about video with a caller: each step of it, and who took it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from streams.messages import Body, Count, ShortText

VideoStep = Literal[
    "asked", "consented", "refused", "withdrawn", "stopped",
    "looked", "blurred", "voice_on", "voice_off", "watched",
    "picture_shown", "picture_gone",
]  # fmt: skip
"""``asked``, ``stopped``: by a seat. ``consented``, ``refused``, ``withdrawn``: by the caller.
``looked`` and ``blurred``: a seat sees the picture clearly, or no more. ``voice_on`` and ``_off``:
a seat speaks to the caller's page. ``watched``: a crew or a hospital began to watch."""

VideoParty = Literal["caller", "seat", "unit", "hospital", "hub"]

Pictogram = Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9][a-z0-9_]{0,39})?$")]


class CallerVideo(Body, frozen=True, kw_only=True):
    """One step of the video with a caller. No picture and no sound is ever in a fact.

    Attributes:
        step: What happened.
        by: Who did it. ``hub``: nobody did, it ended by itself, as when a seat's page is gone.
        who: The seat, unit or hospital; of what the hub ended, whose it was. Empty for the caller.
        session: Of the caller: the page, a ULID that it keeps while it is open.
        language: Of ``consented``: in which the question was read.
        reason: Why, where somebody or something said so: ``no_camera``, a seat's own words.
        pictogram: Of ``picture_shown``: which one of ours; empty for an image of the seat's.
        media_type: Of an image: such as ``image/jpeg``.
        size_bytes: Of an image, as it was passed on.
        sha256: Of an image, as it was passed on: tells which one it was to who still has it.
    """

    step: VideoStep
    by: VideoParty
    who: ShortText = ""
    session: ShortText = ""
    language: ShortText = ""
    reason: ShortText = ""
    pictogram: Pictogram = ""
    media_type: ShortText = ""
    size_bytes: Count = 0
    sha256: ShortText = ""
