"""Credentials at the real broker, and what it does with garbage."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import aiomqtt
import msgspec
import nats
import nats.errors
import nats.js.errors
import psutil
import pytest
from prometheus_client import REGISTRY

from streams.authority import Authority, client_context
from streams.broker import (
    Broker,
    BrokerSettings,
    Ports,
    credentials_directory,
)
from streams.credentials import Credential, issue, revoke
from streams.errors import ConfigError, CredentialError
from streams.transport.mqtt import MqttTransport
from streams.transport.nats import NatsTransport

if TYPE_CHECKING:
    from tests.integration.broker.conftest import City

WaitFor = Callable[..., Awaitable[None]]

BOUND_S = 15.0
SETTINGS = BrokerSettings(ports=Ports(0, 0, 0, 0, 0, 0))


async def test_wrong_password_and_no_password_are_refused_and_counted(
    city: City, wait_for: WaitFor
) -> None:
    def count() -> float:
        labels = {"reason": "authentication"}
        return REGISTRY.get_sample_value("forerun_broker_refused_total", labels) or 0.0

    before = count()
    for options in ({"password": "guess"}, {"username": None, "password": None}):
        with pytest.raises(aiomqtt.MqttError):
            async with city.raw_mqtt("unit-7", **options):
                pass
    wrong = msgspec.structs.replace(city.credentials["first-hospital"], secret="guess")
    async with NatsTransport(city.endpoints.nats_url, wrong, city.tls) as transport:
        with pytest.raises(CredentialError):
            await transport.wait_connected(BOUND_S)
    await wait_for(lambda: count() >= before + 3, "three refusals are counted")


async def test_seat_s_credential_does_not_open_the_broker(city: City) -> None:
    city.add("anna", "seat")
    await city.broker.reload()
    with pytest.raises(CredentialError):
        async with city.mqtt("anna"):
            pass


async def test_forbidden_publish_is_counted_though_the_client_sees_success(
    city: City, wait_for: WaitFor
) -> None:
    def count() -> float:
        labels = {"reason": "publish"}
        return REGISTRY.get_sample_value("forerun_broker_refused_total", labels) or 0.0

    before = count()
    async with city.mqtt("unit-7") as unit:
        await unit.publish("ems/north/unit-8/vitals", b"forged")
        await wait_for(lambda: count() == before + 1, "the refusal is counted")
        await unit.publish("ems/north/unit-7/vitals", b"its own")
    assert count() == before + 1, "what it may do is no refusal"


async def test_revoked_credential_is_thrown_out_and_stays_out(city: City) -> None:
    async with (
        city.mqtt("unit-7") as revoked,
        city.nats("first-hospital") as hospital,
        city.mqtt("unit-8") as other,
    ):
        for name in ("unit-7", "first-hospital"):
            revoke(credentials_directory(city.state), name)
        # The broker looks at the roster by itself, every second.
        await revoked.wait_disconnected(BOUND_S)
        await hospital.wait_disconnected(BOUND_S)

        for transport in (revoked, hospital):
            with pytest.raises(CredentialError):
                await transport.wait_connected(BOUND_S)
        assert (other.connected, other.connections) == (True, 1)


async def test_reload_that_the_server_refused_is_tried_again(
    tmp_path: Path, wait_for: WaitFor
) -> None:
    directory, own = credentials_directory(tmp_path), Authority(tmp_path / "own")
    own.ensure()
    pair = own.server_certificate("mine", [])
    whole = pair.certificate.read_bytes()
    unit = issue(directory, "unit-7", "unit", "north")
    settings = BrokerSettings(
        certificate=str(pair.certificate), key=str(pair.key), ports=SETTINGS.ports
    )
    async with Broker(settings, tmp_path) as broker:
        where, tls = broker.endpoints, client_context(own.ca_path)
        async with MqttTransport(where.host, where.mqtt_port, unit, tls) as transport:
            await transport.wait_connected(BOUND_S)
            pair.certificate.write_bytes(b"half a file")
            revoke(directory, "unit-7")
            with pytest.raises(ConfigError):
                await broker.reload()
            assert transport.connected
            await wait_for(lambda: broker.not_taken, "the refusal is told")
            pair.certificate.write_bytes(whole)
            await transport.wait_disconnected(BOUND_S)
            await wait_for(lambda: broker.not_taken is None, "it holds")


async def test_new_credential_is_taken_without_a_restart(city: City) -> None:
    async with city.mqtt("unit-7") as before:
        pid = city.endpoints.pid
        await city.add_and_wait("unit-99")

        assert city.endpoints.pid == pid
        assert (before.connected, before.connections) == (True, 1)


async def test_reload_without_a_change_does_nothing(city: City) -> None:
    assert await city.broker.reload() is False


async def test_damaged_roster_leaves_what_holds_in_force(city: City) -> None:
    roster = credentials_directory(city.state) / "roster.toml"
    whole = roster.read_text()
    roster.write_text("[credentials.unit-7")
    with pytest.raises(ConfigError):
        await city.broker.reload()
    async with city.mqtt("unit-7"):
        pass
    roster.write_text(whole)
    await city.add_and_wait("unit-99")


async def test_broker_without_any_credential_lets_nobody_in(tmp_path: Path) -> None:
    async with Broker(SETTINGS, tmp_path) as broker:
        where = broker.endpoints
        nobody = Credential(name="unit-7", role="unit", region="north", secret="s")
        tls = client_context(Path(str(where.ca_path)))
        async with MqttTransport(where.host, where.mqtt_port, nobody, tls) as transport:
            with pytest.raises(CredentialError):
                await transport.wait_connected(BOUND_S)
        with pytest.raises(nats.errors.Error):
            await nats.connect(where.nats_url, tls=tls, allow_reconnect=False,
                               max_reconnect_attempts=1)  # fmt: skip


async def test_plain_text_is_not_spoken(city: City) -> None:
    connect = bytes.fromhex("100c00044d5154540402000a0000")  # MQTT 3.1.1, section 3.1
    reader, writer = await asyncio.open_connection("127.0.0.1", city.endpoints.mqtt_port)
    writer.write(connect)
    async with asyncio.timeout(BOUND_S):
        answer = await reader.read(64)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    assert not answer.startswith(b"\x20")  # no CONNACK; at most a TLS alert


async def test_garbage_topics_reach_nobody_and_cost_the_server_no_memory(
    city: City, wait_for: WaitFor
) -> None:
    server = psutil.Process(city.endpoints.pid)
    async with city.everything_seen() as seen, city.raw_mqtt("unit-7") as unit:
        for number in range(500):  # warm
            await unit.publish(f"garbage/{number}", b"x" * 100)
        before = server.memory_info().rss
        for number in range(5000):
            await unit.publish(f"garbage/{number}/{'x' * 200}", b"x" * 100)
        await unit.publish("ems/north/unit-7/vitals", b"last", qos=1)
        await wait_for(lambda: seen, "the last message arrives")

        assert seen == ["ems.north.unit-7.vitals"]
        assert server.memory_info().rss - before < 30 * 1024 * 1024
        assert (await city.varz())["subscriptions"] < 200


async def test_oversized_message_is_cut_off_and_others_go_on(city: City) -> None:
    async with city.mqtt("unit-8") as other, city.nats("hub-north") as hub:
        with pytest.raises(aiomqtt.MqttError):
            async with city.raw_mqtt("unit-7", timeout=2) as unit:
                await unit.publish("ems/north/unit-7/vitals", b"x" * 2_000_000, qos=1)
        async with hub.subscribe("ems/north/+/vitals") as messages:
            await other.publish("ems/north/unit-8/vitals", b"well")

            assert (await anext(messages)).data == b"well"
        assert other.connections == 1


async def test_bytes_that_are_no_mqtt_end_their_connection_only(city: City) -> None:
    async with city.mqtt("unit-8") as other:
        promise = b"\x10\xff\xff\xff\x7f"  # a CONNECT of 256 MiB
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 100, b"\xff" * 1000, promise):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", city.endpoints.mqtt_port, ssl=city.tls
            )
            writer.write(garbage)
            async with asyncio.timeout(BOUND_S):
                with contextlib.suppress(OSError):
                    await writer.drain()
                    if garbage != promise:  # which the server waits for
                        assert not (await reader.read(100)).startswith(b"\x20\x02\x00\x00")
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        assert (other.connected, other.connections) == (True, 1)
