"""Whatever comes in: every parser gives a reading or a `LocationError`, and nothing else.

Garbage is of three kinds: random bytes and text, good messages with pieces cut, doubled and
changed, and messages put together from the format's own words. ``FORERUN_SEARCH=100000`` tries
so many inputs, each with every parser, instead of a few; in parts, for a part has 240 s.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatch.location.aml import read_data_sms, read_sms
from dispatch.location.aml_https import read_form
from dispatch.location.errors import LocationError, NoLocationError
from dispatch.location.held import location_request, read_held, read_reference
from dispatch.location.network import read_browser, read_network
from dispatch.location.pidf_lo import read_pidf_lo
from dispatch.location.reading import Reading, Reference
from dispatch.location.sip import read_sip, read_sip_body
from streams import codec
from streams.messages import Position

RUNS = int(os.environ.get("FORERUN_SEARCH", "0"))
PARTS = 20 if RUNS else 1
NOW_NS = 1_700_000_000_000_000_000

FORM = (
    "v=1&device_number=%2B447477593102&location_latitude=55.85732&location_longitude=-4.26325"
    "&location_time=1476189444435&location_accuracy=10.4&location_source=GPS"
    "&location_certainty=83&location_altitude=0.0&cell_home_mcc=234"
)
GOOD = [
    'A"ML=1;lt=+51.53321;lg=-0.12601;rd=14;top=20220131171748;lc=68;pm=W;'
    "si=234159000000000;ei=123456789012345;mcc=234;mnc=15;ml=127",
    'A"ML=2;en=911;et=1593187189;lo=-37.42175,-122.08461,20.1;lt=-9;lc=68;lz=-1.1,9.1;ls=G;'
    "ei=358239059042542;nc=310260;hc=310260;lg=en-US",
    "415193D98BEDD8F4DEECE6A2C962B7DA8E7DEEB56232990B86A3D9623B39B92783EDE86F784F068BD560B6D8"
    "0C1683E568B81D7BDCB3E176F076EFB89BA77B39DCCD56A3C966B15D39DD9BD570B2590E56CBC168B21A4DB6"
    "6B8FC7BD590CB66BBBC73D990DB66BB37B31D90C",
    f"{FORM}&hmac={hmac.new(b'key', FORM.encode(), 'sha1').hexdigest()}",
    '<?xml version="1.0"?><presence xmlns:gml="g" entity="tel:+43123"><dm:device><timestamp>'
    "2021-01-11T07:00:10.5Z</timestamp><gp:geopriv><gp:location-info>"
    '<gs:Circle srsName="urn:ogc:def:crs:EPSG::4326"><gml:pos>48.19 14.48</gml:pos>'
    '<gs:radius uom="urn:ogc:def:uom:EPSG::9001">270.0</gs:radius></gs:Circle>'
    '<gml:Polygon srsName="urn:ogc:def:crs:EPSG::4979"><exterior><LinearRing><posList>48 14 1 '
    "48.1 14 2 48.1 14.1 3 48 14 1</posList></LinearRing></exterior></gml:Polygon>"
    "<con:confidence>85</con:confidence><civicAddress><country>CN</country><A1>北京</A1>"
    "<RD>Main</RD><HNO>5</HNO></civicAddress></gp:location-info><method>GPS</method>"
    "</gp:geopriv></dm:device></presence>",
    "<presence><tuple><geopriv><location-info><ArcBand><pos>48 14</pos><innerRadius>1"
    "</innerRadius><outerRadius>500</outerRadius><startAngle>20</startAngle><openingAngle>90"
    "</openingAngle></ArcBand><Prism><base><Polygon><LinearRing><pos>1 1 1</pos><pos>1 2 1</pos>"
    "<pos>2 2 1</pos></LinearRing></Polygon></base><height>9</height></Prism></location-info>"
    "</geopriv></tuple></presence>",
    "<locationResponse><locationUriSet expires='2026-01-01T00:00:00Z'><locationURI>"
    "https://ls.example/a</locationURI></locationUriSet></locationResponse>",
    '<error code="locationUnknown"><message>no</message></error>',
    "INVITE urn:service:sos SIP/2.0\r\nGeolocation: <cid:a@b>, <https://x/y>\r\n"
    "Content-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n"
    "Content-Type: application/pidf+xml\r\nContent-ID: <a@b>\r\n\r\n<presence><tuple><geopriv>"
    "<location-info><Point><pos>1 2</pos></Point></location-info></geopriv></tuple></presence>"
    "\r\n--bb--\r\n",
    '{"number": "+8621123456", "lat": 31.2304, "lon": 121.4737, "radius": 350, '
    '"confidence": 0.9, "time": "2026-11-23T04:05:06Z", "datum": "gcj02", "method": "cell"}',
    '{"coords": {"latitude": 31.2, "longitude": 121.4, "accuracy": 12.5, "altitude": null, '
    '"heading": 3, "speed": 1}, "timestamp": 1699999999000.7, "datum": "bd09"}',
]
PIECES = st.sampled_from([
    "", "nan", "inf", "-", "1e99", "1e-99", "9" * 400, "0", "-0.0", "180", "91", "٣", "½", "\0",
    "\ud800", "\ufeff", "&", ";", "=", "<", ">", "&amp;", "&#x0;", "]]>", "<!--", "<!DOCTYPE a>",
    "<![CDATA[", "%", "%00", "%ff", "+", "\r\n", "\r\n\r\n", "--bb", "--bb--", "boundary=", ",",
    " ", "\t", '"', "'", "{", "}", "[", "]", "null", "true", "9999-12-31T23:59:60Z", "0001",
    "24:00", "lt=", "lg=1;", "lo=", "A\"ML=2;", "xmlns:", "EPSG::4979", "<pos>", "</pos>",
    "<geopriv>", "multipart/mixed;boundary=bb", "cid:", "é", "上海", "😀",
])  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A good message with a few pieces cut out, put in, doubled or joined with another."""
    text = draw(st.sampled_from(GOOD))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        piece = draw(PIECES | st.text(max_size=6) | st.just(text[start:end] * 2))
        text = text[:start] + piece + text[end:]
    return text


GARBAGE = st.one_of(
    damaged(),
    damaged().map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(PIECES | st.sampled_from(GOOD), max_size=6).map("".join),
    st.text(max_size=200),
    st.binary(max_size=200),
)


def as_bytes(garbage: str | bytes) -> bytes:
    return garbage if isinstance(garbage, bytes) else garbage.encode("utf-8", "surrogatepass")


def as_text(garbage: str | bytes) -> str:
    return garbage if isinstance(garbage, str) else garbage.decode("latin-1")


PARSERS: dict[str, Callable[[Any], object]] = {
    "sms": lambda garbage: read_sms(as_text(garbage), NOW_NS),
    "data sms": lambda garbage: read_data_sms(garbage, NOW_NS),
    "form": lambda garbage: read_form(garbage, NOW_NS),
    "sealed form": lambda garbage: read_form(garbage, NOW_NS, b"key"),
    "pidf": lambda garbage: read_pidf_lo(garbage, NOW_NS),
    "held": lambda garbage: read_held(garbage, NOW_NS),
    "held request": lambda garbage: location_request(as_text(garbage)),
    "reference": lambda garbage: read_reference("Geolocation", as_text(garbage)),
    "sip": lambda garbage: read_sip(as_bytes(garbage), NOW_NS),
    "sip body": lambda garbage: read_sip_body(
        [as_text(garbage)], as_text(garbage), as_bytes(garbage), NOW_NS
    ),
    "network": lambda garbage: read_network(garbage, NOW_NS),
    "browser": lambda garbage: read_browser(garbage, NOW_NS),
}


def check_reading(reading: Reading) -> None:
    """What was read can be stored, sent and drawn."""
    assert reading.positions or reading.addresses or reading.references
    msgspec.json.encode(reading)
    for position in reading.positions:
        stored = codec.encode_body(position)  # refuses what is not finite
        assert msgspec.msgpack.decode(stored, type=Position) == position  # checks all ranges


@pytest.mark.parametrize("name", PARSERS)
def test_every_good_message_is_understood_by_some_parser(name: str) -> None:
    understood = 0
    for text in [*GOOD, "+8621123456", "https://ls.example/a"]:
        try:
            PARSERS[name](text)
        except LocationError:
            continue
        understood += 1
    assert understood


@pytest.mark.parametrize("part", range(PARTS))
@settings(
    max_examples=-(-RUNS // PARTS) or 300,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(garbage=GARBAGE)
def test_every_parser_of_any_garbage_gives_a_reading_or_names_a_field(
    part: int, garbage: str | bytes
) -> None:
    del part  # each part draws its own
    for parse in PARSERS.values():
        try:
            said = parse(garbage)
        except LocationError as error:
            assert error.field
            assert 0 < len(str(error).encode()) < 1000  # it goes into the journal
            if isinstance(error, NoLocationError):
                assert error.reading.positions == ()
            continue
        assert isinstance(said, Reading | Reference | bytes)
        if isinstance(said, Reading):
            check_reading(said)
