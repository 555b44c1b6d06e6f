"""A city that runs: all services as separate processes, and the calls that are played in it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.city import HUB, Call, Unit
from bench.client import Client, RefusedError
from bench.processes import Processes
from bench.stage import Stage
from streams.authority import client_context

CONNECT_S = 20.0
"""How long a vehicle may take to hear of its case."""

DRAIN_S = 60.0
"""How long everything that was made may take to arrive after the last run has ended."""


@dataclass(slots=True)
class Played:
    """A call as it was played.

    Attributes:
        case: Its case.
        unit: The unit that was sent.
        hospital: The hospital that was chosen.
    """

    case: str
    unit: str
    hospital: str


@dataclass(slots=True)
class RunningCity:
    """All services and how to reach them.

    Attributes:
        stage: Where everything lies.
        processes: The processes.
        client: The seats' client.
        urls: Address of each service by name.
        played: The calls so far.
    """

    stage: Stage
    processes: Processes
    client: Client
    urls: dict[str, str]
    played: list[Played] = field(default_factory=list)
    _chosen: dict[str, Any] = field(default_factory=dict)

    def page(self, name: str, fragment: str = "") -> str:
        """Return the address of a service's page with the key that opens it."""
        return f"{self.urls[name]}/?key={self.stage.token(name)}{fragment}"

    async def play(self, unit: Unit, call: Call, *, acknowledge: bool) -> Played:
        """Play one call from its ring to the drive to the hospital.

        Args:
            unit: The unit that is sent.
            call: The call.
            acknowledge: Whether the charge nurse's click is played too.

        Raises:
            RefusedError: A service refuses a step.
        """
        hub = self.urls[HUB]
        case = await self.ring(unit, call)
        await self.client.act(hub, "answer_call", case=case)
        await self.client.act(hub, "amend_case", case=case, **call.case)
        await self.client.act(hub, "assign_unit", case=case, unit=unit.name)
        await self.client.tell(hub, f"/exchange/calls/{unit.name}/steps", {"step": "hung_up"})
        hospital = self._hospital_for(call.alert["pathway"])
        played = Played(case, unit.name, hospital)
        self.played.append(played)
        await self._reach_patient(unit, call)
        await self.client.act(hub, "choose_hospital", case=case, hospital=hospital)
        await self._crew(unit.name, "milestone", stage="departed")
        if acknowledge:
            await self._until_accepted(
                hospital, {"action": "acknowledge", "case": case, "role": "charge nurse"}
            )
        return played

    async def ring(self, unit: Unit, call: Call) -> str:
        """Let a call ring at the exchange, and the caller's phone say where it is; return its case.

        Args:
            unit: Whose call it is; the exchange names it so, and its recording says what it is.
            call: The call.

        Raises:
            RefusedError: The hub refuses it.
        """
        hub = self.urls[HUB]
        origin = "replay" if unit.record else "synthetic"
        ring = {"call": unit.name, "number": call.number, "origin": origin}
        rung = await self.client.tell(hub, "/exchange/calls", ring)
        message = {"number": call.number, "text": phone_message(call.case["position"])}
        await self.client.tell(hub, "/exchange/aml-sms", message)
        return str(rung["case"])

    async def play_for_person(self, unit: Unit, call: Call, stop: asyncio.Event) -> None:
        """Let a call ring for the person at the console, and play only the crew that is sent.

        Returns when the crew drives to the hospital that the person chose, or when it is over.
        """
        case = await self.ring(unit, call)
        if not await self._until_chosen(case, "unit", stop):
            return
        sent = next(one for one in self.stage.city.units if one.name == self._chosen["unit"])
        if any(one.unit == sent.name for one in self.played):
            return  # taken from a case that is played already: its crew goes on with that one
        self.played.append(Played(case, sent.name, ""))
        await self._reach_patient(sent, call)
        if await self._until_chosen(case, "hospital", stop):
            await self._crew(sent.name, "milestone", stage="departed")

    async def _until_chosen(self, case: str, what: str, stop: asyncio.Event) -> bool:
        while not stop.is_set():
            self._chosen = await self.client.get(self.urls[HUB], f"/api/cases/{case}")
            if self._chosen["closed_ms"]:
                return False
            if self._chosen[what]:
                return True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await stop.wait()
        return False

    async def _reach_patient(self, unit: Unit, call: Call) -> None:
        await self._crew(unit.name, "start_run")
        for stage in ("en_route", "on_scene", "patient_contact"):
            await self._crew(unit.name, "milestone", stage=stage)
        await self._crew(unit.name, "pre_alert", **call.alert)

    async def end_runs(self) -> None:
        """Let every crew arrive and end its run; sensors and cameras stop."""
        for played in self.played:
            await self.end_run(played)

    async def end_run(self, played: Played) -> None:
        """Let one crew arrive and end its run."""
        await self._crew(played.unit, "milestone", stage="arrived")
        await self._crew(played.unit, "end_run")

    async def drained(self) -> bool:
        """Wait until nothing waits in any outbox; return False when it took too long."""
        names = [HUB, *self._makers()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                quiet = 0
                while quiet < 3:  # an emptied outbox may be about to get what it answers
                    waiting = sum(facts_waiting(self.outbox(name)) for name in names)
                    quiet = 0 if waiting else quiet + 1
                    await asyncio.sleep(0.25)
                return True
        return False

    def outbox(self, name: str) -> Path:
        """The outbox of a service."""
        return self.stage.state(name) / "outbox.sqlite"

    def outboxes(self) -> dict[str, Path]:
        """The outboxes of all vehicles and hospitals, by name."""
        return {name: self.outbox(name) for name in self._makers()}

    def _makers(self) -> list[str]:
        city = self.stage.city
        units = [unit.name for unit in city.units]
        return units + [hospital.name for hospital in city.hospitals]

    def _hospital_for(self, pathway: str) -> str:
        hospitals = self.stage.city.hospitals
        able = [one for one in hospitals if pathway in one.abilities]
        return (able or hospitals)[0].name

    async def _crew(self, unit: str, action: str, **fields: Any) -> None:
        await self._until_accepted(unit, {"action": action, **fields})

    async def _until_accepted(self, name: str, action: dict[str, Any]) -> None:
        """Ask again until the service has heard of the case that the action is about."""
        deadline = time.monotonic() + CONNECT_S
        while True:
            try:
                await self.client.act(self.urls[name], **action)
            except RefusedError:
                if time.monotonic() > deadline:
                    raise
            else:
                return
            await asyncio.sleep(0.05)


def phone_message(position: dict[str, float]) -> str:
    """Return what a phone there sends when an emergency number is called (AML, ETSI TS 103 625)."""
    measured = time.strftime("%Y%m%d%H%M%S", time.gmtime())
    body = (
        f'A"ML=1;lt={position["latitude_deg"]:+.5f};lg={position["longitude_deg"]:+.5f};'
        f"rd={position['radius_m']:.0f};top={measured};lc=68;pm=G;"
        "si=460001234567890;ei=490154203237518;mcc=460;mnc=00"
    )
    return f"{body};ml={len(body) + len(';ml=') + 3}"


def facts_waiting(outbox: Path) -> int:
    """Count the facts that wait for a receipt, beside the process that owns the outbox."""
    if not outbox.is_file():
        return 0
    with contextlib.closing(sqlite3.connect(f"file:{outbox}?mode=ro", uri=True)) as database:
        (count,) = database.execute("SELECT count(*) FROM facts").fetchone()
    return int(count)


@contextlib.asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[RunningCity]:
    """Start a city; leaving the block ends all its processes.

    Raises:
        ProcessError: A service does not start; the text names its log.
    """
    stage.issue_credentials()
    async with Processes(stage.folder / "logs") as processes:
        broker = processes.forerun("broker", ["broker", "--config", str(stage.write_broker())])
        # The broker's ready file names nats-server's process, not its own.
        ready = await processes.ready(broker, stage.broker / "ready.json", same_process=False)
        nats_url = f"tls://{ready['host']}:{ready['nats_port']}"
        hub = processes.forerun(HUB, ["dispatch", "--config", str(stage.write_hub(nats_url))])
        urls = {HUB: (await processes.ready(hub, stage.state(HUB) / "ready.json"))["url"]}
        children = {}
        for hospital in stage.city.hospitals:
            settings = stage.write_hospital(hospital, nats_url, urls[HUB])
            arguments = ["hospital", "--config", str(settings)]
            children[hospital.name] = processes.forerun(hospital.name, arguments)
        mqtt = (str(ready["host"]), int(ready["mqtt_port"]))
        for unit, call in zip(stage.city.units, stage.city.calls, strict=True):
            settings = stage.write_unit(unit, call, mqtt, urls[HUB])
            children[unit.name] = processes.forerun(
                unit.name, ["onboard", "--config", str(settings)]
            )
        for name, child in children.items():
            told = await processes.ready(child, stage.state(name) / "ready.json")
            urls[name] = told["url"]
        trust = client_context(Path(ready["ca_path"]))
        tokens = {url: stage.token(name) for name, url in urls.items()}
        tokens[urls[HUB]] = stage.script()
        async with Client(tokens, trust, stage.exchange()) as client:
            yield RunningCity(stage, processes, client, urls)
