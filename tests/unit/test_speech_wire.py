"""Frames between the service and an engine's process."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.speech import wire

REQUESTS: list[wire.Request] = [
    wire.Open(1, "zh", 16_000, 3),
    wire.Open(2, None, 0, 1),
    wire.Sound(1, 320, b"\x01\x02" * 320),
    wire.EndUtterance(1),
    wire.Close(1),
    wire.Say(4, (("en", "Help."), ("zh", "救命"))),
    wire.Ping(7),
]
ANSWERS: list[wire.Answer] = [
    wire.Ready("whisper base", ("en", "zh")),
    wire.Cannot("no_model", "none"),
    wire.Text(1, 2, True, "你好", "zh", 0.5, 10, 20),
    wire.Spoken(1, b"\x00\x01"),
    wire.AllSpoken(1, True),
    wire.Pong(3, 0.5, 0.0),
]


def test_requests_come_back_as_they_were_sent() -> None:
    stream = io.BytesIO(b"".join(wire.frame(request) for request in REQUESTS))
    assert [wire.read_request(stream) for _ in REQUESTS] == REQUESTS
    assert wire.read_request(stream) is None


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_come_back_as_they_were_sent(answer: wire.Answer) -> None:
    framed = wire.frame(answer)
    assert wire.length_of(framed[: wire.HEAD_BYTES]) == len(framed) - wire.HEAD_BYTES
    assert wire.answer_of(framed[wire.HEAD_BYTES :]) == answer


def test_frame_that_is_too_long_or_cut_off_is_refused() -> None:
    with pytest.raises(wire.WireError, match="are the most"):
        wire.length_of(b"\xff\xff\xff\xff")
    whole = wire.frame(wire.Ping(1))
    for end in range(1, len(whole)):
        with pytest.raises(wire.WireError):
            wire.read_request(io.BytesIO(whole[:end]))


@given(st.binary(max_size=200))
def test_garbage_is_an_error_of_the_wire_or_an_answer(body: bytes) -> None:
    try:
        answer = wire.answer_of(body)
    except wire.WireError:
        return
    assert wire.answer_of(wire.frame(answer)[wire.HEAD_BYTES :]) == answer
