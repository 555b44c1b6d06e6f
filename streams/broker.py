"""The broker: nats-server as a child process, its configuration, its health, its end.

    async with Broker(settings, state) as broker:
        broker.endpoints.mqtt_port, broker.endpoints.nats_url, ...

The server's rights come from the roster and the table of topics. A new or revoked credential
takes effect within about a second, without a restart. The server dies with this process, even
when this is killed (Linux; elsewhere an orphan is left to the operator).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import time
from pathlib import Path
from types import TracebackType
from typing import Self, get_args

import aiohttp
import msgspec
import structlog
from aiohttp import web

from streams import health, service
from streams.authority import SERVER_RENEWAL, SERVER_VALIDITY, Authority, Pair
from streams.broker_config import BrokerSettings, Ports, Standing, find_server, render
from streams.broker_endpoints import (
    Endpoints,
    chosen_ports,
    credentials_directory,
    kept_server_name,
    read_ready,
    ready_path,
)
from streams.broker_leaves import changed_pairs, given
from streams.broker_log import ServerLog
from streams.broker_neighbours import read_remotes
from streams.child_process import tied
from streams.config import example, load
from streams.credentials import Role, Roster, credential_path, issue, revoke
from streams.errors import ConfigError, ForerunError, TransportError
from streams.identity import check_name
from streams.page_server import certificate_name
from streams.private_files import held_alone, make_private_directory, write_private

START_S = 20.0
"""Longest start: JetStream reads its files first."""

STOP_S = 10.0
"""After SIGTERM; then SIGKILL."""

WATCH_S = 1.0
"""How often the roster is looked at."""

CERTIFICATE_S = 3600.0
"""How often the certificate's age is looked at."""

_BIND_ATTEMPTS = 5

__all__ = [
    "Broker",
    "BrokerSettings",
    "Endpoints",
    "Ports",
    "command",
    "credentials_directory",
    "read_ready",
    "ready_path",
]

log = structlog.get_logger(__name__)


class Broker:
    """A running broker; use it with ``async with``.

    Attributes:
        reloads: How often it took over another roster or certificate.
        not_taken: Why what the roster says now does not hold yet; None when it holds.
    """

    def __init__(self, settings: BrokerSettings, state: Path) -> None:
        """Prepare it.

        Args:
            settings: The settings.
            state: Directory of everything that lasts; made if it is not there.
        """
        self._settings = settings
        self._state = state.resolve()
        self._config = self._state / "nats.json"
        self._roster = Roster(credentials_directory(self._state))
        self._authority = Authority(self._state / "authority")
        self._log = ServerLog()
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._watching: asyncio.Task[None] | None = None
        self._stopping = False
        self._reloading = asyncio.Lock()
        self._resources = contextlib.ExitStack()
        self._ports = settings.ports
        self._taken: tuple[bytes, int] | None = None  # what the server said it runs on
        self._standing = Standing()
        self._given: frozenset[tuple[str, str, str]] = frozenset()  # to neighbours, likewise
        self.reloads = 0
        self.not_taken: str | None = None

    @property
    def endpoints(self) -> Endpoints:
        """Where it is reached.

        Raises:
            TransportError: It does not run.
        """
        if self._process is None:
            raise TransportError("the broker does not run")
        own = bool(self._settings.certificate)
        return Endpoints(
            host=service.reachable_host(self._settings.listen, self._settings.addresses),
            mqtt_port=self._ports.mqtt,
            websocket_port=self._ports.websocket,
            nats_port=self._ports.nats,
            monitor_port=self._ports.monitor,
            health_port=self._ports.health,
            ca_path=None if own else str(self._authority.ca_path),
            credentials=str(credentials_directory(self._state)),
            pid=self._process.pid,
            leaf_port=self._ports.leaf,
        )

    async def __aenter__(self) -> Self:
        """Start the server and wait until it serves.

        Raises:
            ConfigError: A setting, the server's version, a port or the state is unusable.
        """
        for directory in (self._state, credentials_directory(self._state)):
            make_private_directory(directory)
        self._resources.enter_context(held_alone(self._state, "broker"))
        try:
            self._standing = Standing(
                server_name=kept_server_name(self._state),
                remotes=read_remotes(self._settings.neighbours),
            )
            await self.start()
        except BaseException:
            self._resources.close()
            raise
        self._watching = asyncio.create_task(self._watch(), name="broker.watch")
        self._tasks.append(self._watching)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server."""
        try:
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            await self.stop()
            self._resources.close()

    async def start(self) -> None:
        """Start the server; called by ``async with``, and by tests after ``stop``.

        Raises:
            ConfigError: See ``__aenter__``.
        """
        server = await asyncio.to_thread(find_server, self._settings.server)
        for attempt in range(_BIND_ATTEMPTS):
            ports = chosen_ports(self._ports, self._settings.listen)
            wanted = self._config_now(ports)
            write_private(self._config, wanted[0])
            try:
                await self._start_child(server, ports)
            except _PortTakenError:
                # A port that the system chose can be taken by another before the server has
                # it; one that the settings name is the operator's to solve.
                if attempt == _BIND_ATTEMPTS - 1 or ports == self._ports:
                    raise
                continue
            self._ports, self._taken = ports, wanted
            self._given = given(self._roster.entries())
            break
        write_private(ready_path(self._state), msgspec.json.encode(self.endpoints))
        log.info("broker runs", **msgspec.structs.asdict(self.endpoints))

    async def _start_child(self, server: Path, ports: Ports) -> None:
        self._stopping = False
        self._log = ServerLog()
        process = await asyncio.create_subprocess_exec(
            *tied([server, "-c", self._config]),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C at a terminal is for us; we then stop the server
        )
        assert process.stderr is not None
        self._process = process
        following = self._log.follow(process.stderr)
        self._tasks.append(asyncio.create_task(following, name="broker.log"))
        try:
            await self._wait_ready(process, ports)
        except BaseException:
            await self.stop()
            raise

    async def _wait_ready(self, process: asyncio.subprocess.Process, ports: Ports) -> None:
        url = f"http://127.0.0.1:{ports.monitor}/healthz"
        deadline_s = time.monotonic() + START_S
        limit = aiohttp.ClientTimeout(total=2)
        async with aiohttp.ClientSession(timeout=limit) as session:
            while process.returncode is None and time.monotonic() < deadline_s:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(url) as answer:
                        # Of this very server: another one may have had the port first.
                        if answer.status == 200 and any("ready" in line for line in self._log.last):
                            return
                await asyncio.sleep(0.05)
        words = "; ".join(list(self._log.last)[-3:])
        if "address already in use" in words:
            raise _PortTakenError(f"nats-server: {words}")
        raise ConfigError(f"nats-server did not start within {START_S:g} s: {words}")

    def _config_now(self, ports: Ports) -> tuple[bytes, int]:
        """Return what the server is to run on: its configuration, the certificate's age."""
        store = self._state / "jetstream"
        make_private_directory(store)
        tls, entries = self._certificate(), self._roster.entries()
        text = render(self._settings, ports, tls, store, entries, standing=self._standing)
        try:
            return text.encode(), tls.certificate.stat().st_mtime_ns
        except OSError as error:
            raise ConfigError(f"certificate {tls.certificate}: {error.strerror}") from error

    def _certificate(self) -> Pair:
        settings = self._settings
        if bool(settings.certificate) != bool(settings.key):
            raise ConfigError("`certificate` and `key` go together: name both or none")
        if settings.certificate:
            return Pair(Path(settings.certificate).resolve(), Path(settings.key).resolve())
        self._authority.ensure()
        addresses = [*settings.addresses, settings.listen]
        return self._authority.server_certificate("broker", addresses)

    async def stop(self) -> None:
        """Stop the server: SIGTERM, after ``STOP_S`` SIGKILL. Without one, nothing happens."""
        process, self._stopping = self._process, True
        if process is None:
            return
        ready_path(self._state).unlink(missing_ok=True)
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            log.error("server killed", after_s=STOP_S)  # noqa: TRY400 - no trace is of use here
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        self._process = None

    async def restart(self) -> None:
        """Stop and start again on the same ports."""
        await self.stop()
        await self.start()

    async def wait(self) -> None:
        """Wait for ever; raise when the server ends by itself. Run it as a task of a group.

        Raises:
            TransportError: The server ended, or the watching of the roster failed.
        """
        while True:
            process, watch = self._process, self._watching
            if process is not None and process.returncode is not None and not self._stopping:
                words = "; ".join(list(self._log.last)[-3:])
                raise TransportError(f"nats-server ended with {process.returncode}: {words}")
            if watch is not None and watch.done() and not watch.cancelled():
                raise TransportError("the roster is no longer watched") from watch.exception()
            await asyncio.sleep(0.2)

    def running(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and self._process.returncode is None

    async def reload(self) -> bool:
        """Take over the roster and the certificate as they are now; return whether they changed.

        Who was revoked is disconnected by the server.

        Raises:
            ConfigError: The server refuses the new configuration.
            TransportError: It does not run or does not answer.
        """
        async with self._reloading:
            wanted = self._config_now(self._ports)
            if wanted == self._taken:
                return False
            write_private(self._config, wanted[0])
            if self._process is None or self._process.returncode is not None:
                raise TransportError("the broker does not run")
            self._log.forget_reloads()
            self._process.send_signal(signal.SIGHUP)
            try:
                async with asyncio.timeout(10):
                    wrong = await self._log.reloaded()
            except TimeoutError:
                raise TransportError("nats-server does not answer a reload") from None
            if wrong is not None:
                raise ConfigError(f"nats-server: {wrong}")
            await self._end_leaves()
            # Only now: a reload that failed is tried again, though its file stands there.
            self._taken = wanted
            self.reloads += 1
            log.info("broker reloaded", credentials=len(self._roster.entries()))
            return True

    async def _end_leaves(self) -> None:
        """End the connections of neighbours whose credential is gone or another one."""
        now = given(self._roster.entries())
        if changed := changed_pairs(self._given, now):
            where = self.endpoints
            listen = self._settings.listen
            host = "127.0.0.1" if service.is_everywhere(listen) else listen
            url = f"tls://[{host}]" if ":" in host else f"tls://{host}"
            await self._standing.door.end(
                changed, f"{url}:{where.nats_port}", where.monitor_url, self._certificate()
            )
        self._given = now

    async def _watch(self) -> None:
        seen, looked_s = self._roster.entries(), time.monotonic()
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                entries = self._roster.entries()
                due = time.monotonic() - looked_s > CERTIFICATE_S
                if (entries is not seen or due) and self.running():
                    await self.reload()
                    seen, self.not_taken = entries, None
                    looked_s = time.monotonic() if due else looked_s
            except ForerunError as error:
                # Such as a damaged roster: what holds now goes on until it is mended.
                self.not_taken = str(error)
                log.error("roster not taken over", error=str(error))  # noqa: TRY400 - see text


class _PortTakenError(ConfigError):
    """A port is in use."""


def command(arguments: list[str]) -> int:
    """Run ``forerun broker``; return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.example:
        print(example("streams", "broker.toml"), end="")  # noqa: T201 - the answer to the command
        return 0
    settings = load(Path(options.config), BrokerSettings) if options.config else BrokerSettings()
    state = Path(options.state or settings.state)
    directory = credentials_directory(state)
    if options.what == "issue":
        if options.drill:
            raise ConfigError(
                "--drill: exercises do not work yet, the hub reads none of their data; for now "
                "rehearse with a broker, a hub and credentials of their own (see --state)"
            )
        issue(directory, options.name, options.role, options.region, place=options.at)
        print(credential_path(directory, options.name))  # noqa: T201 - the answer to the command
        return 0
    if options.what == "certify":
        pair = _certify(state, options.name, options.addresses)
        print(pair.certificate, pair.key, sep="\n")  # noqa: T201 - the answer to the command
        return 0
    if options.what == "revoke":
        revoke(directory, options.name)
        print(  # noqa: T201 - the answer to the command
            f"{options.name} is revoked: a broker that runs on {state} disconnects it within "
            f"{2 * WATCH_S:g} s, and services that read its roster refuse the next request."
        )
        return 0
    service.set_up_logs("broker", level=options.log_level)
    return service.run(lambda: _serve(settings, state))


def _certify(state: Path, name: str, addresses: list[str]) -> Pair:
    """Make or renew the certificate of a service's pages; the authority too if there is none."""
    check_name(name)
    authority = Authority(state / "authority")
    authority.ensure()
    return authority.server_certificate(certificate_name(name), addresses)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="forerun broker", description="Run the broker.")
    parser.add_argument("--config", metavar="FILE", help="settings (default: as in the example)")
    parser.add_argument(
        "--example", action="store_true", help="print a commented settings file and end"
    )
    parser.add_argument("--state", help="directory of everything that lasts")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning"])
    actions = parser.add_subparsers(dest="what", metavar="issue | revoke | certify")
    issuing = actions.add_parser(
        "issue",
        help="make a credential and print where it lies",
        description=(
            "Make a credential and print where it lies. A seat is a place at the pages of one "
            "service: `issue desk --role seat --region demo --at hub` opens the console of `hub` "
            "and nothing else. Give each person, or each screen, a seat: the audit log names it."
        ),
    )
    issuing.add_argument("name", help="one name, one credential: a-z, 0-9, - and _")
    issuing.add_argument("--role", required=True, choices=get_args(Role))
    issuing.add_argument("--region", required=True)
    issuing.add_argument(
        "--at",
        default="",
        metavar="NAME",
        help="of a seat, an exchange or a partner: the hub, hospital or unit that lets it in; of "
        "a district: the neighbour's region",
    )
    issuing.add_argument("--drill", action="store_true", help="refused: exercises do not work yet")
    revoking = actions.add_parser("revoke", help="take a credential away")
    revoking.add_argument("name")
    certifying = actions.add_parser(
        "certify",
        help="make a certificate for a service's pages on another machine, print its two files",
        description=(
            "Make or renew the certificate with which a hub, hospital or unit on another machine "
            "serves its pages, and print its two files: copy them there and name them in [tls]. "
            f"It holds for {SERVER_VALIDITY.days} days and is renewed in its last "
            f"{SERVER_RENEWAL.days}. On this machine services get theirs without it."
        ),
    )
    certifying.add_argument("name", help="of the hub, hospital or unit")
    certifying.add_argument("addresses", nargs="+", metavar="ADDRESS", help="host name or IP")
    return parser


async def _serve(settings: BrokerSettings, state: Path) -> None:
    async with Broker(settings, state) as broker:

        def checks() -> dict[str, health.Check]:
            up, wrong = broker.running(), broker.not_taken
            return {
                "server": {"ok": up, "text": "runs" if up else "ended"},
                "roster": {"ok": wrong is None, "text": wrong or "taken over"},
            }

        app = web.Application()
        health.add_routes(app, checks)
        async with service.listening(app, "127.0.0.1", broker.endpoints.health_port, None) as port:
            log.info("health", url=f"http://127.0.0.1:{port}/healthz")
            await broker.wait()
