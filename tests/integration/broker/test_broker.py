"""The broker as a process: its settings, its health, its end."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import psutil
import pytest
from cryptography import x509

from streams import cli
from streams.authority import Authority, Pair, client_context, server_context
from streams.broker import (
    Broker,
    BrokerSettings,
    Ports,
    credentials_directory,
    read_ready,
    ready_path,
)
from streams.credentials import issue
from streams.errors import ConfigError
from streams.transport.mqtt import MqttTransport
from tests.conftest import has_ended

if TYPE_CHECKING:
    from tests.integration.broker.conftest import City

WaitFor = Callable[..., Awaitable[None]]

BOUND_S = 15.0
SETTINGS = BrokerSettings(ports=Ports(0, 0, 0, 0, 0, 0))


async def test_second_broker_on_the_same_state_is_refused(city: City) -> None:
    with pytest.raises(ConfigError, match="another broker"):
        async with Broker(SETTINGS, city.state):
            pass
    assert city.broker.running()


async def test_port_that_is_taken_is_named(city: City, tmp_path: Path) -> None:
    ports = Ports(city.endpoints.mqtt_port, 0, 0, 0, 0, 0)
    with pytest.raises(ConfigError, match="in use"):
        async with Broker(BrokerSettings(ports=ports), tmp_path / "other"):
            pass


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'nats-server: v2.9.10'", r"2\.14\.3"),
        ("exit 3", "does not run"),
        (None, "does not run"),
    ],
)
async def test_server_that_is_old_or_none_is_refused(
    tmp_path: Path, script: str | None, words: str
) -> None:
    server = tmp_path / "nats-server"
    if script is not None:
        server.write_text(f"#!/bin/sh\n{script}\n")
        server.chmod(0o755)
    with pytest.raises(ConfigError, match=words):
        async with Broker(BrokerSettings(server=str(server), ports=SETTINGS.ports), tmp_path):
            pass


async def test_operator_s_own_certificate_is_served(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "own")
    authority.ensure()
    own = authority.server_certificate("mine", [])
    settings = BrokerSettings(
        certificate=str(own.certificate), key=str(own.key), ports=SETTINGS.ports
    )
    unit = issue(credentials_directory(tmp_path / "state"), "unit-7", "unit", "north")
    async with Broker(settings, tmp_path / "state") as broker:
        where = broker.endpoints
        tls = client_context(tmp_path / "own" / "ca.pem")
        assert where.ca_path is None
        async with MqttTransport(where.host, where.mqtt_port, unit, tls) as transport:
            await transport.wait_connected(BOUND_S)


def start_command(state: Path) -> subprocess.Popen[bytes]:
    config = state / "broker.toml"
    config.write_text(
        "[ports]\nmqtt = 0\nwebsocket = 0\nnats = 0\nmonitor = 0\nhealth = 0\nleaf = 0\n"
    )
    program = "import sys; from streams.broker import command; sys.exit(command(sys.argv[1:]))"
    arguments = ["--config", str(config), "--state", str(state)]
    return subprocess.Popen([sys.executable, "-c", program, *arguments], stderr=subprocess.DEVNULL)


async def test_command_serves_health_and_metrics_and_ends_in_order(
    tmp_path: Path, wait_for: WaitFor
) -> None:
    process = start_command(tmp_path)
    try:
        await wait_for(lambda: ready_path(tmp_path).exists(), "ready.json", 30)
        where = read_ready(tmp_path)

        async def get(page: str) -> tuple[int, str]:
            async with aiohttp.ClientSession() as session:
                url = f"http://127.0.0.1:{where.health_port}{page}"
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    async with session.get(url) as answer:
                        return answer.status, await answer.text()
            return 0, ""

        async def healthy() -> bool:
            return (await get("/healthz"))[0] == 200

        await wait_for(healthy, "/healthz")
        assert "forerun_broker_refused_total" in (await get("/metrics"))[1]
        process.terminate()
        assert await asyncio.to_thread(process.wait, 30) == 0
    finally:
        process.kill()
        process.wait()
    assert not psutil.pid_exists(where.pid)
    assert not ready_path(tmp_path).exists()
    with pytest.raises(ConfigError, match="no broker runs"):
        read_ready(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
async def test_server_dies_with_a_parent_that_is_killed(tmp_path: Path, wait_for: WaitFor) -> None:
    process = start_command(tmp_path)
    try:
        await wait_for(lambda: ready_path(tmp_path).exists(), "ready.json", 30)
        ready = read_ready(tmp_path)
        server = psutil.Process(ready.pid)
        assert any(str(tmp_path) in word for word in server.cmdline())
    finally:
        process.kill()
        process.wait()

    await wait_for(lambda: has_ended(server), "the server ends")
    # Not "nobody listens at its port": another test's server may have been given that meanwhile.
    named = [one.info["cmdline"] or [] for one in psutil.process_iter(["cmdline"])]
    assert not [one for one in named if any(str(tmp_path) in word for word in one)]


def test_command_issues_and_revokes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from streams.broker import command

    state = ["--state", str(tmp_path)]
    assert command([*state, "issue", "unit-7", "--role", "unit", "--region", "north"]) == 0
    file = Path(capsys.readouterr().out.strip())
    assert file.exists()
    assert command([*state, "revoke", "unit-7"]) == 0
    assert not file.exists()
    told = capsys.readouterr().out
    assert told.startswith("unit-7 is revoked: ")
    assert f"{tmp_path} disconnects it within 2 s" in told


@pytest.mark.parametrize("state", ["", "no-such-folder"])
def test_command_revoke_of_an_unknown_name_is_refused_and_makes_nothing(
    state: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / state
    assert cli.main(["broker", "--state", str(folder), "revoke", "unit-9"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"forerun broker: there is no credential 'unit-9' in {folder}/credentials\n"
    assert not any(tmp_path.iterdir())


def test_credential_for_exercises_is_refused_and_nothing_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--state", str(tmp_path / "broker"), "issue", "unit-7", "--role", "unit"]
    assert cli.main(["broker", *arguments, "--region", "north", "--drill"]) == 1
    assert "exercises do not work yet" in capsys.readouterr().err
    assert not (tmp_path / "broker").exists()


async def test_command_certifies_pages_of_another_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "broker"
    arguments = ["broker", "--state", str(state), "certify", "first-hospital", "er.example"]
    assert cli.main(arguments) == 0
    certificate, key = map(Path, capsys.readouterr().out.split())
    names = x509.load_pem_x509_certificate(certificate.read_bytes()).extensions
    assert "er.example" in str(names.get_extension_for_class(x509.SubjectAlternativeName).value)
    server_context(Pair(certificate, key))
    ca = (state / "authority" / "ca.pem").read_bytes()
    async with Broker(SETTINGS, state) as broker:
        assert broker.endpoints.ca_path == str(state / "authority" / "ca.pem")
    assert (state / "authority" / "ca.pem").read_bytes() == ca
    for wrong in ("ca/../x", "CA"):
        assert cli.main([*arguments[:4], wrong, "er.example"]) == 1


async def test_broker_whose_authority_lost_its_key_does_not_start(tmp_path: Path) -> None:
    authority = tmp_path / "authority"
    ca = Authority(authority).ensure().read_bytes()
    (authority / "ca.key").unlink()
    with pytest.raises(ConfigError, match="without its key"):
        async with Broker(SETTINGS, tmp_path):
            pass
    assert (authority / "ca.pem").read_bytes() == ca
