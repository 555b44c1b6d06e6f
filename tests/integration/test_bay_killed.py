"""The gateway is killed in the middle of a hand-over at the bay: as a process, without a word."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.bay_town import BOUND_S, HERE, UNIT, BayTown
from tests.hospital_town import Desk
from tests.hub_town import a_town
from tests.waiting import until


@contextlib.asynccontextmanager
async def gateway_process(bay: BayTown) -> AsyncIterator[tuple[asyncio.subprocess.Process, Desk]]:
    """Run the gateway as a process; killed at the end of the block, if not before."""
    settings = bay.gateway_settings()
    ready = Path(settings.state) / "ready.json"
    ready.unlink(missing_ok=True)
    config = bay.folder / "hospital.toml"
    known = {
        name: value for name, value in msgspec.to_builtins(settings).items() if value is not None
    }
    config.write_bytes(msgspec.toml.encode(known))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "streams.cli", "hospital", "--config", str(config),
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await until(lambda: ready.exists() or process.returncode is not None, "ready.json", BOUND_S)
        bay.gateway_url = msgspec.json.decode(ready.read_bytes())["url"]
        ca = Path(str(bay.town.broker.endpoints.ca_path))
        async with Desk(bay.gateway_url, bay.desk.token, ca) as desk:
            yield process, desk
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_gateway_killed_twice_in_the_middle_has_all_it_answered_and_the_rest_comes(
    tmp_path: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onboard.bay_handover.PORTION_FACTS", 1)
    monkeypatch.setattr("onboard.bay_handover.RETRY_S", 0.1)
    async with a_town(tmp_path) as town:
        bay = BayTown(town, free_port)
        async with bay.vehicle(covered=False) as vehicle:
            case = await bay.run_without_link(vehicle)

            async def told() -> dict[str, Any]:
                return dict((await vehicle.state())["bay"])

            answered = 0
            for life in range(2):
                async with gateway_process(bay) as (process, desk):
                    if life == 0:
                        async with desk.client.post("/api/bay/code") as answer:
                            code = (await answer.json())["code"]
                        body = {"address": bay.gateway_url, "code": code}
                        async with vehicle.http.post(f"{vehicle.url}/api/bay", json=body) as begun:
                            assert begun.status == 200
                    more = answered + 5

                    async def came(at_least: int = more) -> bool:
                        return bool((await told())["stored"] >= at_least)

                    await until(came, "the facts come", BOUND_S)
                    process.kill()
                    await process.wait()
                    answered = (await told())["stored"]
            assert (await told())["state"] in ("sending", "waiting")
            async with gateway_process(bay) as (_, desk):
                async with desk.client.get("/api/bay") as answer:
                    (session,) = (await answer.json())["sessions"]
                assert session["stored"] >= answered

                async def done() -> bool:
                    return bool((await told())["state"] == "done")

                await until(done, "it is done", BOUND_S)
                last = await told()
                assert last["stored"] == last["expected"]
                card = (await desk.board())[case]
                assert (card["bay"]["stored"], card["bay"]["refused"]) == (last["stored"], 0)
                whole = await desk.get(f"/api/cases/{case}")
                assert sum(len(c) for p in whole["curves"].values() for c in p.values()) == 40
                ids = [line["id"] for line in whole["lines"]]
                assert len(ids) == len(set(ids))
        assert (tmp_path / HERE / "bay.sqlite").exists()
        assert (tmp_path / UNIT).exists()
