"""aiomqtt on a connection that stands already, with what its owner needs to watch it.

aiomqtt and paho open their connection themselves, in a thread that cannot be cancelled, with
one attempt and the system's pace of repeats. ``DialedClient`` gives them the socket that
``streams.transport.dialing`` made. It uses internals of paho 2.2, each in one place here:
``_create_socket_connection`` and ``_ssl_wrap_socket`` (give the socket), ``_sock_recv`` (count),
``_send_pingreq``, ``_sock_close``, ``_out_packet`` and ``_out_messages`` (what waits).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from typing import Any

import aiomqtt

from streams.credentials import Credential
from streams.transport.dialing import Path

WEBSOCKET_PATH = "/mqtt"
"""Where NATS speaks MQTT on its WebSocket listener."""

FAREWELL_S = 1.0
"""Longest wait for the broker to take leave."""


class DialedClient(aiomqtt.Client):
    """One MQTT session on one path.

    Attributes:
        path: The connection.
        read_bytes: What came from the broker.
    """

    def __init__(
        self, path: Path, host: str, port: int, credential: Credential, **options: Any
    ) -> None:
        """Prepare; entering it sends CONNECT and waits for the answer."""
        super().__init__(
            host,
            port,
            username=credential.name,
            password=credential.secret,
            # The name makes the broker's log readable; the rest keeps a second connection of
            # the same vehicle, over another uplink, from throwing out the first.
            identifier=f"{credential.name}-{secrets.token_hex(4)}",
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=True,
            max_inflight_messages=0,  # no limit: who hands over knows what may wait
            **options,
        )
        self.path = path
        self.read_bytes = 0
        self.pending_calls_threshold = 1000  # below it, aiomqtt logs a line per publish
        inner: Any = self._client
        inner._create_socket_connection = lambda: path.connection
        inner._ssl_wrap_socket = lambda given: given
        self._receive = inner._sock_recv
        inner._sock_recv = self._count

    def _count(self, size: int) -> bytes:
        data: bytes = self._receive(size)
        self.read_bytes += len(data)
        return data

    @property
    def answered(self) -> bool:
        """Whether the broker has answered CONNECT."""
        return self._connected.done()

    def ping(self) -> None:
        """Send PINGREQ: the broker must answer it."""
        if self.answered:
            inner: Any = self._client
            with contextlib.suppress(OSError, ValueError):
                inner._send_pingreq()

    def post(self, topic: str, data: bytes, qos: int) -> None:
        """Hand a message over; do not wait for the broker.

        Raises:
            aiomqtt.MqttError: There is no connection any more.
        """
        info = self._client.publish(topic, data, qos)
        if info.rc != 0:
            raise aiomqtt.MqttCodeError(info.rc, "Could not publish message")

    @property
    def unwritten_bytes(self) -> int:
        """Bytes that wait in this process."""
        inner: Any = self._client
        return sum(int(packet["to_process"]) for packet in list(inner._out_packet))

    @property
    def unanswered_bytes(self) -> int:
        """Bytes of messages that the broker has not acknowledged."""
        inner: Any = self._client
        return sum(len(message.payload) for message in list(inner._out_messages.values()))

    def abort(self) -> None:
        """End at once: nothing more is sent, not even what waits in the system's buffers."""
        inner: Any = self._client
        if not self._disconnected.done():
            self._disconnected.set_result(None)
        mine = inner.socket()
        if mine is not None and mine.fileno() >= 0:
            inner._call_socket_unregister_write(mine)
            inner._call_socket_close(mine)
        self.path.abort()
        inner._sock = None

    async def leave(self) -> None:
        """End in order, within ``FAREWELL_S``."""
        self.timeout = FAREWELL_S
        try:
            with contextlib.suppress(aiomqtt.MqttError):
                await self.__aexit__(None, None, None)
        finally:
            self.abort()

    async def join(self) -> None:
        """Send CONNECT and wait for the answer; whatever happens, no thread stays behind.

        Raises:
            aiomqtt.MqttError: Refused, or lost.
        """
        entering = asyncio.create_task(self.__aenter__(), name="mqtt.connect")
        try:
            await asyncio.shield(entering)
        except BaseException:
            # A WebSocket's handshake runs in a thread: it ends when the connection does.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self.path.connection, socket.SHUT_RDWR)
            if self._client.socket() is None:
                await asyncio.wait({entering}, timeout=FAREWELL_S)
            entering.cancel()
            await asyncio.wait({entering})
            if not entering.cancelled():
                entering.exception()
            raise
