"""What link and clocks did, as facts of the vehicle: outages, changes of uplink, clocks set."""

from __future__ import annotations

from collections.abc import Callable

from onboard.clock_watch import ClockWatch
from onboard.link import Link
from onboard.outages import Outages
from onboard.situation import Binding
from streams.clock import Clock, SteadyClock
from streams.messages import ClockState, LinkOutage
from streams.outbox import Draft


class LinkChronicle:
    """Listens to a vehicle's link and clock, and has facts made of what is notable."""

    def __init__(
        self,
        link: Link,
        clock: Clock,
        watch: ClockWatch,
        *,
        make: Callable[[Draft], None],
        binding: Callable[[], Binding],
    ) -> None:
        """Listen from now on.

        Args:
            link: The vehicle's.
            clock: The vehicle's.
            watch: Knows what of the clocks is notable.
            make: Makes a fact; a full disk is told elsewhere.
            binding: To which case it belongs now.
        """
        self._clock, self._watch = clock, watch
        self._make, self._binding = make, binding
        self._outages = Outages(clock.wall_ns())
        link.noted = self._link_noted
        link.compared = lambda: self._tell(watch.compared())

    def look(self) -> None:
        """Look, every second or so, whether the machine's clock was set."""
        if isinstance(self._clock, SteadyClock):
            self._tell(self._watch.machine_is_ahead(self._clock.behind_machine_ns))

    def _link_noted(self, connected: bool, uplink: str) -> None:
        outage = self._outages.note(self._clock.wall_ns(), uplink, connected=connected)
        if outage is not None:
            self._fact("link_outage", outage)

    def _tell(self, state: ClockState | None) -> None:
        if state is not None:
            self._fact("clock_state", state)

    def _fact(self, kind: str, body: LinkOutage | ClockState) -> None:
        self._make(Draft(kind, body, "live", self._binding().case))
