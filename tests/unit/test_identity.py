"""Names, ids and aliases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import MalformedError
from streams.identity import alias, check_name, is_id, new_id


def test_ids_are_ulids_and_differ() -> None:
    made = {new_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(is_id(one) for one in made)
    assert not is_id("x" * 26)
    assert not is_id("")


def test_alias_is_two_spoken_words_and_stays() -> None:
    case = new_id()
    assert alias(case) == alias(case)
    assert len(alias(case).split()) == 2


@pytest.mark.parametrize("name", ["", "Unit", "a.b", "a/b", "+", "#", "a b", "-a", "x" * 41, "é"])
def test_name_that_is_no_token_is_refused_with_the_rule(name: str) -> None:
    with pytest.raises(MalformedError, match="lower-case"):
        check_name(name)


@given(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,39}", fullmatch=True))
def test_name_that_is_a_token_is_kept(name: str) -> None:
    assert check_name(name) == name
