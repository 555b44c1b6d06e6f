"""The server's log, read line by line: refusals are counted, trouble goes to our own log.

The log is the only place where a forbidden MQTT publish shows: the server acknowledges it to
the client and drops it. Lines hold names and topics, never what was published.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque

import structlog
from prometheus_client import Counter

REFUSED = Counter(
    "forerun_broker_refused_total",
    "What the broker refused: publish, subscribe, authentication, tls, oversized, protocol",
    ["reason"],
)

_REASONS = (
    ("publish", re.compile(r"Publish Violation|permissions violation for publish", re.IGNORECASE)),
    ("subscribe", re.compile(r"Subscription Violation", re.IGNORECASE)),
    # One failed attempt makes two lines for MQTT; this one is in each of them once.
    ("authentication", re.compile(r"authentication error - User|authentication error$")),
    ("tls", re.compile(r"TLS handshake error")),
    ("oversized", re.compile(r"maximum payload|Maximum Payload")),
    ("protocol", re.compile(r"protocol violation|Parser Error|not a valid MQTT|malformed", re.I)),  # noqa: FURB167 - length
)

_LINE = re.compile(r"^\[\d+\] (?:\S+ \S+ )?\[(?P<level>[A-Z]{3})\] (?P<text>.*)$")

RELOADED = "Reloaded server configuration"
RELOAD_FAILED = "Failed to reload"

log = structlog.get_logger(__name__)


def refusal(text: str) -> str | None:
    """Return the reason for which the server refused something, if ``text`` says so."""
    if "unable to connect" in text:
        return None  # said again after "authentication error"
    return next((reason for reason, pattern in _REASONS if pattern.search(text)), None)


class ServerLog:
    """Follows the log of one server process.

    Attributes:
        last: The last lines, for the words of an error.
    """

    def __init__(self) -> None:
        self.last: deque[str] = deque(maxlen=20)
        self._reloads: asyncio.Queue[str] = asyncio.Queue(maxsize=16)

    async def follow(self, stream: asyncio.StreamReader) -> None:
        """Read until the server closes its end."""
        while True:
            try:
                line = await stream.readline()
            except ValueError:
                continue  # a line longer than the reader's limit: skipped
            if not line:
                return
            self._take(line.decode(errors="replace").rstrip())

    async def reloaded(self) -> str | None:
        """Wait for the answer to a reload; return what is wrong, or None."""
        text = await self._reloads.get()
        return None if RELOADED in text else text

    def forget_reloads(self) -> None:
        """Drop answers to earlier reloads."""
        while not self._reloads.empty():
            self._reloads.get_nowait()

    def _take(self, line: str) -> None:
        match = _LINE.match(line)
        level, text = (match["level"], match["text"]) if match else ("INF", line)
        self.last.append(text)
        if (RELOADED in text or RELOAD_FAILED in text) and not self._reloads.full():
            self._reloads.put_nowait(text)
        reason = refusal(text)
        if reason is not None:
            REFUSED.labels(reason).inc()
            log.warning("refused", reason=reason, server=text)
        elif level in ("ERR", "FTL"):
            log.error("server", text=text)
        elif level == "WRN":
            log.warning("server", text=text)
        else:
            log.debug("server", text=text)
