"""What a link of the network in a box is like, what may change about it, and what it counted.

These are the words that the box (``bench.network``), its forwarding process
(``bench.network_link``) and the recorded traces (``bench.network_traces``) share. *Up* is from
the vehicle to the city, *down* from the city to the vehicle.
"""

from __future__ import annotations

import enum
import ipaddress

import msgspec

from streams.errors import ForerunError

LARGEST_PACKET = 1500
"""Bytes of the largest IP packet: the MTU of every interface in the box."""

CITY_ADDRESS = "198.51.100.1"
"""Where vehicles reach the city: an address of documentation (RFC 5737), routed nowhere else."""

OPERATORS = ipaddress.IPv4Network("100.64.0.0/10")
"""Addresses of vehicles: those that mobile operators share among subscribers (RFC 6598)."""


class NetworkBoxError(ForerunError):
    """The network in a box cannot be had here, was asked for what it has not, or broke."""

    reason = "network_box"


class Cut(enum.StrEnum):
    """What becomes of packets while nothing passes.

    DROPPED is a lost cell: after a radio link failure of seconds the base station releases the
    connection with what it had buffered, and so does the modem. Scripts that say "a cut of 30 s"
    mean this, and it is the harder one: everything must be sent again.

    HELD is a stall: packets wait in the queue as far as it has room, and come in a burst when
    the link is back. Traces mean this: they show that nothing came through, not that it was
    lost, and the delayed messages of CICV5G did come, up to 30 s late.
    """

    DROPPED = "dropped"
    HELD = "held"


def _require(holds: bool, name: str, span: str) -> None:
    if not holds:
        raise NetworkBoxError(f"{name} of a link: {span}")


class Conditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one direction of a link is like.

    A packet waits in the queue, is sent at the rate, may be lost, and arrives after the delay.

    Attributes:
        delay_ms: Time from the end of sending to arrival, >= 0.
        jitter_ms: Spread: the delay of each packet is uniform within +-jitter_ms around
            delay_ms, never below 0. Packets keep their order all the same, as radio bearers
            do (RLC, 3GPP TS 38.322), so a late packet holds those behind it.
        loss: Share of the packets that are lost after they were sent, 0 to 1, independently.
        reordered: Share of the packets that are overtaken, 0 to 1, independently.
        reorder_ms: How much later than their delay overtaken packets come; others do not wait.
        rate_kbps: Kilobits of IP packets per second, > 0; None: no limit.
        queue_ms: Room of the queue in time at this rate, > 0; None: only the bytes count.
        queue_bytes: Room of the queue. What finds it full is dropped (drop-tail); there is
            always room for two of the largest packets. One megabyte is deep, as base
            stations are (Jiang et al., "Tackling bufferbloat in 3G/4G networks", IMC 2012,
            10.1145/2398776.2398810).
        cut: Nothing is sent; says what becomes of the packets. None: the link works.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    reordered: float = 0.0
    reorder_ms: float = 30.0
    rate_kbps: float | None = None
    queue_ms: float | None = 1000.0
    queue_bytes: int = 1_000_000
    cut: Cut | None = None

    def __post_init__(self) -> None:
        """Refuse what no link can be.

        Raises:
            NetworkBoxError: Names the field and its range.
        """
        for name in ("delay_ms", "jitter_ms", "reorder_ms"):
            _require(0 <= getattr(self, name) <= 600_000, name, "0 to 600000")
        for name in ("loss", "reordered"):
            _require(0 <= getattr(self, name) <= 1, name, "0 to 1")
        for name in ("rate_kbps", "queue_ms"):
            value = getattr(self, name)
            _require(value is None or 0 < value <= 1e9, name, "above 0, to 1e9")
        _require(0 < self.queue_bytes <= 1e9, "queue_bytes", "1 to 1e9")

    @property
    def bytes_per_s(self) -> float | None:
        """The rate in bytes per second; None: no limit."""
        return None if self.rate_kbps is None else self.rate_kbps * 125

    @property
    def room_bytes(self) -> float:
        """How much may wait."""
        room = float(self.queue_bytes)
        if self.queue_ms is not None and self.rate_kbps is not None:
            room = min(room, self.rate_kbps * self.queue_ms / 8)
        return max(room, 2.0 * LARGEST_PACKET)


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Both directions of one uplink of a vehicle."""

    up: Conditions = Conditions()
    down: Conditions = Conditions()

    @classmethod
    def alike(cls, conditions: Conditions) -> Link:
        """Return a link with the same conditions both ways."""
        return cls(conditions, conditions)


class LinkChange(msgspec.Struct, frozen=True, tag="link", forbid_unknown_fields=True):
    """Give an uplink other conditions, with or without a cut among them.

    Attributes:
        vehicle: Name of the vehicle.
        uplink: Number of its uplink, from 0.
        up: Conditions to the city; None: as they are.
        down: Conditions from the city; None: as they are.
    """

    vehicle: str
    uplink: int = 0
    up: Conditions | None = None
    down: Conditions | None = None


class CutChange(msgspec.Struct, frozen=True, tag="cut", forbid_unknown_fields=True):
    """Cut an uplink, or join it again; all other conditions stay.

    Attributes:
        vehicle: Name of the vehicle.
        uplink: Number of its uplink, from 0.
        cut: What becomes of the packets; None: the link is back.
        up: Whether this is for the way to the city.
        down: Whether this is for the way from the city.
    """

    vehicle: str
    uplink: int = 0
    cut: Cut | None = Cut.DROPPED
    up: bool = True
    down: bool = True


class AddressChange(msgspec.Struct, frozen=True, tag="address", forbid_unknown_fields=True):
    """Give the vehicle another address at an uplink.

    Packets that wait or are under way are lost, and packets of or to the old address go
    nowhere from now on; the vehicle's routes follow.

    Attributes:
        vehicle: Name of the vehicle.
        uplink: Number of its uplink, from 0.
        address: The new address, of ``OPERATORS``; None: one that was not used before.
    """

    vehicle: str
    uplink: int = 0
    address: str | None = None


class UplinkSwitch(msgspec.Struct, frozen=True, tag="switch", forbid_unknown_fields=True):
    """Set the vehicle's interface of an uplink down, or up again; its routes follow.

    Attributes:
        vehicle: Name of the vehicle.
        uplink: Number of its uplink, from 0.
        on: Whether the interface is up.
    """

    vehicle: str
    uplink: int = 0
    on: bool = False


Change = LinkChange | CutChange | AddressChange | UplinkSwitch
Script = list[tuple[float, Change]]
"""Changes, each with its time in seconds from the start of playing."""


class Effect(msgspec.Struct, frozen=True):
    """A change that took effect.

    Attributes:
        at_s: When, on the machine's monotonic clock (``time.monotonic`` of any process).
        change: The change.
        address: The vehicle's address at that uplink from then on.
    """

    at_s: float
    change: Change
    address: str


class Counters(msgspec.Struct):
    """What one direction of a link has counted since it was made.

    ``packets`` is always the sum of ``delivered``, ``dropped`` and ``waiting``.

    Attributes:
        packets: Packets that came into the link.
        octets: Their bytes, with the IP header.
        delivered: Packets that went out at the other end.
        delivered_octets: Their bytes.
        waiting: Packets in the queue or under way now.
        dropped_queue: Found the queue full.
        dropped_loss: Lost by ``Conditions.loss``.
        dropped_cut: Came to, or waited in, a link that was cut with ``Cut.DROPPED``.
        dropped_address: Of or to an address that the uplink does not have (any more).
        dropped_down: Met an interface that was down.
        late: Delivered more than 2 ms after their time, because this machine was busy.
        latest_ms: How late the latest of them was.
    """

    packets: int = 0
    octets: int = 0
    delivered: int = 0
    delivered_octets: int = 0
    waiting: int = 0
    dropped_queue: int = 0
    dropped_loss: int = 0
    dropped_cut: int = 0
    dropped_address: int = 0
    dropped_down: int = 0
    late: int = 0
    latest_ms: float = 0.0

    @property
    def dropped(self) -> int:
        """All that were dropped, for whatever reason."""
        return (
            self.dropped_queue
            + self.dropped_loss
            + self.dropped_cut
            + self.dropped_address
            + self.dropped_down
        )


class UplinkCounters(msgspec.Struct, frozen=True):
    """What an uplink has counted.

    Attributes:
        up: To the city.
        down: From the city.
        missed: Packets that the kernel dropped at the vehicle's interface before the box could
            take them: the box was too slow for this load, and the figures are not the link's.
    """

    up: Counters
    down: Counters
    missed: int
