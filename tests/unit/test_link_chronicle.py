"""Outages, changes of uplink and clocks that are set, as facts; and a clock known after a kill."""

from __future__ import annotations

from pathlib import Path

from onboard.clock_watch import ClockWatch
from onboard.outages import Outages
from streams.clock import OffsetEstimate, SteadyClock

SECOND_NS = 1_000_000_000


class Machine:
    def __init__(self) -> None:
        self.passed_ns = 5 * SECOND_NS
        self.set_ns = 1_790_000_000 * SECOND_NS

    def wall_ns(self) -> int:
        return self.passed_ns + self.set_ns

    def monotonic_ns(self) -> int:
        return self.passed_ns


def compare(offset: OffsetEstimate, machine: Machine, ahead_ns: int) -> None:
    """Compare with a hub whose clock is ``ahead_ns`` ahead of what ours was at first."""
    t1_ns = machine.wall_ns()
    machine.passed_ns += 2_000_000
    hub_ns = machine.passed_ns + 1_790_000_000 * SECOND_NS + ahead_ns - 1_000_000
    offset.add(t1_ns, hub_ns, hub_ns, machine.wall_ns(), machine.monotonic_ns())


def test_outage_is_told_when_the_link_stands_again_with_both_uplinks() -> None:
    outages = Outages(0)
    assert outages.note(500_000_000, "5g", connected=True) is None, "just started"
    assert outages.note(60 * SECOND_NS, "5g", connected=False) is None
    assert outages.note(70 * SECOND_NS, "", connected=False) is None
    outage = outages.note(91 * SECOND_NS, "lte", connected=True)
    assert outage is not None
    assert (outage.from_ns, outage.until_ns) == (60 * SECOND_NS, 91 * SECOND_NS)
    assert (outage.before, outage.uplink) == ("5g", "lte")


def test_outage_of_a_vehicle_started_without_coverage_counts_from_its_start() -> None:
    outage = Outages(0).note(900 * SECOND_NS, "", connected=True)
    assert outage is not None
    assert outage.from_ns == 0


def test_outage_shorter_than_a_second_is_no_fact_but_a_change_of_uplink_is() -> None:
    outages = Outages(0)
    outages.note(0, "5g", connected=True)
    outages.note(SECOND_NS, "5g", connected=False)
    assert outages.note(SECOND_NS + 300_000_000, "5g", connected=True) is None
    changed = outages.note(3 * SECOND_NS, "lte", connected=True)
    assert changed is not None
    assert (changed.before, changed.uplink) == ("5g", "lte")


def test_clock_that_is_off_is_a_fact_once(tmp_path: Path) -> None:
    machine, offset = Machine(), OffsetEstimate()
    watch = ClockWatch(tmp_path / "clock.json", offset, machine, "boot")
    compare(offset, machine, 412 * SECOND_NS)
    state = watch.compared()
    assert state is not None
    assert state.offset_ns is not None
    assert abs(state.offset_ns - 412 * SECOND_NS) < 2_000_000
    machine.passed_ns += 10 * SECOND_NS
    compare(offset, machine, 412 * SECOND_NS)
    assert watch.compared() is None


def test_clock_of_a_killed_agent_is_known_before_the_hub_is_heard(tmp_path: Path) -> None:
    machine, offset = Machine(), OffsetEstimate()
    compare(offset, machine, 412 * SECOND_NS)
    ClockWatch(tmp_path / "clock.json", offset, machine, "boot").compared()
    machine.passed_ns += 3 * SECOND_NS
    machine.set_ns -= 3600 * SECOND_NS  # set back by an hour while it was dead
    again, steady = OffsetEstimate(), SteadyClock(machine)
    assert ClockWatch(tmp_path / "clock.json", again, steady, "boot").recall()
    estimate = again.at(steady.wall_ns(), steady.monotonic_ns())
    assert estimate is not None
    true_ns = machine.passed_ns + (1_790_000_000 + 412) * SECOND_NS
    assert abs(steady.wall_ns() + estimate.offset_ns - true_ns) <= estimate.uncertainty_ns


def test_clock_file_of_another_boot_or_torn_is_not_believed(tmp_path: Path) -> None:
    machine, offset, file = Machine(), OffsetEstimate(), tmp_path / "clock.json"
    assert not ClockWatch(file, offset, machine, "boot").recall()
    compare(offset, machine, 0)
    ClockWatch(file, offset, machine, "boot").compared()
    assert not ClockWatch(file, OffsetEstimate(), machine, "after-the-reboot").recall()
    file.write_bytes(file.read_bytes()[:20])
    assert not ClockWatch(file, OffsetEstimate(), machine, "boot").recall()


def test_machine_clock_that_was_set_is_a_fact_with_its_size(tmp_path: Path) -> None:
    machine = Machine()
    watch = ClockWatch(tmp_path / "clock.json", OffsetEstimate(), machine, "boot")
    assert watch.machine_is_ahead(200_000_000) is None
    state = watch.machine_is_ahead(-3600 * SECOND_NS)
    assert state is not None
    assert (state.set_ns, state.offset_ns) == (-3600 * SECOND_NS, None)
    assert watch.machine_is_ahead(-3600 * SECOND_NS + 500_000) is None
