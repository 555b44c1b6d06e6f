"""The code at the bay: good once, for one, for a while, and not to be guessed."""

from __future__ import annotations

import pytest

from hospital_gateway.bay_pairing import DIGITS, MOST_GUESSES, VALID_NS, Pairings
from hospital_gateway.errors import PairingError


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**DIGITS:0{DIGITS}}"


def test_code_is_eight_digits_and_another_each_time() -> None:
    codes = {Pairings().make("seat", 0).code for _ in range(50)}
    assert len(codes) > 40
    assert all(len(code) == DIGITS and code.isdigit() for code in codes)


def test_code_lets_in_the_first_who_knows_it_and_nobody_else() -> None:
    pairings = Pairings()
    code = pairings.make("seat", 0).code
    assert pairings.use(code, "vehicle", 1).who == "seat"
    assert pairings.use(code, "vehicle", 2).used_by == "vehicle", "its answer may have been lost"
    with pytest.raises(PairingError, match="used already"):
        pairings.use(code, "another", 3)


def test_code_is_void_after_five_minutes() -> None:
    pairings = Pairings()
    code = pairings.make("seat", 0).code
    pairings.use(code, "vehicle", VALID_NS)
    with pytest.raises(PairingError, match="no code is valid"):
        pairings.use(code, "vehicle", VALID_NS + 1)


def test_code_is_void_after_too_many_guesses_also_for_who_knows_it() -> None:
    pairings = Pairings()
    code = pairings.make("seat", 0).code
    for _ in range(MOST_GUESSES - 1):
        with pytest.raises(PairingError, match="not the code"):
            pairings.use(wrong(code), "stranger", 1)
    with pytest.raises(PairingError, match="too many"):
        pairings.use(wrong(code), "stranger", 1)
    with pytest.raises(PairingError, match="no code is valid"):
        pairings.use(code, "vehicle", 1)


def test_new_code_makes_the_one_before_void() -> None:
    pairings = Pairings()
    first = pairings.make("seat", 0).code
    second = pairings.make("seat", 1).code
    if first != second:
        with pytest.raises(PairingError):
            pairings.use(first, "vehicle", 2)
    assert pairings.use(second, "vehicle", 2)


def test_no_code_lets_nobody_in() -> None:
    pairings = Pairings()
    with pytest.raises(PairingError):
        pairings.use("00000000", "vehicle", 0)
    code = pairings.make("seat", 0).code
    pairings.end()
    with pytest.raises(PairingError):
        pairings.use(code, "vehicle", 0)


@pytest.mark.parametrize("text", ["", "1234", "１２３４５６７８", "x" * 200])
def test_what_is_no_code_is_a_wrong_one(text: str) -> None:
    pairings = Pairings()
    pairings.make("seat", 0)
    with pytest.raises(PairingError, match="not the code"):
        pairings.use(text, "vehicle", 0)
