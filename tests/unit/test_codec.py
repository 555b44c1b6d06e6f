"""Envelopes: what goes in comes out, and garbage gives one kind of error."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.codec import any_body, decode, encode, encode_body, open_body
from streams.errors import (
    MalformedError,
    MessageError,
    OversizedError,
    UnknownKindError,
    VersionError,
)
from streams.identity import new_id
from streams.messages import CaseNote, Envelope, Numeric, Position, RunStarted, Track, Vitals
from streams.topics import LARGEST_BYTES, TOPICS


def vitals(**changes: object) -> Envelope:
    body = Vitals(device="mrx", heart_rate_per_min=Numeric(value=118.0, measured_ns=5))
    envelope = Envelope(
        version=1, kind="vitals", id=new_id(), source="unit-7", epoch=new_id(), lane="vitals",
        sequence=1, source_ns=10, monotonic_ns=20, offset_ns=-3, uncertainty_ns=2,
        origin="live", body=encode_body(body), case=new_id(), patient="1",
    )  # fmt: skip
    return msgspec.structs.replace(envelope, **changes)


def test_envelope_encoded_and_decoded_is_the_same() -> None:
    envelope = vitals()
    again = decode(encode(envelope))
    assert encode(again) == encode(envelope)
    body = open_body(again, Vitals)
    assert body.heart_rate_per_min == Numeric(value=118.0, measured_ns=5)
    assert again.patient == "1"


def test_envelope_of_a_later_release_with_more_fields_decodes() -> None:
    fields = msgspec.msgpack.decode(encode(vitals()))
    fields[12] = {**fields[12], "a_field_of_tomorrow": 1}
    assert any_body(decode(msgspec.msgpack.encode([*fields, "tomorrow"])))


def test_envelope_of_another_version_is_refused_with_the_version() -> None:
    fields = msgspec.msgpack.decode(encode(vitals()))
    with pytest.raises(VersionError, match="version 2 is not 1"):
        decode(msgspec.msgpack.encode([2, *fields[1:]]))
    with pytest.raises(VersionError):
        decode(msgspec.msgpack.encode([True, *fields[1:]]))


def test_envelope_of_unknown_kind_is_refused_with_the_kind() -> None:
    with pytest.raises(UnknownKindError, match="'horoscope'"):
        decode(msgspec.msgpack.encode([1, "horoscope"]))


def test_envelope_larger_than_its_kind_allows_is_refused_at_both_ends() -> None:
    body = encode_body(CaseNote(text="x" * 4000, at_ns=1))
    note = vitals(kind="case_note", lane="facts", body=body, patient="p" * 200)
    assert decode(encode(note)).kind == "case_note"
    huge = msgspec.Raw(msgspec.msgpack.encode({"text": "x" * 20_000, "at_ns": 1}))
    with pytest.raises(OversizedError) as caught:
        encode(vitals(kind="case_note", lane="facts", body=huge))
    assert caught.value.limit == TOPICS["case_note"].limit_bytes
    with pytest.raises(OversizedError):
        decode(bytes(LARGEST_BYTES + 1))


def test_envelope_in_a_foreign_lane_is_refused() -> None:
    with pytest.raises(MalformedError, match="belongs in lane vitals"):
        decode(msgspec.msgpack.encode(vitals(lane="urgent")))


def test_envelope_with_sequence_zero_is_refused_for_facts() -> None:
    with pytest.raises(MalformedError, match="start at 1"):
        decode(msgspec.msgpack.encode(vitals(sequence=0)))


def test_envelope_without_case_is_refused_where_it_means_nothing() -> None:
    start = vitals(kind="run_started", lane="urgent", body=encode_body(RunStarted()), case=None)
    with pytest.raises(MalformedError, match="without a case"):
        decode(msgspec.msgpack.encode(start))


def test_body_out_of_range_is_refused_naming_the_field() -> None:
    raw = msgspec.Raw(msgspec.msgpack.encode({"value": 1}))
    with pytest.raises(MalformedError, match="device"):
        any_body(vitals(body=raw))


@given(st.binary(max_size=400))
def test_any_bytes_give_an_envelope_or_a_message_error(data: bytes) -> None:
    try:
        any_body(decode(data))
    except MessageError:
        pass
    else:
        assert data


@given(st.data())
def test_a_damaged_envelope_gives_an_envelope_or_a_message_error(data: st.DataObject) -> None:
    good = bytearray(encode(vitals()))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(good)))
    try:
        any_body(decode(bytes(good[:cut])))
    except MessageError as error:
        assert str(error)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_number_that_is_none_or_has_no_end_is_refused(value: float) -> None:
    measured = Vitals(device="m", spo2_percent=Numeric(value=value, measured_ns=1))
    here = Position(
        latitude_deg=1, longitude_deg=2, measured_ns=3, source="gnss", radius_m=abs(value)
    )
    for kind, body in (("vitals", measured), ("track", Track(positions=[here]))):
        envelope = vitals(kind=kind, body=encode_body(body))
        with pytest.raises(MalformedError):
            any_body(envelope)


def test_position_of_another_datum_is_refused_and_not_drawn_as_wgs84() -> None:
    body = {"latitude_deg": 31.2, "longitude_deg": 121.4, "measured_ns": 1, "source": "gnss"}
    for datum in ("gcj02", "bd09", "wgs84"):
        encoded = msgspec.Raw(msgspec.msgpack.encode({**body, "datum": datum}))
        envelope = vitals(kind="position", lane="stream", sequence=0, body=encoded)
        if datum == "wgs84":
            assert isinstance(any_body(envelope), Position)
        else:
            with pytest.raises(MalformedError, match=datum):
                any_body(envelope)
