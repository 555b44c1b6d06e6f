"""The vehicle's clock: what is known of the hub's survives a restart; what is odd becomes a fact.

The agent's wall clock is a steady one (``streams.clock.SteadyClock``). What it knows of the hub's
time is kept in a file together with the machine's monotonic clock, so an agent that is killed
and started again stamps its facts right before it has heard of the hub, also when the machine's
clock was set meanwhile. After a reboot the file says nothing.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import structlog

from streams.clock import Anchor, Clock, OffsetEstimate, boot_name
from streams.errors import StorageError
from streams.link_messages import ClockState
from streams.private_files import write_private

KEEP_NS = 30_000_000_000
"""How often the file is written."""

NOTABLE_NS = 1_000_000_000
"""An offset, or a change of it, becomes a fact from here on."""

log = structlog.get_logger(__name__)


class _Kept(msgspec.Struct):
    boot: str
    hub_minus_monotonic_ns: int
    uncertainty_ns: int
    at_ns: int


class ClockWatch:
    """Keeps what is known of the hub's clock, and says what of our own is worth a fact."""

    def __init__(
        self, file: Path, offset: OffsetEstimate, clock: Clock, boot: str | None = None
    ) -> None:
        """Prepare; ``recall`` reads the file.

        Args:
            file: Where it is kept.
            offset: The estimate that is kept and restored.
            clock: This machine's.
            boot: Name of the life of the monotonic clock; None is this machine's present one.
        """
        self._file, self._offset, self._clock = file, offset, clock
        self._boot = boot_name() if boot is None else boot
        self._kept_ns: int | None = None
        self._told_ns = self._set_ns = 0

    def recall(self) -> bool:
        """Restore what an earlier life of this process knew; return whether it still counts."""
        try:
            kept = msgspec.json.decode(self._file.read_bytes(), type=_Kept)
        except (OSError, msgspec.DecodeError):
            return False
        if not self._boot or kept.boot != self._boot or kept.at_ns > self._clock.monotonic_ns():
            return False
        self._offset.restore(Anchor(kept.hub_minus_monotonic_ns, kept.uncertainty_ns, kept.at_ns))
        return True

    def compared(self) -> ClockState | None:
        """Note that the clocks were compared; return what is worth a fact."""
        wall_ns, monotonic_ns = self._clock.wall_ns(), self._clock.monotonic_ns()
        if self._kept_ns is None or monotonic_ns - self._kept_ns >= KEEP_NS:
            self._kept_ns = monotonic_ns
            self._keep(monotonic_ns)
        estimate = self._offset.at(wall_ns, monotonic_ns)
        if estimate is None or abs(estimate.offset_ns - self._told_ns) < NOTABLE_NS:
            return None
        self._told_ns = estimate.offset_ns
        return ClockState(offset_ns=estimate.offset_ns, uncertainty_ns=estimate.uncertainty_ns)

    def machine_is_ahead(self, difference_ns: int) -> ClockState | None:
        """Return what is worth a fact when the machine's clock was set, or None.

        Args:
            difference_ns: What it is ahead now of the steady one that stamps facts.
        """
        if abs(difference_ns - self._set_ns) < NOTABLE_NS:
            return None
        self._set_ns = difference_ns
        log.warning("the machine's clock was set; facts do not follow", by_ns=difference_ns)
        estimate = self._offset.at(self._clock.wall_ns(), self._clock.monotonic_ns())
        return ClockState(
            offset_ns=estimate.offset_ns if estimate else None,
            uncertainty_ns=estimate.uncertainty_ns if estimate else None,
            set_ns=difference_ns,
        )

    def _keep(self, monotonic_ns: int) -> None:
        anchor = self._offset.anchor(monotonic_ns)
        if anchor is None or not self._boot:
            return
        kept = _Kept(self._boot, anchor.hub_minus_monotonic_ns, anchor.uncertainty_ns, anchor.at_ns)
        try:
            write_private(self._file, msgspec.json.encode(kept))
        except StorageError as error:  # a full disk: the next start asks the hub
            log.warning("clock not kept", error=str(error))
