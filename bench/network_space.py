"""Network namespaces without names, TUN devices in them, and their addresses and routes.

A namespace is a file descriptor here; it is gone when nothing holds it any more: no descriptor
and no process inside. A thread is in one namespace at a time (setns(2)), so ``inside`` touches
nobody else's. The machine's own namespace is never written to.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.network_conditions import LARGEST_PACKET, NetworkBoxError

CLONE_NEWNET = 0x40000000
"""Of linux/sched.h."""

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
"""Of linux/if_tun.h: IP packets without a header of the device's own."""

CONGESTION_CONTROL = "congctl cubic"
"""Of every route over a link: TCP as on an ordinary Linux; the machine's own choice, which may be
BBR, would change the figures. A namespace's default cannot be set to it on every machine."""

QUEUE_PACKETS = 5000
"""Of a TUN device: room for what comes while the forwarding process does not get a core."""

_TUN = Path("/dev/net/tun")
_OWN = "/proc/thread-self/ns/net"
_IP_S = 10.0

_libc = ctypes.CDLL(None, use_errno=True)


def missing() -> str | None:
    """Say in one sentence what this machine or user lacks for the box; None: nothing.

    A container may be root and still be refused: that is said when it is tried.
    """
    if sys.platform != "linux":
        return "The network in a box needs Linux (network namespaces and TUN devices)."
    if os.geteuid() != 0:
        return "The network in a box needs root (to make network namespaces and TUN devices)."
    if not _TUN.exists():
        return f"The network in a box needs {_TUN}, which this machine has not (modprobe tun)."
    for program in ("ip", "nsenter", "unshare"):
        if shutil.which(program) is None:
            return f"The network in a box needs the program {program} (iproute2, util-linux)."
    return None


def new_namespace() -> int:
    """Make a namespace with its loopback up; return its descriptor. The thread stays outside.

    Raises:
        NetworkBoxError: The kernel refuses it.
    """
    with _returning():
        _call("unshare", CLONE_NEWNET)
        prepare()
        return os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)


def own_namespace() -> int:
    """Return a descriptor of the namespace that this thread is in."""
    return os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)


def prepare() -> None:
    """Set up the loopback and the habits of the namespace that this thread is in.

    Raises:
        NetworkBoxError: Something of it is refused.
    """
    ip(["link set dev lo up"])
    # The link is IPv4; what IPv6 says by itself on a new device would only be counted as loss.
    _write("ipv6/conf/default/disable_ipv6", "1", needed=False)
    # With two uplinks an answer may come by another way than the one back to its source.
    _write("ipv4/conf/all/rp_filter", "0")
    _write("ipv4/conf/default/rp_filter", "0")


@contextlib.contextmanager
def inside(namespace: int) -> Iterator[None]:
    """Let this thread be in a namespace for the length of a block without ``await``.

    Raises:
        NetworkBoxError: The kernel refuses it.
    """
    with _returning():
        _call("setns", namespace, CLONE_NEWNET)
        yield


def open_tun(name: str) -> int:
    """Make a TUN device in this thread's namespace; return its non-blocking descriptor.

    Each read gives one IP packet that was sent into the device, each write is one that it
    receives. The device is gone when the descriptor is closed.

    Raises:
        NetworkBoxError: The kernel refuses it.
    """
    try:
        with contextlib.ExitStack() as stack:
            tun = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            stack.callback(os.close, tun)
            request = struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI)
            fcntl.ioctl(tun, TUNSETIFF, request)
            ip([f"link set dev {name} mtu {LARGEST_PACKET} txqueuelen {QUEUE_PACKETS} up"])
            stack.pop_all()
            return tun
    except OSError as error:
        raise NetworkBoxError(f"The TUN device {name} is refused: {error.strerror}.") from error


def ip(lines: Sequence[str]) -> None:
    """Run commands of ``ip`` in this thread's namespace, all or as far as the first refused.

    Raises:
        NetworkBoxError: One is refused; the text is the program's own.
    """
    try:
        done = subprocess.run(
            ["ip", "-batch", "-"], input="\n".join(lines), capture_output=True, text=True,
            check=False, timeout=_IP_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NetworkBoxError(f"ip does not run: {error}") from error
    if done.returncode != 0:
        raise NetworkBoxError(f"ip: {'; '.join(done.stderr.splitlines())}")


class DeviceDrops:
    """What the kernel dropped because a TUN device was not read in time."""

    def __init__(self, device: str) -> None:
        """Open the statistics of this thread's namespace; they stay those of it."""
        self._device = device
        self._file = Path("/proc/thread-self/net/dev").open(encoding="ascii")  # noqa: SIM115

    def count(self) -> int:
        """Return the number of packets so far.

        Raises:
            NetworkBoxError: The device is gone.
        """
        self._file.seek(0)
        for line in self._file:
            name, _, numbers = line.partition(":")
            if name.strip() == self._device:
                return int(numbers.split()[11])  # the fourth of the eight for sending
        raise NetworkBoxError(f"The device {self._device} is gone.")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextlib.contextmanager
def _returning() -> Iterator[None]:
    before = own_namespace()
    try:
        yield
    finally:
        _call("setns", before, CLONE_NEWNET)
        os.close(before)


def _call(name: str, *arguments: int) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        why = os.strerror(ctypes.get_errno())
        raise NetworkBoxError(f"The kernel refuses a network namespace ({name}: {why}).")


def _write(path: str, value: str, *, needed: bool = True) -> None:
    file = Path("/proc/sys/net") / path
    try:
        file.write_text(value, encoding="ascii")
    except OSError as error:
        if needed:
            why = f"{file} cannot be set to {value}: {error.strerror}."
            raise NetworkBoxError(why) from error
