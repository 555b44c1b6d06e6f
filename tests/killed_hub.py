"""The hub as a process of its own, which a test kills and starts again at the same address."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path
from typing import Any

import msgspec

from dispatch.settings import Listen
from tests.hub_town import Town
from tests.waiting import until

START_S = 60.0


class HubProcess:
    """``forerun dispatch`` as a process.

    Attributes:
        url: Its address, the same after each start.
    """

    def __init__(self, town: Town, **changes: Any) -> None:
        """Prepare; ``start`` starts it.

        Args:
            town: The broker and the state.
            changes: Settings that are not the town's.
        """
        with socket.socket() as probe:  # the pages come back to where they were
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        settings = town.settings(listen=Listen(port=port), **changes)
        self.url = ""
        self._config = town.state / "dispatch.toml"
        self._config.write_bytes(msgspec.toml.encode(settings))
        self._ready = Path(settings.state) / "ready.json"
        self._process: asyncio.subprocess.Process

    async def start(self) -> None:
        """Start, and wait until it serves."""
        self._ready.unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "streams.cli", "dispatch", "--config", str(self._config),
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await until(self._ready.exists, "the hub serves", START_S)
        self.url = msgspec.json.decode(self._ready.read_bytes())["url"]

    async def kill(self) -> None:
        """Kill it, as a power cut would."""
        self._process.kill()
        await self._process.wait()

    async def end(self) -> None:
        """Have it end as it should."""
        if self._process.returncode is None:
            self._process.terminate()
            await asyncio.wait_for(self._process.wait(), START_S)
