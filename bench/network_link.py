"""The forwarding process of the network in a box.

    python -m bench.network_link SEED [--here]

It makes the namespaces and TUN devices, keeps them by their descriptors alone, forwards the
packets, and does what the box orders on its standard input, a socket. When the box closes that
or dies, this process ends and with it all it made. With ``--here`` its own namespace is the
city, else it makes one.

What takes milliseconds (making a namespace, running ``ip``) is done by a second thread, the
workshop, so that packets do not wait for it.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import math
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from bench.network_conditions import (
    CITY_ADDRESS,
    OPERATORS,
    AddressChange,
    Change,
    CutChange,
    Effect,
    LinkChange,
    NetworkBoxError,
    Script,
    UplinkSwitch,
)
from bench.network_forwarding import Forwarder
from bench.network_orders import (
    Added,
    AddVehicle,
    Channel,
    Count,
    Counted,
    Order,
    Play,
    Played,
    Ready,
    Refused,
    Stop,
    TookEffect,
)
from bench.network_space import (
    CONGESTION_CONTROL,
    inside,
    ip,
    new_namespace,
    open_tun,
    own_namespace,
    prepare,
)
from bench.network_vehicle import (
    Uplink,
    build_vehicle,
    check_address,
    ip_inside,
    move_lines,
    own_address,
    switch_lines,
)

CITY_DEVICE = "operators"
MOST_VEHICLES = 100
MOST_UPLINKS = 8


@dataclass(slots=True, eq=False)
class Playing:
    """A script that is played.

    Attributes:
        order: The number of its order.
        script: The changes in the order of their times.
        start: Monotonic time of its beginning, s.
        next: Index of the next change.
        pending: Changes that the workshop is at.
        stopped: Whether it goes no further.
    """

    order: int
    script: Script
    start: float
    next: int = 0
    pending: int = 0
    stopped: bool = False


@dataclass(slots=True, eq=False)
class Exchange:
    """Carries out the orders.

    Attributes:
        channel: To the box.
        forwarder: Moves the packets.
        seed: Of all chance.
        vehicles: The uplinks by vehicle.
    """

    channel: Channel
    forwarder: Forwarder
    seed: int
    vehicles: dict[str, list[Uplink]] = field(default_factory=dict)
    _schedule: list[tuple[float, int, Playing]] = field(default_factory=list)
    _playing: dict[int, Playing] = field(default_factory=dict)
    _workshop: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, 1))
    _ready_work: deque[Callable[[], None]] = field(default_factory=deque)
    _bell: tuple[int, int] = field(default_factory=os.pipe)

    def run(self) -> None:
        """Forward packets and carry out orders until the box is gone."""
        os.set_blocking(self._bell[0], False)
        self.forwarder.watch(self.channel.descriptor, self._take_orders)
        self.forwarder.watch(self._bell[0], self._finish_work)
        while self.channel.open:
            until = self._schedule[0][0] if self._schedule else math.inf
            unsent = self.channel.descriptor if self.channel.has_unsent else None
            self.forwarder.turn(until, unsent)
            self.channel.flush()
            self._play_due()

    def _take_orders(self) -> None:
        for order in self.channel.orders():
            try:
                self._carry_out(order)
            except NetworkBoxError as error:
                self.channel.say(Refused(order.order, str(error)))

    def _carry_out(self, order: Order) -> None:
        match order:
            case AddVehicle():
                self._add(order)
            case Play():
                for _, change in order.script:
                    self._uplink(change)
                script = sorted(order.script, key=lambda timed: timed[0])
                playing = Playing(order.order, script, time.monotonic())
                self._playing[order.order] = playing
                self._plan(playing)
            case Stop():
                if (found := self._playing.get(order.playing)) is not None:
                    self._end(found)
            case Count():
                counted = {
                    name: tuple(uplink.counters() for uplink in uplinks)
                    for name, uplinks in self.vehicles.items()
                }
                self.channel.say(Counted(order.order, counted))

    def _add(self, order: AddVehicle) -> None:
        if order.name in self.vehicles:
            raise NetworkBoxError(f"There is a vehicle {order.name} already.")
        if not 1 <= len(order.links) <= MOST_UPLINKS:
            raise NetworkBoxError(f"A vehicle has 1 to {MOST_UPLINKS} uplinks.")
        if len(self.vehicles) == MOST_VEHICLES:
            raise NetworkBoxError(f"There are {MOST_VEHICLES} vehicles already.")
        uplinks = self.vehicles[order.name] = []
        number = len(self.vehicles)

        def done(made: list[Uplink]) -> None:
            for uplink in made:
                uplinks.append(uplink)
                self.forwarder.add(uplink)
            addresses = tuple(uplink.address for uplink in made)
            self.channel.say(Added(order.order, made[0].namespace, addresses))

        job = partial(build_vehicle, order.name, number, order.links, self.seed)
        self._work(order.order, job, done)

    def _play_due(self) -> None:
        while self._schedule and self._schedule[0][0] <= time.monotonic():
            _, _, playing = heapq.heappop(self._schedule)
            if not playing.stopped:
                change = playing.script[playing.next][1]
                playing.next += 1
                try:
                    self._change(playing, change)
                except NetworkBoxError as error:
                    self._end(playing, str(error))
                else:
                    self._plan(playing)

    def _plan(self, playing: Playing) -> None:
        if playing.stopped:
            return
        if playing.next < len(playing.script):
            due = playing.start + playing.script[playing.next][0]
            heapq.heappush(self._schedule, (due, playing.order, playing))
        elif not playing.pending:
            self._end(playing)

    def _end(self, playing: Playing, why: str | None = None) -> None:
        if not playing.stopped:
            playing.stopped = True
            del self._playing[playing.order]
            order = playing.order
            self.channel.say(Played(order) if why is None else Refused(order, why))

    def _change(self, playing: Playing, change: Change) -> None:
        uplink = self._uplink(change)
        now = time.monotonic()
        match change:
            case LinkChange():
                for queue, conditions in ((uplink.up, change.up), (uplink.down, change.down)):
                    if conditions is not None:
                        queue.change(conditions, now)
            case CutChange():
                for queue, concerned in ((uplink.up, change.up), (uplink.down, change.down)):
                    if concerned:
                        cut = msgspec.structs.replace(queue.conditions, cut=change.cut)
                        queue.change(cut, now)
            case AddressChange():
                self._move(playing, change, uplink)
                return
            case UplinkSwitch():
                lines = switch_lines(uplink, on=change.on)
                uplink.on = change.on
                self._in_vehicle(playing, change, uplink, lines)
                return
        self._tell(playing, change, uplink.address, now)

    def _move(self, playing: Playing, change: AddressChange, uplink: Uplink) -> None:
        address = change.address or self._unused_address(uplink)
        if self.forwarder.owner(address) is not None:
            raise NetworkBoxError(f"The address {address} is in use.")
        lines = move_lines(uplink, address)
        self.forwarder.unsettle(uplink)
        uplink.address = address  # so that a change that follows at once knows what to remove
        self._in_vehicle(playing, change, uplink, lines)

    def _in_vehicle(
        self, playing: Playing, change: Change, uplink: Uplink, lines: list[str]
    ) -> None:
        playing.pending += 1
        address = uplink.address

        def done(_: object) -> None:
            playing.pending -= 1
            if isinstance(change, AddressChange) and uplink.address == address:
                self.forwarder.settle(uplink, address)
            self._tell(playing, change, address, time.monotonic())
            if playing.next == len(playing.script):
                self._plan(playing)

        self._work(playing.order, partial(ip_inside, uplink.namespace, lines), done)

    def _tell(self, playing: Playing, change: Change, address: str, at_s: float) -> None:
        if not playing.stopped:
            effect = Effect(at_s, change, address)
            self.channel.say(TookEffect(playing.order, effect))

    def _uplink(self, change: Change) -> Uplink:
        uplinks = self.vehicles.get(change.vehicle)
        if not uplinks:
            raise NetworkBoxError(f"There is no vehicle {change.vehicle}.")
        if not 0 <= change.uplink < len(uplinks):
            raise NetworkBoxError(f"{change.vehicle} has no uplink {change.uplink}.")
        if isinstance(change, AddressChange) and change.address is not None:
            check_address(change.address)
        return uplinks[change.uplink]

    def _unused_address(self, uplink: Uplink) -> str:
        number = list(self.vehicles).index(uplink.vehicle) + 1
        while True:
            uplink.addresses_used = uplink.addresses_used % 254 + 1
            address = own_address(number, uplink.number, uplink.addresses_used)
            if self.forwarder.owner(address) is None and address != uplink.address:
                return address

    def _work(self, order: int, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Let the workshop do a job, then call ``done`` with its result in this thread."""

        def finish(future: Future[Any]) -> None:
            try:
                done(future.result())
            except NetworkBoxError as error:
                playing = self._playing.get(order)
                if playing is not None:
                    self._end(playing, str(error))
                else:
                    self.channel.say(Refused(order, str(error)))

        def ring(future: Future[Any]) -> None:
            self._ready_work.append(partial(finish, future))
            os.write(self._bell[1], b"\0")

        self._workshop.submit(job).add_done_callback(ring)

    def _finish_work(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._bell[0], 4096)
        while self._ready_work:
            self._ready_work.popleft()()


def build_city(*, here: bool) -> tuple[int, int]:
    """Make the city; return the descriptors of its namespace and of its TUN device.

    Args:
        here: The city is the namespace of this process.

    Raises:
        NetworkBoxError: The kernel refuses something.
    """
    if here:
        prepare()
    namespace = own_namespace() if here else new_namespace()
    with inside(namespace):
        tun = open_tun(CITY_DEVICE)
        ip([
            f"addr add {CITY_ADDRESS}/32 dev {CITY_DEVICE}",
            f"route add {OPERATORS} dev {CITY_DEVICE} src {CITY_ADDRESS} {CONGESTION_CONTROL}",
        ])  # fmt: skip
    return namespace, tun


def main(arguments: list[str]) -> int:
    """Be the forwarding process; return the exit status."""
    channel = Channel(socket.socket(fileno=os.dup(0)))
    # Ahead of what it measures, where that may be: the link's times are to be its own. On a busy
    # machine 18 % of the packets were late without this, and 0.4 % with it; niceness does not
    # help, because the kernel weighs it only among the processes of one session (autogroup).
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    gc.disable()  # a collection would stop all packets; nothing here makes cycles
    seed, *rest = arguments
    try:
        namespace, tun = build_city(here="--here" in rest)
    except NetworkBoxError as error:
        channel.say(Refused(0, str(error)))
        return 1
    channel.say(Ready(0, namespace))
    Exchange(channel, Forwarder(tun), int(seed)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
