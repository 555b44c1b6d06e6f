"""Times without a link become facts, once a link stands again. Pure."""

from __future__ import annotations

from streams.link_messages import LinkOutage

LEAST_NS = 1_000_000_000
"""A link that is up again sooner is told by nothing but the connection's own counters."""


class Outages:
    """Follows the link's losses and returns."""

    def __init__(self, now_ns: int) -> None:
        """Begin without a link.

        Args:
            now_ns: The vehicle's wall clock.
        """
        self._lost_ns: int | None = now_ns
        self._uplink = ""

    def note(self, now_ns: int, uplink: str, *, connected: bool) -> LinkOutage | None:
        """Take what the link says; return the outage that ended, or the change of uplink.

        Args:
            now_ns: The vehicle's wall clock.
            uplink: Name of the uplink in use; empty where there is just one.
            connected: Whether a link stands.
        """
        if not connected:
            self._lost_ns = now_ns if self._lost_ns is None else self._lost_ns
            return None
        before, self._uplink = self._uplink, uplink
        lost_ns, self._lost_ns = self._lost_ns, None
        changed = bool(before) and before != uplink
        from_ns = now_ns if lost_ns is None else lost_ns
        if not changed and now_ns - from_ns < LEAST_NS:
            return None
        return LinkOutage(from_ns=from_ns, until_ns=now_ns, before=before, uplink=uplink)
