"""Measures the network in a box itself: what it adds, and how much it can carry.

    python -m bench.network_limits [SECONDS]

Sender and receiver are processes of their own, in the vehicle and in the city. A UDP packet
carries the time at which it was sent; both read the machine's monotonic clock. *Added* is what
it took beyond the link's delay, with what sender and receiver waited for a core; *late* is the
share that the box itself delivered more than 2 ms after its time. The figures hold for this
machine, as busy as it is now.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from bench.network import NetworkBox, Vehicle
from bench.network_conditions import CITY_ADDRESS, Conditions, LinkChange

UNIT = "unit-1"
_STAMP = struct.Struct("<q")
_HEADERS_BYTES = 28
"""Of IPv4 and UDP."""
_QUIET_S = 1.0


@dataclass(frozen=True, slots=True)
class Load:
    """One measurement.

    Attributes:
        title: What it shows.
        up: Conditions of the way that is loaded; the other only has the same delay.
        size: Bytes of each IP packet.
        packets_per_s: How many are sent; 0: one TCP connection sends what it can.
    """

    title: str
    up: Conditions
    size: int = 1500
    packets_per_s: int = 0


LATE = Conditions(delay_ms=30)
LOADS = (
    Load("UDP 200/s, no delay", Conditions(), 200, 200),
    Load("UDP 200/s", LATE, 200, 200),
    Load("UDP 5 Mbit/s", LATE, 1250, 500),
    Load("UDP 20 Mbit/s", LATE, 1250, 2000),
    Load("UDP 50 Mbit/s", LATE, 1250, 5000),
    Load("UDP 100 Mbit/s", LATE, 1250, 10_000),
    Load("UDP 10,000 small/s", LATE, 100, 10_000),
    Load("UDP 30,000 small/s", LATE, 100, 30_000),
    Load("TCP on 20 Mbit/s", Conditions(delay_ms=10, rate_kbps=20_000)),
    Load("TCP, no limit", Conditions(delay_ms=10)),
)


async def measure(seconds: float, loads: Sequence[Load] = LOADS) -> None:
    """Run loads one after another and print a line for each."""
    _line(
        "load", "sent/s", "came/s", "Mbit/s", "added: p50", "p99", "max ms", "late", "CPU", "missed"
    )
    async with NetworkBox() as box:
        vehicle = await box.add_vehicle(UNIT)
        process = psutil.Process(box.pid)
        for load in loads:
            down = Conditions(delay_ms=load.up.delay_ms)
            await box.apply(LinkChange(UNIT, up=load.up, down=down))
            before, busy_s = await box.counters(UNIT), sum(process.cpu_times()[:2])
            begin = time.monotonic()
            sent, came = await _run(box, vehicle, load, seconds)
            busy_s = sum(process.cpu_times()[:2]) - busy_s
            after = await box.counters(UNIT)
            late = after.up.late - before.up.late
            delays = [f"{value:.2f}" for value in came["added_ms"]] or ["-"] * 3
            _line(
                load.title, f"{sent / seconds:.0f}", f"{came['packets'] / came['s']:.0f}",
                f"{came['octets'] * 8 / came['s'] / 1e6:.1f}", *delays,
                f"{100 * late / came['packets']:.2f} %",
                f"{100 * busy_s / (time.monotonic() - begin):.0f} %",
                str(after.missed - before.missed),
            )  # fmt: skip


async def _run(
    box: NetworkBox, vehicle: Vehicle, load: Load, seconds: float
) -> tuple[int, dict[str, Any]]:
    kind = "udp" if load.packets_per_s else "tcp"
    here = [sys.executable, "-m", "bench.network_limits"]
    receiver = await asyncio.create_subprocess_exec(
        *box.city.prefix, *here, f"receive-{kind}", str(load.up.delay_ms), stdout=subprocess.PIPE
    )
    assert receiver.stdout is not None
    port = (await receiver.stdout.readline()).decode().strip()
    what = [f"send-{kind}", port, str(load.size), str(load.packets_per_s), str(seconds)]
    sender = await asyncio.create_subprocess_exec(
        *vehicle.inside.prefix, *here, *what, stdout=subprocess.PIPE
    )
    async with asyncio.timeout(3 * seconds + 30):
        sent, _ = await sender.communicate()
        came, _ = await receiver.communicate()
    return int(sent), json.loads(came)


def send_udp(port: int, size: int, per_s: int, seconds: float) -> None:
    """Send evenly; say how many."""
    filling = bytes(size - _HEADERS_BYTES - _STAMP.size)
    with socket.socket(type=socket.SOCK_DGRAM) as out:
        out.connect((CITY_ADDRESS, port))
        begin = time.monotonic()
        for number in range(int(per_s * seconds)):
            ahead = begin + number / per_s - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            out.send(_STAMP.pack(time.monotonic_ns()) + filling)
    print(int(per_s * seconds))  # noqa: T201 - its answer


def receive_udp(delay_ms: float) -> None:
    """Say the port; receive until it is quiet; say what came."""
    added, octets, begin, end = [], 0, 0, 0
    with socket.socket(type=socket.SOCK_DGRAM) as into:
        into.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        into.bind(("0.0.0.0", 0))  # noqa: S104 - in a namespace of its own
        print(into.getsockname()[1], flush=True)  # noqa: T201 - its answer
        into.settimeout(10)
        while True:
            try:
                packet = into.recv(2048)
            except TimeoutError:
                break
            (sent_ns,) = _STAMP.unpack_from(packet)
            end = time.monotonic_ns()
            begin = begin or end
            added.append((end - sent_ns) / 1e6 - delay_ms)
            octets += len(packet) + _HEADERS_BYTES
            into.settimeout(_QUIET_S)
    added.sort()
    shares = [added[int(share * (len(added) - 1))] for share in (0.5, 0.99, 1)] if added else []
    _say(len(added), octets, (end - begin) / 1e9, shares)


def send_tcp(port: int, size: int, _: int, seconds: float) -> None:
    """Send what the connection takes; say how many packets' worth."""
    chunk, total = bytes(1 << 16), 0
    with socket.create_connection((CITY_ADDRESS, port), 10) as out:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            total += out.send(chunk)
    print(total // size)  # noqa: T201 - its answer


def receive_tcp(_: float) -> None:
    """Say the port; count what comes over one connection."""
    octets = 0
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104 - in a namespace
        print(server.getsockname()[1], flush=True)  # noqa: T201 - its answer
        server.settimeout(10)
        peer, _address = server.accept()
        begin = time.monotonic()
        with peer:
            while got := len(peer.recv(1 << 16)):
                octets += got
    _say(octets // 1500, octets, time.monotonic() - begin, [])


def _say(packets: int, octets: int, seconds: float, added_ms: list[float]) -> None:
    answer = {"packets": packets, "octets": octets, "s": seconds, "added_ms": added_ms}
    print(json.dumps(answer))  # noqa: T201 - its answer


def _line(title: str, *values: str) -> None:
    print(f"{title:<22}" + "".join(f"{value:>11}" for value in values), flush=True)  # noqa: T201


def main(arguments: list[str]) -> None:
    """Measure, or be the sender or receiver."""
    match arguments:
        case ["send-udp" | "send-tcp" as role, port, size, per_s, seconds]:
            send = send_udp if role == "send-udp" else send_tcp
            send(int(port), int(size), int(per_s), float(seconds))
        case ["receive-udp" | "receive-tcp" as role, delay_ms]:
            (receive_udp if role == "receive-udp" else receive_tcp)(float(delay_ms))
        case _:
            asyncio.run(measure(float(arguments[0]) if arguments else 5.0))


if __name__ == "__main__":
    main(sys.argv[1:])
