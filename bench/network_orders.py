"""What the network in a box says to its forwarding process and what that answers.

One JSON object a line, both ways. Every order has a number, and each answer to it the same.
"""

from __future__ import annotations

import contextlib
import socket

import msgspec

from bench.network_conditions import Effect, Link, NetworkBoxError, Script, UplinkCounters

_CHUNK = 1 << 16
_MOST_UNSENT = 1 << 24


class AddVehicle(msgspec.Struct, frozen=True, tag="add_vehicle"):
    """Make a vehicle's namespace with one device per link; answered by ``Added``."""

    order: int
    name: str
    links: tuple[Link, ...]


class Play(msgspec.Struct, frozen=True, tag="play"):
    """Play a script from now on; answered by an effect for each change, then ``Played``."""

    order: int
    script: Script


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Play no further; that order is then answered by ``Played``."""

    order: int
    playing: int


class Count(msgspec.Struct, frozen=True, tag="count"):
    """Say the counters; answered by ``Counted``."""

    order: int


Order = AddVehicle | Play | Stop | Count


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The city is there (order 0).

    Attributes:
        order: 0.
        namespace: The process's descriptor of the city's namespace.
    """

    order: int
    namespace: int


class Added(msgspec.Struct, frozen=True, tag="added"):
    """A vehicle is there.

    Attributes:
        order: Which.
        namespace: The process's descriptor of the vehicle's namespace.
        addresses: Of the vehicle, one per uplink.
    """

    order: int
    namespace: int
    addresses: tuple[str, ...]


class TookEffect(msgspec.Struct, frozen=True, tag="took_effect"):
    """A change of a script took effect."""

    order: int
    effect: Effect


class Played(msgspec.Struct, frozen=True, tag="played"):
    """All of a script took effect, or it was stopped."""

    order: int


class Counted(msgspec.Struct, frozen=True, tag="counted"):
    """The counters of all uplinks by vehicle."""

    order: int
    vehicles: dict[str, tuple[UplinkCounters, ...]]


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """An order cannot be carried out, or not further."""

    order: int
    why: str


Answer = Ready | Added | TookEffect | Played | Counted | Refused


class Channel:
    """The socket to the box: whole lines in, whole lines out, and never a wait."""

    def __init__(self, peer: socket.socket) -> None:
        """Take the connected socket."""
        peer.setblocking(False)
        self.descriptor = peer.fileno()
        self.open = True
        self._peer = peer
        self._part = bytearray()
        self._unsent = bytearray()
        self._decoder = msgspec.json.Decoder(Order)

    @property
    def has_unsent(self) -> bool:
        """Whether something waits because the box does not read."""
        return bool(self._unsent)

    def orders(self) -> list[Order]:
        """Return what has come; ``open`` is false once the box is gone."""
        try:
            chunk = self._peer.recv(_CHUNK)
        except BlockingIOError:
            return []
        except ConnectionError:
            chunk = b""
        if not chunk:
            self.open = False
        self._part += chunk
        if b"\n" not in chunk:
            return []
        *lines, rest = self._part.split(b"\n")
        self._part = rest
        return [self._decoder.decode(line) for line in lines]

    def say(self, answer: Answer) -> None:
        """Send an answer, or keep it for ``flush``."""
        self._unsent += msgspec.json.encode(answer) + b"\n"
        if len(self._unsent) > _MOST_UNSENT:
            raise NetworkBoxError("The box does not read what its network says.")
        self.flush()

    def flush(self) -> None:
        """Send what the socket takes now."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while self._unsent:
                del self._unsent[: self._peer.send(self._unsent)]
