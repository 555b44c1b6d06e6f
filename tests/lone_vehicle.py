"""A vehicle's agent without any link, for tests of what happens on board."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from onboard.actions import Action
from onboard.agent import Agent
from onboard.media import LiveEcg
from onboard.sensors import Reading, Sensor
from onboard.sensors.settings import CsvVitalsSettings
from onboard.settings import Broker, Settings
from onboard.situation import Fact
from streams.clock import SystemClock
from streams.codec import decode
from streams.errors import CredentialError, TransportError
from streams.identity import new_id
from streams.messages import Body, CaseOpened, Envelope, Numeric, Origin, UnitAssigned, Vitals
from streams.outbox import Draft, Outbox
from streams.topics import LANES
from streams.transport import Delivery
from streams.webrtc import PeerSettings

UNIT = "unit-1"


class NoUplink:
    """There is no network where this vehicle is."""

    connected = False
    connections = 0
    has_room = True
    refusal: CredentialError | None = None
    in_use = ""

    async def publish(self, topic: str, data: bytes) -> None:
        raise TransportError(f"no path for {topic} of {len(data)} bytes")

    async def post(self, topic: str, data: bytes) -> None:
        await self.publish(topic, data)

    @contextlib.asynccontextmanager
    async def subscribe(self, pattern: str) -> AsyncIterator[AsyncIterator[Delivery]]:
        assert pattern
        yield _Silence()

    async def wait_connected(self, timeout_s: float = 10.0) -> None:
        await asyncio.sleep(timeout_s)
        raise TransportError("no path")

    async def wait_disconnected(self, timeout_s: float) -> None:
        await asyncio.sleep(timeout_s)


class _Silence:
    """Messages that never come."""

    def __aiter__(self) -> _Silence:
        return self

    async def __anext__(self) -> Delivery:
        await asyncio.get_running_loop().create_future()
        raise StopAsyncIteration


@dataclass
class SlowMonitor:
    """Gives a pulse rate ten times a second, and closes only when it is let."""

    may_close: asyncio.Event
    closing: asyncio.Event
    name: str = "monitor"
    origin: Origin = "live"

    async def readings(self) -> AsyncGenerator[Reading, None]:
        try:
            while True:
                await asyncio.sleep(0.1)
                rate = Numeric(value=80.0, measured_ns=SystemClock().wall_ns())
                yield Vitals(device="monitor", heart_rate_per_min=rate)
        finally:
            self.closing.set()
            await self.may_close.wait()


@dataclass
class LoneVehicle:
    """An agent that runs, and the hub's facts that reach it."""

    agent: Agent
    hub: Outbox
    may_close: asyncio.Event = field(default_factory=asyncio.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, case: str, kind: str, body: Body) -> None:
        """Have a fact of the hub come in."""
        made = self.hub.envelope(Draft(kind, body, case=case), "urgent", 1)
        self.agent._take(Fact(made, own=False, at_hub_ns=made.source_ns))

    def assign(self) -> str:
        """Send the vehicle on a call; return the case."""
        case = new_id()
        self.tell(case, "case_opened", CaseOpened(address="12 Long Street", complaint="", alias=""))
        self.tell(case, "unit_assigned", UnitAssigned(unit=UNIT))
        return case

    async def act(self, action: str, **fields: Any) -> dict[str, Any]:
        """Do what the crew asks for."""
        wanted: Action = msgspec.convert({"action": action, **fields}, Action)
        return await self.agent.perform(wanted)

    def facts(self, kind: str) -> list[Envelope]:
        """The facts of a kind that wait for the hub, in the order of their making."""
        entries = [
            entry
            for lane in LANES
            for entry in self.agent.outbox.waiting("hub", lane, 0, 1000)
            if entry.kind == kind
        ]
        return [decode(entry.data) for entry in entries]

    def sensor(self) -> str:
        """How the monitor is."""
        return self.agent.sensors.status[0].state


@contextlib.asynccontextmanager
async def lone_vehicle(
    state: Path, sensor: Callable[[], Sensor] | None = None
) -> AsyncIterator[LoneVehicle]:
    """Run an agent without a link; its one sensor is a slow monitor unless another is given."""
    settings = Settings(
        name=UNIT, region="north", state=str(state), credential="", authority="", roster="",
        broker=Broker(host="nowhere"), sensor=(CsvVitalsSettings(name="monitor", path="x"),),
    )  # fmt: skip
    may_close, closing = asyncio.Event(), asyncio.Event()
    agent = Agent(
        settings, NoUplink(), SystemClock(), live_ecg=LiveEcg(None, PeerSettings()),
        opener=lambda _table, _clock: sensor() if sensor else SlowMonitor(may_close, closing),
    )  # fmt: skip
    hub = Outbox(state / "hub.sqlite", "hub", SystemClock())
    agent.recover()
    ready = asyncio.Event()
    running = asyncio.create_task(agent.run(ready), name="agent")
    try:
        await asyncio.wait_for(ready.wait(), 10)
        yield LoneVehicle(agent, hub, may_close, closing)
    finally:
        may_close.set()
        running.cancel()
        await asyncio.wait({running})
        agent.close()
        hub.close()
        if not running.cancelled() and running.exception():
            raise running.exception()  # type: ignore[misc]
