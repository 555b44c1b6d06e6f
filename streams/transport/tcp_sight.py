"""What this system's TCP knows of a connection (Linux ``TCP_INFO``; linux/tcp.h)."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from dataclasses import dataclass

_SIZE = 216
_SIOCOUTQ = termios.TIOCOUTQ


@dataclass(frozen=True, slots=True)
class TcpSight:
    """One look at a connection.

    Attributes:
        arrived: Packets that came from the other side, acknowledgements included; only its
            growth means anything.
        waiting_bytes: Bytes written that the other side has not acknowledged.
        acknowledged_bytes: Bytes that it has.
        repeated: Packets sent again.
        round_trip_s: Smoothed.
        deviation_s: Of the round trip.
        least_round_trip_s: The least of the last minutes.
    """

    arrived: int
    waiting_bytes: int
    acknowledged_bytes: int
    repeated: int
    round_trip_s: float
    deviation_s: float
    least_round_trip_s: float


def look(connection: socket.socket) -> TcpSight | None:
    """Return what is known now; None where the system does not tell (only Linux does)."""
    option = getattr(socket, "TCP_INFO", None)
    if option is None:
        return None
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, option, _SIZE)
        waiting = fcntl.ioctl(connection.fileno(), _SIOCOUTQ, struct.pack("i", 0))
    except (OSError, ValueError):
        return None  # another system, or the socket is gone
    if len(info) < 152:
        return None  # Linux before 4.6
    round_trip_us, deviation_us = struct.unpack_from("=II", info, 68)
    (repeated,) = struct.unpack_from("=I", info, 100)
    acknowledged, _received, _out, arrived, _unsent, least_us = struct.unpack_from(
        "=QQIIII", info, 120
    )
    return TcpSight(
        arrived=arrived,
        waiting_bytes=struct.unpack("i", waiting)[0],
        acknowledged_bytes=acknowledged,
        repeated=repeated,
        round_trip_s=round_trip_us / 1e6,
        deviation_s=deviation_us / 1e6,
        # 0xFFFFFFFF: not measured yet
        least_round_trip_s=min(least_us, round_trip_us or least_us) / 1e6,
    )
