"""Live ECG frames by rung: each sample at its true number and time, whatever is left out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onboard.live_frames import JOINED_S, LiveFrames, LiveShape
from streams.ecg_block import EcgSetup, FrameEncoder, Lead, decode_frame
from streams.health import DROPPED
from streams.messages import EcgLive

RATE = 500
SETUP = EcgSetup("one", float(RATE), (Lead("I", 200.0), Lead("II", 200.0)))
START_NS = 1_700_000_000_000_000_000


def samples(first: int, count: int) -> np.ndarray:
    """A signal in which each sample tells its number."""
    numbers = np.arange(first, first + count, dtype=np.int32)
    return np.stack((numbers, -numbers), axis=1)


def time_of(number: int) -> int:
    return START_NS + round(number / RATE * 1e9)


def play(shapes: list[tuple[LiveShape, int]]) -> list[tuple[EcgLive, int]]:
    """Chunks of the stated lengths under the stated shapes; what goes out, with the newest made."""
    live, encoder, first, out = LiveFrames(SETUP), FrameEncoder(SETUP), 0, []
    for shape, count in shapes:
        chunk = samples(first, count)
        frame = encoder.encode(first, chunk)
        first += count
        made = live.take(first - count, chunk, frame, time_of(first - 1), shape)
        if made is not None:
            out.append((made, first))
    return out


def numbers_in(made: EcgLive) -> list[int]:
    """The numbers that a frame says its samples have; checks that the samples agree."""
    frame = decode_frame(SETUP, made.frame)
    said = [(frame.first_sample + k) * made.every for k in range(len(frame.samples))]
    assert frame.samples[:, 0].tolist() == said
    assert frame.samples[:, 1].tolist() == [-number for number in said]
    assert abs(made.newest_ns - time_of(said[-1])) <= 1
    return said


def test_frames_at_full_quality_are_the_recorded_ones() -> None:
    made = play([(LiveShape(), 50)] * 4)
    assert [numbers_in(one) for one, _ in made] == [
        list(range(n, n + 50)) for n in range(0, 200, 50)
    ]
    assert {one.every for one, _ in made} == {1}


def test_frames_joined_hold_every_sample_and_are_no_later_than_stated() -> None:
    made = play([(LiveShape(1, joined=True), 50)] * 30)
    assert len(made) == 10
    assert [n for one, _ in made for n in numbers_in(one)] == list(range(1500))
    assert max(newest - numbers_in(one)[0] for one, newest in made) <= JOINED_S * RATE + 50


@pytest.mark.parametrize("every", [2, 3, 4])
def test_frames_thinned_hold_every_nth_sample_at_its_own_number(every: int) -> None:
    made = play([(LiveShape(every, joined=True), 47)] * 40)
    seen = [n for one, _ in made for n in numbers_in(one)]
    assert seen == list(range(0, seen[-1] + 1, every))


shapes = st.builds(LiveShape, st.integers(1, 4), joined=st.booleans())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(shapes, st.integers(1, 120)), min_size=1, max_size=40))
def test_frames_under_any_change_of_shape_never_repeat_or_misnumber_a_sample(
    shapes: list[tuple[LiveShape, int]],
) -> None:
    seen = [n for one, _ in play(shapes) for n in numbers_in(one)]
    assert seen == sorted(set(seen))


def test_message_of_an_older_release_is_read_as_every_sample() -> None:
    import msgspec

    old = msgspec.msgpack.encode({"setup_id": "one", "frame": b"x", "newest_ns": 1})
    assert msgspec.msgpack.decode(old, type=EcgLive).every == 1


def test_held_frames_are_dropped_counted_and_followed_by_what_is_new() -> None:
    before = DROPPED.labels("ecg_live")._value.get()
    made = play([(LiveShape(), 50)] * 2 + [(LiveShape(held=True), 50)] * 3 + [(LiveShape(), 50)])
    assert [numbers_in(one)[0] for one, _ in made] == [0, 50, 250]
    assert DROPPED.labels("ecg_live")._value.get() - before == 3


def test_every_second_sample_is_of_the_usual_rate_and_of_a_faster_one_fewer() -> None:
    fast = EcgSetup("fast", 1000.0, (Lead("I", 200.0),))
    live, encoder = LiveFrames(fast), FrameEncoder(fast)
    chunk = np.arange(400, dtype=np.int32)[:, None]
    made = live.take(0, chunk, encoder.encode(0, chunk), START_NS, LiveShape(2, joined=True))
    assert made is not None
    assert made.every == 4
    assert decode_frame(fast, made.frame).samples[:, 0].tolist() == list(range(0, 400, 4))
