"""What every service does around its own work: logs, signals, a listening socket, an end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import structlog
from aiohttp import web

from streams.errors import ConfigError

INSIST_S = 6.0
"""How long a service may take to close before what is left is cancelled again."""


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
