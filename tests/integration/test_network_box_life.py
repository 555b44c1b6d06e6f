"""The network in a box and processes: what runs inside, how it ends, and that nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import aiohttp.web
import psutil
import pytest

from bench.network import NetworkBox
from bench.network_conditions import CutChange, Link, NetworkBoxError
from tests.conftest import WaitFor, has_ended
from tests.network_ports import BOUND_S, UNIT, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


@pytest.fixture
async def box() -> AsyncIterator[NetworkBox]:
    async with NetworkBox() as made:
        yield made


async def test_program_with_the_prefix_is_inside_with_the_same_process_id(box: NetworkBox) -> None:
    vehicle = await box.add_vehicle(UNIT)
    program = "import os, socket; print(os.getpid(), *(name for _, name in socket.if_nameindex()))"
    process = await asyncio.create_subprocess_exec(
        *vehicle.inside.prefix, sys.executable, "-c", program, stdout=subprocess.PIPE
    )
    async with asyncio.timeout(BOUND_S):
        told, _ = await process.communicate()
    assert told.decode().split() == [str(process.pid), "lo", "uplink0"]


async def test_http_reaches_a_page_on_a_vehicles_own_loopback(box: NetworkBox) -> None:
    vehicle = await box.add_vehicle(UNIT)

    async def page(_: aiohttp.web.BaseRequest) -> aiohttp.web.Response:
        return aiohttp.web.Response(text="tablet")

    listener = vehicle.inside.open_socket()
    listener.bind(("127.0.0.1", 0))
    runner = aiohttp.web.ServerRunner(aiohttp.web.Server(page))
    await runner.setup()
    await aiohttp.web.SockSite(runner, listener).start()
    connector = aiohttp.TCPConnector(socket_factory=vehicle.inside.socket_for)
    async with aiohttp.ClientSession(connector=connector) as client:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        async with client.get(url, timeout=aiohttp.ClientTimeout(total=BOUND_S)) as answer:
            assert await answer.text() == "tablet"
    await runner.cleanup()
    assert (await box.counters(UNIT)).up.packets == 0


async def test_box_whose_forwarding_process_is_killed_says_so(
    box: NetworkBox, wait_for: WaitFor
) -> None:
    vehicle = await box.add_vehicle(UNIT)
    playing = await box.play([(60.0, CutChange(UNIT))])
    os.kill(box.pid, signal.SIGKILL)
    with pytest.raises(NetworkBoxError, match="has ended"):
        await playing.finished()
    with pytest.raises(NetworkBoxError, match="gone"):
        await box.apply(CutChange(UNIT))
    with pytest.raises(NetworkBoxError, match="gone"):
        vehicle.inside.open_socket()


async def test_root_that_may_not_make_namespaces_is_told_so() -> None:
    program = """import asyncio; from bench.network import NetworkBox
async def main():
    async with NetworkBox():
        pass
asyncio.run(main())"""
    process = await asyncio.create_subprocess_exec(
        "setpriv", "--bounding-set", "-sys_admin", sys.executable, "-c", program,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(BOUND_S):
        _, complaints = await process.communicate()
    last = complaints.decode().splitlines()[-1]
    assert last.startswith("bench.network_conditions.NetworkBoxError: The kernel refuses")


def devices() -> list[str]:
    """Return the network devices of the machine."""
    return [name for _, name in socket.if_nameindex()]


async def test_machines_own_devices_are_as_before() -> None:
    before = devices()
    async with NetworkBox() as box:
        await box.add_vehicle(UNIT, [Link(), Link()])
        assert devices() == before
    assert devices() == before


OWNER = textwrap.dedent(
    """
    import asyncio, os, subprocess, sys
    from bench.network import NetworkBox
    from streams.child_process import tied

    async def main():
        async with NetworkBox() as box:
            vehicle = await box.add_vehicle("unit-7")
            sleeper = subprocess.Popen(tied([*vehicle.inside.prefix, "sleep", "600"]))
            spaces = [os.readlink(place.path) for place in (box.city, vehicle.inside)]
            print(box.pid, sleeper.pid, *spaces, flush=True)
            await asyncio.sleep(600)

    asyncio.run(main())
    """
)


def namespaces() -> set[str]:
    """Return the network namespaces that a process of this machine is in or holds open."""
    found = set()
    for process in psutil.pids():
        with contextlib.suppress(OSError):
            folder = Path(f"/proc/{process}")
            for link in [folder / "ns" / "net", *(folder / "fd").iterdir()]:
                with contextlib.suppress(OSError):
                    found.add(str(link.readlink()))
    return found


async def test_nothing_is_left_when_the_owner_is_killed(wait_for: WaitFor) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, stdout=subprocess.PIPE
    )
    try:
        assert owner.stdout is not None
        async with asyncio.timeout(BOUND_S):
            line = await owner.stdout.readline()
        link, sleeper, *spaces = line.decode().split()
        children = [psutil.Process(int(link)), psutil.Process(int(sleeper))]
        assert set(spaces) <= namespaces()
    finally:
        owner.kill()
        await owner.wait()
    for child in children:
        await wait_for(partial(has_ended, child), f"{child} ends", BOUND_S)
    assert not set(spaces) & namespaces()


CITIZEN = textwrap.dedent(
    """
    import asyncio, socket, subprocess, sys
    from bench.network import NetworkBox
    from bench.network_namespace import enter_city, in_city

    enter_city()

    CALLER = "import socket; print(socket.create_connection(('198.51.100.1', %d), 10).recv(99))"

    async def main():
        listener = socket.create_server(("0.0.0.0", 0))
        async def serve(reader, writer):
            writer.write(b"hello from the city")
            writer.close()
        async with NetworkBox() as box, await asyncio.start_server(serve, sock=listener):
            vehicle = await box.add_vehicle("unit-7")
            process = await asyncio.create_subprocess_exec(
                *vehicle.inside.prefix, sys.executable, "-c", CALLER % listener.getsockname()[1],
                stdout=subprocess.PIPE)
            told, _ = await process.communicate()
            print(in_city(), box.city.prefix, *(name for _, name in socket.if_nameindex()))
            print(sys.argv[1], told.decode().strip())

    asyncio.run(main())
    """
)


async def test_program_that_enters_the_city_serves_vehicles_itself(tmp_path: Path) -> None:
    program = tmp_path / "citizen.py"
    program.write_text(CITIZEN, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, program, "an argument", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(BOUND_S):
        told, complaints = await process.communicate()
    assert complaints.decode() == ""
    assert told.decode() == "True () lo operators\nan argument b'hello from the city'\n"
