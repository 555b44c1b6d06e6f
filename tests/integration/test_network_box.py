"""The network in a box with real sockets: what passes, when, in what order, by which way."""

from __future__ import annotations

import asyncio
import math
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from bench.network import NetworkBox, Playing, Vehicle
from bench.network_conditions import (
    CITY_ADDRESS,
    AddressChange,
    Conditions,
    Cut,
    CutChange,
    Link,
    LinkChange,
    NetworkBoxError,
    Script,
    UplinkSwitch,
)
from bench.network_limits import Load, measure
from bench.network_recordings import read_trace, recorded_traces
from tests.conftest import WaitFor
from tests.network_ports import UNIT, connection, echo_server, echoed, port, why_not

QUIET_S = 0.3
"""Longer than anything in these tests takes when it does come."""

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


@pytest.fixture
async def box() -> AsyncIterator[NetworkBox]:
    async with NetworkBox() as made:
        yield made


async def silent(came: Callable[[], int]) -> bool:
    """Whether nothing comes for a while."""
    before = came()
    await asyncio.sleep(QUIET_S)
    return came() == before


def both(**conditions: float) -> list[Link]:
    return [Link.alike(Conditions(**conditions))]  # type: ignore[arg-type]


async def test_tcp_and_udp_pass_in_both_directions(box: NetworkBox, wait_for: WaitFor) -> None:
    vehicle = await box.add_vehicle(UNIT)
    data = os.urandom(300_000)
    async with (
        echo_server(box.city, CITY_ADDRESS) as number,
        connection(vehicle.inside, (CITY_ADDRESS, number)) as (reader, writer, seen),
    ):
        assert seen == vehicle.addresses[0]
        assert await echoed(reader, writer, data)
    async with (
        echo_server(vehicle.inside, vehicle.addresses[0]) as number,
        connection(box.city, (vehicle.addresses[0], number)) as (reader, writer, seen),
    ):
        assert seen == CITY_ADDRESS
        assert await echoed(reader, writer, data)
        peer = writer.get_extra_info("socket")
        assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 5) == b"cubic"
    async with port(box.city, echo=True) as city, port(vehicle.inside) as unit:
        unit.send(7, city)
        await wait_for(lambda: unit.numbers == [7], "the packet comes back")
        assert city.came[0][2] == vehicle.addresses[0]


async def test_delay_of_each_direction_is_kept_and_never_undercut(
    box: NetworkBox, wait_for: WaitFor
) -> None:
    link = Link(up=Conditions(delay_ms=40), down=Conditions(delay_ms=80))
    vehicle = await box.add_vehicle(UNIT, [link])
    async with port(box.city, echo=True) as city, port(vehicle.inside) as unit:
        sent = []
        for number in range(20):
            sent.append(time.monotonic())
            unit.send(number, city)
            await wait_for(partial(unit.has, number + 1), "the echo comes")
    there = [at - begin for begin, (at, _, _) in zip(sent, city.came, strict=True)]
    back = [at - begin for (begin, _, _), (at, _, _) in zip(city.came, unit.came, strict=True)]
    assert 0.040 <= min(there) < 0.050  # the best of 20: a busy machine only adds
    assert 0.080 <= min(back) < 0.090


async def test_jitter_spreads_arrivals_and_keeps_their_order(
    box: NetworkBox, wait_for: WaitFor
) -> None:
    vehicle = await box.add_vehicle(UNIT, both(delay_ms=60, jitter_ms=50))
    async with port(box.city) as city, port(vehicle.inside) as unit:
        sent = []
        for number in range(40):
            sent.append(time.monotonic())
            unit.send(number, city)
            await asyncio.sleep(0.02)
        await wait_for(lambda: len(city.came) == 40, "all arrive")
    assert city.numbers == list(range(40))
    took = [at - begin for begin, (at, _, _) in zip(sent, city.came, strict=True)]
    assert min(took) >= 0.010
    assert max(took) - min(took) > 0.030


async def test_loss_takes_its_share_and_every_packet_is_counted(
    box: NetworkBox, wait_for: WaitFor
) -> None:
    link = Link(up=Conditions(loss=0.2), down=Conditions())
    vehicle = await box.add_vehicle(UNIT, [link])
    async with port(box.city, echo=True) as city, port(vehicle.inside) as unit:
        for number in range(600):
            unit.send(number, city)
            if number % 50 == 0:
                await asyncio.sleep(0.005)

        async def settled() -> bool:
            counted = await box.counters(UNIT)
            return counted.up.packets == 600 and counted.down.delivered == counted.up.delivered

        await wait_for(settled, "all packets are through or lost")
        await wait_for(lambda: len(unit.came) == len(city.came), "the echoes are read")
        counted = await box.counters(UNIT)
    up, down = counted.up, counted.down
    assert up.packets == up.delivered + up.dropped_loss == 600
    assert up.delivered == len(city.came) == len(set(city.numbers))
    assert down.packets == down.delivered == len(unit.came) == up.delivered
    assert up.octets == 600 * 128  # 100 bytes, UDP and IP header
    assert up.delivered_octets == down.octets == 128 * up.delivered
    assert 81 <= up.dropped_loss <= 159  # 120 +- 4 standard deviations
    assert counted.missed == 0


async def test_rate_and_queue_let_through_what_they_may(box: NetworkBox, wait_for: WaitFor) -> None:
    narrow = Conditions(rate_kbps=800, queue_ms=None, queue_bytes=50_000)
    vehicle = await box.add_vehicle(UNIT, [Link(up=narrow)])
    async with port(box.city) as city, port(vehicle.inside) as unit:
        for number in range(100):
            unit.send(number, city, size=972)  # 1000 bytes of IP: 10 ms each

        async def settled() -> bool:
            up = (await box.counters(UNIT)).up
            return up.packets == 100 and up.waiting == 0

        await wait_for(settled, "the queue is empty")
        up = (await box.counters(UNIT)).up
        await wait_for(lambda: len(city.came) == up.delivered, "all are read")
    assert up.delivered + up.dropped_queue == 100
    # 50 had room at once; for each 10 ms that the sending took, one more.
    assert 50 <= up.delivered <= 60
    assert city.numbers[:50] == list(range(50))
    first, last = city.came[0][0], city.came[-1][0]
    sending_s = 0.010 * (up.delivered - 1)
    assert sending_s - 0.010 <= last - first < 2 * sending_s


async def test_reordered_packets_come_later_but_come(box: NetworkBox, wait_for: WaitFor) -> None:
    vehicle = await box.add_vehicle(UNIT, both(delay_ms=5, reordered=0.2, reorder_ms=100))
    async with port(box.city) as city, port(vehicle.inside) as unit:
        for number in range(100):
            unit.send(number, city)
        await wait_for(lambda: len(city.came) == 100, "all arrive")
    # What was sent at once and not picked keeps its order; what was picked comes behind it.
    picked = 100 - next(
        index
        for index in range(1, 101)
        if index == 100 or city.numbers[index] < city.numbers[index - 1]
    )
    assert 4 <= picked <= 36  # 20 +- 4 standard deviations
    assert sorted(city.numbers) == list(range(100))


async def test_cut_that_drops_loses_what_was_sent_meanwhile(
    box: NetworkBox, wait_for: WaitFor
) -> None:
    vehicle = await box.add_vehicle(UNIT)
    async with port(box.city, echo=True) as city, port(vehicle.inside) as unit:
        await box.apply(CutChange(UNIT))
        for number in range(10):
            unit.send(number, city)
        assert await silent(lambda: len(city.came))
        back = await box.apply(CutChange(UNIT, cut=None))
        unit.send(10, city)
        await wait_for(lambda: unit.numbers == [10], "the link is back both ways")
    assert city.numbers == [10]
    assert unit.came[0][0] >= back.at_s
    assert (await box.counters(UNIT)).up.dropped_cut == 10


async def test_cut_that_holds_brings_everything_when_it_ends(
    box: NetworkBox, wait_for: WaitFor
) -> None:
    vehicle = await box.add_vehicle(UNIT)
    async with port(box.city, echo=True) as city, port(vehicle.inside) as unit:
        await box.apply(CutChange(UNIT, cut=Cut.HELD, down=False))
        for number in range(10):
            unit.send(number, city)
        assert await silent(lambda: len(city.came))
        assert (await box.counters(UNIT)).up.waiting == 10
        back = await box.apply(CutChange(UNIT, cut=None))
        await wait_for(lambda: len(unit.came) == 10, "all come")
    assert unit.numbers == list(range(10))
    assert city.came[0][0] >= back.at_s


async def test_tcp_goes_on_after_a_cut(box: NetworkBox) -> None:
    vehicle = await box.add_vehicle(UNIT, both(delay_ms=5))
    data = os.urandom(20_000)
    async with (
        echo_server(box.city, CITY_ADDRESS) as number,
        connection(vehicle.inside, (CITY_ADDRESS, number)) as (reader, writer, _),
    ):
        assert await echoed(reader, writer, b"before")
        await box.play([(0.0, CutChange(UNIT)), (0.3, CutChange(UNIT, cut=None))])
        await asyncio.sleep(0.05)
        assert await echoed(reader, writer, data)
        assert (await box.counters(UNIT)).up.dropped_cut > 0


async def test_change_of_address_ends_old_flows_and_new_ones_work(
    box: NetworkBox, wait_for: WaitFor
) -> None:
    vehicle = await box.add_vehicle(UNIT, both(delay_ms=5))
    (old,) = vehicle.addresses
    async with (
        echo_server(box.city, CITY_ADDRESS) as number,
        connection(vehicle.inside, (CITY_ADDRESS, number)) as (reader, writer, seen),
        port(vehicle.inside) as unit,
        port(box.city) as city,
    ):
        assert seen == old
        assert await echoed(reader, writer, b"before")
        effect = await box.apply(AddressChange(UNIT))
        assert vehicle.addresses == [effect.address]
        assert effect.address != old
        writer.write(b"after")
        city.send(1, unit, host=old)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):  # several of TCP's repeats
                await reader.read(1)
        assert unit.came == []
        async with connection(vehicle.inside, (CITY_ADDRESS, number)) as (again, writes, now_seen):
            assert now_seen == effect.address
            assert await echoed(again, writes, b"hello")
        city.send(2, unit, host=effect.address)
        await wait_for(lambda: unit.numbers == [2], "the new address is reached")


async def test_stated_address_is_taken_and_wrong_or_used_ones_are_refused(box: NetworkBox) -> None:
    await box.add_vehicle(UNIT)
    other = await box.add_vehicle("unit-8")
    assert (await box.apply(AddressChange(UNIT, address="100.99.0.1"))).address == "100.99.0.1"
    with pytest.raises(NetworkBoxError, match="no address of"):
        await box.apply(AddressChange(UNIT, address="10.0.0.1"))
    with pytest.raises(NetworkBoxError, match="in use"):
        await box.apply(AddressChange(UNIT, address=other.addresses[0]))


async def senders(box: NetworkBox, vehicle: Vehicle, wait_for: WaitFor) -> list[str]:
    """Return under which addresses an unbound and two bound sockets are seen in the city."""
    async with port(box.city) as city:
        for number, host in enumerate(["0.0.0.0", *vehicle.addresses]):
            async with port(vehicle.inside, host) as unit:
                unit.send(number, city)
                await wait_for(partial(city.has, number + 1), f"{host} is heard")
    return [sender for _, _, sender in city.came]


async def test_two_uplinks_are_chosen_by_source_address_and_else_the_first_that_is_up(
    box: NetworkBox, wait_for: WaitFor
) -> None:
    vehicle = await box.add_vehicle(UNIT, [Link(), Link()])
    one, two = vehicle.addresses
    assert await senders(box, vehicle, wait_for) == [one, one, two]
    counted = [(await box.counters(UNIT, uplink)).up.delivered for uplink in (0, 1)]
    assert counted == [2, 1]
    await box.apply(UplinkSwitch(UNIT, 0, on=False))
    async with port(box.city) as city, port(vehicle.inside) as unit:
        unit.send(0, city)
        await wait_for(lambda: len(city.came) == 1, "the second uplink is taken")
    assert city.came[0][2] == two
    await box.apply(UplinkSwitch(UNIT, 0, on=True))
    assert await senders(box, vehicle, wait_for) == [one, one, two]
    await box.apply(AddressChange(UNIT, 1))
    assert await senders(box, vehicle, wait_for) == [one, one, vehicle.addresses[1]]


async def test_uplinks_have_conditions_of_their_own(box: NetworkBox, wait_for: WaitFor) -> None:
    slow, fast = Link.alike(Conditions(delay_ms=400)), Link.alike(Conditions(delay_ms=20))
    vehicle = await box.add_vehicle(UNIT, [slow, fast])
    async with (
        port(box.city) as city,
        port(vehicle.inside, vehicle.addresses[0]) as by_slow,
        port(vehicle.inside, vehicle.addresses[1]) as by_fast,
    ):
        by_slow.send(1, city)
        by_fast.send(2, city)
        await wait_for(lambda: len(city.came) == 2, "both arrive")
    assert city.numbers == [2, 1]


async def test_interface_that_is_down_takes_nothing_and_that_is_counted(
    box: NetworkBox, wait_for: WaitFor
) -> None:
    vehicle = await box.add_vehicle(UNIT)
    async with port(box.city) as city, port(vehicle.inside) as unit:
        await box.apply(UplinkSwitch(UNIT, on=False))
        with (
            vehicle.inside.open_socket(kind=socket.SOCK_DGRAM) as unbound,
            pytest.raises(OSError, match="unreachable"),
        ):
            unbound.connect((CITY_ADDRESS, city.address[1]))
        city.send(1, unit, host=vehicle.addresses[0])

        async def counted() -> bool:
            return (await box.counters(UNIT)).down.dropped_down == 1

        await wait_for(counted, "the packet is counted")
        await box.apply(UplinkSwitch(UNIT, on=True))
        unit.send(2, city)
        await wait_for(lambda: city.numbers == [2], "the uplink is back")


async def test_address_that_changes_while_the_interface_is_down_is_there_when_it_is_up(
    box: NetworkBox, wait_for: WaitFor
) -> None:
    vehicle = await box.add_vehicle(UNIT)
    changes = (UplinkSwitch(UNIT, on=False), AddressChange(UNIT), UplinkSwitch(UNIT, on=True))
    effects = [await box.apply(change) for change in changes]
    async with port(box.city) as city, port(vehicle.inside) as unit:
        unit.send(1, city)
        await wait_for(lambda: city.numbers == [1], "the packet comes")
    assert city.came[0][2] == effects[1].address == effects[2].address


async def test_vehicles_do_not_share_conditions_or_addresses(
    box: NetworkBox, wait_for: WaitFor
) -> None:
    first = await box.add_vehicle(UNIT)
    second = await box.add_vehicle("unit-8")
    await box.apply(CutChange(UNIT))
    async with (
        port(box.city) as city,
        port(first.inside) as one,
        port(second.inside) as two,
    ):
        one.send(1, city)
        two.send(2, city)
        await wait_for(lambda: city.numbers == [2], "the other vehicle is heard")
        assert await silent(lambda: len(city.came))
    assert city.came[0][2] == second.addresses[0]


async def test_script_is_played_in_order_and_says_when_each_change_took_effect(
    box: NetworkBox,
) -> None:
    await box.add_vehicle(UNIT)
    begin = time.monotonic()
    slow = LinkChange(UNIT, up=Conditions(delay_ms=50))
    script: Script = [
        (0.2, AddressChange(UNIT)), (0.0, slow), (0.1, CutChange(UNIT)),
        (0.3, CutChange(UNIT, cut=None)),
    ]  # fmt: skip
    effects = await (await box.play(script)).finished()
    assert [effect.change for effect in effects] == [script[i][1] for i in (1, 2, 0, 3)]
    times = [effect.at_s - begin for effect in effects]
    assert times == sorted(times)
    assert all(time_s >= planned for time_s, planned in zip(times, (0, 0.1, 0.2, 0.3), strict=True))
    assert effects[-1].at_s <= time.monotonic()


async def test_script_that_is_stopped_goes_no_further(box: NetworkBox) -> None:
    await box.add_vehicle(UNIT)
    playing: Playing = await box.play([(0.0, CutChange(UNIT)), (60.0, CutChange(UNIT, cut=None))])
    effects = await playing.stop()
    assert [effect.change for effect in effects] in ([CutChange(UNIT)], [])
    assert await playing.stop() == effects


@pytest.mark.parametrize(
    ("change", "problem"),
    [(CutChange("nobody"), "no vehicle nobody"), (CutChange(UNIT, 1), "has no uplink 1")],
)
async def test_change_of_what_is_not_there_is_refused(
    box: NetworkBox, change: CutChange, problem: str
) -> None:
    await box.add_vehicle(UNIT)
    with pytest.raises(NetworkBoxError, match=problem):
        await box.apply(change)
    with pytest.raises(NetworkBoxError, match="already"):
        await box.add_vehicle(UNIT)


async def test_script_with_a_time_that_is_no_number_is_refused(box: NetworkBox) -> None:
    await box.add_vehicle(UNIT)
    with pytest.raises(NetworkBoxError, match="times"):
        await box.play([(math.nan, CutChange(UNIT))])


async def test_box_measures_itself(capsys: pytest.CaptureFixture[str]) -> None:
    loads = [Load("udp", Conditions(delay_ms=5), 200, 100), Load("tcp", Conditions())]
    await measure(0.3, loads)
    header, udp, tcp = (line.split() for line in capsys.readouterr().out.splitlines())
    assert header[:2] == ["load", "sent/s"]
    assert udp[:2] == ["udp", "100"]
    assert float(tcp[2]) > 0


async def test_recorded_trace_is_played(box: NetworkBox, shared_data: Path) -> None:
    await box.add_vehicle(UNIT)
    path = next(path for path in recorded_traces(shared_data) if path.suffix == ".up")
    trace = read_trace(path).shortened(0.5)
    effects = await (await box.play(trace.script(UNIT))).finished()
    assert len(effects) == len(trace.steps) + 1
    assert effects[-1].at_s - effects[0].at_s >= 0.49
