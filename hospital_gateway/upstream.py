"""Is what the board shows coming in now? The gateway's own link to the hub. Pure.

A page knows whether *its* link to the gateway lives. The gateway may itself be cut off: then
the page is connected and yet shows the past, which it must shout all the same.
"""

from __future__ import annotations

from typing import Any, Literal

SILENT_AFTER_NS = 7 * 1_000_000_000
"""Three of the hub's answers in a row did not come."""

STARTING_NS = 5 * 1_000_000_000
"""A gateway that has just started is given so long before it says that it is cut off."""

State = Literal["connecting", "live", "no_broker", "hub_silent"]


class Upstream:
    """Follows the state of the link to broker and hub."""

    def __init__(self) -> None:
        self.state: State = "connecting"
        self._heard_ns: int | None = None
        self._started_ns: int | None = None
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
        if self._started_ns is None:
            self._started_ns, self._live_ms = now_ns, hub_now_ms
        if self._heard_ns is not None:  # what was last known, not when that was noticed
            self._live_ms = hub_now_ms - (now_ns - self._heard_ns) / 1e6
        state = self._state(connected, now_ns)
        changed = state != self.state
        self.state = state
        if not changed:
            return None
        return {"state": state, "since_ms": self._live_ms if state != "live" else hub_now_ms}

    def _state(self, connected: bool, now_ns: int) -> State:
        silent_ns = None if self._heard_ns is None else now_ns - self._heard_ns
        if connected and silent_ns is not None and silent_ns <= SILENT_AFTER_NS:
            return "live"
        started_ns = now_ns if self._started_ns is None else self._started_ns
        if silent_ns is None and now_ns - started_ns <= STARTING_NS:
            return "connecting"
        return "hub_silent" if connected else "no_broker"
