"""Is what the board shows coming in now? The gateway's own link to the hub. Pure.

A page knows whether *its* link to the gateway lives. The gateway may itself be cut off: then
the page is connected and yet shows the past, which it must shout all the same.
"""

from __future__ import annotations

from typing import Any, Literal

SILENT_AFTER_NS = 20 * 1_000_000_000
"""Four of the hub's answers in a row did not come."""

State = Literal["connecting", "live", "no_broker", "hub_silent"]


class Upstream:
    """Follows the state of the link to broker and hub."""

    def __init__(self) -> None:
        self.state: State = "connecting"
        self._heard_ns: int | None = None
        self._live_ms = 0.0

    def heard(self, now_ns: int) -> None:
        """Note that the hub answered (monotonic time)."""
        self._heard_ns = now_ns

    def look(self, *, connected: bool, now_ns: int, hub_now_ms: float) -> dict[str, Any] | None:
        """Return what the pages are to be told if the state has changed, else None.

        Args:
            connected: Whether there is a connection to the broker.
            now_ns: Monotonic time.
            hub_now_ms: The hub's time, ms since 1970, for the words "not live since".
        """
        state: State = "live"
        if not connected:
            state = "connecting" if self.state == "connecting" else "no_broker"
        elif self._heard_ns is None:
            state = "connecting"
        elif now_ns - self._heard_ns > SILENT_AFTER_NS:
            state = "hub_silent"
        changed = state != self.state
        self.state = state
        if state == "live":
            self._live_ms = hub_now_ms
        if not changed:
            return None
        return {"state": state, "since_ms": self._live_ms if state != "live" else hub_now_ms}
