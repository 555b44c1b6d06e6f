"""HTTP requests by aiohttp on a connection that stands already."""

from __future__ import annotations

import ssl
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import HIGH_LEVEL_SCHEMA_SET

from streams.transport.dialing import Path


class PathConnector(aiohttp.BaseConnector):
    """Gives a session one connection, the path's; for one request.

    It overrides what aiohttp's own ``UnixConnector`` does, ``_create_connection``.
    """

    allowed_protocol_schema_set = HIGH_LEVEL_SCHEMA_SET

    def __init__(self, path: Path) -> None:
        """Take over the path, plain TCP: it is closed with the connector."""
        super().__init__(force_close=True)
        self._path: Path | None = path

    async def _create_connection(
        self,
        req: Any,
        traces: Any,
        timeout: Any,  # noqa: ASYNC109 - aiohttp calls it so
    ) -> ResponseHandler:
        del traces, timeout
        path, self._path = self._path, None
        if path is None:
            raise aiohttp.ClientConnectionError("the connection is used up")
        context = req.ssl if isinstance(req.ssl, ssl.SSLContext) else None
        if req.is_ssl() and context is None:
            context = ssl.create_default_context()
        try:
            _, handler = await self._loop.create_connection(
                self._factory,
                sock=path.connection,
                ssl=context if req.is_ssl() else None,
                server_hostname=req.url.host if req.is_ssl() else None,
            )
        except ssl.CertificateError as error:
            path.abort()
            raise aiohttp.ClientConnectorCertificateError(req.connection_key, error) from error
        except OSError as error:
            path.abort()
            raise aiohttp.ClientConnectorError(req.connection_key, error) from error
        except BaseException:
            path.abort()
            raise
        return handler

    def close(self, *, abort_ssl: bool = False) -> Any:
        """Close, the path too if no request took it."""
        path, self._path = self._path, None
        if path is not None:
            path.abort()
        return super().close(abort_ssl=abort_ssl)
