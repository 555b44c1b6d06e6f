"""Vehicles with plain aiomqtt and plain aiortc on board, and who writes down what they send."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.board_log import read_log
from bench.boxed_city import OutageCity, free_ports
from bench.city import HUB
from bench.frame import BenchError
from bench.outage_trial import LIVE
from bench.processes import Child
from streams.broker_config import find_server

READY_S = 30.0
"""How long a vehicle may take until all of it comes."""


@dataclass(slots=True)
class Peers:
    """The peers of all vehicles; made by ``start_receiver``.

    Attributes:
        city: Where they drive.
        ports: Of the receiver's signalling and of its broker.
        senders: What runs, by vehicle.
    """

    city: OutageCity
    ports: tuple[int, int]
    senders: dict[str, Child] = field(default_factory=dict)

    def log(self, name: str) -> Path:
        """What came of a vehicle, see ``bench.board_log.Seen``."""
        return self.city.stage.folder / f"peer-{name}.jsonl"

    async def start(self, name: str, video: Path | None = None) -> None:
        """Start a vehicle's peers anew, and wait until all of it comes.

        Args:
            name: The vehicle; it is in the box.
            video: A file that its camera plays; None is aiortc's own still picture.

        Raises:
            BenchError: Something does not come.
        """
        if name in self.senders:
            await self.city.processes.end(self.senders[name])
        address, ports = self.city.stage.address, [str(port) for port in self.ports]
        command = [sys.executable, "-m", "bench.outage_peers", "send", name, address, *ports]
        if video is not None:
            command.append(str(video))
        prefix = self.city.inside(name).prefix
        child = self.city.processes.start(f"peer-{name}", [*prefix, *command])
        self.senders[name] = child
        since = len(read_log(self.log(name)))
        until_s = time.monotonic() + READY_S
        while missing := set(LIVE) - {seen.what for seen in read_log(self.log(name))[since:]}:
            if time.monotonic() > until_s:
                raise BenchError(f"the peers in {name} send no {' and no '.join(sorted(missing))}")
            await asyncio.sleep(0.1)

    async def end(self, name: str) -> None:
        """End a vehicle's peers."""
        await self.city.processes.end(self.senders.pop(name))


async def start_receiver(city: OutageCity) -> Peers:
    """Start a broker and a receiver for the peers, in the city.

    Raises:
        BenchError: The receiver does not start.
    """
    nats, mqtt, signalling = free_ports(["nats", "mqtt", "signalling"]).values()
    folder = city.stage.folder
    settings = {
        "server_name": "peers",
        "listen": f"0.0.0.0:{nats}",
        "mqtt": {"listen": f"0.0.0.0:{mqtt}"},
        "jetstream": {"store_dir": str(folder / "peers")},
    }
    file = folder / "peers.json"
    file.write_text(json.dumps(settings), encoding="ascii")
    prefix = city.inside(HUB).prefix
    city.processes.start("peers-broker", [*prefix, str(find_server("")), "-c", str(file)])
    ports = [str(signalling), str(mqtt)]
    command = [sys.executable, "-m", "bench.outage_peers", "receive", str(folder), *ports]
    for _ in range(20):  # the server takes a moment; the receiver ends where there is none yet
        child = city.processes.start("peers-receiver", [*prefix, *command])
        while child.process.poll() is None:
            if (folder / "peers-ready").exists():
                return Peers(city, (signalling, mqtt))
            await asyncio.sleep(0.1)
    raise BenchError(f"the peers' receiver does not start; see {folder}/logs")
