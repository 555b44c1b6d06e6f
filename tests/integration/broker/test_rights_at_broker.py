"""Every right of the table of topics, tried one by one at the real broker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import aiomqtt
import nats
import nats.errors
import nats.js.errors
import pytest
from prometheus_client import REGISTRY

from streams.broker import (
    credentials_directory,
)
from streams.broker_rights import rights_of, stream_name, subject
from streams.credentials import revoke
from streams.errors import CredentialError
from streams.topics import TOPICS, Scope, path
from streams.transport.jetstream import settle
from streams.transport.mqtt import MqttTransport
from streams.transport.nats import NatsTransport

if TYPE_CHECKING:
    from tests.integration.broker.conftest import City

WaitFor = Callable[..., Awaitable[None]]

BOUND_S = 15.0
SCOPES: tuple[Scope, ...] = ("unit", "hospital")


def every_topic() -> list[str]:
    """Each topic of the table, live and drill, below our own names, others' and elsewhere."""
    return [
        path(scope, region, name, kind, drill=drill)
        for kind, row in TOPICS.items()
        for scope in SCOPES
        if scope in row.scopes
        for region in ("north", "south")
        for name in ("unit-7", "unit-8", "first-hospital", "second-hospital")
        for drill in (False, True)
    ]


@pytest.mark.parametrize("drill", [False, True])
async def test_unit_publishes_to_every_topic_and_only_its_own_arrive(
    city: City, wait_for: WaitFor, drill: bool
) -> None:
    revoke(credentials_directory(city.state), "unit-7")
    city.add("unit-7", "unit", drill=drill)
    await city.broker.reload()
    rights = rights_of("unit", "north", "unit-7", drill=drill)
    mine = [subject(topic) for topic in every_topic() if rights.may_publish(topic)]
    assert mine
    async with city.everything_seen() as seen, city.raw_mqtt("unit-7") as unit:
        for topic in every_topic():
            await unit.publish(topic, b"data", qos=1)  # acknowledged even when forbidden

        await wait_for(lambda: len(seen) >= len(mine), "what is allowed arrives")
        await unit.publish(mine[-1].replace(".", "/"), b"last", qos=1)
        await wait_for(lambda: len(seen) > len(mine), "the last arrives")
    assert sorted(seen[:-1]) == sorted(mine)


async def test_unit_is_granted_the_subscriptions_of_its_rights_and_no_other(city: City) -> None:
    rights = rights_of("unit", "north", "unit-7")
    patterns = [
        *every_topic(),
        "#", "+/#", "ems/#", "ems/north/#", "+/+/+/+", "ems/north/unit-7/#", "ems/north/unit-7/+",
        "ems/north/+/receipt_down", "er/north/first-hospital/#", "$MQTT/#", "$JS/#", "$SYS/#",
        "$JS/API/#", "_INBOX/#", "_INBOX_hub-north/#", "$share/group/ems/north/unit-8/position",
        "/ems/north/unit-7/receipt_down", "ems/north/unit-7/receipt_down/#",
    ]  # fmt: skip
    granted = []
    async with city.raw_mqtt("unit-7") as unit:
        for pattern in patterns:
            for qos in (0, 1):
                codes = await unit.subscribe(pattern, qos=qos)
                if any(getattr(code, "value", code) < 128 for code in codes):
                    granted.append(pattern)

    assert sorted(set(granted)) == sorted(t for t in every_topic() if rights.may_subscribe(t))


async def test_unit_does_not_hear_what_is_for_another(city: City) -> None:
    async with city.nats("hub-north") as hub, city.raw_mqtt("unit-7") as unit:
        heard: list[str] = []
        for pattern in ("#", "ems/north/unit-8/receipt_down", "ems/north/unit-7/receipt_down"):
            await unit.subscribe(pattern)
        await hub.publish("ems/north/unit-8/receipt_down", b"for 8")
        await hub.publish("er/north/first-hospital/receipt_down", b"for the hospital")
        await hub.publish("ems/north/unit-7/receipt_down", b"for 7")
        async with asyncio.timeout(BOUND_S):
            async for message in unit.messages:
                heard.append(str(message.topic))
                break

    assert heard == ["ems/north/unit-7/receipt_down"]


async def test_unit_s_will_and_retained_message_obey_its_rights(
    city: City, wait_for: WaitFor
) -> None:
    async with city.everything_seen() as seen:
        for number, topic in enumerate(("ems/north/unit-8/vitals", "ems/north/unit-7/vitals")):
            will = aiomqtt.Will(topic, b"will", qos=1)
            with contextlib.suppress(aiomqtt.MqttError):
                async with city.raw_mqtt("unit-7", will=will) as unit:
                    await unit.publish("ems/north/unit-8/position", b"x", qos=1, retain=True)
                    dead = unit._client.socket()
                    assert isinstance(dead, socket.socket)
                    dead.shutdown(socket.SHUT_RDWR)  # no DISCONNECT: the broker sends the will
                    async for _ in unit.messages:
                        pass
            if number:
                await wait_for(lambda: seen, "the will that is allowed")
        assert seen == ["ems.north.unit-7.vitals"]


async def test_hospital_publishes_to_every_topic_and_only_its_own_arrive(
    city: City, wait_for: WaitFor
) -> None:
    rights = rights_of("hospital", "north", "first-hospital")
    mine = [subject(topic) for topic in every_topic() if rights.may_publish(topic)]
    errors: list[str] = []
    async with city.everything_seen() as seen, city.raw_nats("first-hospital", errors) as hospital:
        for topic in every_topic():
            await hospital.publish(subject(topic), b"data")
        await settle(hospital)

        await wait_for(lambda: len(seen) >= len(mine), "what is allowed arrives")
        await hospital.publish(mine[-1], b"last")
        await wait_for(lambda: len(seen) > len(mine), "the last arrives")
    assert sorted(seen[:-1]) == sorted(mine)
    assert len(errors) == len(every_topic()) - len(mine)


async def test_hospital_is_granted_the_subscriptions_of_its_rights_and_no_other(
    city: City,
) -> None:
    rights = rights_of("hospital", "north", "first-hospital")
    others = [">", "*.>", "er.>", "er.north.>", "er.north.*.receipt_down", "$JS.>", "$SYS.>",
              "$JS.EVENT.>", "$MQTT.>", "_INBOX.>", "_INBOX_hub-north.>",
              "_INBOX_second-hospital.>",
              "er.north.first-hospital.>", "er.north.first-hospital.*"]  # fmt: skip
    subjects = [*(subject(topic) for topic in every_topic()), *others]
    errors: list[str] = []
    async with city.raw_nats("first-hospital", errors) as hospital:
        for wanted in subjects:
            await hospital.subscribe(wanted)
        await settle(hospital)

    refused = {error.split('"')[1] for error in errors}
    granted = [wanted for wanted in subjects if wanted.lower() not in refused]
    assert granted == [subject(t) for t in every_topic() if rights.may_subscribe(t)]


async def test_hospital_cannot_reach_jetstream_beyond_its_own_consumer(city: City) -> None:
    stream = stream_name("to_hospitals", "north")
    errors: list[str] = []
    async with city.nats("hub-north") as hub:
        await hub.ensure_streams("north")
        for name in ("first-hospital", "second-hospital"):
            await hub.ensure_hospital_consumer("north", name)
        await hub.publish_stored("er/north/second-hospital/case_fact", b"not for the first")
        calls = [
            "INFO", "STREAM.NAMES", "STREAM.LIST", f"STREAM.INFO.{stream}", "STREAM.CREATE.mine",
            f"STREAM.DELETE.{stream}", f"STREAM.PURGE.{stream}", f"STREAM.UPDATE.{stream}",
            f"STREAM.MSG.GET.{stream}", f"STREAM.MSG.DELETE.{stream}", f"DIRECT.GET.{stream}",
            f"DIRECT.GET.{stream}.er.north.second-hospital.case_fact",
            f"CONSUMER.LIST.{stream}", f"CONSUMER.NAMES.{stream}", f"CONSUMER.CREATE.{stream}",
            f"CONSUMER.CREATE.{stream}.mine", f"CONSUMER.DURABLE.CREATE.{stream}.first-hospital",
            f"CONSUMER.CREATE.{stream}.first-hospital.er.north.second-hospital.case_fact",
            f"CONSUMER.INFO.{stream}.second-hospital", f"CONSUMER.DELETE.{stream}.second-hospital",
            f"CONSUMER.MSG.NEXT.{stream}.second-hospital",
            "CONSUMER.MSG.NEXT.from_units-north.first-hospital",
        ]  # fmt: skip
        async with city.raw_nats("first-hospital", errors) as hospital:
            for call in calls:
                inbox = await hospital.subscribe(hospital.new_inbox())
                request = json.dumps({"batch": 1, "expires": 10**9}).encode()
                await hospital.publish(f"$JS.API.{call}", request, reply=inbox.subject)
                await settle(hospital)
                assert inbox.pending_msgs == 0, call
            await hospital.publish(f"$JS.ACK.{stream}.second-hospital.1.1.1.1.0", b"+ACK")
            await settle(hospital)
        assert len(errors) == len(calls) + 1
        async with city.nats("second-hospital") as second:
            batch = await city.first_batch(second, stream, "second-hospital")
    assert [stored.data for stored in batch] == [b"not for the first"]


async def test_hospital_that_pulls_another_s_consumer_gets_credential_error(city: City) -> None:
    stream = stream_name("to_hospitals", "north")
    async with city.nats("hub-north") as hub, city.nats("first-hospital") as first:
        await hub.ensure_streams("north")
        await hub.ensure_hospital_consumer("north", "second-hospital")

        with pytest.raises(CredentialError, match="second-hospital"):
            await city.first_batch(first, stream, "second-hospital")
        with pytest.raises(CredentialError):
            await first.publish_stored("er/north/second-hospital/acknowledged", b"forged")


async def test_fact_that_a_hospital_redirects_to_another_is_not_taken(
    city: City, wait_for: WaitFor
) -> None:
    def misdirected() -> float:
        labels = {"reason": "_MisdirectedError"}
        return REGISTRY.get_sample_value("forerun_nats_errors_total", labels) or 0.0

    before = misdirected()
    async with (
        city.nats("hub-north") as hub,
        city.nats("second-hospital") as second,
        city.raw_nats("first-hospital", []) as first,
        second.subscribe("er/north/second-hospital/receipt_down") as messages,
    ):
        await hub.ensure_streams("north")
        await hub.ensure_hospital_consumer("north", "first-hospital")
        await hub.publish_stored("er/north/first-hospital/case_fact", b"mine")
        await first.publish(
            "$JS.API.CONSUMER.MSG.NEXT.to_hospitals-north.first-hospital",
            b'{"batch": 1}',
            reply="er.north.second-hospital.receipt_down",
        )
        await wait_for(lambda: misdirected() == before + 1, "the message is seen and refused")
        await hub.publish("er/north/second-hospital/receipt_down", b"right")

        assert (await anext(messages)).data == b"right"


async def test_regions_do_not_see_each_other(city: City) -> None:
    errors: list[str] = []
    async with city.nats("hub-north") as north, city.raw_nats("hub-south", errors) as south:
        await north.ensure_streams("north")
        await north.publish_stored("er/north/first-hospital/case_fact", b"north's")
        js = south.jetstream(timeout=2)

        assert await js.streams_info() == []
        with pytest.raises(nats.js.errors.NotFoundError):
            await js.stream_info(stream_name("to_hospitals", "north"))
        await south.subscribe("er.north.>")
        await south.publish("ems.north.unit-7.receipt_down", b"forged")
        await settle(south)
    assert len(errors) == 2


async def test_drill_data_goes_to_the_drill_stream_and_nowhere_else(city: City) -> None:
    city.add("unit-d", "unit", drill=True)
    await city.broker.reload()
    async with city.nats("hub-north") as hub, city.mqtt("unit-d") as unit:
        await hub.ensure_streams("north")
        live, drill = (stream_name("from_units", "north", drill=d) for d in (False, True))
        await hub.ensure_consumer(drill, "hub")
        await unit.publish("ems/north/unit-d/vitals", b"as if live")
        await unit.publish("drill-ems/north/unit-d/vitals", b"drill")

        batch = await city.first_batch(hub, drill, "hub")
        info = await hub.jetstream().stream_info(live)
    assert [stored.topic for stored in batch] == ["drill-ems/north/unit-d/vitals"]
    assert info.state.messages == 0


async def test_unit_by_nats_and_hospital_by_mqtt_are_refused(city: City) -> None:
    where = city.endpoints
    unit, hospital = city.credentials["unit-7"], city.credentials["first-hospital"]
    async with NatsTransport(where.nats_url, unit, city.tls) as transport:
        with pytest.raises(CredentialError):
            await transport.wait_connected(BOUND_S)
    async with MqttTransport(where.host, where.mqtt_port, hospital, city.tls) as mqtt:
        with pytest.raises(CredentialError):
            await mqtt.wait_connected(BOUND_S)
