"""A caller's video without a hub: where it stands, what a seat may do, what an image keeps."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from typing import Any, get_args

import av
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.caller_picture import MOST_BYTES, PictureError, read_picture
from dispatch.caller_video_actions import VideoAction, decide_video, is_same_video, step_of
from dispatch.caller_video_pages import for_caller, for_console
from dispatch.case_actions import Action
from dispatch.cases import Case
from dispatch.errors import ConflictError
from hospital_gateway.arrivals import Arrivals
from onboard.situation import Fact, Situation
from streams.caller_video import NEXT, VideoState, case_of_resource, resource_of
from streams.caller_video_messages import CallerVideo, VideoParty, VideoStep
from streams.identity import new_id
from streams.messages import CaseOpened
from streams.text_messages import TextChannel
from tests.case_facts import Pages

STEPS: tuple[VideoStep, ...] = get_args(VideoStep)
PAGE = new_id()


def a_case(*said: CallerVideo, page: bool = True) -> Case:
    case = Case(new_id())
    if page:
        case.talk.take(TextChannel(session=PAGE, state="opened", way="page"))
    for number, body in enumerate(said):
        case.video.take(body, number)
    return case


def by(step: VideoStep, who: str = "", party: VideoParty = "seat", **fields: Any) -> CallerVideo:
    return CallerVideo(step=step, by=party, who=who, **fields)


CONSENT = by("consented", party="caller", session=PAGE)


def act(case: Case, action: str, seat: str = "seat-1", **fields: Any) -> CallerVideo:
    made = msgspec.convert({"action": action, "case": case.id, **fields}, Action)
    assert isinstance(made, VideoAction)
    body = decide_video(made, case, seat).body
    assert isinstance(body, CallerVideo)
    assert is_same_video(made, body, seat)
    assert not is_same_video(made, body, "another")
    assert body.step == step_of(made)
    return body


def test_video_is_on_from_the_consent_to_the_first_word_against_it() -> None:
    for end in ("withdrawn", "stopped", "refused"):
        case = a_case(by("asked", "seat-1"), CONSENT, by("looked", "seat-1"), by("voice_on", "a"))
        video = case.video
        assert (video.phase, video.looking, video.voice, video.session) == (
            "on", ["seat-1"], "a", PAGE,
        )  # fmt: skip
        video.take(by(end), 9)
        assert (video.phase, video.looking, video.voice, video.session) == (end, [], "", "")
        assert (video.since_ns, video.watching) == (9, [])


@given(st.lists(st.sampled_from(STEPS)))
def test_nobody_looks_speaks_or_watches_while_there_is_no_consent(steps: list[VideoStep]) -> None:
    video = VideoState()
    for number, step in enumerate(steps):
        before, may = video.phase, video.may(step)
        video.take(by(step, "seat-1"), number)
        if not may:
            assert video.phase == before
        elif not step.startswith("picture_"):
            assert video.phase == NEXT[before, step]
        if not video.is_on:
            assert (video.looking, video.voice, video.watching) == ([], "", [])


def test_caller_begins_no_video_that_a_seat_stopped_until_it_is_asked_for_again() -> None:
    video = a_case(CONSENT, by("stopped", "seat-1")).video
    assert not video.may("consented")
    video.take(by("asked", "seat-1"), 3)
    assert video.may("consented")


def test_seat_may_do_what_makes_sense_and_is_told_why_else() -> None:
    nobody = a_case(page=False)
    for action in ({"action": "ask_video"}, {"action": "show_pictogram", "pictogram": "recovery"}):
        with pytest.raises(ConflictError, match="no page open"):
            act(nobody, **action)
    off = a_case()
    for name in ("look_video", "blur_video", "stop_video"):
        with pytest.raises(ConflictError, match="shows no picture"):
            act(off, name)
    assert act(off, "ask_video").step == "asked"
    with pytest.raises(ConflictError, match="asked already"):
        act(a_case(by("asked", "seat-2")), "ask_video")
    on = a_case(CONSENT)
    assert act(on, "look_video") == by("looked", "seat-1")
    with pytest.raises(ConflictError, match="so already"):
        act(on, "blur_video")
    assert act(on, "stop_video", reason=" no part of it ").reason == "no part of it"
    with pytest.raises(ConflictError, match="shows it already"):
        act(on, "ask_video")


def test_one_seat_at_a_time_speaks_and_the_next_takes_the_word() -> None:
    case = a_case(CONSENT, by("voice_on", "seat-1"))
    assert act(case, "speak_video", "seat-1", on=False).step == "voice_off"
    with pytest.raises(ConflictError):
        act(case, "speak_video", "seat-1", on=True)
    case.video.take(act(case, "speak_video", "seat-2", on=True), 5)
    assert case.video.voice == "seat-2"
    case.video.take(by("voice_off", "seat-1"), 6)
    assert case.video.voice == "seat-2", "the word of who has it not any more ends nothing"


def test_page_is_told_what_it_needs_and_no_seats_name() -> None:
    case = a_case(
        CONSENT, by("looked", "seat-1"), by("watched", "unit-7", "unit"),
        by("picture_shown", "seat-1", pictogram="recovery"),
    )  # fmt: skip
    told = for_caller(case, None)["video"]
    assert (told["phase"], told["is_clear"], told["watching"]) == ("on", True, ["unit"])
    assert told["picture"] == {"pictogram": "recovery"}
    assert "seat-1" not in str(told)
    assert case_of_resource(told["publish"].removeprefix("/whip/")) == case.id
    assert for_console(case)["caller_video"]["looking"] == ["seat-1"]
    image = a_case(by("picture_shown", "seat-1", media_type="image/png", size_bytes=9))
    assert for_caller(image, "X")["video"]["picture"] == {"image": "X"}
    assert for_caller(image, None)["video"]["picture"] is None, "the hub has it no more"


def test_resources_of_vehicles_are_no_callers() -> None:
    case = new_id()
    assert case_of_resource(resource_of(case, "camera")) == case
    for name in ("unit-7/cabin", "caller-7/camera", f"x-caller-{case}/camera", f"{case}/camera"):
        assert case_of_resource(name) is None


STORY: tuple[VideoStep, ...] = ("asked", "consented", "watched", "stopped", "asked", "consented")


@given(st.permutations(range(len(STORY))))
def test_hospital_and_crew_know_where_it_is_in_whatever_order_they_hear_of_it(
    order: list[int],
) -> None:
    pages, case = Pages(), new_id()
    pages.add("case_opened", CaseOpened(address="here", complaint="", alias="Heron"), case=case)
    facts = [pages.add("caller_video", by(step), case=case) for step in STORY]
    arrivals, crew = Arrivals("first-hospital"), Situation("unit-1")
    for number in order:
        fact = facts[number]
        arrivals.take(fact)
        crew.take(Fact(fact.envelope, False, fact.corrected_ns, case_sequence=fact.case_sequence))
    arrival, known = arrivals.get(case), crew.find(case)
    assert arrival is not None
    assert known is not None
    assert (arrival.caller_video, known.video.phase) == ("on", "on")
    assert known.video.watching == [], "those of the first consent"


# --- images -----------------------------------------------------------------------------------

SECRET = b"at 31.2304 N 121.4737 E"


def coded(kind: str) -> bytes:
    """Return a drawn image that a real encoder made."""
    codec = {"png": "png", "jpeg": "mjpeg", "webp": "libwebp"}[kind]
    pixels = (np.indices((48, 64)).sum(axis=0) * 2 % 256).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(np.stack([pixels] * 3, axis=2), format="rgb24")
    encoder: Any = av.CodecContext.create(codec, "w")
    formats = {"png": "rgb24", "jpeg": "yuvj420p", "webp": "yuv420p"}
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, formats[kind]
    encoder.time_base = Fraction(1, 25)
    packets = [*encoder.encode(frame.reformat(format=formats[kind])), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


def decoded(data: bytes, kind: str) -> Any:
    demuxer = {"png": "png_pipe", "jpeg": "jpeg_pipe", "webp": "webp_pipe"}[kind]
    with av.open(io.BytesIO(data), "r", format=demuxer) as container:
        return next(container.decode(video=0)).to_ndarray(format="gray")


def with_metadata(data: bytes, kind: str) -> bytes:
    """Put into an image what a telephone does: where it was taken, and something behind it."""
    if kind == "png":
        chunk = struct.pack(">I", len(SECRET)) + b"eXIf" + SECRET + bytes(4)
        return data[:33] + chunk + data[33:]
    if kind == "jpeg":
        exif = b"\xff\xe1" + struct.pack(">H", len(SECRET) + 2) + SECRET
        note = b"\xff\xfe" + struct.pack(">H", len(SECRET) + 2) + SECRET
        return data[:2] + exif + note + data[2:] + b"and a film: " + SECRET + b"\xff\xd9"
    chunk = b"EXIF" + struct.pack("<I", len(SECRET)) + SECRET + bytes(len(SECRET) % 2)
    whole = data[8:] + chunk
    return b"RIFF" + struct.pack("<I", len(whole)) + whole


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_image_is_the_same_picture_without_what_a_telephone_wrote_into_it(kind: str) -> None:
    plain = coded(kind)
    dirty = with_metadata(plain, kind)
    assert SECRET in dirty
    clean = read_picture(dirty)
    assert clean.media_type == f"image/{kind}"
    assert SECRET not in clean.data
    assert np.array_equal(decoded(clean.data, kind), decoded(plain, kind))
    assert len(clean.sha256) == 64
    assert read_picture(clean.data) == clean


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_image_that_is_cut_off_is_refused(kind: str) -> None:
    data = coded(kind)
    for length in (9, 13, 40, len(data) // 2, len(data) - 3):
        with pytest.raises(PictureError):
            read_picture(data[:length])


def test_other_kinds_and_larger_images_are_refused_by_name() -> None:
    with pytest.raises(PictureError, match="only PNG, JPEG and WebP"):
        read_picture(b"GIF89a" + bytes(100))
    with pytest.raises(PictureError, match="only PNG"):
        read_picture(b"<svg onload='alert(1)'/>")
    with pytest.raises(PictureError, match="at most"):
        read_picture(b"\x89PNG\r\n\x1a\n" + bytes(MOST_BYTES))


@given(
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x20\0\0\0WEBP", b""]),
    st.binary(max_size=400),
)
def test_garbage_is_an_image_or_refused_and_nothing_else(head: bytes, rest: bytes) -> None:
    try:
        found = read_picture(head + rest)
    except PictureError:
        return
    assert len(found.data) <= len(head + rest)
