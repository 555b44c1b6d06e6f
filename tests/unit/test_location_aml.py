"""Advanced Mobile Location: public examples to the stated position, bad ones to a named field."""

from __future__ import annotations

import csv
import hashlib
import hmac
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.location.aml import read_data_sms, read_sms
from dispatch.location.aml_https import LARGEST_BODY, read_form
from dispatch.location.errors import LocationError, NoLocationError
from dispatch.location.septets import ALPHABET, unpack

NOW_NS = 1_700_000_000_000_000_000
SMS = (
    'A"ML=1;lt=+51.53321;lg=-0.12601;rd=14;top=20220131171748;lc=68;pm=W;'
    "si=234159000000000;ei=123456789012345;mcc=234;mnc=15;ml=127"
)
FORM = (
    "v=1&device_number=%2B447477593102&location_latitude=55.85732&location_longitude=-4.26325"
    "&location_time=1476189444435&location_accuracy=10.4&location_source=GPS"
    "&location_certainty=83&location_altitude=12.5&device_imei=354773072099116"
    "&device_imsi=234159176307582&cell_home_mcc=234&cell_home_mnc=15&cell_network_mcc=310"
    "&cell_network_mnc=260&emergency_number=112&time=1476189440000"
)

# What becomes of each upstream test string, and the field to blame where it is refused. One
# differs from upstream: an attribute that nobody knows is a warning, for newer phones say more.
VERDICTS = {
    "validAmlMessageWithDefaultValidation": None,
    "unknownAttribute": None,
    "unknownPositioningMethod": "pm",
    "invalidLevelOfConfidence": "lc",
    "noPositioningMethod": None,
    "noTimeOfPositioning": None,
    "invalidAttribute": "attribute 1",
}
DIFFERS = {"unknownAttribute"}


@pytest.fixture(scope="module")
def vectors(shared_data: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((shared_data / "vectors.json").read_text())
    return loaded


def nanoseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000_000


def refused_field(text: str) -> str:
    with pytest.raises(LocationError) as caught:
        read_sms(text, NOW_NS)
    assert caught.value.field in str(caught.value)
    return caught.value.field


def test_aml_sms_every_public_vector_reads_as_stated(vectors: dict[str, Any]) -> None:
    for vector in vectors["aml_sms"]:
        (position,) = read_sms(vector["text"], NOW_NS).positions
        assert position.latitude_deg == vector["lat"]
        assert position.longitude_deg == vector["lon"]
        assert position.radius_m == vector["radius_m"]
        assert position.confidence == vector["confidence"]
        assert position.datum == "wgs84"


def test_aml_sms_of_version_1_tells_time_method_and_phone(vectors: dict[str, Any]) -> None:
    vector = vectors["aml_sms"][0]
    reading = read_sms(vector["text"], NOW_NS)

    assert reading.positions[0].source == "aml/gnss"
    assert reading.positions[0].measured_ns == nanoseconds(vector["time"])
    assert reading.imei == vector["imei"]
    assert (reading.imsi, reading.mcc, reading.mnc) == ("208201771948415", "208", "20")
    assert reading.warnings == ()


def test_aml_sms_of_version_2_counts_the_fix_in_seconds_from_the_call(
    vectors: dict[str, Any],
) -> None:
    reading = read_sms(vectors["aml_sms"][1]["text"], NOW_NS)

    assert reading.called_ns == 1_593_187_189_000_000_000
    assert reading.positions[0].measured_ns == (1_593_187_189 - 9999) * 1_000_000_000
    assert reading.positions[0].altitude_m == -100.1
    assert reading.emergency_number == "+15555555555"
    assert (reading.mcc, reading.mnc, reading.home_mcc) == ("310", "260", "310")
    assert reading.language == "en-US"


@pytest.mark.parametrize("name", VERDICTS)
def test_aml_sms_each_upstream_string_has_the_verdict_written_here(
    name: str, shared_data: Path
) -> None:
    with (shared_data / "aml" / "aml_sms.tsv").open(newline="", encoding="utf-8") as lines:
        rows = {
            row["test"]: row
            for row in csv.DictReader(
                lines, ["test", "upstream", "message"], delimiter="\t", quoting=csv.QUOTE_NONE
            )
        }
    assert set(rows) - {"test"} == set(VERDICTS)
    row = rows[name]

    if VERDICTS[name] is not None:
        assert refused_field(row["message"]) == VERDICTS[name]
    else:
        (position,) = read_sms(row["message"], NOW_NS).positions
        assert (position.latitude_deg, position.longitude_deg) == (54.76397, -0.18305)
        assert (position.radius_m, position.confidence) == (50, 0.9)
    agrees = (VERDICTS[name] is None) == (row["upstream"] == "accept")
    assert agrees == (name not in DIFFERS)


def test_aml_sms_without_method_or_time_keeps_its_position() -> None:
    reading = read_sms('A"ML=1;lt=54.76397;lg=-0.18305;rd=50;lc=90', NOW_NS)

    assert reading.positions[0].source == "aml"
    assert reading.positions[0].measured_ns == NOW_NS
    assert any(warning.startswith("top:") for warning in reading.warnings)


def test_aml_sms_with_a_wrong_length_is_only_warned_of() -> None:
    assert read_sms(SMS, NOW_NS).warnings == ()
    reading = read_sms(SMS.replace("ml=127", "ml=128"), NOW_NS)

    assert reading.positions == read_sms(SMS, NOW_NS).positions
    assert reading.warnings == ("ml: '128', but the message has 127 characters",)


def test_aml_sms_with_a_damaged_imei_keeps_its_position_and_leaves_the_imei_out() -> None:
    reading = read_sms(SMS.replace("ei=123456789012345", "ei=12345678x012345"), NOW_NS)

    assert reading.imei is None
    assert len(reading.positions) == 1
    assert any(warning.startswith("ei:") for warning in reading.warnings)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (
            'A"ML=1;lt=+00.00000;lg=+000.00000;rd=N;top=20220131173734;lc=0;pm=N;'
            "si=234159000000000;ei=123456789012345;mcc=234;mnc=15;ml=127",
            "rd",
        ),
        ('A"ML=1;lt=1.5;lg=2.5;rd=20;lc=0;pm=G', "lc"),
        ('A"ML=1;lt=1.5;lg=2.5;rd=20;lc=68;pm=N', "pm"),
        ('A"ML=1;lt=0.00000;lg=-0.00000;rd=20;lc=68;pm=G', "lt"),
        ('A"ML=2;en=911;et=1593187189;lo=0.00000,0.00000,0;lc=68', "lo"),
        ('A"ML=2;en=911;et=1593187189;ei=358239059042542', "lo"),
    ],
)
def test_aml_sms_that_says_no_location_yields_none_and_keeps_who_said_it(
    text: str, field: str
) -> None:
    with pytest.raises(NoLocationError) as caught:
        read_sms(text, NOW_NS)

    assert caught.value.field == field
    assert caught.value.reading.positions == ()
    if "si=" in text:
        assert caught.value.reading.imsi == "234159000000000"


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('A"ML=1', 'A"ML=9', 'A"ML'),
        ('A"ML=1', "ML=1", 'A"ML'),
        ("lt=+51.53321;", "", "lt"),
        ("lg=-0.12601;", "", "lg"),
        ("lt=+51.53321", "lt=91.0", "lt"),
        ("lt=+51.53321", "lt=nan", "lt"),
        ("lt=+51.53321", "lt=5_1.5", "lt"),
        ("lt=+51.53321", "lt=٥١.٥", "lt"),
        ("lg=-0.12601", "lg=-180.00001", "lg"),
        ("rd=14", "rd=-14", "rd"),
        ("rd=14", "rd=1e9", "rd"),
        ("lc=68", "lc=101", "lc"),
        ("top=20220131171748", "top=20220231171748", "top"),
        ("top=20220131171748", "top=yesterday", "top"),
        ("top=20220131171748", "top=19500131171748", "top"),
        ("pm=W", "pm=w", "pm"),
        ("pm=W", "pm=W;lt=51.6", "lt"),
        ("mcc=234", "mcc", "attribute 9"),
    ],
)
def test_aml_sms_with_one_bad_field_yields_no_position_and_names_it(
    old: str, new: str, field: str
) -> None:
    assert old in SMS
    assert refused_field(SMS.replace(old, new)) == field


def test_aml_data_sms_unpacks_to_the_published_text(vectors: dict[str, Any]) -> None:
    for vector in vectors["aml_sms_7bit_hex"]:
        assert unpack(bytes.fromhex(vector["hex"])) == vector["text"]
        reading = read_data_sms(vector["hex"], NOW_NS)
        assert reading == read_sms(vector["text"], NOW_NS)
        assert reading.warnings == ()
        with_ports = bytes.fromhex("06050400000000") + bytes.fromhex(vector["hex"])
        assert read_data_sms(with_ports, NOW_NS) == reading


def pack(text: str) -> bytes:
    packed = sum(ALPHABET.index(letter) << (7 * place) for place, letter in enumerate(text))
    return packed.to_bytes((7 * len(text) + 7) // 8, "little")


@given(st.text(st.sampled_from(sorted(set(ALPHABET) - {"\x1b", "@", "\r"})), min_size=1))
def test_septets_any_text_comes_back(text: str) -> None:
    if pack(text)[:3] != bytes([6, 5, 4]):
        assert unpack(pack(text)) == text


@pytest.mark.parametrize("data", ["", "4", "zz", b"", "41" * 2000, b"\x00\x01"])
def test_aml_data_sms_that_is_no_message_is_refused(data: str | bytes) -> None:
    with pytest.raises(LocationError):
        read_data_sms(data, NOW_NS)


def test_aml_form_every_public_vector_reads_as_stated(vectors: dict[str, Any]) -> None:
    for vector in vectors["aml_https"]:
        reading = read_form(vector["body"].encode(), NOW_NS)
        (position,) = reading.positions
        assert (position.latitude_deg, position.longitude_deg) == (vector["lat"], vector["lon"])
        assert position.radius_m == vector["radius_m"]
        assert position.confidence == pytest.approx(vector["confidence"])
        assert reading.number == "+447477593102"


def test_aml_form_tells_method_time_caller_and_networks() -> None:
    reading = read_form(FORM, NOW_NS)

    assert reading.positions[0].source == "aml/gnss"
    assert reading.positions[0].measured_ns == 1_476_189_444_435_000_000
    assert reading.positions[0].altitude_m == 12.5
    assert (reading.imsi, reading.imei) == ("234159176307582", "354773072099116")
    assert (reading.mcc, reading.mnc) == ("310", "260")
    assert (reading.home_mcc, reading.home_mnc) == ("234", "15")
    assert reading.emergency_number == "112"
    assert reading.called_ns == 1_476_189_440_000_000_000
    assert reading.warnings == ()


def test_aml_form_with_the_newer_confidence_is_read_as_a_share() -> None:
    reading = read_form(FORM.replace("location_certainty=83", "location_confidence=0.6827"), NOW_NS)
    assert reading.positions[0].confidence == 0.6827


def test_aml_form_with_a_plus_that_was_not_encoded_keeps_the_number() -> None:
    assert read_form(FORM.replace("%2B", "+"), NOW_NS).number == "+447477593102"


def test_aml_form_sealed_with_the_key_is_read_and_any_other_is_not(
    vectors: dict[str, Any],
) -> None:
    vector = vectors["aml_https_hmac"]
    body, key = vector["body"], vector["key"].encode()

    assert read_form(body, NOW_NS, key).positions[0].latitude_deg == 0.85732
    assert read_form(body, NOW_NS).warnings == ("hmac: not checked, for no key is set",)
    damaged = [
        (body, b"other"),
        (body.replace("0.85732", "0.95732"), key),
        (body.partition("&hmac=")[0], key),
        (body + "&location_floor=3", key),
    ]
    for text, secret in damaged:
        with pytest.raises(LocationError) as caught:
            read_form(text, NOW_NS, secret)
        assert caught.value.field == "hmac"


def test_aml_form_sealed_by_us_is_read() -> None:
    seal = hmac.new(b"key", FORM.encode(), hashlib.sha1).hexdigest()
    assert read_form(f"{FORM}&hmac={seal.upper()}", NOW_NS, b"key").number == "+447477593102"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("", "body"),
        (b"\xff\xfe", "body"),
        ("x" * (LARGEST_BODY + 1), "body"),
        ("&".join(f"a{n}=1" for n in range(400)), "body"),
        ("location_latitude=1.5", "location_longitude"),
        ("location_latitude=1.5&location_longitude=181", "location_longitude"),
        ("location_latitude=1.5&location_latitude=2.5&location_longitude=1", "location_latitude"),
        (FORM.replace("accuracy=10.4", "accuracy=close"), "location_accuracy"),
        (FORM.replace("certainty=83", "certainty=183"), "location_certainty"),
        (FORM.replace("time=1476189444435", "time=1476189444435.5"), "location_time"),
        ("v=1&device_number=%2B447477593102&location_latitude=", "location_latitude"),
        ("location_latitude=0.0&location_longitude=0.0&location_accuracy=5", "location_latitude"),
        (FORM.replace("certainty=83", "certainty=0"), "location_certainty"),
    ],
)
def test_aml_form_that_is_bad_yields_no_position_and_names_the_field(
    body: str | bytes, field: str
) -> None:
    with pytest.raises(LocationError) as caught:
        read_form(body, NOW_NS)
    assert caught.value.field == field


def test_aml_form_with_bad_extras_keeps_its_position_and_warns() -> None:
    bad = FORM.replace("altitude=12.5", "altitude=high").replace("source=GPS", "source=magic")
    reading = read_form(bad, NOW_NS)

    assert reading.positions[0].altitude_m is None
    assert reading.positions[0].source == "aml"
    assert len(reading.warnings) == 2
