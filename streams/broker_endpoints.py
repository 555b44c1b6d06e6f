"""Where a broker is reached: its ports, the file that says them, and its hold on its directory."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import msgspec

from streams.broker_config import Ports
from streams.errors import ConfigError
from streams.identity import new_id
from streams.private_files import write_private


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Where a running broker is reached; also what ``ready.json`` holds.

    Attributes:
        host: Name or address for clients, in the certificate.
        mqtt_port: MQTT 3.1.1 over TLS.
        websocket_port: MQTT over WebSocket at ``/mqtt``, and NATS over WebSocket.
        nats_port: NATS over TLS.
        monitor_port: The server's monitoring, on 127.0.0.1.
        health_port: ``/healthz`` and ``/metrics`` of ``forerun broker``, on 127.0.0.1.
        ca_path: The certificate authority to trust; None with an operator's own certificate.
        credentials: The directory of the roster and the issued credentials.
        pid: Process id of the server.
        leaf_port: Leaf nodes over TLS: the brokers of neighbouring districts.
    """

    host: str
    mqtt_port: int
    websocket_port: int
    nats_port: int
    monitor_port: int
    health_port: int
    ca_path: str | None
    credentials: str
    pid: int
    leaf_port: int = 0

    @property
    def leaf_url(self) -> str:
        """URL for a neighbour's ``[[neighbours]]``."""
        return f"tls://{self.host}:{self.leaf_port}"

    @property
    def nats_url(self) -> str:
        """URL for ``NatsTransport``."""
        return f"tls://{self.host}:{self.nats_port}"

    @property
    def monitor_url(self) -> str:
        """URL of the server's monitoring."""
        return f"http://127.0.0.1:{self.monitor_port}"


def credentials_directory(state: Path) -> Path:
    """Return where the broker of this state directory looks for its roster."""
    return state / "credentials"


def ready_path(state: Path) -> Path:
    """Return the file that is there while the broker runs: its ``Endpoints`` as JSON."""
    return state / "ready.json"


def kept_server_name(state: Path) -> str:
    """Return the name under which the server of this state directory is known to others.

    Made once, at random: two brokers that are joined must not have the same.

    Raises:
        StorageError: The directory cannot be written.
    """
    path = state / "server-name"
    if not path.exists():
        write_private(path, f"forerun-{new_id().lower()}".encode())
    return path.read_text().strip()


def read_ready(state: Path) -> Endpoints:
    """Read the endpoints of the broker that runs in ``state``.

    Raises:
        ConfigError: None runs.
    """
    path = ready_path(state)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Endpoints)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(f"{path}: no broker runs here: {error}") from error


def chosen_ports(ports: Ports, listen: str) -> Ports:
    """Return ``ports`` with free ones for 0; all are probed before any is let go."""
    with contextlib.ExitStack() as probes:
        chosen = {}
        for name, port in msgspec.structs.asdict(ports).items():
            if port == 0:
                family = socket.AF_INET6 if ":" in listen else socket.AF_INET
                probe = probes.enter_context(socket.socket(family))
                probe.bind((listen, 0))
                chosen[name] = probe.getsockname()[1]
        return msgspec.structs.replace(ports, **chosen)
