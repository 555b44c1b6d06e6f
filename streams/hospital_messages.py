"""What a hospital states of itself, whoever is on the way there."""

from __future__ import annotations

from typing import Annotated

import msgspec

from streams.messages import Body, ShortText, Text

Places = Annotated[int, msgspec.Meta(ge=0, le=999)]
"""Of an emergency department: beds, bays."""


class HospitalState(Body, frozen=True, kw_only=True):
    """How much room a hospital has now; it replaces whatever the hospital stated before.

    Attributes:
        beds: Free beds in its emergency department; None where it does not say.
        resus_bays: Free resuscitation bays; None where it does not say.
        diversion: Whether it asks for patients to be taken elsewhere.
        reason: Why it is on diversion.
        role: What the person is who stated it; empty where the seat did not choose.
        seat: At which seat.
    """

    beds: Places | None = None
    resus_bays: Places | None = None
    diversion: bool = False
    reason: Text = ""
    role: ShortText = ""
    seat: ShortText = ""
