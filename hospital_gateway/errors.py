"""What can go wrong at a receiving hospital, beside what the kernel already knows.

ForerunError
├── RequestError (streams.web)
│   ├── NotCurrentError     an action or a video for a patient who is not coming here
│   ├── UnknownCaseError    a case of which this hospital never got a fact
│   ├── PairingError        a vehicle at the bay that does not know the code
│   └── BayRefusedError     a hand-over at the bay that is not for this board, or not whole
└── MessageError
    └── CarriedFactError    a case_fact whose content is not what it says
"""

from __future__ import annotations

from streams.errors import MessageError
from streams.web import RequestError


class NotCurrentError(RequestError):
    """An action or a stream for a patient who is not on the way to this hospital.

    Attributes:
        case: The case.
        status: Where it stands, for this hospital.
    """

    reason = "not_current"

    def __init__(self, case: str, status: str) -> None:
        super().__init__(
            f"case {case} is {status.replace('_', ' ')} for this hospital: only a patient who "
            "is on the way here, or at the door, can be acknowledged or seen"
        )
        self.case = case
        self.status = status


class UnknownCaseError(RequestError):
    """A case of which this hospital has no fact: it is another hospital's, or none at all.

    Attributes:
        case: The case asked for.
    """

    reason = "unknown_case"

    def __init__(self, case: str) -> None:
        super().__init__(f"case {case} is not known at this hospital")
        self.case = case


class PairingError(RequestError):
    """A vehicle at the bay that does not know the code, or not any more; the text says why."""

    reason = "pairing"


class BayRefusedError(RequestError):
    """A hand-over at the bay that is not for this board, or not whole; the text says why."""

    reason = "bay"


class CarriedFactError(MessageError):
    """A ``case_fact`` whose content is not what it says; the text names the difference."""

    reason = "carried_fact"
