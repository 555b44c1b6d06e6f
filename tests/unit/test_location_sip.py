"""The place in SIP messages and location servers' answers, as the NG9-1-1 captures have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dispatch.location.errors import LocationError, NoLocationError
from dispatch.location.held import location_request, read_held
from dispatch.location.reading import Reference
from dispatch.location.sip import DEEPEST, read_sip, read_sip_body, split_message
from dispatch.location.xml_tree import read_xml
from tests.sip_captures import messages

NOW_NS = 1_700_000_000_000_000_000
NEW_YORK = (40.71668300756087, -73.99069756654683)
PARTED = "multipart/mixed;boundary=b1"
DOCUMENT = (
    "<presence><tuple><status><geopriv><location-info><Point><pos>48.1 14.4</pos></Point>"
    "</location-info></geopriv></status></tuple></presence>"
)
# Per group of captures: how many messages in all of its files name a place, and which.
PLACES = {
    "BRIDGE_003": (18, NEW_YORK),
    "BRIDGE_004": (10, NEW_YORK),
    "CHE_001": (2, (-34.407, 150.88001)),
    "CHE_006": (18, NEW_YORK),
    "CHFE_007": (2, NEW_YORK),
    "CHFE_014": (2, (50.6199, 26.2516)),
}
# Messages that name no place though they should, by capture, and the field to blame.
BLAMED = {
    "CHE_001/TC_CHE_001_variation_2_fail.pcap": {"Geolocation", "location-info"},
    "CHE_001/TC_CHE_001_variation_2_pass.pcap": {"Geolocation", "location-info"},
    "LIS_001/TC_LIS_001_fail.pcap": {"location-info", "CirTEST_FAILcle"},
    "LIS_002/TC_LIS_002_fail.pcap": {"locationURI"},
}


def located(message: bytes) -> bool:
    """Whether a message is one that tells a place or ought to."""
    taken = split_message(message)
    if b"<findService" in taken.body or taken.start.startswith(("POST", "SUBSCRIBE")):
        return False
    return bool(taken.values("geolocation")) or b"pidf" in taken.body or b":held" in taken.body


def places_of(file: Path) -> tuple[list[tuple[float, float]], list[Reference], set[str]]:
    places: list[tuple[float, float]] = []
    references: list[Reference] = []
    blamed: set[str] = set()
    for message in messages(file):
        if not located(message):
            continue
        try:
            body = split_message(message).body
            is_http = message.startswith(b"HTTP")
            reading = read_held(body, NOW_NS) if is_http else read_sip(message, NOW_NS)
        except LocationError as error:
            blamed.add(error.field)
            continue
        places += [(p.latitude_deg, p.longitude_deg) for p in reading.positions]
        references += reading.references
    return places, references, blamed


@pytest.mark.parametrize("group", PLACES)
def test_sip_captures_every_place_is_read_as_stated(group: str, shared_data: Path) -> None:
    found: list[tuple[float, float]] = []
    for file in sorted((shared_data / "ng911_pcap" / group).glob("*.pcap")):
        found += places_of(file)[0]
    count, place = PLACES[group]
    assert found == [place] * count


def test_sip_captures_only_the_messages_written_here_name_no_place(shared_data: Path) -> None:
    folder = shared_data / "ng911_pcap"
    blamed: dict[str, set[str]] = {}
    for group in [*PLACES, "LIS_001", "LIS_002"]:
        for file in sorted((folder / group).glob("*.pcap")):
            if fields := places_of(file)[2]:
                blamed[str(file.relative_to(folder))] = fields
    assert blamed == BLAMED


def test_held_captures_give_places_and_the_address_to_ask(shared_data: Path) -> None:
    folder = shared_data / "ng911_pcap"
    places, _, _ = places_of(folder / "LIS_001" / "TC_LIS_001_pass.pcap")
    _, references, _ = places_of(folder / "LIS_002" / "TC_LIS_002_pass.pcap")
    _, by_header, _ = places_of(folder / "CHE_001" / "TC_CHE_001_variation_1_pass.pcap")

    assert places == [(30.609969, -96.340449), (30.605485, -96.341423)]
    assert [reference.uri.partition("?")[2] for reference in references] == [
        "ref=4f3ae12c-4709-4d55-8c26-28d7aa9bbd39"
    ]
    assert references[0].expires_ns == 1_733_587_878_340_839_000
    assert by_header == [Reference("http://192.168.64.17/location_1234_test_1")]


def multipart(*parts: str, boundary: str = "b1") -> bytes:
    joined = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
    return f"{joined}--{boundary}--\r\n".encode()


def part(document: str = DOCUMENT, content_id: str = "loc@host") -> str:
    return f"Content-Type: application/pidf+xml\r\nContent-ID: <{content_id}>\r\n\r\n{document}"


def test_sip_body_by_value_and_by_reference_are_both_read_in_order() -> None:
    reading = read_sip_body(
        ["<cid:loc%40host>, <https://lis.example/abc>;x=y", "<sips:lis@example>"],
        'multipart/mixed; boundary="b1"',
        multipart("Content-Type: application/sdp\r\n\r\nv=0", part()),
        NOW_NS,
    )
    assert [p.latitude_deg for p in reading.positions] == [48.1]
    assert [r.uri for r in reading.references] == [
        "https://lis.example/abc",
        "sips:lis@example",
    ]


def test_sip_body_whose_header_points_elsewhere_is_read_with_a_warning() -> None:
    reading = read_sip_body(["<cid:other@host>"], PARTED, multipart(part()), NOW_NS)
    assert len(reading.positions) == 1
    assert any(warning.startswith("Geolocation:") for warning in reading.warnings)


def test_sip_body_indented_and_without_empty_lines_is_read() -> None:
    body = multipart(part()).replace(b"\r\n\r\n", b"\r\n").replace(b"\r\n", b"\r\n      ")
    reading = read_sip_body(["<cid:loc@host>"], PARTED, body, NOW_NS)
    assert len(reading.positions) == 1


@pytest.mark.parametrize(
    ("geolocation", "kind", "body", "field"),
    [
        ([], "", b"", "Geolocation"),
        (["cid:loc@host"], "", b"", "Geolocation"),
        (["<cid:loc@host>"], PARTED, multipart(part("<a/>")), "locationResponse"),
        (["<h://x>"], "", b"", "Geolocation"),
        (["<file:///etc/passwd>"], "", b"", "Geolocation"),
        ([], "application/pidf+xml", b"<presence/>", "geopriv"),
        ([], PARTED, b"x" * 2_000_000, "body"),
        ([], PARTED, multipart(*["x: y"] * 60), "Content-Type"),
    ],
)  # fmt: skip
def test_sip_body_without_a_place_names_header_or_element(
    geolocation: list[str], kind: str, body: bytes, field: str
) -> None:
    with pytest.raises(LocationError) as caught:
        read_sip_body(geolocation, kind, body, NOW_NS)
    assert caught.value.field == field


def test_sip_body_of_parts_within_parts_without_end_is_refused() -> None:
    kind = "multipart/mixed;boundary=b0"
    body = DOCUMENT.encode()
    for level in range(DEEPEST + 1, -1, -1):
        body = (
            f"--b{level}\r\nContent-Type: multipart/mixed;boundary=b{level + 1}\r\n\r\n".encode()
            + body
        )
    with pytest.raises(LocationError) as caught:
        read_sip_body([], kind, body, NOW_NS)
    assert caught.value.field == "Content-Type"


def test_held_request_asks_by_telephone_number_as_the_standard_writes_it() -> None:
    root, warnings = read_xml(location_request("+862112345678", ("geodetic", "locationURI")))
    assert (root.name, warnings) == ("locationRequest", ())
    assert [uri.text for uri in root.within("uri")] == ["tel:+862112345678"]
    assert root.attributes["responseTime"] == "emergencyDispatch"
    kind = root.only("locationType")
    assert kind is not None
    assert (kind.text, kind.attributes["exact"]) == ("geodetic locationURI", "false")
    assert not list(read_xml(location_request())[0].within("device"))
    with pytest.raises(LocationError):
        location_request("+1</uri>")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("locationUnknown", NoLocationError),
        ("notLocatable", NoLocationError),
        ("requestError", LocationError),
    ],
)
def test_held_error_document_is_told_with_the_servers_code(
    code: str, kind: type[LocationError]
) -> None:
    text = (
        f'<error xmlns="urn:x" code="{code}"><message xml:lang="en">No such tel</message></error>'
    )
    with pytest.raises(LocationError) as caught:
        read_held(text, NOW_NS)
    assert type(caught.value) is kind
    assert str(caught.value) == f"error: {code}: 'No such tel'"


def test_held_answer_with_place_and_address_to_ask_has_both() -> None:
    reading = read_held(
        f"<locationResponse>{DOCUMENT}<locationUriSet expires='2026-01-01T00:00:00Z'>"
        "<locationURI>https://ls.example/357yc6s64ce</locationURI></locationUriSet>"
        "</locationResponse>",
        NOW_NS,
    )
    assert len(reading.positions) == 1
    assert reading.references[0].expires_ns == 1_767_225_600_000_000_000


@pytest.mark.parametrize(
    "message",
    [
        b"INVITE x SIP/2.0\r\nGeolocation: <" + b" " * 900_000 + b"\r\n\r\n",
        b"INVITE x SIP/2.0\r\nGeolocation: x" + b" " * 900_000 + b"x\r\n\r\n",
        b"INVITE x SIP/2.0\r\nContent-Type: multipart/mixed; boundary" + b" " * 900_000 + b"x\r\n",
        b"INVITE x SIP/2.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\nx: x" + b" " * 900_000 + b"x",
        b"\n" * 900_000,
    ],
)  # fmt: skip
def test_sip_message_of_a_megabyte_of_white_space_is_refused_like_any_other(
    message: bytes,
) -> None:
    with pytest.raises(LocationError):  # with a pattern that backtracks it would not end
        read_sip(message, NOW_NS)
