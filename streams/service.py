"""What every service does around its own work: options, logs, signals, a socket, an end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog
from aiohttp import web

from streams.config import example
from streams.errors import ConfigError

INSIST_S = 6.0
"""How long a service may take to close before what is left is cancelled again."""


class Named(Protocol):
    """The settings of a service: they say its name, which stands in each line of its log."""

    @property
    def name(self) -> str:
        """As in topics and credentials."""


Settings = TypeVar("Settings", bound=Named)


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
    settings = read(options.config)
    set_up_logs(settings.name, level=options.log_level)
    return run(lambda: serve(settings))


def set_up_logs(service: str, *, level: str = "info") -> None:
    """Send structured logs to standard error: JSON lines, or readable ones on a terminal."""
    terminal = sys.stderr.isatty()
    renderer: Any = (
        structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)


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


@contextlib.asynccontextmanager
async def listening(
    app: web.Application, host: str, port: int, tls: ssl.SSLContext | None
) -> AsyncIterator[int]:
    """Serve ``app`` while the block runs; give the port, which matters when ``port`` is 0.

    Raises:
        ConfigError: The port is taken or the address is not this machine's.
    """
    runner = web.AppRunner(app, shutdown_timeout=2, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=tls)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {host}:{port} ({error.strerror}); choose another port"
            ) from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
