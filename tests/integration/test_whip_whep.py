"""WHIP and WHEP as clients see them: answers, refusals in words, TLS, CORS, trickled candidates."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientSession
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatch.offers import OfferError, read_offer
from dispatch.relay import RelaySettings
from dispatch.whip_whep import MAX_SDP_BYTES
from streams.authority import Authority, client_context, server_context
from streams.errors import CredentialError, TransportError
from streams.webrtc import (
    IceServer,
    PeerConnection,
    PeerSettings,
    close_peer,
    connect_peer,
    without_mdns,
)

LOOPBACK = PeerSettings(addresses=("127.0.0.1",))
SDP = {"Content-Type": "application/sdp"}
VEHICLE = {"Authorization": "Bearer vehicle"}
BOARD = {"Authorization": "Bearer board"}


async def make_offer(*kinds: str, direction: str = "sendonly", codec: str = "") -> str:
    """The offer of a peer that is not used further."""
    peer = PeerConnection(LOOPBACK)
    try:
        for kind in kinds:
            transceiver = peer.addTransceiver(kind, direction=direction)
            known = transceiver.sender.getCapabilities(kind).codecs
            if codec:
                transceiver.setCodecPreferences([c for c in known if c.name == codec])
        if not kinds:
            peer.createDataChannel("data")
        await peer.setLocalDescription(await peer.createOffer())
        return str(peer.localDescription.sdp)
    finally:
        await close_peer(peer)


async def post(site: Any, path: str, body: str | bytes, **headers: str) -> tuple[int, str, Any]:
    """POST; returns status, text and headers."""
    async with (
        ClientSession() as http,
        http.post(
            site.url + path, data=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
        ) as response,
    ):
        return response.status, await response.text(), response.headers


async def test_whip_offer_gets_201_with_answer_location_and_etag(serve_relay: Any) -> None:
    async with serve_relay() as site:
        offer = await make_offer("video", "audio")
        status, text, headers = await post(site, "/whip/unit-7/cabin", offer, **SDP, **VEHICLE)
        assert status == 201
        assert headers["Content-Type"].startswith("application/sdp")
        assert re.fullmatch(r"/whip/unit-7/cabin/-/[\w-]{16,}", headers["Location"])
        assert re.fullmatch(r'"[\w-]+"', headers["ETag"])
        assert text.startswith("v=0")
        assert text.count("a=recvonly") == 2
        assert "127.0.0.1" in text
        assert "a=rtpmap" in text and "rtx" not in text


async def test_whip_delete_ends_the_session_once(serve_relay: Any) -> None:
    async with serve_relay() as site:
        offer = await make_offer("video")
        _, _, headers = await post(site, "/whip/unit-7/cabin", offer, **SDP, **VEHICLE)
        url = site.url + headers["Location"]
        async with ClientSession(headers=VEHICLE) as http:
            statuses = [(await http.delete(url)).status for _ in range(2)]
        assert statuses == [200, 404]
        assert site.relay.snapshot().ended == {"ended by its peer": 1}
        assert site.relay.snapshot().resources == {}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("", 400, "must start with v=0"),
        ("hello", 400, "must start with v=0"),
        ("v=0\r\nm=video", 400, "malformed"),
        ("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", 400, "no media section"),
        ("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 97\r\na=sendonly\r\n", 400, "ice-ufrag"),
        (b"v=0\r\n\xff\xfe\x00", 400, "no media"),
    ],
)
async def test_whip_garbage_is_refused_in_words(
    serve_relay: Any, body: str | bytes, status: int, words: str
) -> None:
    async with serve_relay() as site:
        got, text, _ = await post(site, "/whip/unit-7/cabin", body, **SDP, **VEHICLE)
        assert (got, words in text) == (status, True), text
        assert site.relay.snapshot().refused == {"offer": 1}
        assert site.relay.snapshot().resources == {}


async def test_whip_truncated_offers_are_refused_and_leave_nothing(serve_relay: Any) -> None:
    async with serve_relay() as site:
        offer = await make_offer("video", "audio")
        lines = offer.splitlines(keepends=True)
        for end in range(1, len(lines) - 8, 5):
            status, _, _ = await post(
                site, "/whip/unit-7/cabin", "".join(lines[:end]), **SDP, **VEHICLE
            )
            assert status in (400, 406)
        assert site.relay.snapshot().resources == {}


@given(text=st.text(max_size=400))
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_as_an_offer_is_refused_and_raises_nothing_else(text: str) -> None:
    for garbage in (text, f"v=0\r\n{text}", f"v=0\r\nm=audio 9 RTP/AVP 0\r\n{text}"):
        with pytest.raises(OfferError):
            read_offer(garbage, "publish")


async def test_offer_with_one_line_missing_or_doubled_raises_nothing_but_a_refusal() -> None:
    lines = (await make_offer("video", "audio")).splitlines(keepends=True)
    for index in range(len(lines)):
        for changed in (lines[:index] + lines[index + 1 :], lines[: index + 1] + lines[index:]):
            try:
                read_offer("".join(changed), "publish")
            except OfferError as error:
                assert str(error)


async def test_whip_wrong_content_type_accept_and_size_are_refused(serve_relay: Any) -> None:
    async with serve_relay() as site:
        offer = await make_offer("video")
        path = "/whip/unit-7/cabin"
        refusals = [
            (415, {"Content-Type": "application/json", **VEHICLE}, offer),
            (406, {**SDP, "Accept": "text/html", **VEHICLE}, offer),
            (406, {**SDP, "Accept": "application/sdp;q=0", **VEHICLE}, offer),
            (413, {**SDP, **VEHICLE}, offer + "a=x\r\n" * MAX_SDP_BYTES),
        ]
        for status, headers, body in refusals:
            got, text, _ = await post(site, path, body, **headers)
            assert got == status
            assert text.strip()
        accepted = {**SDP, "Accept": "application/*;q=0.5, text/html", **VEHICLE}
        assert (await post(site, path, offer, **accepted))[0] == 201


async def test_request_without_a_right_is_refused_and_counted(serve_relay: Any) -> None:
    async with serve_relay() as site:
        offer = await make_offer("video")
        status, _, headers = await post(site, "/whip/unit-7/cabin", offer, **SDP)
        assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
        status, text, _ = await post(site, "/whip/unit-7/cabin", offer, **SDP, **BOARD)
        assert (status, text.strip()) == (403, "board may not publish unit-7/cabin")
        status, _, _ = await post(site, "/whip/unit-9/cabin", offer, **SDP, **VEHICLE)
        assert status == 403
        assert site.relay.snapshot().refused == {"credential": 1, "authorisation": 2}


async def test_session_of_another_is_not_ended_by_a_stranger(
    serve_relay: Any, publish_tracks: Any, draw: Any
) -> None:
    async with serve_relay() as site:
        offer = await make_offer("video")
        _, _, headers = await post(site, "/whip/unit-7/cabin", offer, **SDP, **VEHICLE)
        url = site.url + headers["Location"]
        async with ClientSession() as http:
            stranger = {"Authorization": "Bearer second-vehicle"}
            assert (await http.delete(url, headers=stranger)).status == 403
            assert (await http.delete(url)).status == 401
            as_viewer = url.replace("/whip/", "/whep/")
            assert (await http.delete(as_viewer, headers=BOARD)).status == 404
            elsewhere = url.replace("unit-7", "unit-8")
            assert (await http.delete(elsewhere, headers=VEHICLE)).status == 404
        assert len(site.relay._sessions) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
async def test_endpoint_takes_no_other_method(serve_relay: Any, method: str) -> None:
    async with (
        serve_relay() as site,
        ClientSession(headers=VEHICLE) as http,
        http.request(method, site.url + "/whip/unit-7/cabin") as response,
    ):
        assert response.status == 405
        assert "POST" in response.headers["Allow"]


@pytest.mark.parametrize(
    "path",
    ["/whip/", "/whip/../x", "/whip/a/b/c/d/e", "/whip/-", "/whip/a%20b", "/whip/" + "x" * 99],
)
async def test_impossible_resource_is_not_found(serve_relay: Any, path: str) -> None:
    async with serve_relay() as site:
        assert (await post(site, path, "v=0", **SDP, **VEHICLE))[0] == 404


async def test_simulcast_offer_is_refused_and_one_encoding_taken(serve_relay: Any) -> None:
    async with serve_relay() as site:
        offer = await make_offer("video")
        rids = "".join(f"a=rid:{rid} send\r\n" for rid in "qhf")
        simulcast = offer + rids + "a=simulcast:send q;h;f\r\n"
        status, text, _ = await post(site, "/whip/unit-7/cabin", simulcast, **SDP, **VEHICLE)
        assert status == 406
        assert "one encoding" in text
        single = offer + "a=rid:f send\r\na=simulcast:send f\r\n"
        assert (await post(site, "/whip/unit-7/cabin", single, **SDP, **VEHICLE))[0] == 201


async def test_offer_of_the_wrong_shape_is_refused_in_words(serve_relay: Any) -> None:
    async with serve_relay() as site:
        wrong = {
            "does not send": await make_offer("video", direction="recvonly"),
            "more than one video": await make_offer("video", "video"),
            "no audio codec in common": await make_offer("audio", codec="PCMU"),
            "BUNDLE": re.sub("a=group:BUNDLE.*\r\n", "", await make_offer("video", "audio")),
        }
        for words, offer in wrong.items():
            status, text, _ = await post(site, "/whip/unit-7/cabin", offer, **SDP, **VEHICLE)
            assert (status, words in text) == (406, True), text


async def test_viewer_that_does_not_know_the_sources_codec_is_refused(
    serve_relay: Any, publish_tracks: Any, draw: Any, wait_for: Any
) -> None:
    async with serve_relay() as site:
        await publish_tracks(site.whip(), draw(), codec="H264")
        await wait_for(lambda: site.resource().live, "the source is live")
        offer = await make_offer("video", direction="recvonly", codec="VP8")
        status, text, _ = await post(site, "/whep/unit-7/cabin", offer, **SDP, **BOARD)
        assert (status, "H264" in text) == (406, True)


async def test_relay_that_is_full_says_when_to_come_back(serve_relay: Any) -> None:
    limits = RelaySettings(peer=LOOPBACK, max_sources=1, max_viewers=1)
    async with serve_relay(limits) as site:
        offer, look = await make_offer("video"), await make_offer("video", direction="recvonly")
        assert (await post(site, "/whip/unit-7/cabin", offer, **SDP, **VEHICLE))[0] == 201
        assert (await post(site, "/whep/unit-7/cabin", look, **SDP, **BOARD))[0] == 201
        for path, body, who in (
            ("/whip/unit-8/cabin", offer, VEHICLE),
            ("/whep/unit-8/cabin", look, BOARD),
        ):
            status, text, headers = await post(site, path, body, **SDP, **who)
            assert status == 503
            assert int(headers["Retry-After"]) > 0
            assert "try again" in text
        assert site.relay.snapshot().refused == {"relay_full": 2}


async def test_session_that_never_connects_is_closed(serve_relay: Any, wait_for: Any) -> None:
    async with serve_relay(RelaySettings(peer=LOOPBACK, connect_timeout_s=0.5)) as site:
        offer = await make_offer("video")
        assert (await post(site, "/whip/unit-7/cabin", offer, **SDP, **VEHICLE))[0] == 201
        await wait_for(lambda: not site.relay.snapshot().resources, "it is closed")
        assert site.relay.snapshot().ended == {"never connected": 1}


async def test_patch_takes_candidates_with_the_etag_and_no_restart(serve_relay: Any) -> None:
    candidate = "a=candidate:1 1 udp 2122260223 127.0.0.1 61764 typ host\r\n"
    fragment = {"Content-Type": "application/trickle-ice-sdpfrag", **VEHICLE}
    async with serve_relay() as site, ClientSession() as http:
        offer = await make_offer("video")
        _, _, headers = await post(site, "/whip/unit-7/cabin", offer, **SDP, **VEHICLE)
        url, etag = site.url + headers["Location"], headers["ETag"]
        cases = [
            (204, {**fragment, "If-Match": etag}, "a=mid:0\r\n" + candidate),
            (204, {**fragment, "If-Match": etag}, candidate.replace("127.0.0.1", "x.local")),
            (400, {**fragment, "If-Match": etag}, "a=candidate:nonsense\r\n"),
            (412, {**fragment, "If-Match": '"other"'}, candidate),
            (428, fragment, candidate),
            (422, {**fragment, "If-Match": "*"}, "a=ice-ufrag:abcd\r\na=ice-pwd:x\r\n"),
            (422, {**fragment, "If-Match": etag}, "a=ice-ufrag:abcd\r\n"),
            (415, {**SDP, **VEHICLE, "If-Match": etag}, candidate),
        ]
        for status, case_headers, body in cases:
            response = await http.patch(url, data=body, headers=case_headers)
            assert response.status == status, await response.text()


async def test_options_tell_what_is_taken(serve_relay: Any) -> None:
    async with serve_relay() as site, ClientSession() as http:
        response = await http.options(site.url + "/whip/unit-7/cabin")
        assert (response.status, response.headers["Accept-Post"]) == (204, "application/sdp")


async def test_configured_ice_servers_are_told_in_link_headers(serve_relay: Any) -> None:
    turn = IceServer("turn:127.0.0.1:9?transport=udp", "crew", "secret")
    peer = PeerSettings(addresses=("127.0.0.1",), ice_servers=(turn,))
    async with serve_relay(RelaySettings(peer=peer)) as site:
        status, _, headers = await post(
            site, "/whip/unit-7/cabin", await make_offer("video"), **SDP, **VEHICLE
        )
        assert status == 201
        link = headers["Link"]
        assert link.startswith('<turn:127.0.0.1:9?transport=udp>; rel="ice-server"')
        assert 'credential-type="password"' in link


async def test_relay_without_a_usable_interface_says_so(serve_relay: Any) -> None:
    nowhere = PeerSettings(addresses=("198.51.100.7",))
    async with serve_relay(RelaySettings(peer=nowhere)) as site:
        status, text, _ = await post(
            site, "/whip/unit-7/cabin", await make_offer("video"), **SDP, **VEHICLE
        )
        assert (status, "198.51.100.7" in text) == (503, True)
        assert site.relay.snapshot().resources == {}


async def test_whip_and_whep_over_tls_with_a_local_authority(
    serve_relay: Any, publish_tracks: Any, view: Any, draw: Any, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "authority")
    authority.ensure()
    authority.ensure()
    pair = authority.server_certificate("hub", ["127.0.0.1"])
    trusting = client_context(authority.ca_path)
    async with serve_relay(tls=(server_context(pair), trusting)) as site:
        assert site.url.startswith("https://")
        await publish_tracks(site.whip(), draw())
        viewer = await view(site.whep())
        assert await viewer.frames(5)
        await site.whep().delete(viewer.session_url)
        assert not site.resource().viewers
        async with ClientSession() as http:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await http.post(site.url + "/whep/unit-7/cabin")


async def test_client_says_what_was_refused(serve_relay: Any, free_port: Any) -> None:
    async with serve_relay() as site:
        for signalling, kind, words in (
            (site.whip(token="wrong"), CredentialError, "no usable bearer token"),
            (site.whip(token="board"), CredentialError, "may not publish"),
            (site.whip("-"), TransportError, "404"),
        ):
            peer = PeerConnection(LOOPBACK)
            peer.createDataChannel("data")
            with pytest.raises(kind, match=words):
                await connect_peer(peer, signalling)
            await close_peer(peer)


def test_mdns_candidates_are_removed_and_others_kept() -> None:
    kept = "a=candidate:1 1 udp 1 192.0.2.1 5 typ host\r\n"
    hidden = "a=candidate:2 1 udp 1 0f0f-aa.local 5 typ host generation 0\r\n"
    assert without_mdns(f"v=0\r\n{kept}{hidden}a=end-of-candidates\r\n") == f"v=0\r\n{kept}"
