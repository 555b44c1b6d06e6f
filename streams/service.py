"""What every service does around its own work: options, logs, signals, a socket, an end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog
from aiohttp import WSCloseCode, web

from streams.config import example
from streams.errors import ConfigError

INSIST_S = 6.0
"""How long a service may take to close before what is left is cancelled again."""

FAREWELL_S = 1.0
"""So long a page has to answer that the service ends."""

SOCKETS: web.AppKey[set[web.WebSocketResponse]] = web.AppKey("sockets", set)
"""The WebSockets of pages that are open."""


class Place(Protocol):
    """Where a service listens."""

    @property
    def host(self) -> str:
        """An address or name of this machine."""

    @property
    def port(self) -> int:
        """0 takes a free one."""


class Served(Protocol):
    """The settings of a service: its name, which stands in each line of its log, and its socket."""

    @property
    def name(self) -> str:
        """As in topics and credentials."""

    @property
    def listen(self) -> Place:
        """Where its pages are served."""


Settings = TypeVar("Settings", bound=Served)


def command(
    arguments: list[str],
    *,
    package: str,
    file: str,
    about: str | None,
    read: Callable[[Path], Settings],
    serve: Callable[[Settings], Coroutine[Any, Any, None]],
) -> int:
    """Do what ``forerun NAME`` is asked to: run the service, or print its example.

    Args:
        arguments: What stands behind ``forerun NAME``.
        package: Carries the commented example ``file``.
        file: ``NAME.toml``; also where the settings are looked for unless told otherwise.
        about: The service in a sentence, for ``--help``.
        read: Reads the settings.
        serve: Runs the service until it is cancelled.

    Returns:
        The exit status.

    Raises:
        ForerunError: It cannot start, or a part of it failed for good.
    """
    parser = argparse.ArgumentParser(prog=f"forerun {Path(file).stem}", description=about)
    add = parser.add_argument
    add("--config", type=Path, default=file, metavar="FILE", help=f"settings (default: {file})")
    add("--example", action="store_true", help="print a commented settings file and end")
    add("--log-level", choices=["debug", "info", "warning", "error"], default="info")
    options = parser.parse_args(arguments)
    if options.example:
        sys.stdout.write(example(package, file))
        return 0
    if not options.config.exists():
        raise ConfigError(
            f"{options.config}: there is no such file; `{parser.prog} --example > {file}` "
            "writes one to start from"
        )
    settings = read(options.config)
    check_free(settings.listen.host, settings.listen.port)
    set_up_logs(settings.name, level=options.log_level)
    return run(lambda: serve(settings))


def set_up_logs(service: str, *, level: str = "info") -> None:
    """Send structured logs to standard error: JSON lines, or readable ones on a terminal."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    terminal = sys.stderr.isatty()
    renderer: Any = (
        structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(service=service)
    # What libraries log goes the same way, so that every line is of one form.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING)


def run(service: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run a service until it ends, SIGINT or SIGTERM; return the exit status.

    The signals cancel the service, whose ``async with`` blocks then close what they opened. A
    task that is still there after ``INSIST_S`` is cancelled again: Python 3.11's ``wait_for``
    can swallow a cancellation that comes at the same moment as its result (python/cpython
    #86296), and libraries use it.
    """

    async def until_stopped() -> None:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()

        def insist() -> None:
            for one in asyncio.all_tasks(loop):
                one.cancel()
            loop.call_later(INSIST_S, insist)

        def stop() -> None:
            task.cancel()
            loop.call_later(INSIST_S, insist)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        await service()

    try:
        asyncio.run(until_stopped())
    except asyncio.CancelledError:
        return 0
    except BaseExceptionGroup as group:
        raise _first(group) from group
    return 0


def _first(error: BaseException) -> BaseException:
    """Return the error inside the groups that task groups wrap around it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def is_everywhere(host: str) -> bool:
    """Whether ``host`` stands for all addresses of a machine."""
    return host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


def reachable_host(host: str, addresses: Sequence[str]) -> str:
    """Return the name or address that others are told of one who listens on ``host``."""
    if not is_everywhere(host):
        return host
    return addresses[0] if addresses else "localhost"


def check_free(host: str, port: int) -> None:
    """Refuse a port before the service connects anywhere; free ones are taken by ``listening``.

    Raises:
        ConfigError: The port is taken or the address is not this machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except OSError as error:
        raise _cannot_listen(host, port, error) from error


def _cannot_listen(host: str, port: int, error: OSError) -> ConfigError:
    return ConfigError(
        f"cannot listen on {host}:{port} ({error.strerror}); choose another [listen] host or port"
    )


@contextlib.asynccontextmanager
async def listening(
    app: web.Application, host: str, port: int, tls: ssl.SSLContext | None
) -> AsyncIterator[int]:
    """Serve ``app`` while the block runs; give the port, which matters when ``port`` is 0.

    Raises:
        ConfigError: The port is taken or the address is not this machine's.
    """
    app[SOCKETS] = set()
    app.on_shutdown.append(_close_sockets)
    runner = web.AppRunner(app, shutdown_timeout=2, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=tls)
        try:
            await site.start()
        except OSError as error:
            raise _cannot_listen(host, port, error) from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def _close_sockets(app: web.Application) -> None:
    """Say goodbye to pages: else the server waits for each of them until its patience ends."""
    farewells = {
        asyncio.create_task(one.close(code=WSCloseCode.GOING_AWAY), name="socket.close")
        for one in app[SOCKETS]
    }
    if not farewells:
        return
    _, silent = await asyncio.wait(farewells, timeout=FAREWELL_S)
    for task in silent:
        task.cancel()
