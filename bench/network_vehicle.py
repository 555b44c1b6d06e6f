"""A vehicle in the network in a box: its namespace, its uplinks, their addresses and routes.

Each uplink has a routing table of its own, taken by what is sent from its address, so a socket
that is bound to an uplink's address leaves by that uplink (as with ``ip rule`` on any router
with two providers). All else takes the first uplink that is up.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.network_conditions import OPERATORS, Link, NetworkBoxError, UplinkCounters
from bench.network_queue import LinkQueue
from bench.network_space import CONGESTION_CONTROL, DeviceDrops, inside, ip, new_namespace, open_tun

_TABLE = 100
_PRIORITY = 1000


@dataclass(slots=True, eq=False)
class Uplink:
    """One uplink of a vehicle.

    Attributes:
        vehicle: Name of the vehicle.
        number: From 0, in the order of preference.
        namespace: Descriptor of the vehicle's namespace.
        tun: Descriptor of the TUN device in it.
        drops: What the kernel dropped there.
        up: To the city.
        down: From the city.
        address: The vehicle's address here.
        source: The same in a packet's header; empty while the address changes.
        on: Whether the interface is up.
        addresses_used: How many addresses it has had from its own range.
    """

    vehicle: str
    number: int
    namespace: int
    tun: int
    drops: DeviceDrops
    up: LinkQueue
    down: LinkQueue
    address: str
    source: bytes = b""
    on: bool = True
    addresses_used: int = 1

    @property
    def device(self) -> str:
        """Name of the interface in the vehicle."""
        return device_name(self.number)

    def counters(self) -> UplinkCounters:
        """Return what it has counted."""
        return UplinkCounters(self.up.counted(), self.down.counted(), self.drops.count())


def device_name(number: int) -> str:
    """Return the name of the interface of an uplink."""
    return f"uplink{number}"


def build_vehicle(name: str, number: int, links: Sequence[Link], seed: int) -> list[Uplink]:
    """Make a vehicle's namespace and its uplinks.

    Args:
        name: Name of the vehicle.
        number: From 1, for its addresses.
        links: What each uplink is like.
        seed: Of the links' chance.

    Raises:
        NetworkBoxError: The kernel refuses something.
    """
    namespace = new_namespace()
    uplinks = []
    with inside(namespace):
        for index, link in enumerate(links):
            device = device_name(index)
            tun = open_tun(device)
            now = time.monotonic()
            chance = f"{seed} {name} {index}"
            uplink = Uplink(
                vehicle=name,
                number=index,
                namespace=namespace,
                tun=tun,
                drops=DeviceDrops(device),
                up=LinkQueue(link.up, f"{chance} up", now),
                down=LinkQueue(link.down, f"{chance} down", now),
                address=own_address(number, index, 1),
            )
            ip(_attach(uplink, uplink.address))
            uplinks.append(uplink)
    return uplinks


def ip_inside(namespace: int, lines: Sequence[str]) -> None:
    """Run commands of ``ip`` in a namespace.

    Raises:
        NetworkBoxError: One is refused.
    """
    with inside(namespace):
        ip(lines)


def own_address(vehicle: int, uplink: int, count: int) -> str:
    """Return the address that the box gives: 100.(64 + uplink).vehicle.count."""
    return f"100.{64 + uplink}.{vehicle}.{count}"


def check_address(address: str) -> None:
    """Refuse what is no address of the operators.

    Raises:
        NetworkBoxError: Says what it must be.
    """
    try:
        fits = ipaddress.IPv4Address(address) in OPERATORS
    except ValueError:
        fits = False
    if not fits:
        raise NetworkBoxError(f"{address} is no address of {OPERATORS}.")


def move_lines(uplink: Uplink, address: str) -> list[str]:
    """Return the commands that replace an uplink's address; the new one comes first.

    With its last address a device would lose all its routes.
    """
    old = uplink.address
    return [
        *_attach(uplink, address),
        f"rule del {_rule(uplink, old)}",
        _address("del", uplink, old),
    ]


def switch_lines(uplink: Uplink, *, on: bool) -> list[str]:
    """Return the commands that set an uplink's interface up or down.

    Its routes go with it; its address stays.
    """
    if not on:
        return [f"link set dev {uplink.device} down"]
    return [f"link set dev {uplink.device} up", *_routes(uplink, uplink.address)]


def _attach(uplink: Uplink, address: str) -> list[str]:
    routes = _routes(uplink, address) if uplink.on else []
    return [_address("add", uplink, address), *routes, f"rule add {_rule(uplink, address)}"]


def _address(verb: str, uplink: Uplink, address: str) -> str:
    return f"addr {verb} {address}/32 dev {uplink.device}"


def _routes(uplink: Uplink, address: str) -> list[str]:
    way = f"route replace default dev {uplink.device} src {address} {CONGESTION_CONTROL}"
    return [f"{way} metric {_TABLE + uplink.number}", f"{way} table {_TABLE + uplink.number}"]


def _rule(uplink: Uplink, address: str) -> str:
    return f"from {address} lookup {_TABLE + uplink.number} priority {_PRIORITY + uplink.number}"
