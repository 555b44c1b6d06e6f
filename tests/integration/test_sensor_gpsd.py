"""The gpsd sensor against the real gpsd, fed from a real receiver's log by gpsfake."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from onboard.sensors import Reading, open_sensor
from onboard.sensors.settings import GpsdSettings
from streams.clock import SystemClock
from streams.messages import Position, SensorState
from tests.conftest import WaitFor


class Follower:
    """Follows a sensor in the background and keeps what it gives."""

    def __init__(self, settings: GpsdSettings) -> None:
        self.readings: list[Reading] = []
        self._settings = settings

    @property
    def positions(self) -> list[Position]:
        return [reading for reading in self.readings if isinstance(reading, Position)]

    @property
    def states(self) -> list[tuple[str, str]]:
        states = [reading for reading in self.readings if isinstance(reading, SensorState)]
        return [(state.state, str(state.reason)) for state in states]

    async def run(self) -> None:
        async def short(seconds: float) -> None:
            await asyncio.sleep(min(seconds, 0.05))

        sensor = open_sensor(self._settings, SystemClock(), short)
        async with contextlib.aclosing(sensor.readings()) as readings:
            async for reading in readings:
                self.readings.append(reading)


@contextlib.asynccontextmanager
async def following(settings: GpsdSettings) -> AsyncIterator[Follower]:
    follower = Follower(settings)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(follower.run(), name="test.gpsd")
        yield follower
        task.cancel()


@contextlib.asynccontextmanager
async def fake_receiver(program: str, port: int, log: Path) -> AsyncIterator[None]:
    """Run gpsfake, which starts a gpsd of its own on `port`, until the block ends."""
    process = await asyncio.create_subprocess_exec(
        program, "-q", "-P", str(port), "-c", "0.02", str(log),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        async with asyncio.timeout(10):
            await process.wait()


@pytest.fixture
def gpsfake(need_program: Callable[[str, str], str]) -> str:
    need_program("gpsd", "it is the other side of this sensor")
    return need_program("gpsfake", "it feeds gpsd from a log")


async def test_positions_of_a_real_gpsd_are_those_of_the_log(
    gpsfake: str, shared_data: Path, free_port: Callable[[], int], wait_for: WaitFor
) -> None:
    port = free_port()
    log = shared_data / "gps" / "gpsd_nmea" / "quectelLC79D-1.log"
    settings = GpsdSettings(name="gnss", port=port, origin="replay")
    async with fake_receiver(gpsfake, port, log), following(settings) as follower:
        await wait_for(lambda: len(follower.positions) >= 3, "three positions", 30)
    for position in follower.positions:
        assert position.latitude_deg == pytest.approx(50 + 2.4536 / 60, abs=1e-4)
        assert position.longitude_deg == pytest.approx(19 + 58.8318 / 60, abs=1e-4)
        assert position.source == "gpsd"
        assert position.radius_m is None or 1 < position.radius_m < 200
        assert abs(position.measured_ns - SystemClock().wall_ns()) < 60_000_000_000


async def test_receiver_without_a_fix_is_said_and_gives_no_position(
    gpsfake: str, shared_data: Path, free_port: Callable[[], int], wait_for: WaitFor
) -> None:
    port = free_port()
    log = shared_data / "gps" / "gpsd_nmea" / "tn200.log"
    settings = GpsdSettings(name="gnss", port=port, origin="replay")
    async with fake_receiver(gpsfake, port, log), following(settings) as follower:
        await wait_for(lambda: ("running", "no fix") in follower.states, "the state", 30)
    assert follower.positions == []


async def test_gpsd_that_comes_late_and_comes_back_is_found_each_time(
    gpsfake: str, shared_data: Path, free_port: Callable[[], int], wait_for: WaitFor
) -> None:
    port = free_port()
    log = shared_data / "gps" / "gpsd_nmea" / "quectelLC79D-1.log"
    async with following(GpsdSettings(name="gnss", port=port)) as follower:
        await wait_for(lambda: follower.states, "the first failure")
        assert follower.states[0][0] == "failed"
        assert f"127.0.0.1:{port}" in follower.states[0][1]
        async with fake_receiver(gpsfake, port, log):
            await wait_for(lambda: follower.positions, "positions", 30)
        await wait_for(lambda: follower.states[-1][0] == "failed", "the loss", 20)
        before = len(follower.positions)
        async with fake_receiver(gpsfake, port, log):
            await wait_for(lambda: len(follower.positions) > before, "positions again", 30)
    assert len(follower.states) < 20


async def test_silent_gpsd_is_given_up_and_told_once(
    free_port: Callable[[], int], wait_for: WaitFor
) -> None:
    calls = 0

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", port := free_port())
    settings = GpsdSettings(name="gnss", port=port, silence_s=0.05)
    async with server, following(settings) as follower:
        await wait_for(lambda: calls >= 3, "several attempts")
    assert len(follower.states) == 1
    assert "does not answer" in follower.states[0][1]


async def test_endless_line_and_garbage_never_end_the_sensor(
    free_port: Callable[[], int], wait_for: WaitFor
) -> None:
    fix = b'{"class":"TPV","mode":3,"lat":31.2,"lon":121.5}\n'
    answers = [b"x" * 600_000 + b"\n", b"\0\xff{]\n" + fix, b""]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readline()
            writer.write(answers.pop(0) if answers else b"")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port := free_port())
    async with server, following(GpsdSettings(name="gnss", port=port)) as follower:
        await wait_for(lambda: not answers and follower.positions, "the position")
    assert len(follower.positions) == 1
    assert follower.states[0][0] == "failed"
