"""A path of UDP that loses, repeats and reorders, and can be cut; it stands before one port."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections.abc import AsyncIterator
from typing import Any

HOST = "127.0.0.1"
_CANDIDATE = re.compile(r"(a=candidate:(?:\S+ ){4}\S+ )(\d+)( typ host)")


class _Side(asyncio.DatagramProtocol):
    def __init__(self, path: LossyPath, *, is_outer: bool) -> None:
        self.path = path
        self.is_outer = is_outer
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.path.pass_on(data, addr, from_outer=self.is_outer)

    def error_received(self, exc: Exception) -> None:
        """Nobody is there: so it is lost."""


class LossyPath:
    """Passes datagrams between whoever speaks to `port` and the port behind.

    Attributes:
        loss: Share of datagrams that never arrive, in each direction.
        jitter_s: Each arrives up to so much later than sent, so they overtake each other.
        is_cut: Whether nothing passes.
    """

    def __init__(self, behind: int, *, loss: float, jitter_s: float, seed: int) -> None:
        self.loss, self.jitter_s, self.is_cut = loss, jitter_s, False
        self.port = 0
        self.passed = self.lost = 0
        self._behind = (HOST, behind)
        self._outer_address: Any = None
        self._chance = random.Random(seed)
        self.outer, self.inner = _Side(self, is_outer=True), _Side(self, is_outer=False)

    def pass_on(self, data: bytes, addr: Any, *, from_outer: bool) -> None:
        if from_outer:
            self._outer_address = addr
        if self.is_cut or self._chance.random() < self.loss:
            self.lost += 1
            return
        self.passed += 1
        to = self._behind if from_outer else self._outer_address
        side = self.inner if from_outer else self.outer
        delay = self._chance.random() * self.jitter_s
        asyncio.get_running_loop().call_later(delay, self._send, side, data, to)

    @staticmethod
    def _send(side: _Side, data: bytes, to: Any) -> None:
        if to is not None and not side.transport.is_closing():
            side.transport.sendto(data, to)


@contextlib.asynccontextmanager
async def lossy_path(
    behind: int, *, loss: float = 0.0, jitter_s: float = 0.0, seed: int = 1
) -> AsyncIterator[LossyPath]:
    """Stand before a UDP port of 127.0.0.1 while the block runs."""
    loop = asyncio.get_running_loop()
    path = LossyPath(behind, loss=loss, jitter_s=jitter_s, seed=seed)
    await loop.create_datagram_endpoint(lambda: path.outer, local_addr=(HOST, 0))
    await loop.create_datagram_endpoint(lambda: path.inner, local_addr=(HOST, 0))
    path.port = path.outer.transport.get_extra_info("sockname")[1]
    try:
        yield path
    finally:
        path.outer.transport.close()
        path.inner.transport.close()
        await asyncio.sleep(0)


def candidate_port(sdp: str) -> int:
    """Return the port that a description offers for ICE."""
    found = _CANDIDATE.search(sdp)
    assert found is not None, sdp
    return int(found[2])


def through(sdp: str, path: LossyPath) -> str:
    """Return a description whose candidate leads through a path."""
    return _CANDIDATE.sub(rf"\g<1>{path.port}\3", sdp)
