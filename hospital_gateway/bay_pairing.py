"""The code that a person at the ER reads to a crew: made once, good once, for a few minutes. Pure.

There is no other proof of who the vehicle is: two people stand face to face, and the one at the
ER, whose seat is known, lets the other's vehicle in. Eight digits and five guesses leave a
stranger in the bay's network one chance in twenty million.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

from hospital_gateway.errors import PairingError

VALID_NS = 5 * 60 * 1_000_000_000
"""Long enough to walk from the board to the vehicle."""

DIGITS = 8
MOST_GUESSES = 5
"""Wrong codes after which the code is void and a new one has to be asked for."""


@dataclass(slots=True)
class Pairing:
    """A code that stands on a board.

    Attributes:
        code: Its digits.
        until_ns: Until when it can be used.
        who: The seat that asked for it.
        used_by: What the one who used it is known by; None while nobody did.
        guesses: Wrong codes that were tried since it was made.
    """

    code: str
    until_ns: int
    who: str
    used_by: str | None = None
    guesses: int = 0


class Pairings:
    """The one code of a hospital that is good now."""

    def __init__(self) -> None:
        """Begin without any."""
        self.current: Pairing | None = None

    def make(self, who: str, now_ns: int) -> Pairing:
        """Make a code for a seat; the one before is void."""
        code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
        self.current = Pairing(code, now_ns + VALID_NS, who)
        return self.current

    def end(self) -> None:
        """Make the code void."""
        self.current = None

    def use(self, code: str, by: str, now_ns: int) -> Pairing:
        """Use the code, once; the one who used it may use it again, its answer may be lost.

        Args:
            code: What was typed in the vehicle.
            by: What the vehicle is known by afterwards.
            now_ns: This machine's monotonic clock.

        Raises:
            PairingError: There is no code, it is another, it is too old, or somebody used it.
        """
        pairing = self.current
        if pairing is None or now_ns > pairing.until_ns:
            self.current = None
            raise PairingError("no code is valid now: ask for a new one at the board")
        if not hmac.compare_digest(pairing.code.encode(), code.encode()):
            pairing.guesses += 1
            if pairing.guesses >= MOST_GUESSES:
                self.current = None
                raise PairingError("too many wrong codes: ask for a new one at the board")
            raise PairingError("this is not the code that stands on the board")
        if pairing.used_by not in (None, by):
            raise PairingError("this code was used already: ask for a new one at the board")
        pairing.used_by = by
        return pairing
