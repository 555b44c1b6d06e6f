"""The network in a box: vehicles and a city in network namespaces, and a user-space link between.

Real IP packets, TCP and UDP, pass between a *city* namespace (broker, hub, gateways, viewers)
and one namespace per *vehicle*, over one or more uplinks with conditions of their own::

    async with NetworkBox() as box:
        vehicle = await box.add_vehicle("unit-7", [Link.alike(Conditions(delay_ms=25))])
        subprocess.Popen([*vehicle.inside.prefix, "forerun", "onboard", ...])
        await box.apply(CutChange("unit-7"))
        await box.play([(5.0, CutChange("unit-7", cut=None)), (8.0, AddressChange("unit-7"))])

What is started with ``box.city.prefix`` shares the city's loopback; vehicles reach it at
``CITY_ADDRESS``, so services must listen there too. A benchmark lives in the city itself when
its program calls ``enter_city`` (``bench.network_namespace``) first; from elsewhere
``Namespace.open_socket`` reaches any place, also a vehicle's own loopback.

The machine's own namespace is not touched. A process of its own forwards the packets
(``bench.network_link``) and holds the namespaces by their descriptors only: when this process
ends, killed or not, it ends too, and the kernel removes devices and namespaces.
"""

from __future__ import annotations

import asyncio
import math
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from bench.network_conditions import (
    CITY_ADDRESS,
    Change,
    Effect,
    Link,
    NetworkBoxError,
    UplinkCounters,
)
from bench.network_namespace import Namespace, in_city, require
from bench.network_orders import (
    Added,
    AddVehicle,
    Answer,
    Count,
    Counted,
    Order,
    Play,
    Ready,
    Refused,
    Stop,
    TookEffect,
)
from streams.child_process import tied

ANSWER_S = 20.0
"""How long the forwarding process may take to answer."""


@dataclass(slots=True)
class Vehicle:
    """A vehicle of the box.

    Attributes:
        name: Its name.
        inside: Its namespace.
        addresses: Its address at each uplink; follows ``AddressChange``.
    """

    name: str
    inside: Namespace
    addresses: list[str]


@dataclass(slots=True, eq=False)
class Playing:
    """A script that is being played.

    Attributes:
        length_s: Time of its last change.
        effects: What took effect so far, in order.
    """

    length_s: float
    effects: list[Effect] = field(default_factory=list)
    _box: NetworkBox = field(kw_only=True)
    _order: int = field(kw_only=True)
    _done: asyncio.Future[Answer] = field(kw_only=True)

    async def finished(self) -> list[Effect]:
        """Wait until all changes took effect, or ``stop`` was called; return the effects.

        Raises:
            NetworkBoxError: A change cannot be made, or the forwarding process ended.
        """
        await _answered(self._done, self.length_s + ANSWER_S)
        return self.effects

    async def stop(self) -> list[Effect]:
        """Play no further; conditions stay as they are. Return what took effect."""
        if not self._done.done():
            self._box.send(Stop(self._box.next_order(), self._order))
        return await self.finished()


class NetworkBox:
    """The box; use it with ``async with``, around all that runs in it."""

    city: Namespace
    """The city's namespace."""

    def __init__(self, *, seed: int = 1) -> None:
        """Prepare.

        Args:
            seed: Of loss, jitter and reordering: the same seed and the same packets give the
                same drops.

        Raises:
            NetworkBoxError: One sentence that says what is missing here.
        """
        require()
        self.city_address = CITY_ADDRESS
        self.vehicles: dict[str, Vehicle] = {}
        self._seed = seed
        self._orders = 0
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._playing: dict[int, Playing] = {}
        self._process: subprocess.Popen[bytes]
        self._transport: asyncio.Transport

    async def __aenter__(self) -> NetworkBox:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ready = self._expect(0)
        here = ["--here"] if in_city() else []
        command = [sys.executable, "-m", "bench.network_link", str(self._seed), *here]
        with theirs:
            # Here and not in a thread: for the kernel a parent is a thread (`tied`).
            self._process = subprocess.Popen(  # noqa: ASYNC220
                tied(command, signal.SIGKILL), stdin=theirs.fileno(), start_new_session=True
            )
        try:
            self._transport, _ = await loop.create_unix_connection(
                lambda: _Answers(self._answer, self._gone), sock=ours
            )
            answer = await _answered(ready, ANSWER_S)
        except BaseException:
            ours.close()
            await self._end()
            raise
        assert isinstance(answer, Ready)
        self.city = Namespace((), "") if here else self._namespace(answer.namespace)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()
        await self._end()

    async def _end(self) -> None:
        # The process ends by itself when its socket is closed, and all it made with it.
        try:
            await asyncio.to_thread(self._process.wait, 5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """Process id of the forwarding process."""
        return self._process.pid

    async def add_vehicle(self, name: str, links: Iterable[Link] = (Link(),)) -> Vehicle:
        """Add a vehicle with one uplink per link; the first is preferred while it is up.

        Raises:
            NetworkBoxError: The name is taken, the uplinks are too many, or the kernel refuses.
        """
        order = self.next_order()
        added = await self._ask(AddVehicle(order, name, tuple(links)))
        assert isinstance(added, Added)
        vehicle = Vehicle(name, self._namespace(added.namespace), list(added.addresses))
        self.vehicles[name] = vehicle
        return vehicle

    async def play(self, script: Iterable[tuple[float, Change]]) -> Playing:
        """Begin to play a script; its times count from now, in seconds.

        The forwarding process plays it by itself: nothing that this process does delays it.

        Raises:
            NetworkBoxError: A time is no number, or the forwarding process is gone. What else is
                wrong in the script is said by ``Playing.finished``.
        """
        changes = list(script)
        if not all(math.isfinite(at_s) for at_s, _ in changes):
            raise NetworkBoxError("A script's times are numbers of seconds.")
        order = self.next_order()
        length_s = max((at_s for at_s, _ in changes), default=0.0)
        playing = Playing(length_s, _box=self, _order=order, _done=self._expect(order))
        self._playing[order] = playing
        self.send(Play(order, changes))
        return playing

    async def apply(self, change: Change) -> Effect:
        """Make one change now; return when it took effect.

        Raises:
            NetworkBoxError: It cannot be made.
        """
        playing = await self.play([(0.0, change)])
        (effect,) = await playing.finished()
        return effect

    async def counters(self, vehicle: str, uplink: int = 0) -> UplinkCounters:
        """Return what an uplink has counted so far.

        Raises:
            NetworkBoxError: There is no such uplink.
        """
        answer = await self._ask(Count(self.next_order()))
        assert isinstance(answer, Counted)
        try:
            return answer.vehicles[vehicle][uplink]
        except (KeyError, IndexError):
            raise NetworkBoxError(f"There is no uplink {uplink} of {vehicle}.") from None

    def next_order(self) -> int:
        """Return a number for an order."""
        self._orders += 1
        return self._orders

    def send(self, order: Order) -> None:
        """Send an order.

        Raises:
            NetworkBoxError: The forwarding process is gone.
        """
        if self._transport.is_closing():
            raise NetworkBoxError("The network in a box is gone.")
        self._transport.write(msgspec.json.encode(order) + b"\n")

    async def _ask(self, order: AddVehicle | Count) -> Answer:
        answer = self._expect(order.order)
        self.send(order)
        return await _answered(answer, ANSWER_S)

    def _expect(self, order: int) -> asyncio.Future[Answer]:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        # Nobody need wait for a script; its failure is then not an error of its own.
        answer.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._waiting[order] = answer
        return answer

    def _answer(self, answer: Answer) -> None:
        if isinstance(answer, TookEffect):
            effect = answer.effect
            vehicle = self.vehicles[effect.change.vehicle]
            vehicle.addresses[effect.change.uplink] = effect.address
            self._playing[answer.order].effects.append(effect)
            return
        self._playing.pop(answer.order, None)
        waiting = self._waiting.pop(answer.order, None)
        if waiting is None or waiting.done():
            return
        if isinstance(answer, Refused):
            waiting.set_exception(NetworkBoxError(answer.why))
        else:
            waiting.set_result(answer)

    def _gone(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(NetworkBoxError("The network in a box has ended."))

    def _namespace(self, descriptor: int) -> Namespace:
        path = f"/proc/{self._process.pid}/fd/{descriptor}"
        return Namespace(("nsenter", f"--net={path}", "--"), path)


class _Answers(asyncio.Protocol):
    """Takes the lines of the forwarding process apart."""

    def __init__(self, take: Callable[[Answer], None], gone: Callable[[], None]) -> None:
        self._take = take
        self._gone = gone
        self._part = bytearray()
        self._decoder: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)

    def data_received(self, data: bytes) -> None:
        self._part += data
        *lines, self._part = self._part.split(b"\n")
        for line in lines:
            self._take(self._decoder.decode(line))

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # the process is gone, whichever way
        self._gone()


async def _answered(answer: asyncio.Future[Answer], within_s: float) -> Answer:
    try:
        async with asyncio.timeout(within_s):
            return await asyncio.shield(answer)
    except TimeoutError:
        raise NetworkBoxError(f"The network in a box did not answer in {within_s:g} s.") from None
