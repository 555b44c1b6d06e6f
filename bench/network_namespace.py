"""Being in a namespace of the network in a box: programs, sockets, and this program itself."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.network_conditions import NetworkBoxError
from bench.network_space import inside, ip, missing

_OUTSIDE = "FORERUN_NETWORK_OUTSIDE"
"""Variable of the environment: the namespace that ``enter_city`` left."""


def require() -> None:
    """Refuse where the box cannot be.

    Raises:
        NetworkBoxError: One sentence that says what is missing.
    """
    if (sentence := missing()) is not None:
        raise NetworkBoxError(sentence)


def enter_city() -> None:
    """Run this program again from its start inside a new namespace, which is then the city.

    Call it first thing in a program. In the new run it only sets the loopback up and returns.
    Process id, arguments, environment and open files stay; the machine's network is gone from
    sight. What this process and its children do on 127.0.0.1 is then in the city.

    Raises:
        NetworkBoxError: Something is missing, or the kernel refuses.
    """
    if in_city():
        ip(["link set dev lo up"])
        return
    require()
    os.environ[_OUTSIDE] = _own_namespace()
    command = ["unshare", "--net", "--", sys.executable, *sys.orig_argv[1:]]
    os.execvp(command[0], command)  # noqa: S606 - without a shell is what is wanted


def in_city() -> bool:
    """Whether this process is inside a namespace that ``enter_city`` made."""
    outside = os.environ.get(_OUTSIDE)
    return outside is not None and outside != _own_namespace()


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace of the box.

    Attributes:
        prefix: What to put before a command line so that it runs inside; the process id stays.
        path: The namespace for setns(2) and nsenter(1); empty: this process is in it.
    """

    prefix: tuple[str, ...]
    path: str

    def open_socket(
        self,
        family: int = socket.AF_INET,
        kind: int = socket.SOCK_STREAM,
        protocol: int = 0,
    ) -> socket.socket:
        """Return a socket inside, for this process which stays where it is.

        Raises:
            NetworkBoxError: The box is gone.
        """
        if not self.path:
            return socket.socket(family, kind, protocol)
        try:
            namespace = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise NetworkBoxError(f"The network in a box is gone: {error}") from error
        try:
            with inside(namespace):
                return socket.socket(family, kind, protocol)
        finally:
            os.close(namespace)

    def socket_for(self, address: Sequence[Any]) -> socket.socket:
        """Return a socket for a tuple of ``getaddrinfo``.

        This is what ``aiohttp.TCPConnector(socket_factory=...)`` wants.
        """
        return self.open_socket(address[0], address[1], address[2])


def _own_namespace() -> str:
    return str(Path("/proc/thread-self/ns/net").stat().st_ino)
