"""Which uplink is in use, and which copies from the hub are news."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboard.settings import Settings, UplinkTable
from onboard.uplinks import REMEMBERED, SETTLED_S, Choice, Once


def test_choice_takes_the_first_that_lives_and_keeps_it_until_it_dies() -> None:
    choice = Choice()
    assert choice.decide([None, None], 0) is None
    assert choice.decide([None, 1.0], 1) == 1
    assert choice.decide([4.0, 1.0], 5) == 1, "the preferred one has just come"
    assert choice.decide([4.0, None], 5.5) == 0
    assert choice.decide([None, 6.0], 6) == 1
    assert choice.decide([6.1, 6.0], 6.5) == 1, "the other did not fail for want of any"
    assert choice.decide([None, None], 5) is None


def test_choice_at_the_start_takes_the_preferred_that_comes_a_little_later() -> None:
    choice = Choice()
    assert choice.decide([None, 1.0], 1) == 1
    assert choice.decide([1.1, 1.0], 1.1) == 0


def test_choice_goes_back_to_the_preferred_when_it_has_settled() -> None:
    choice = Choice()
    choice.decide([None, 0.0], 0)
    assert choice.decide([5.0, 0.0], 5 + SETTLED_S - 0.1) == 1
    assert choice.decide([5.0, 0.0], 5 + SETTLED_S) == 0
    assert choice.decide([5.0, 0.0], 1000) == 0


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=60),
)
def test_choice_is_always_one_that_lives_and_none_only_when_none_does(
    changes: list[tuple[str, bool]],
) -> None:
    choice, since = Choice(), dict[str, float | None](a=None, b=None)
    for now_s, (name, lives) in enumerate(changes):
        since[name] = float(now_s) if lives else None
        used = choice.decide([since["a"], since["b"]], now_s)
        alive = [number for number, name in enumerate("ab") if since[name] is not None]
        assert (used is None) == (not alive)
        assert used is None or used in alive


def test_once_drops_the_copy_over_the_other_uplink_and_passes_what_is_sent_again() -> None:
    once = Once()
    assert once.is_news(0, "t", b"fact")
    assert not once.is_news(1, "t", b"fact")
    assert once.is_news(1, "t", b"fact"), "the hub sent it a second time"
    assert not once.is_news(0, "t", b"fact")
    assert once.is_news(0, "other", b"fact"), "another topic"


@given(st.lists(st.integers(0, 1), max_size=60), st.integers(1, 3))
def test_once_passes_as_many_as_the_better_uplink_brought(path: list[int], kinds: int) -> None:
    once, came, passed = Once(), [[0, 0] for _ in range(kinds)], [0] * kinds
    for step, uplink in enumerate(path):
        kind = step % kinds
        came[kind][uplink] += 1
        passed[kind] += once.is_news(uplink, "t", bytes([kind]))
    assert passed == [max(counts) for counts in came]


def test_once_remembers_a_bounded_number() -> None:
    once = Once()
    for number in range(REMEMBERED * 3):
        once.is_news(0, "t", number.to_bytes(4, "big"))
    assert len(once._seen) == REMEMBERED


def settings_with(uplinks: str, media: str = "") -> Settings:
    text = f"""
name = "unit-1"
region = "north"
state = "state"
credential = "c"
authority = "a"
roster = "r"
[broker]
host = "127.0.0.1"
{uplinks}
{media}
"""
    return msgspec.toml.decode(text.encode(), type=Settings)


def test_settings_with_two_uplinks_keep_their_order() -> None:
    found = settings_with(
        """
[[uplink]]
name = "operator-a"
interface = "wwan0"
[[uplink]]
name = "operator-b"
address = "192.0.2.7"
facts = "both"
"""
    )
    assert found.uplink == (
        UplinkTable(name="operator-a", interface="wwan0"),
        UplinkTable(name="operator-b", address="192.0.2.7", facts="both"),
    )


@pytest.mark.parametrize(
    ("uplinks", "media", "words"),
    [
        ('[[uplink]]\nname = "a"', "", "state its interface"),
        ('[[uplink]]\nname = "a"\naddress = "192.0.2.7"\n' * 2, "", "one name"),
        (
            '[[uplink]]\nname = "a"\naddress = "192.0.2.7"',
            '[media]\naddresses = ["192.0.2.7"]',
            "media.addresses",
        ),
        ('[[uplink]]\nname = "a"\naddress = "192.0.2.7"\nfacts = "never"', "", "facts"),
        ('[[uplink]]\nname = "a"\naddress = "192.0.2.7"\nspeed = 7', "", "speed"),
    ],
)
def test_settings_with_impossible_uplinks_stop_the_start(
    uplinks: str, media: str, words: str
) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        settings_with(uplinks, media)
