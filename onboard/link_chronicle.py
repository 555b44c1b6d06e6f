"""What link and clocks did, as facts of the vehicle: outages, changes of uplink, clocks set."""

from __future__ import annotations

from collections.abc import Callable

from onboard.clock_watch import ClockWatch
from onboard.link import Link
from onboard.outages import Outages
from onboard.situation import Binding
from streams.clock import Clock, SteadyClock
from streams.health import DROPPED
from streams.link_messages import ClockState, LinkOutage, RunReport
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
        made: Callable[[], int],
    ) -> None:
        """Listen from now on.

        Args:
            link: The vehicle's.
            clock: The vehicle's.
            watch: Knows what of the clocks is notable.
            make: Makes a fact; a full disk is told elsewhere.
            binding: To which case it belongs now.
            made: How many facts this vehicle made since its start.
        """
        self._clock, self._watch = clock, watch
        self._make, self._binding = make, binding
        self._link = link
        self._made = made
        self._began: tuple[int, int, int, dict[str, int]] | None = None
        self._outages = Outages(clock.wall_ns())
        link.noted = self._link_noted
        link.compared = lambda: self._tell(watch.compared())

    def look(self) -> None:
        """Look, every second or so, whether the machine's clock was set."""
        if isinstance(self._clock, SteadyClock):
            self._tell(self._watch.machine_is_ahead(self._clock.behind_machine_ns))

    def begin_run(self) -> None:
        """Count from now on, for the report at the run's end."""
        self._began = (
            self._clock.wall_ns(), self._made(), self._link.sender.plan.resent, _dropped()
        )  # fmt: skip

    def end_run(self, run: Binding) -> None:
        """Have the report made; after a restart in the middle of the run it counts from there.

        Args:
            run: The run that ended.
        """
        if self._began is None:
            return
        (from_ns, made, resent, dropped), self._began = self._began, None
        lost = {kind: count - dropped.get(kind, 0) for kind, count in _dropped().items()}
        report = RunReport(
            from_ns=from_ns,
            made=self._made() - made,
            resent=max(0, self._link.sender.plan.resent - resent),
            dropped={kind: count for kind, count in lost.items() if count > 0},
        )
        self._make(Draft("run_report", report, "live", run.case))

    def _link_noted(self, connected: bool, uplink: str) -> None:
        outage = self._outages.note(self._clock.wall_ns(), uplink, connected=connected)
        if outage is not None:
            self._fact("link_outage", outage)

    def _tell(self, state: ClockState | None) -> None:
        if state is not None:
            self._fact("clock_state", state)

    def _fact(self, kind: str, body: LinkOutage | ClockState) -> None:
        self._make(Draft(kind, body, "live", self._binding().case))


def _dropped() -> dict[str, int]:
    """Return how many live messages of each kind were dropped since the start of the process."""
    return {
        sample.labels["place"]: int(sample.value)
        for metric in DROPPED.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }
