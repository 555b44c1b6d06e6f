"""Sets the stage of a city: credentials, and one configuration file per service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.city import HUB, REGION, Call, City, Hospital, Unit
from bench.streets import NAME, write_streets
from streams.credentials import Role, credential_path, issue


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything of one city lies.

    Attributes:
        folder: Its folder; each service has a folder of its own name below it.
        city: What is played.
        headless: Without a person: media only on loopback, and a time code in the picture.
        usual_per_hour: Calls of a usual hour.
        speech: Whether the hub's speech engines run, also without a person.
    """

    folder: Path
    city: City
    headless: bool
    usual_per_hour: float = 60.0
    speech: bool = False

    @property
    def broker(self) -> Path:
        """The broker's state, with the authority and the credentials."""
        return self.folder / "broker"

    @property
    def credentials(self) -> Path:
        """The directory of the roster."""
        return self.broker / "credentials"

    def state(self, name: str) -> Path:
        """The state directory of a service."""
        return self.folder / name

    def journal(self, name: str) -> str:
        """Database URL of the journal of the hub or a hospital."""
        return f"sqlite:///{self.state(name).resolve() / 'journal.sqlite'}"

    def token(self, place: str) -> str:
        """The key of the seat at a service: it opens the pages of that service and no others."""
        crew = any(unit.name == place for unit in self.city.units)
        seat = f"{place}-crew" if crew else f"{place}-desk"
        return issue(self.credentials, seat, "seat", REGION, place=place).token

    def script(self) -> str:
        """The key of the seat at the hub that plays what no person does."""
        return issue(self.credentials, "script", "seat", REGION, place=HUB).token

    def exchange(self) -> str:
        """The key of the telephone exchange."""
        return issue(self.credentials, "exchange", "exchange", REGION, place=HUB).token

    def issue_credentials(self) -> None:
        """Make one credential per service, and a seat at each for the person who looks."""
        roles: dict[str, Role] = {HUB: "hub"}
        roles |= {unit.name: "unit" for unit in self.city.units}
        roles |= {hospital.name: "hospital" for hospital in self.city.hospitals}
        for name, role in roles.items():
            issue(self.credentials, name, role, REGION)
            self.token(name)
        self.script()
        self.exchange()

    def write_broker(self) -> Path:
        """Write the broker's configuration; ports are the system's to choose."""
        ports = dict.fromkeys(("mqtt", "websocket", "nats", "monitor", "health", "leaf"), 0)
        return self._write("broker", {"state": str(self.broker), "ports": ports})

    def write_hub(self, nats_url: str) -> Path:
        """Write the hub's configuration."""
        return self._write(
            HUB,
            {
                "name": HUB,
                **self._trust(HUB),
                "broker": {"url": nats_url},
                "tls": {},
                "listen": {"port": 0},
                "media": {"addresses": self._media()},
                "calls": {"usual_per_hour": self.usual_per_hour},
                "help": {"on": True, "number": "120"},
                "speech": dict.fromkeys(
                    ("recognition", "synthesis"), self.speech or not self.headless
                ),
                "roads": {"file": str(write_streets(self.folder / "settings" / NAME))},
                "units": [_serving(number, unit) for number, unit in enumerate(self.city.units)],
                "hospitals": [_place(hospital) for hospital in self.city.hospitals],
            },
        )

    def write_hospital(self, hospital: Hospital, nats_url: str, hub_url: str) -> Path:
        """Write one gateway's configuration."""
        return self._write(
            hospital.name,
            {
                "name": hospital.name,
                "label": hospital.title,
                **self._trust(hospital.name),
                "hub": hub_url,
                "broker": {"url": nats_url},
                "listen": {"port": 0},
                "roles": ["charge nurse", "emergency physician", "cardiologist"],
                "needs": {
                    "stemi": ["cath lab", "resuscitation bay"],
                    "stroke": ["CT free", "stroke team"],
                    "trauma": ["trauma team", "resuscitation bay"],
                },
            },
        )

    def write_unit(self, unit: Unit, call: Call, mqtt: tuple[str, int], hub_url: str) -> Path:
        """Write one vehicle's configuration."""
        return self._write(
            unit.name,
            {
                "name": unit.name,
                "label": _label(unit),
                **self._trust(unit.name),
                "hub": hub_url,
                "broker": {"host": mqtt[0], "port": mqtt[1]},
                "listen": {"port": 0},
                "always": [] if unit.sensors else ["gps"],
                "media": {"addresses": self._media()},
                "camera": {
                    "source": str(unit.video) if unit.video else "synthetic",
                    "origin": "replay" if unit.video else "synthetic",
                    "width": 640,
                    "height": 480,
                    "most_bps": 1_000_000,
                    "time_code": self.headless,
                },
                "places": [
                    {
                        "hospital": hospital.name,
                        "label": hospital.title,
                        "latitude_deg": hospital.latitude_deg,
                        "longitude_deg": hospital.longitude_deg,
                    }
                    for hospital in self.city.hospitals
                ],
                "sensor": list(unit.sensors) or sensors(unit, call, self.city.hospitals[0]),
            },
        )

    def _trust(self, name: str) -> dict[str, str]:
        return {
            "region": REGION,
            "state": str(self.state(name)),
            "credential": str(credential_path(self.credentials, name)),
            "roster": str(self.credentials),
            "authority": str(self.broker / "authority" / "ca.pem"),
        }

    def _media(self) -> list[str]:
        return ["127.0.0.1"] if self.headless else []

    def _write(self, name: str, settings: dict[str, Any]) -> Path:
        folder = self.folder / "settings"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.toml"
        path.write_bytes(msgspec.toml.encode(settings))
        return path


def sensors(unit: Unit, call: Call, hospital: Hospital) -> list[dict[str, Any]]:
    """Return the ``[[sensor]]`` tables of a unit: recordings where there are, else synthetic."""
    tables: list[dict[str, Any]] = []
    if unit.record:
        tables.append({"kind": "wfdb", "name": "ecg", "paths": [str(unit.record)], "loop": True})
    if unit.vitals:
        tables.append(
            {"kind": "csv_vitals", "name": "vitals", "path": str(unit.vitals), "loop": True}
        )
    if not (unit.record and unit.vitals):
        tables.append(
            {
                "kind": "synthetic_patient",
                "name": "patient",
                "scenario": call.scenario,
                "ecg": unit.record is None,
                "vitals": unit.vitals is None,
            }
        )
    if unit.track:
        gps = {"kind": "csv_track", "name": "gps", "path": str(unit.track), "loop": True}
    else:
        gps = {"kind": "route", "name": "gps", "loop": True, "waypoints": _route(unit, hospital)}
    return [*tables, gps]


def _route(unit: Unit, hospital: Hospital) -> Sequence[dict[str, float]]:
    corners = (
        (unit.latitude_deg, unit.longitude_deg),
        (hospital.latitude_deg, unit.longitude_deg),
        (hospital.latitude_deg, hospital.longitude_deg),
    )
    return [{"latitude_deg": north, "longitude_deg": east} for north, east in corners]


def _serving(number: int, unit: Unit) -> dict[str, Any]:
    """Return a unit's table; every third has no advanced life support."""
    abilities = ["advanced_life_support"] if (number + 1) % 3 else []
    return {"name": unit.name, "label": _label(unit), "abilities": abilities}


def _place(hospital: Hospital) -> dict[str, Any]:
    return {
        "name": hospital.name,
        "label": hospital.title,
        "latitude_deg": hospital.latitude_deg,
        "longitude_deg": hospital.longitude_deg,
        "abilities": hospital.abilities,
        "capabilities": [has for takes, has in _CAPABILITIES if takes in hospital.abilities],
    }


_CAPABILITIES = (
    ("stemi", "cath_lab"),
    ("stroke", "stroke_unit"),
    ("trauma", "trauma_centre"),
    ("obstetric", "obstetrics"),
    ("paediatric", "children"),
)
"""What a hospital of the city has for what it takes; one that takes all states nothing."""


def _label(unit: Unit) -> str:
    return f"Ambulance {unit.name.removeprefix('unit-')}"
