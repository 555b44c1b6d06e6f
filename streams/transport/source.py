"""Where a connection starts: an interface, an address of this machine, or what the kernel takes.

A vehicle with two modems has two interfaces. Binding to the interface itself (SO_BINDTODEVICE)
sends everything through it whatever the routing table says; Linux lets anybody do that since 5.7.
Where it is not allowed, or on other systems, the interface's address is bound instead: then the
operator's routing has to send what comes from that address out of that interface.
"""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

ADDRESS_EVERY_S = 0.5
"""How often the kernel is asked from which address it would send."""

_SIOCGIFADDR = 0x8915
_LONGEST_NAME = 15


@dataclass(frozen=True, slots=True)
class Source:
    """Where connections start.

    Attributes:
        interface: Name of a network interface, such as ``wwan0``; empty for any.
        address: Address of this machine; empty for the one that the kernel takes.
    """

    interface: str = ""
    address: str = ""

    def bind(self, connection: socket.socket) -> None:
        """Bind a new socket.

        Raises:
            OSError: There is no such interface or address now.
        """
        address = self.address
        if self.interface:
            try:
                connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.interface.encode()
                )
            except (PermissionError, AttributeError):
                address = address or address_of(self.interface)
        if address:
            connection.bind((address, 0))

    def local_address(self, family: int, where: tuple[str, int]) -> str | None:
        """Return the address from which packets to ``where`` would start now.

        None when there is no way out now, or no such interface or address. Nothing is sent.
        """
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                self.bind(probe)
                probe.connect(where)
                return str(probe.getsockname()[0])
            except OSError:
                return None


ANY_SOURCE = Source()
"""What the kernel takes."""


class AddressWatch:
    """Whether a connection would start somewhere else if it were made now.

    A vehicle whose address changes sends on from an address that is no longer its own, and no
    answer finds it. The kernel's choice for the same destination tells that at once.
    """

    def __init__(
        self, source: Callable[[], Source], family: int, where: tuple[str, int], local: str
    ) -> None:
        """Watch a connection to ``where`` that starts at ``local``."""
        self._source = source
        self._family, self._where, self._local = family, where, local
        self._due_s = float("-inf")

    def moved_to(self, now_s: float) -> str | None:
        """Return the new address; None while it is the same, or there is no way out now.

        Looks every ``ADDRESS_EVERY_S`` of the monotonic time ``now_s``, however often it is asked.
        """
        if now_s < self._due_s:
            return None
        self._due_s = now_s + ADDRESS_EVERY_S
        local = self._source().local_address(self._family, self._where)
        return None if local == self._local else local


def address_of(interface: str) -> str:
    """Return the IPv4 address of an interface (Linux).

    Raises:
        OSError: There is none, or it has no address.
    """
    name = interface.encode()[:_LONGEST_NAME]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, struct.pack("256s", name))
    return socket.inet_ntoa(answer[20:24])
