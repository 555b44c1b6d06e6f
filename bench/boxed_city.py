"""A city whose links can be cut and whose processes can be killed and started again.

In the network in a box, broker, hub, gateway and viewers are in the city's namespace and each
vehicle's agent in its own; without the box (no root) the same city runs on loopback, where only
its processes can be tried. Every service keeps its port over a restart, as an operator's would.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from bench.city import HUB, Call, City, Hospital, Unit
from bench.client import Client
from bench.full_disk import KEEP_FREE_MIB
from bench.network import NetworkBox
from bench.network_conditions import CITY_ADDRESS, Link
from bench.network_namespace import Namespace
from bench.private_disk import PrivateDisk
from bench.processes import Child, ProcessError, Processes
from bench.running_city import Played, RunningCity, facts_waiting
from bench.stage import Stage
from streams.authority import client_context
from streams.broker_endpoints import read_ready
from streams.errors import ConfigError

BROKER = "broker"
_BROKER_PORTS = ("mqtt", "websocket", "nats", "monitor", "health", "leaf")
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - in a namespace of its own

CAMERA = {"width": 320, "height": 240, "fps": 10.0, "sound": False, "most_bps": 300_000}
"""Small, so that several vehicles fit on a small machine; the time code stays readable."""

VITALS_EVERY_S = 1.0
"""Faster than the five seconds of the topics table: what is measured is the link."""

_COUNT = """
import sqlite3, sys
database = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
print(database.execute("SELECT count(*) FROM facts").fetchone()[0])
"""

MOST_UNSENT = 100_000
"""Replays at speed 0 make a backlog here; usually they wait for the link."""

KILLED_S = 10.0
"""How long a killed process may take to be gone."""


@dataclass(frozen=True, slots=True)
class OutageStage(Stage):
    """A stage in the box or on loopback, with ports that stay.

    Attributes:
        boxed: Whether it is in the box.
        ports: Port of each service, and of each door of the broker.
        disks: Vehicles whose state lies on a disk of its own, by name.
        camera: Settings of the vehicles' cameras.
    """

    boxed: bool = False
    ports: Mapping[str, int] = field(default_factory=dict)
    disks: dict[str, PrivateDisk] = field(default_factory=dict)
    camera: Mapping[str, Any] = field(default_factory=lambda: CAMERA)

    def state(self, name: str) -> Path:
        """The state directory of a service, as this process sees it."""
        disk = self.disks.get(name)
        return self.folder / name if disk is None else disk.outside

    @property
    def address(self) -> str:
        """Where vehicles reach the city."""
        return CITY_ADDRESS if self.boxed else "127.0.0.1"

    @property
    def hub_url(self) -> str:
        """Where the hub is reached."""
        return f"https://{self.address}:{self.ports[HUB]}"

    def url(self, name: str) -> str:
        """Where a service's pages are, within its own namespace."""
        return self.hub_url if name == HUB else f"https://127.0.0.1:{self.ports[name]}"

    def _write(self, name: str, settings: dict[str, Any]) -> Path:
        return Stage._write(self, name, self._placed(name, settings))

    def _placed(self, name: str, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the settings of a service with its place in the network."""
        media = {"addresses": [self.address]}
        if name == BROKER:
            settings["ports"] = {door: self.ports[door] for door in _BROKER_PORTS}
            if self.boxed:
                settings |= {"listen": _EVERYWHERE, "addresses": [CITY_ADDRESS]}
            return settings
        settings["listen"] = {"port": self.ports[name]}
        if name == HUB:
            settings["media"] = media
            if self.boxed:
                settings["listen"]["host"] = _EVERYWHERE
                settings["tls"]["addresses"] = [CITY_ADDRESS]
        elif "camera" in settings:
            # In the box all its uplinks, whatever their addresses are at the time.
            settings["media"] = {"addresses": []} if self.boxed else media
            settings["camera"] |= self.camera
            if name in self.disks:
                settings["camera"]["record"] = True
                settings["storage"] = {"keep_free_mib": KEEP_FREE_MIB}
            settings["unsent_replay_facts"] = MOST_UNSENT
            for sensor in settings["sensor"]:
                if sensor["kind"] == "csv_vitals":
                    sensor["every_s"] = VITALS_EVERY_S
        return settings


@dataclass(slots=True)
class OutageCity:
    """The city and all that can be done to it; see ``outage_city``.

    Attributes:
        stage: Where everything lies.
        processes: The processes, also those that were killed.
        running: The city as ``bench.running_city`` knows it.
        box: The network; None on loopback.
        alive: The present process of each service.
        links: What the uplinks of vehicles are like at their start, by name.
    """

    stage: OutageStage
    processes: Processes
    running: RunningCity
    box: NetworkBox | None
    alive: dict[str, Child] = field(default_factory=dict)
    links: dict[str, tuple[Link, ...]] = field(default_factory=dict)

    # --- start ---------------------------------------------------------------------------------

    async def start_broker(self) -> None:
        """Start the broker, or start it again.

        Raises:
            ProcessError: It does not start.
        """
        (self.stage.broker / "ready.json").unlink(missing_ok=True)
        arguments = [BROKER, "--config", str(self.stage.write_broker())]
        child = self._forerun(BROKER, arguments)
        # The broker's ready file names nats-server's process, not its own.
        path = self.stage.broker / "ready.json"
        await self.processes.ready(child, path, same_process=False)

    async def start_hub(self) -> None:
        """Start the hub, or start it again.

        Raises:
            ProcessError: It does not start.
        """
        await self._serve(HUB, "dispatch", self.stage.write_hub(self._nats_url()))

    async def start_hospital(self, hospital: Hospital) -> None:
        """Start a gateway, or start it again.

        Raises:
            ProcessError: It does not start.
        """
        settings = self.stage.write_hospital(hospital, self._nats_url(), self.stage.hub_url)
        await self._serve(hospital.name, "hospital", settings)

    async def start_unit(self, unit: Unit, before: Sequence[str] = ()) -> None:
        """Start a vehicle's agent, or start it again; its namespace is made at the first start.

        Args:
            unit: The vehicle.
            before: What stands before ``forerun`` in the command line, in place of Python.

        Raises:
            ProcessError: It does not start.
        """
        if self.box is not None and unit.name not in self.box.vehicles:
            await self.box.add_vehicle(unit.name, self.links.get(unit.name, (Link(),)))
        mqtt = (self.stage.address, self.stage.ports["mqtt"])
        settings = self.stage.write_unit(unit, self.call_of(unit), mqtt, self.stage.hub_url)
        await self._serve(unit.name, "onboard", settings, before)

    async def start(self, name: str) -> None:
        """Start whatever is called so, again.

        Raises:
            ProcessError: It does not start.
        """
        if name == BROKER:
            await self.start_broker()
        elif name == HUB:
            await self.start_hub()
        elif hospital := next((h for h in self.stage.city.hospitals if h.name == name), None):
            await self.start_hospital(hospital)
        else:
            await self.start_unit(self.unit(name))

    async def _serve(
        self, name: str, command: str, settings: Path, before: Sequence[str] = ()
    ) -> None:
        child = self._forerun(name, [command, "--config", str(settings)], before)
        await self.processes.ready(child, self.stage.state(name) / "ready.json")

    def _forerun(self, name: str, arguments: list[str], before: Sequence[str] = ()) -> Child:
        disk = self.stage.disks.get(name)
        prefix = (*self.inside(name).prefix, *(disk.prefix if disk else ()))
        child = self.processes.forerun(name, arguments, prefix=prefix, before=before)
        self.alive[name] = child
        return child

    # --- end -----------------------------------------------------------------------------------

    async def kill(self, name: str) -> None:
        """Kill a service with SIGKILL, its own children too, and wait until they are gone.

        Raises:
            ProcessError: It did not run any more.
        """
        child = self.alive[name]
        self.processes.check(child)
        family = [child.process.pid]
        if name == BROKER:
            # The server is what counts. It would also end by itself, but in order.
            family.insert(0, read_ready(self.stage.broker).pid)
        processes = [psutil.Process(pid) for pid in family]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(child.process.wait, KILLED_S)
        await asyncio.to_thread(psutil.wait_procs, processes, KILLED_S)

    async def end(self, name: str) -> None:
        """End a service in order."""
        await self.processes.end(self.alive[name])

    async def end_unit(self, name: str) -> None:
        """End a vehicle's agent in order; what its own disk held is then in its folder."""
        if name in self.alive:
            await self.end(name)
        if disk := self.stage.disks.get(name):
            disk.close()

    def wipe_broker(self) -> None:
        """Remove what the broker stored; it must not run. The credentials are the operator's."""
        shutil.rmtree(self.stage.broker / "jetstream")

    # --- look ----------------------------------------------------------------------------------

    def inside(self, name: str) -> Namespace:
        """The namespace of a service."""
        if self.box is None:
            return Namespace((), "")
        vehicle = self.box.vehicles.get(name)
        return self.box.city if vehicle is None else vehicle.inside

    def waiting(self, name: str) -> int:
        """Count the facts that wait in an outbox for a receipt."""
        disk = self.stage.disks.get(name)
        if disk is None or disk.is_closed:
            return facts_waiting(self.running.outbox(name))
        return int(disk.run(_COUNT, str(disk.folder / "outbox.sqlite")))

    def unit(self, name: str) -> Unit:
        """The vehicle that is called so."""
        return next(unit for unit in self.stage.city.units if unit.name == name)

    def call_of(self, unit: Unit) -> Call:
        """The call that a vehicle is sent to."""
        return self.stage.city.calls[self.stage.city.units.index(unit)]

    async def play(self, unit: Unit) -> Played:
        """Play the unit's call until it drives to the hospital with its patient.

        Raises:
            RefusedError: A service refuses a step.
        """
        return await self.running.play(unit, self.call_of(unit), acknowledge=False)

    def _nats_url(self) -> str:
        return f"tls://{self.stage.address}:{self.stage.ports['nats']}"


@contextlib.asynccontextmanager
async def outage_city(
    folder: Path, city: City, box: NetworkBox | None, camera: Mapping[str, Any] = CAMERA
) -> AsyncIterator[OutageCity]:
    """Start broker, hub and gateways; vehicles are started one by one. All end with the block.

    Args:
        folder: For everything that is written.
        city: What is played.
        box: The network, entered by its owner; None: on loopback.
        camera: Settings of the vehicles' cameras.

    Raises:
        ProcessError: A service does not start; the text names its log.
    """
    names = [*_BROKER_PORTS, HUB, *(h.name for h in city.hospitals), *(u.name for u in city.units)]
    stage = OutageStage(
        folder, city, headless=True, boxed=box is not None, ports=free_ports(names), camera=camera
    )
    stage.issue_credentials()
    async with Processes(folder / "logs") as processes:
        running = RunningCity(stage, processes, client=None, urls={})  # type: ignore[arg-type]
        made = OutageCity(stage, processes, running, box)
        await made.start_broker()
        await made.start_hub()
        for hospital in city.hospitals:
            await made.start_hospital(hospital)
        running.urls |= {name: stage.url(name) for name in names if name not in _BROKER_PORTS}
        trust = client_context(stage.broker / "authority" / "ca.pem")
        doors = {stage.ports[unit.name]: unit.name for unit in city.units}

        def open_socket(address: Any) -> socket.socket:
            return made.inside(doors.get(address[4][1], HUB)).socket_for(address)

        tokens = {url: stage.token(name) for name, url in running.urls.items()}
        tokens[running.urls[HUB]] = stage.script()
        async with Client(tokens, trust, stage.exchange(), open_socket) as client:
            running.client = client
            try:
                yield made
            finally:
                for disk in stage.disks.values():
                    disk.close()


def free_ports(names: Sequence[str]) -> dict[str, int]:
    """Return a free port for each name; all are probed before any is let go."""
    with contextlib.ExitStack() as probes:
        found = {}
        for name in names:
            probe = probes.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            found[name] = probe.getsockname()[1]
    return found


def with_records(city: City, records: Sequence[Path]) -> City:
    """Return the city with other ECG records, one vehicle after the other.

    Raises:
        ConfigError: There is no record.
    """
    if not records:
        raise ConfigError("no 12-lead record to play")
    units = tuple(
        replace(unit, record=records[number % len(records)])
        for number, unit in enumerate(city.units)
    )
    return replace(city, units=units)


__all__ = ["BROKER", "OutageCity", "OutageStage", "ProcessError", "outage_city", "with_records"]
