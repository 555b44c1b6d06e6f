"""Location documents: public ones to the stated place, every shape, and what must be refused."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from geopy.distance import geodesic

from dispatch.location.errors import LocationError
from dispatch.location.pidf_lo import read_pidf_lo
from dispatch.location.reading import Reading
from dispatch.location.xml_tree import DEEPEST, LARGEST, MOST_ELEMENTS, read_xml
from streams.geodesy import LocalPlane

NOW_NS = 1_700_000_000_000_000_000
NAMESPACES = (
    'xmlns="urn:ietf:params:xml:ns:pidf" xmlns:gp="urn:ietf:params:xml:ns:pidf:geopriv10" '
    'xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:gml="http://www.opengis.net/gml" '
    'xmlns:gs="http://www.opengis.net/pidflo/1.0" '
    'xmlns:con="urn:ietf:params:xml:ns:geopriv:conf" '
    'xmlns:ca="urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr" '
    'xmlns:dyn="urn:ietf:params:xml:ns:pidf:geopriv10:dynamic"'
)
FLAT = 'srsName="urn:ogc:def:crs:EPSG::4326"'
HIGH = 'srsName="urn:ogc:def:crs:EPSG::4979"'
METRE = 'uom="urn:ogc:def:uom:EPSG::9001"'
DEGREE = 'uom="urn:ogc:def:uom:EPSG::9102"'


def circle(latitude: str, longitude: str = "14.456", radius: str = "24") -> str:
    return (
        f"<gs:Circle {FLAT}><gml:pos>{latitude} {longitude}</gml:pos>"
        f"<gs:radius {METRE}>{radius}</gs:radius></gs:Circle>"
    )


def held_by(holder: str, places: str, extra: str = "") -> str:
    return (
        f"<{holder}><status><gp:geopriv><gp:location-info>{places}</gp:location-info>"
        f"{extra}</gp:geopriv></status><timestamp>2024-07-11T09:03:52.75+08:00</timestamp>"
        f"</{holder}>"
    )


def document(inside: str, entity: str = "pres:someone@example.com") -> str:
    return f'<presence {NAMESPACES} entity="{entity}">{inside}</presence>'


def read(places: str, extra: str = "") -> Reading:
    return read_pidf_lo(document(held_by("tuple", places, extra)), NOW_NS)


def refused_field(text: str | bytes) -> str:
    with pytest.raises(LocationError) as caught:
        read_pidf_lo(text, NOW_NS)
    return caught.value.field


# --- public documents -------------------------------------------------------------------------

GOOD = {
    "civic-circle__location.xml": ((48.123, 14.456, 24.0, 0.95, "pidf/gnss"), True),
    "rfc5491__point-example.xml": ((-34.407, 150.883, None, None, "pidf/wiremap"), False),
    "simple-circle__invalid-tuple.xml": ((48.123, 14.456, 24.0, 0.95, "pidf/gnss"), False),
    "simple-civic__valid-civic-address.xml": (None, True),
    "wifi-location__location.xml": ((48.197457, 14.482596, 270.0, 0.85, "pidf"), False),
}
BAD = {
    "invalid-pidf-lo__invalid-full-2.xml": "document",
    "invalid-pidf-lo__invalid-part-2.xml": "pos",
}


def test_pidf_lo_every_public_document_is_in_one_of_the_tables(shared_data: Path) -> None:
    files = {file.name for file in (shared_data / "pidf_lo").glob("*.xml")}
    assert files == set(GOOD) | set(BAD)


@pytest.mark.parametrize("name", GOOD)
def test_pidf_lo_a_good_public_document_reads_as_stated(name: str, shared_data: Path) -> None:
    reading = read_pidf_lo((shared_data / "pidf_lo" / name).read_bytes(), NOW_NS)
    stated, has_address = GOOD[name]

    assert [
        (p.latitude_deg, p.longitude_deg, p.radius_m, p.confidence, p.source)
        for p in reading.positions
    ] == ([] if stated is None else [stated])
    assert bool(reading.addresses) == has_address


@pytest.mark.parametrize("name", BAD)
def test_pidf_lo_a_bad_public_document_yields_no_position_and_names_the_element(
    name: str, shared_data: Path
) -> None:
    assert refused_field((shared_data / "pidf_lo" / name).read_bytes()) == BAD[name]


def test_pidf_lo_of_a_public_device_tells_its_time_and_number(shared_data: Path) -> None:
    file = shared_data / "pidf_lo" / "wifi-location__location.xml"
    reading = read_pidf_lo(file.read_bytes(), NOW_NS)

    measured = datetime.fromisoformat("2021-01-11T07:00:10+00:00")
    assert reading.positions[0].measured_ns == int(measured.timestamp()) * 10**9
    assert reading.number == "+43123456789"


# --- shapes -----------------------------------------------------------------------------------

# A square of 200 m around (48, 14), and a ring of a base station there.
PLANE = LocalPlane(48.0, 14.0)
CORNERS = [PLANE.to_degrees(e, n) for e, n in ((-100, -100), (100, -100), (100, 100), (-100, 100))]
RING = " ".join(f"{lat:.9f} {lon:.9f}" for lat, lon in [*CORNERS, CORNERS[0]])
RING_HIGH = " ".join(f"{lat:.9f} {lon:.9f} 30" for lat, lon in [*CORNERS, CORNERS[0]])
POLYGON = (
    "<gml:Polygon {srs}><gml:exterior><gml:LinearRing>{ring}</gml:LinearRing></gml:exterior>"
    "</gml:Polygon>"
)
DIAGONAL_M = 141.42
SHAPES = {
    "point": (f"<gml:Point {FLAT}><gml:pos>48 14</gml:pos></gml:Point>", (0, 0), None, None),
    "point, high": (f"<gml:Point {HIGH}><gml:pos>48 14 66</gml:pos></gml:Point>", (0, 0), None, 66),
    "circle": (circle("48", "14"), (0, 0), 24, None),
    "circle in km": (
        circle("48", "14", "0.5").replace("EPSG::9001", "EPSG::9036"), (0, 0), 500, None,
    ),
    "ellipse": (
        f"<gs:Ellipse {FLAT}><gml:pos>48 14</gml:pos><gs:semiMajorAxis {METRE}>275"
        f"</gs:semiMajorAxis><gs:semiMinorAxis {METRE}>50</gs:semiMinorAxis>"
        f"<gs:orientation {DEGREE}>43</gs:orientation></gs:Ellipse>",
        (0, 0), 275, None,
    ),
    "sphere": (
        f"<gs:Sphere {HIGH}><gml:pos>48 14 12</gml:pos><gs:radius {METRE}>80</gs:radius>"
        "</gs:Sphere>",
        (0, 0), 80, 12,
    ),
    # As Asterisk writes it: the orientation first, against the schema.
    "ellipsoid": (
        f"<gs:Ellipsoid {HIGH}><gs:orientation {DEGREE}>43</gs:orientation>"
        f"<gs:verticalAxis {METRE}>25</gs:verticalAxis>"
        f"<gs:semiMajorAxis {METRE}>7.75</gs:semiMajorAxis>"
        f"<gs:semiMinorAxis {METRE}>8.5</gs:semiMinorAxis>"
        "<gml:pos>48 14 26.8</gml:pos></gs:Ellipsoid>",
        (0, 0), 8.5, 26.8,
    ),
    "polygon of a list": (
        POLYGON.format(srs=FLAT, ring=f"<gml:posList>{RING}</gml:posList>"),
        (0, 0), DIAGONAL_M, None,
    ),
    "polygon of places": (
        POLYGON.format(
            srs=FLAT,
            ring="".join(f"<gml:pos>{a} {o}</gml:pos>" for a, o in [*CORNERS, CORNERS[0]]),
        ),
        (0, 0), DIAGONAL_M, None,
    ),
    "prism": (
        "<gs:Prism " + HIGH + "><gs:base>"
        + POLYGON.format(srs=HIGH, ring=f"<gml:posList>{RING_HIGH}</gml:posList>")
        + f"</gs:base><gs:height {METRE}>24</gs:height></gs:Prism>",
        (0, 0), DIAGONAL_M, 42,
    ),
    # A quarter of a ring, from north to east: its centroid is north-east of the mast.
    "arc band": (
        f"<gs:ArcBand {FLAT}><gml:pos>48 14</gml:pos><gs:innerRadius {METRE}>3000"
        f"</gs:innerRadius><gs:outerRadius {METRE}>3500</gs:outerRadius>"
        f"<gs:startAngle {DEGREE}>0</gs:startAngle>"
        f"<gs:openingAngle {DEGREE}>90</gs:openingAngle></gs:ArcBand>",
        (2072, 2072), 2514, None,
    ),
    "whole arc band": (
        f"<gs:ArcBand {FLAT}><gml:pos>48 14</gml:pos><gs:innerRadius {METRE}>0"
        f"</gs:innerRadius><gs:outerRadius {METRE}>500</gs:outerRadius>"
        f"<gs:startAngle {DEGREE}>20</gs:startAngle>"
        f"<gs:openingAngle {DEGREE}>360</gs:openingAngle></gs:ArcBand>",
        (0, 0), 500, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_pidf_lo_each_shape_becomes_the_circle_around_it(name: str) -> None:
    places, centre, radius_m, altitude_m = SHAPES[name]
    (position,) = read(places).positions

    expected = PLANE.to_degrees(*centre)
    off_m = geodesic((position.latitude_deg, position.longitude_deg), expected).meters
    assert off_m < 0.002 * max(centre[0], 1)
    assert position.altitude_m == altitude_m
    if radius_m is None:
        assert position.radius_m is None
        assert position.confidence is None
    else:
        assert position.radius_m == pytest.approx(radius_m, rel=2e-3)
        assert position.confidence == 0.95


def test_pidf_lo_polygon_over_the_date_line_stays_in_one_piece() -> None:
    ring = "-17 179.9 -17 -179.9 -16.9 -179.9 -16.9 179.9 -17 179.9"
    (position,) = read(
        POLYGON.format(srs=FLAT, ring=f"<gml:posList>{ring}</gml:posList>")
    ).positions

    assert abs(position.longitude_deg) == pytest.approx(180, abs=1e-6)
    assert position.radius_m is not None
    assert position.radius_m < 15_000


# --- what else a document says ----------------------------------------------------------------


def test_pidf_lo_names_decide_and_neither_order_nor_prefix_nor_white_space() -> None:
    plain = read(circle("48.123"))
    odd = read_pidf_lo(
        "\n <presence><tuple><timestamp>2024-07-11T01:03:52.750Z\n</timestamp><status><geopriv>"
        "<usage-rules><retransmission-allowed>no\n</retransmission-allowed></usage-rules>"
        "<location-info><gs:Circle srsName=' urn:ogc:def:crs:EPSG::4326 '><gs:radius>\n24\t"
        "</gs:radius><x:pos>\n 48.123\n\t14.456 </x:pos></gs:Circle></location-info></geopriv>"
        "</status></tuple></presence>",
        NOW_NS,
    )

    assert odd.positions == plain.positions
    assert odd.warnings == ("prefix gs is not declared", "prefix x is not declared")


def test_pidf_lo_circle_without_extent_is_a_point() -> None:
    (position,) = read(circle("48", "14", "0")).positions
    assert (position.radius_m, position.confidence) == (None, None)


def test_pidf_lo_with_an_endless_name_blames_it_in_few_words() -> None:
    with pytest.raises(LocationError) as caught:
        read(f"<{'a' * 100_000}/>")
    assert len(str(caught.value)) < 200


def test_pidf_lo_of_a_thousand_places_gives_the_first_fifty() -> None:
    assert len(read(circle("48") * 1000).positions) == 50


def test_pidf_lo_several_locations_come_device_first_and_person_last() -> None:
    reading = read_pidf_lo(
        document(
            held_by("dm:person", circle("1"))
            + held_by("tuple", circle("2") + circle("3"))
            + held_by("dm:device", circle("4"))
            + held_by("tuple", circle("5"))
        ),
        NOW_NS,
    )
    assert [position.latitude_deg for position in reading.positions] == [4, 2, 3, 5, 1]


def test_pidf_lo_one_bad_location_of_several_is_left_out_with_a_warning() -> None:
    reading = read_pidf_lo(
        document(held_by("tuple", circle("nowhere")) + held_by("tuple", circle("48"))), NOW_NS
    )
    assert [position.latitude_deg for position in reading.positions] == [48]
    assert reading.warnings == ("pos: 'nowhere' is not a number",)


@pytest.mark.parametrize(
    ("said", "confidence"),
    [("", 0.95), ("67", 0.67), ("unknown", None), (" 95.0 ", 0.95)],
)
def test_pidf_lo_confidence_is_95_percent_unless_it_is_said(
    said: str, confidence: float | None
) -> None:
    element = f"<con:confidence pdf='normal'>{said}</con:confidence>" if said else ""
    assert read(circle("48") + element).positions[0].confidence == confidence


def test_pidf_lo_movement_is_kept_and_bad_movement_costs_no_place() -> None:
    moving = "<dyn:Dynamic><dyn:speed>{}</dyn:speed><dyn:heading>278</dyn:heading></dyn:Dynamic>"
    (position,) = read(circle("48") + moving.format("24")).positions
    assert (position.speed_mps, position.heading_deg) == (24, 278)

    reading = read(circle("48") + moving.format("fast"))
    assert reading.positions[0].speed_mps is None
    assert reading.warnings == ("speed: 'fast' is not a number",)


@pytest.mark.parametrize(
    ("said", "source"),
    [("GPS", "pidf/gnss"), ("GPs", "pidf/gnss"), ("802.11", "pidf/wifi"), ("Cell", "pidf/cell"),
     ("Manual", "pidf/manual"), ("Beacon-7", "pidf/beacon-7"), ("<b/>", "pidf"), ("?", "pidf")],
)  # fmt: skip
def test_pidf_lo_method_says_the_source(said: str, source: str) -> None:
    method = f"<gp:method>{said}</gp:method>"
    assert read(circle("48"), method).positions[0].source == source


@pytest.mark.parametrize(
    ("country", "elements", "line"),
    [
        ("AT", "A1=Wien A4=Meidling RD=Fockygasse HNO=51A PC=1120",
         "Fockygasse 51A, 1120 Meidling, Wien, AT"),
        ("US", "A1=IL A3=Springfield PRD=N RD=Main STS=St HNO=123 HNS=B PC=62701 FLR=5",
         "123B N Main St, floor 5, Springfield, IL 62701, US"),
        ("CN", "A1=北京市 A2=北京市 A3=海淀区 RD=中关村大街 HNO=27号 BLD=3号楼 FLR=5 ROOM=501",
         "北京市海淀区中关村大街27号3号楼5层501室"),
        ("JP", "A1=Tokyo A3=Chiyoda RD=Chuo-dori HNO=1", "Tokyo Chiyoda Chuo-dori 1"),
        ("GB", "A1=England A3=London RD=Baker_Street HNO=221 HNS=B PC=NW1",
         "221B Baker_Street, London, England NW1, GB"),
    ],
)  # fmt: skip
def test_pidf_lo_civic_address_is_one_line_in_the_order_of_its_country(
    country: str, elements: str, line: str
) -> None:
    inside = "".join(
        f"<ca:{name}>{value}</ca:{name}>"
        for name, value in (pair.split("=") for pair in elements.split())
    )
    civic = f"<ca:civicAddress>{inside}<ca:country>{country}</ca:country></ca:civicAddress>"
    assert read(civic).addresses == (line,)


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("places", "field"),
    [
        ("", "location-info"),
        ("<con:confidence>95</con:confidence>", "location-info"),
        ("<gs:Cirkle><gml:pos>1 2</gml:pos></gs:Cirkle>", "Cirkle"),
        ("<ca:civicAddress/>", "civicAddress"),
        (circle("0", "0"), "pos"),
        (circle("91"), "pos"),
        (circle("48", "181"), "pos"),
        (circle("nan"), "pos"),
        (circle("48", "14", "-1"), "radius"),
        (circle("48", "14", "wide"), "radius"),
        (circle("48").replace("EPSG::9001", "EPSG::9030"), "radius"),
        (circle("48").replace("EPSG::4326", "EPSG::27700"), "srsName"),
        (circle("48").replace("EPSG::4326", "OGC:1.3:CRS84"), "srsName"),
        (circle("48").replace("</gs:Circle>", "<gs:radius>9</gs:radius></gs:Circle>"), "radius"),
        (circle("48").replace("gs:radius", "gs:size"), "radius"),
        (circle("48").replace("gml:pos", "gml:at"), "pos"),
        (f"<gml:Point {FLAT}><gml:pos>48</gml:pos></gml:Point>", "pos"),
        (f"<gml:Point {FLAT}><gml:pos>48 14 1 1</gml:pos></gml:Point>", "pos"),
        (POLYGON.format(srs=FLAT, ring="<gml:posList>48 14 48 15</gml:posList>"), "LinearRing"),
        (POLYGON.format(srs=FLAT, ring="<gml:posList>1 1 2 2 3 x</gml:posList>"), "posList"),
        (circle("48") + "<con:confidence>196</con:confidence>", "confidence"),
    ],
)
def test_pidf_lo_with_one_bad_element_yields_no_position_and_names_it(
    places: str, field: str
) -> None:
    assert refused_field(document(held_by("tuple", places))) == field


def test_pidf_lo_with_a_damaged_time_yields_no_position() -> None:
    good = document(held_by("tuple", circle("48")))
    assert refused_field(good.replace("2024-07-11T", "2024-17-11T")) == "timestamp"
    assert refused_field(good.replace("2024-07-11T", "1924-07-11T")) == "timestamp"


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE p [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><p>&b;</p>',
        '<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]><p>&x;</p>',
        '<!DOCTYPE p SYSTEM "http://127.0.0.1/p.dtd"><p/>',
        "<!DOCTYPE p [<!ELEMENT p ANY>]><p/>",
    ],
)
def test_xml_with_a_document_type_is_refused_before_anything_is_expanded(text: str) -> None:
    assert refused_field(text) == "DOCTYPE"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "<a>",
        "<a></b>",
        "<a>&unknown;</a>",
        b"\xff\xfe\x00",
        b'<?xml version="1.0" encoding="klingon"?><a/>',
        b'<?xml version="1.0" encoding="gb2312"?><a/>',
        "<a>" * (DEEPEST + 1) + "</a>" * (DEEPEST + 1),
        "<a>" + "<b/>" * MOST_ELEMENTS + "</a>",
        " " * (LARGEST + 1),
        "<a>\ud800</a>" * 2,
    ],
)
def test_xml_that_is_none_or_too_much_is_refused(text: str | bytes) -> None:
    assert refused_field(text) == "document"


def test_xml_in_another_encoding_is_read() -> None:
    text = '<?xml version="1.0" encoding="UTF-16"?><a>上海</a>'
    assert read_xml(text.encode("utf-16"))[0].text == "上海"
    assert refused_field("<other/>") == "presence"
    assert refused_field("<presence/>") == "geopriv"
