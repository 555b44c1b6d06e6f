"""The data uplink and the transport over it, against a real relay that comes and goes."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.relay_transport import RelayTransport
from streams.errors import MalformedError, OversizedError, TopicError, TransportError
from streams.transport.webrtc import (
    LARGEST_MESSAGE_BYTES,
    TRANSPORT_LABEL,
    DataUplink,
    WebRtcTransport,
    pack_delivery,
    unpack_delivery,
)
from streams.webrtc import PeerSettings

unhurried = settings(deadline=None)
"""A busy machine is no failure."""

LOOPBACK = PeerSettings(addresses=("127.0.0.1",))


def resource_of(topic: str) -> str | None:
    """`ems/north/unit-7/vitals` belongs to `unit-7/data`."""
    tokens = topic.split("/")
    return f"{tokens[2]}/data" if len(tokens) == 4 else None


async def test_uplink_frames_reach_the_hub_and_answers_come_down(
    serve_relay: Any, wait_for: Any
) -> None:
    down: list[bytes] = []
    async with serve_relay() as site:
        uplink = DataUplink(
            site.whip("unit-7/data"), label="ecg", peer=LOOPBACK, on_message=down.append
        )
        async with uplink:
            await uplink.wait_connected()
            for index in range(50):
                assert uplink.send(b"frame %d" % index)
            await wait_for(lambda: len(site.messages) == 50, "all frames arrive")
            assert site.messages[0] == ("unit-7/data", "ecg", b"frame 0")
            assert site.relay.send("unit-7/data", "ecg", b"seen")
            await wait_for(lambda: down == [b"seen"], "the answer comes, heartbeats do not show")
            assert uplink.counts.sent == 50
            assert uplink.counts.dropped == 0
        await wait_for(lambda: not site.relay.snapshot().resources, "its end is told")
        assert site.relay.snapshot().ended == {"ended by its peer": 1}


async def test_uplink_burst_beside_goes_at_once_or_not_at_all_and_comes_to_its_own_taker(
    serve_relay: Any, wait_for: Any
) -> None:
    down: list[bytes] = []
    beside: list[bytes] = []
    burst = [bytes([n]) * 1100 for n in range(1, 21)]
    async with serve_relay() as site:
        uplink = DataUplink(
            site.whip("unit-7/data"), label="ecg", peer=LOOPBACK, on_message=down.append,
            beside={"path": beside.append},
        )  # fmt: skip
        assert not uplink.send_beside("path", burst), "there is no path yet"
        async with uplink:
            await uplink.wait_connected()
            await wait_for(lambda: uplink.send_beside("path", [b"ping"]), "the channel is open")
            await wait_for(lambda: site.messages, "it is there")
            assert uplink.send_beside("path", burst)
            assert not uplink.send_beside("path", [b"ping"]), "one burst at a time"
            await asyncio.sleep(0)
            # SCTP's own window would have let three go; all are on the way, none waits.
            await wait_for(lambda: not uplink._channels_beside["path"].bufferedAmount, "all leave")
            await wait_for(lambda: len(site.messages) == 21, "all arrive")
            assert {label for _, label, _ in site.messages} == {"path"}
            assert site.relay.send("unit-7/data", "path", b"echo")
            assert site.relay.send("unit-7/data", "ecg", b"advice")
            await wait_for(lambda: beside and down, "both come down")
            assert (beside, down) == ([b"echo"], [b"advice"])
        assert not uplink.send_beside("path", [b"ping"])


async def test_uplink_without_a_path_keeps_the_newest_and_counts_the_dropped(
    serve_relay: Any, wait_for: Any
) -> None:
    async with serve_relay() as site:
        uplink = DataUplink(site.whip("unit-7/data"), label="ecg", peer=LOOPBACK, kept=4)
        assert [uplink.send(bytes([n])) for n in range(1, 11)] == [False] * 10
        assert uplink.counts.dropped == 6
        async with uplink:
            await wait_for(lambda: len(site.messages) == 4, "the newest arrive")
            assert sorted(m[2] for m in site.messages) == [b"\x07", b"\x08", b"\x09", b"\x0a"]


async def test_uplink_whose_path_goes_silent_is_built_anew(serve_relay: Any, wait_for: Any) -> None:
    async with serve_relay() as site:
        where = site.whip("unit-7/data")
        async with DataUplink(where, label="ecg", peer=LOOPBACK, silence_s=1.0) as uplink:
            await uplink.wait_connected()
            (session,) = site.relay._sessions.values()
            ice = session.peer.sctp.transport.transport._connection
            for protocol in ice._protocols:
                protocol.transport.abort()  # the hub's side vanishes without a word
            await uplink.wait_disconnected(5.0)
            await wait_for(lambda: uplink.counts.connections == 2, "a new path is built")
            uplink.send(b"after")
            await wait_for(lambda: site.messages, "it works")
            assert site.messages == [("unit-7/data", "ecg", b"after")]
            assert uplink.counts.connections == 2


async def test_uplink_stays_up_while_nothing_is_sent(serve_relay: Any, wait_for: Any) -> None:
    async with serve_relay() as site:
        where = site.whip("unit-7/data")
        async with DataUplink(where, label="ecg", peer=LOOPBACK, silence_s=1.0) as uplink:
            await uplink.wait_connected()
            with pytest.raises(TransportError):
                await uplink.wait_disconnected(2.5)  # two and a half times the silence
            assert uplink.counts.connections == 1


async def test_uplink_refuses_what_cannot_travel(serve_relay: Any) -> None:
    async with serve_relay() as site:
        uplink = DataUplink(site.whip("unit-7/data"), label="ecg", peer=LOOPBACK)
        with pytest.raises(OversizedError):
            uplink.send(bytes(LARGEST_MESSAGE_BYTES + 1))
        with pytest.raises(ValueError, match="heartbeat"):
            uplink.send(b"")


async def test_transport_carries_topics_both_ways(serve_relay: Any) -> None:
    async with serve_relay() as site:
        async with (
            RelayTransport(site.relay, resource_of) as hub,
            WebRtcTransport(site.whip("unit-7/data"), peer=LOOPBACK) as vehicle,
            hub.subscribe("ems/north/+/ecg_live") as at_hub,
            vehicle.subscribe("ems/north/unit-7/receipt_down") as on_board,
        ):
            await vehicle.wait_connected()
            await vehicle.publish("ems/north/unit-7/vitals", b"not asked for")
            await vehicle.publish("ems/north/unit-7/ecg_live", b"beat")
            await hub.publish("ems/north/unit-7/receipt_down", b"got it")
            async with asyncio.timeout(5):
                up, down = await anext(at_hub), await anext(on_board)
        assert (up.topic, up.data) == ("ems/north/unit-7/ecg_live", b"beat")
        assert (down.topic, down.data) == ("ems/north/unit-7/receipt_down", b"got it")


async def test_transport_of_one_vehicle_cannot_speak_for_another(
    serve_relay: Any, wait_for: Any
) -> None:
    async with (
        serve_relay() as site,
        RelayTransport(site.relay, resource_of) as hub,
        WebRtcTransport(site.whip("unit-7/data"), peer=LOOPBACK) as vehicle,
        hub.subscribe("ems/north/+/vitals") as at_hub,
    ):
        await vehicle.wait_connected()
        await vehicle.publish("ems/north/unit-8/vitals", b"another's")
        await vehicle.publish("ems/north/unit-7/receipt_down", b"the hub's to make")
        await vehicle.publish("ems/north/unit-7/no_kind", b"nobody's")
        vehicle.send(b"\xff\xff no delivery")
        vehicle.send(b"\x00\x12ems/north/+/vitals no topic")
        await vehicle.publish("ems/north/unit-7/vitals", b"own")
        async with asyncio.timeout(5):
            assert (await anext(at_hub)).data == b"own"
        await wait_for(lambda: (hub.foreign, hub.malformed) == (3, 2), "all are counted")
        with pytest.raises(TransportError):
            await hub.publish("ems/north/unit-8/receipt_down", b"nobody there")


async def test_hub_transports_of_one_relay_each_get_all_and_a_closed_one_leaves(
    serve_relay: Any, wait_for: Any
) -> None:
    topic, label = "ems/north/unit-7/vitals", TRANSPORT_LABEL
    async with serve_relay() as site:
        async with (
            RelayTransport(site.relay, resource_of) as one,
            WebRtcTransport(site.whip("unit-7/data"), peer=LOOPBACK) as vehicle,
            one.subscribe(topic) as at_one,
        ):
            await vehicle.wait_connected()
            async with (
                RelayTransport(site.relay, resource_of) as two,
                two.subscribe(topic) as at_two,
            ):
                await vehicle.publish(topic, b"1")
                async with asyncio.timeout(5):
                    assert (await anext(at_one)).data == (await anext(at_two)).data == b"1"
            await vehicle.publish(topic, b"2")
            async with asyncio.timeout(5):
                assert (await anext(at_one)).data == b"2"
        async with WebRtcTransport(site.whip("unit-7/data"), peer=LOOPBACK) as vehicle:
            await vehicle.wait_connected()
            assert site.messages == []
            await vehicle.publish(topic, b"3")
            await wait_for(lambda: site.messages, "nobody takes the label: it is the site's again")
            assert site.messages == [("unit-7/data", label, pack_delivery(topic, b"3"))]


async def test_transport_without_a_path_raises(serve_relay: Any) -> None:
    async with serve_relay() as site:
        transport = WebRtcTransport(site.whip("unit-7/data", token="wrong"), peer=LOOPBACK)
        async with transport:
            with pytest.raises(TransportError):
                await transport.publish("ems/north/unit-7/vitals", b"x")
            with pytest.raises(TopicError):
                await transport.publish("ems/north/+/vitals", b"x")


names = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-é急", min_size=1, max_size=20)


@unhurried
@given(tokens=st.lists(names, min_size=1, max_size=6), data=st.binary(max_size=2000))
def test_delivery_packed_is_unpacked_the_same(tokens: list[str], data: bytes) -> None:
    delivery = unpack_delivery(pack_delivery("/".join(tokens), data))
    assert (delivery.topic, delivery.data) == ("/".join(tokens), data)


@unhurried
@given(garbage=st.binary(max_size=100))
def test_delivery_of_garbage_is_malformed_or_has_a_topic(garbage: bytes) -> None:
    try:
        delivery = unpack_delivery(garbage)
    except MalformedError:
        return
    assert delivery.topic.encode() + delivery.data == garbage[2:]


def test_delivery_truncated_anywhere_before_its_data_is_malformed() -> None:
    packed = pack_delivery("ems/north/unit-7/vitals", b"")
    for end in range(1, len(packed)):
        with pytest.raises(MalformedError):
            unpack_delivery(packed[:end])
    assert list(itertools.islice(packed, 2)) == [0, 23]
