"""`forerun dispatch` as a process: its example, its end, and a kill in the middle of the work."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from dispatch.command import command
from dispatch.settings import Settings
from streams.config import example, load
from streams.errors import ConfigError
from streams.identity import new_id
from tests.hub_town import HOSPITALS, Hospital, Town, a_town, numbers

WaitFor = Callable[..., Any]
START_S = 30.0


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


@contextlib.asynccontextmanager
async def process(
    town: Town, wait_for: WaitFor
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run the hub as a process; gives it and its URL once it serves."""
    config = town.state / "dispatch.toml"
    config.write_bytes(msgspec.toml.encode(town.settings()))
    ready = Path(town.settings().state) / "ready.json"
    ready.unlink(missing_ok=True)
    hub = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "streams.cli", "dispatch", "--config", str(config),
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await wait_for(ready.exists, "ready.json", START_S)
        yield hub, msgspec.json.decode(ready.read_bytes())["url"]
    finally:
        if hub.returncode is None:
            hub.kill()
        await hub.wait()


async def ask(town: Town, url: str, path: str, action: dict[str, Any] | None = None) -> Any:
    headers = {"Authorization": f"Bearer {town.seat.token}"}
    async with (
        aiohttp.ClientSession(url, headers=headers) as http,
        http.request(
            "GET" if action is None else "POST", path, json=action, ssl=town.trust
        ) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_hub_killed_in_the_middle_has_every_answered_action_and_goes_on(
    town: Town, tmp_path: Path, wait_for: WaitFor
) -> None:
    first = Hospital("first-hospital", tmp_path)
    actions = [
        {"action": "open_case", "id": new_id(), "address": f"No. {number} Long Street"}
        for number in range(40)
    ]
    answered: list[str] = []
    async with town.join(first):
        async with process(town, wait_for) as (hub, url):

            async def call() -> None:
                for action in actions:
                    case = (await ask(town, url, "/api/action", action))["case"]
                    choose = {"action": "choose_hospital", "case": case, "hospital": first.name}
                    await ask(town, url, "/api/action", choose)
                    answered.append(case)

            calling = asyncio.create_task(call(), name="calls")
            await wait_for(lambda: len(answered) >= 5, "some cases", START_S)
            hub.send_signal(signal.SIGKILL)
            with contextlib.suppress(aiohttp.ClientError):
                await calling
        async with process(town, wait_for) as (_, url):
            cases = {case["id"]: case for case in await ask(town, url, "/api/cases")}
            assert set(answered) <= set(cases)
            assert all(cases[case]["hospital"] == first.name for case in answered)
            again = [await ask(town, url, "/api/action", action) for action in actions]
            assert len({answer["case"] for answer in again}) == len(actions)
            assert len(await ask(town, url, "/api/cases")) == len(actions), "no case twice"
            await wait_for(
                lambda: all(numbers(first, case) == [1, 2] for case in answered), "all facts"
            )
            assert all([await first.chain_holds(case) for case in answered])


async def test_process_told_to_end_takes_ready_away_and_ends_with_zero(
    town: Town, wait_for: WaitFor
) -> None:
    async with process(town, wait_for) as (hub, _):
        hub.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(hub.wait(), START_S) == 0
        assert not (Path(town.settings().state) / "ready.json").exists()


def test_example_is_a_valid_configuration(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command(["--example"]) == 0
    printed = capsys.readouterr().out
    assert printed == example("dispatch", "dispatch.toml")
    path = tmp_path / "dispatch.toml"
    path.write_text(printed)
    settings = load(path, Settings)
    assert [unit.name for unit in settings.units] == ["unit-1", "unit-2", "unit-3"]
    assert {hospital.name for hospital in settings.hospitals} == set(HOSPITALS)
    path.write_text(printed.replace("[travel]", "[travel]\nwings = 2"))
    with pytest.raises(ConfigError, match="wings"):
        load(path, Settings)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("latitude_deg = 31.2101", "latitude_deg = 121.4687"),
        ("latitude_deg = 31.2101", "latitude_deg = nan"),
        ("longitude_deg = 121.4687", "longitude_deg = 181.0"),
        ("abilities = []", 'abilities = ["dentist"]'),
    ],
)
def test_hospital_at_an_impossible_place_stops_the_start(
    right: str, wrong: str, tmp_path: Path
) -> None:
    path = tmp_path / "dispatch.toml"
    path.write_text(example("dispatch", "dispatch.toml").replace(right, wrong))
    with pytest.raises(ConfigError, match=r"hospitals\[0\]"):
        load(path, Settings)


def test_name_that_is_there_twice_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "dispatch.toml"
    text = example("dispatch", "dispatch.toml").replace('name = "unit-2"', 'name = "unit-1"')
    path.write_text(text)
    with pytest.raises(ConfigError, match="unit-1"):
        load(path, Settings)
