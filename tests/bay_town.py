"""A bay: a vehicle that had no link, a gateway beside it, and a hub that comes later. All real.

The vehicle without coverage has a port of the broker at which nobody listens; with coverage it is
started again on the same disk with the right one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import wfdb

from hospital_gateway.gateway import serve as serve_gateway
from hospital_gateway.settings import Settings as GatewaySettings
from onboard.sensors.settings import CsvVitalsSettings
from onboard.service import serve as serve_vehicle
from onboard.settings import BayTable
from onboard.settings import Broker as VehicleBroker
from onboard.settings import Settings as VehicleSettings
from streams.credentials import credential_path
from tests.hospital_town import Desk
from tests.hub_town import REGION, Town
from tests.vehicle_town import Vehicle, replay, talking_to, write_record
from tests.waiting import until

HERE, UNIT = "first-hospital", "unit-1"
BOUND_S = 30.0


class BayTown:
    """What stands at the bay; the hub is the town's, to be opened when it is wanted.

    Attributes:
        gateway_url: Of the gateway that was started last.
    """

    def __init__(
        self,
        town: Town,
        free_port: Callable[[], int],
        record: Callable[[Path], Path] = write_record,
    ) -> None:
        self.town, self.free_port, self._record = town, free_port, record
        self.gateway_url = ""
        self.gateway_port = free_port()
        self.crew = town.issue("crew-1", "seat", at=UNIT)
        self.desk = town.issue("desk-1", "seat", at=HERE)
        self.folder = town.state

    def gateway_settings(self) -> GatewaySettings:
        where = self.town.broker.endpoints
        return msgspec.convert(
            {
                "name": HERE, "label": "First Hospital ER", "region": REGION,
                "state": str(self.folder / HERE), "hub": "https://127.0.0.1:1",
                "credential": str(credential_path(Path(where.credentials), HERE)),
                "roster": str(where.credentials), "authority": str(where.ca_path),
                "broker": {"url": where.nats_url}, "roles": ["charge nurse"],
                "needs": {"stemi": ["cath lab"]}, "listen": {"port": self.gateway_port},
            },
            GatewaySettings,
        )  # fmt: skip

    def vehicle_settings(self, *, covered: bool, sensors: tuple[Any, ...]) -> VehicleSettings:
        where = self.town.broker.endpoints
        return VehicleSettings(
            name=UNIT, label="Ambulance 1", region=REGION, state=str(self.folder / UNIT),
            credential=str(credential_path(Path(where.credentials), UNIT)),
            authority=str(where.ca_path), roster=str(where.credentials),
            broker=VehicleBroker(
                host=where.host, port=where.mqtt_port if covered else self.free_port()
            ),
            sensor=sensors,
            bay=(BayTable(hospital=HERE, label="First Hospital ER", url=self.gateway_url),),
        )  # fmt: skip

    def sensors(self) -> tuple[Any, ...]:
        """A recording of 10 s of ECG and twenty rows of vital signs, played as fast as it goes."""
        record = self._record(self.folder)
        write_vitals(self.folder / "vitals.csv")
        table = CsvVitalsSettings(
            name="monitor", path=str(self.folder / "vitals.csv"), speed=0, every_s=0
        )
        return replay(record, speed=0), table

    @contextlib.asynccontextmanager
    async def gateway(self) -> AsyncIterator[Desk]:
        """Run the gateway; its broker is there, the hub need not be."""
        settings = self.gateway_settings()
        task = asyncio.create_task(serve_gateway(settings), name="gateway")
        try:
            ready = Path(settings.state) / "ready.json"
            await until(
                lambda: (task.done() and task.result()) or ready.exists(), "ready.json", BOUND_S
            )
            self.gateway_url = msgspec.json.decode(ready.read_bytes())["url"]
            ca = Path(str(self.town.broker.endpoints.ca_path))
            async with Desk(self.gateway_url, self.desk.token, ca) as desk:
                yield desk
        finally:
            task.cancel()
            await asyncio.wait({task})

    @contextlib.asynccontextmanager
    async def vehicle(
        self, *, covered: bool, sensors: tuple[Any, ...] | None = None
    ) -> AsyncIterator[Vehicle]:
        """Run the vehicle's agent."""
        chosen = self.sensors() if sensors is None else sensors
        settings = self.vehicle_settings(covered=covered, sensors=chosen)
        task = asyncio.create_task(serve_vehicle(settings), name="vehicle")
        try:
            async with talking_to(settings, self.crew.token) as vehicle:
                yield vehicle
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def run_without_link(self, vehicle: Vehicle) -> str:
        """Do what a crew does on a run of its own; return the case once its recordings ended."""
        for action, fields in (
            ("start_run", {"own": True}),
            ("milestone", {"stage": "on_scene"}),
            ("pre_alert", {"pathway": "stemi", "age_years": 60, "sex": "male"}),
            ("note", {"text": "cold and clammy"}),
            ("milestone", {"stage": "arrived"}),
        ):
            status, answer = await vehicle.act(action, **fields)
            assert status == 200, answer

        async def over() -> bool:
            return all(one["state"] == "ended" for one in (await vehicle.state())["sensors"])

        await until(over, "all that was recorded ends", BOUND_S)
        return str((await vehicle.state())["case"]["id"])


def write_vitals(path: Path, rows: int = 20) -> None:
    """Write a table of vital signs, one row a second."""
    lines = [f"{row},{90 + row},97" for row in range(rows)]
    path.write_text("\n".join(["t_s,HR,RESP", *lines]), encoding="utf-8")


def write_beats(folder: Path) -> Path:
    """Write a WFDB record of two leads with a beat every 0.8 s, for pages to draw."""
    rate_hz, seconds = 500, 10
    at_s = np.arange(rate_hz * seconds) / rate_hz % 0.8
    waves = ((0.2, 0.02, 0.15), (0.36, 0.008, 1.2), (0.39, 0.01, -0.3), (0.6, 0.04, 0.3))
    beat = sum(height * np.exp(-(((at_s - at) / width) ** 2)) for at, width, height in waves)
    wfdb.wrsamp(
        "beats", fs=rate_hz, units=["mV", "mV"], sig_name=["I", "II"],
        p_signal=np.stack((beat * 0.7, beat), axis=1), fmt=["16", "16"], write_dir=str(folder),
    )  # fmt: skip
    return folder / "beats"
