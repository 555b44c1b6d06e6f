"""The seats' way to the services of a city: their JSON API over TLS, as the pages use it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import aiohttp

from streams.errors import ForerunError

TIMEOUT_S = 10.0


class RefusedError(ForerunError):
    """A service answered with an error; the text is its own.

    Attributes:
        status: The HTTP status.
    """

    reason = "refused"

    def __init__(self, url: str, status: int, text: str) -> None:
        super().__init__(f"{url}: {text} (HTTP {status})")
        self.status = status


class Client:
    """Calls services, each as a seat of its own; use it with ``async with``."""

    def __init__(
        self,
        tokens: Mapping[str, str],
        trust: ssl.SSLContext,
        exchange: str = "",
        open_socket: Callable[[Any], socket.socket] | None = None,
    ) -> None:
        """Prepare.

        Args:
            tokens: Key of a seat at each service, by the service's address.
            trust: Trusts the city's authority.
            exchange: Key of the telephone exchange.
            open_socket: Opens the socket for a tuple of ``getaddrinfo``, in a network namespace
                of its choice; None: here.
        """
        self._open_socket = open_socket
        self._headers = {url: {"Authorization": f"Bearer {token}"} for url, token in tokens.items()}
        self._trust = trust
        self._exchange = {"Authorization": f"Bearer {exchange}"}
        self._stack = AsyncExitStack()
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Client:
        self._session = await self._stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._trust, socket_factory=self._open_socket),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            )
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def act(self, url: str, action: str, **fields: Any) -> dict[str, Any]:
        """Ask the service at ``url`` for an action; return its answer.

        Raises:
            RefusedError: It refuses; the text says why.
        """
        body = {"action": action, **fields}
        headers = self._headers[url]
        async with self._session.post(f"{url}/api/action", json=body, headers=headers) as answer:
            return dict(await _read(answer))

    async def tell(self, url: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Tell the hub at ``url`` something as the telephone exchange; return its answer.

        Raises:
            RefusedError: It refuses; the text says why.
        """
        async with self._session.post(f"{url}{path}", json=body, headers=self._exchange) as answer:
            return dict(await _read(answer))

    async def get(self, url: str, path: str) -> Any:
        """Read ``path`` of the service at ``url``.

        Raises:
            RefusedError: It refuses; the text says why.
        """
        async with self._session.get(f"{url}{path}", headers=self._headers[url]) as answer:
            return await _read(answer)


async def _read(answer: aiohttp.ClientResponse) -> Any:
    try:
        body = await answer.json(content_type=None)
    except ValueError:
        body = {"error": (await answer.text())[:200]}
    if answer.status >= 400:
        text = body.get("error", "no reason given") if isinstance(body, dict) else str(body)
        raise RefusedError(str(answer.url.with_query(None)), answer.status, str(text))
    return body
