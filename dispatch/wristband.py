"""The codes on triage wristbands: how they are written, and whether one was mistyped. Pure.

Operators buy wristbands with numbers of their own, so the pattern and the check digit are
settings (``[incidents]``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from dispatch.errors import DispatchError

CheckDigit = Literal["none", "luhn", "damm"]

PATTERN: Final = "[A-Z]{0,4}-?[0-9]{1,12}"
"""Where the operator states no other: letters or none, then a number."""

_DAMM: Final = (
    (0, 3, 1, 7, 5, 9, 8, 6, 4, 2), (7, 0, 9, 2, 1, 5, 4, 8, 6, 3),
    (4, 2, 0, 6, 8, 7, 1, 3, 5, 9), (1, 7, 5, 0, 9, 8, 3, 4, 2, 6),
    (6, 1, 2, 3, 0, 4, 5, 9, 7, 8), (3, 6, 7, 4, 2, 0, 9, 5, 8, 1),
    (5, 8, 6, 9, 7, 2, 0, 1, 3, 4), (8, 9, 4, 5, 3, 6, 2, 0, 1, 7),
    (9, 4, 3, 8, 6, 1, 7, 2, 0, 5), (2, 5, 8, 1, 4, 3, 6, 7, 9, 0),
)  # fmt: skip
"""Damm H.M.: *Total anti-symmetrische Quasigruppen*, Marburg 2004, the table of order 10."""


@dataclass(frozen=True, slots=True)
class WristbandScheme:
    """How codes are written.

    Attributes:
        pattern: Regular expression of a whole code, in capitals.
        check: What the last digit is: of ISO/IEC 7812-1 (Luhn), of Damm, or of the number.
    """

    pattern: re.Pattern[str] = field(default_factory=lambda: re.compile(PATTERN))
    check: CheckDigit = "none"

    def read(self, typed: str) -> str:
        """Return a code as it is kept: in capitals, without white space.

        Raises:
            DispatchError: It is no code of this scheme, or its check digit is wrong.
        """
        code = "".join(typed.split()).upper()
        if not self.pattern.fullmatch(code):
            raise DispatchError(
                f"{typed!r} is no wristband code: they are written as {self.pattern.pattern}"
            )
        digits = [int(char) for char in code if char.isascii() and char.isdigit()]
        if self.check != "none" and not (digits and _CHECKS[self.check](digits)):
            raise DispatchError(
                f"{code} is mistyped: its last digit does not agree with the others ({self.check})"
            )
        return code


def _luhn(digits: list[int]) -> bool:
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _damm(digits: list[int]) -> bool:
    interim = 0
    for digit in digits:
        interim = _DAMM[interim][digit]
    return interim == 0


_CHECKS: Final = {"luhn": _luhn, "damm": _damm}
