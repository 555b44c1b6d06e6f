"""The packets of the network in a box: read from one TUN device, written to another when due."""

from __future__ import annotations

import errno
import ipaddress
import math
import os
import select
import time
from collections.abc import Callable
from functools import partial

from bench.network_queue import LinkQueue
from bench.network_vehicle import Uplink

_AT_ONCE = 32
"""Packets taken from one device before the others get their turn."""

_DOWN = {errno.EIO, errno.ENETDOWN}


class Forwarder:
    """Moves packets between the city's device and the devices of all uplinks.

    The city's side is one device: what it sends goes to the uplink that has the address.
    """

    def __init__(self, city: int) -> None:
        """Begin without uplinks; ``city`` is the descriptor of the city's TUN device."""
        self._city = city
        self._uplinks: list[Uplink] = []
        self._queues: list[tuple[LinkQueue, int]] = []  # with the device they lead to
        self._by_address: dict[bytes, Uplink] = {}
        self._readers: dict[int, Callable[[], None]] = {city: self._from_city}

    def watch(self, descriptor: int, call: Callable[[], None]) -> None:
        """Call something whenever a descriptor can be read."""
        self._readers[descriptor] = call

    def add(self, uplink: Uplink) -> None:
        """Begin to forward for an uplink."""
        self._uplinks.append(uplink)
        self._queues += [(uplink.up, self._city), (uplink.down, uplink.tun)]
        self.settle(uplink, uplink.address)
        self.watch(uplink.tun, partial(self._from_uplink, uplink))

    def owner(self, address: str) -> Uplink | None:
        """Return the uplink that has an address."""
        return self._by_address.get(_header(address))

    def settle(self, uplink: Uplink, address: str) -> None:
        """Let an uplink have an address: packets of and to it pass."""
        uplink.address, uplink.source = address, _header(address)
        self._by_address[uplink.source] = uplink

    def unsettle(self, uplink: Uplink) -> None:
        """Take an uplink's address away, with the packets that were for it."""
        self._by_address.pop(uplink.source, None)
        uplink.source = b""
        uplink.up.lose_all()
        uplink.down.lose_all()

    def turn(self, until: float, unsent: int | None = None) -> None:
        """Wait for packets or a time, and move what there is to move.

        Args:
            until: Return at this time of the monotonic clock at the latest.
            unsent: A descriptor that somebody wants to write to: return when that is possible.
        """
        next_s = min((queue.next_s for queue, _ in self._queues), default=math.inf)
        wait_s = max(0.0, min(next_s, until) - time.monotonic())
        writing = () if unsent is None else (unsent,)
        readable, _, _ = select.select(self._readers, writing, (), min(wait_s, 3600.0))
        for descriptor in readable:
            self._readers[descriptor]()
        self._deliver()

    def _from_city(self) -> None:
        for packet in _packets(self._city):
            uplink = self._by_address.get(packet[16:20])
            if uplink is not None:
                uplink.down.offer(packet, time.monotonic())
            # Else it is for an address that is gone: no uplink could count it.

    def _from_uplink(self, uplink: Uplink) -> None:
        for packet in _packets(uplink.tun):
            # As an operator does, who lets nobody send in another's name (BCP 38).
            if packet[12:16] == uplink.source:
                uplink.up.offer(packet, time.monotonic())
            else:
                uplink.up.turn_away(packet)

    def _deliver(self) -> None:
        now = time.monotonic()
        for queue, device in self._queues:
            if queue.next_s <= now:
                for packet in queue.due(now):
                    try:
                        os.write(device, packet)
                    except OSError as error:
                        if error.errno not in _DOWN:
                            raise
                        queue.not_taken(packet)


def _packets(device: int) -> list[bytes]:
    """Read IPv4 packets that are there, not too many at once."""
    packets = []
    for _ in range(_AT_ONCE):
        try:
            packet = os.read(device, 65535)
        except OSError as error:
            if error.errno not in {errno.EAGAIN, *_DOWN}:
                raise
            break
        if packet[0] >> 4 == 4:
            packets.append(packet)
    return packets


def _header(address: str) -> bytes:
    return ipaddress.IPv4Address(address).packed
