"""A run without any coverage: handed over at the bay, and reconciled when coverage is back."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import wfdb

from hospital_gateway.bay_store import BayStore
from streams.authority import Authority, server_context
from streams.chain import Stored, verify
from streams.codec import any_body
from streams.errors import StorageError
from streams.export import export_case
from streams.journal import Journal
from streams.messages import EcgRecord
from tests.bay_town import BOUND_S, HERE, UNIT, BayTown
from tests.hospital_town import Desk
from tests.hub_town import a_town
from tests.vehicle_town import RECORD_SAMPLES, Vehicle
from tests.waiting import until


@pytest.fixture
async def bay(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[BayTown]:
    async with a_town(tmp_path) as town:
        yield BayTown(town, free_port)


async def make_code(desk: Desk) -> str:
    async with desk.client.post("/api/bay/code") as answer:
        assert answer.status == 200, await answer.text()
        told = await answer.json()
    assert told["addresses"] == [f"127.0.0.1:{told['addresses'][0].rpartition(':')[2]}"]
    return str(told["code"])


async def begin(vehicle: Vehicle, address: str, code: str) -> tuple[int, dict[str, Any]]:
    body = {"address": address, "code": code}
    async with vehicle.http.post(f"{vehicle.url}/api/bay", json=body) as answer:
        return answer.status, await answer.json()


async def hand_over(bay: BayTown, desk: Desk, vehicle: Vehicle) -> dict[str, Any]:
    """Hand over by code; return the tablet's last word."""
    status, answer = await begin(vehicle, bay.gateway_url, await make_code(desk))
    assert status == 200, answer

    async def over() -> dict[str, Any] | None:
        told: dict[str, Any] = (await vehicle.state())["bay"]
        return told if told["state"] in ("done", "failed") else None

    return dict(await until(over, "the hand-over ends", BOUND_S))


async def journal_of(folder: Path, case: str) -> list[Stored]:
    """The facts of a case in a journal, whose service has ended or not."""
    async with Journal(f"sqlite:///{folder / 'journal.sqlite'}") as journal:
        return await journal.facts(case=case, limit=None)


def kinds(facts: list[Stored]) -> dict[str, int]:
    found: dict[str, int] = {}
    for fact in facts:
        found[fact.envelope.kind] = found.get(fact.envelope.kind, 0) + 1
    return found


async def shown(desk: Desk, case: str) -> dict[str, Any]:
    """What the board shows that could stand twice: lines and points."""
    whole = await desk.get(f"/api/cases/{case}")
    points = [
        point for part in whole["curves"].values() for curve in part.values() for point in curve
    ]
    lines = [line["id"] for line in whole["lines"]]
    assert len(lines) == len(set(lines))
    return {"points": len(points), "lines": set(lines), "card": whole["card"]}


async def test_run_without_coverage_is_handed_over_and_reconciled_without_doubles(
    bay: BayTown, tmp_path: Path
) -> None:
    async with bay.gateway() as desk:
        async with bay.vehicle(covered=False) as vehicle:
            case = await bay.run_without_link(vehicle)
            told = await hand_over(bay, desk, vehicle)
            assert told["state"] == "done", told
            assert told["stored"] == told["expected"] > 25
            assert told["hospital"] == "First Hospital ER"
            assert told["problem"] == ""
            before = await shown(desk, case)
            card = before["card"]
            assert card["status"] == "arrived"
            assert card["bay"]["confirmed"] is False
            assert card["patients"][0]["pathway"] == "stemi"
            assert card["patients"][0]["ecg"]["setup"]["leads"]
            assert set(card["milestones"]) == {"on_scene", "arrived"}
            assert before["points"] == 2 * 20
            again = await hand_over(bay, desk, vehicle)  # the crew is not sure, and does it again
            assert again["state"] == "done"
            twice = await shown(desk, case)
            assert twice["points"] == before["points"]
            assert len(twice["lines"] - before["lines"]) == 1, "the second hand-over itself"
            await desk.act(action="acknowledge", case=case, role="charge nurse")
            assert (await vehicle.act("end_run"))[0] == 200
        made = outbox_of(tmp_path / UNIT, case)
        async with bay.town.open_hub(), bay.vehicle(covered=True, sensors=()):

            async def confirmed() -> bool:
                card = (await desk.board())[case]
                seen = [mark["state"] for mark in card["seen"]]
                return bool(card["bay"]["confirmed"]) and seen == ["delivered"]

            await until(confirmed, "the hub confirmed it", BOUND_S)
            hub_case = await bay.town.get(f"/api/cases/{case}")
            assert hub_case["hospital"] == HERE
            after = await shown(desk, case)
            assert after["points"] == before["points"]
            assert twice["lines"] <= after["lines"]
            assert after["card"]["chain"]["missing"] == 0
    hub, here = await journal_of(tmp_path / "hub", case), await journal_of(tmp_path / HERE, case)
    assert [one.data for one in sorted(here, key=place)] == [one.data for one in hub]
    verify(iter(hub))
    own = {one.envelope.id: one.data for one in hub if one.envelope.source == UNIT}
    assert made.items() <= own.items(), "what the vehicle made stands at the hub byte for byte"
    count = kinds(hub)
    assert (count["case_opened"], count["hospital_chosen"], count["acknowledged"]) == (1, 1, 1)
    assert count["bay_handover"] == 2
    assert count["vitals"] == 20
    await same_export(tmp_path, case)


def place(fact: Stored) -> int:
    return fact.case_sequence or 0


def outbox_of(folder: Path, case: str) -> dict[str, bytes]:
    """What waits in a vehicle's outbox of a case, by id."""
    with sqlite3.connect(folder / "outbox.sqlite") as db:
        rows = db.execute("SELECT id, data FROM facts WHERE case_id = ?", (case,)).fetchall()
    assert rows
    return dict(rows)


async def same_export(folder: Path, case: str) -> None:
    """Export the case at hub and ER: the same facts, the same ECG, sample for sample."""
    for name in ("hub", HERE):
        async with Journal(f"sqlite:///{folder / name / 'journal.sqlite'}") as journal:
            summary = await export_case(journal, case, folder / f"export-{name}")
        (recording,) = summary["recordings"]
        assert (recording["samples"], recording["missing"]) == (RECORD_SAMPLES, [])
    heads = [
        json.loads((folder / f"export-{name}" / "summary.json").read_text())
        for name in ("hub", HERE)
    ]
    assert heads[0] == heads[1]
    for name in ("hub", HERE):
        record = wfdb.rdrecord(str(folder / f"export-{name}" / "ecg-1"), physical=False)
        assert record.d_signal[:, 0].tolist() == list(range(RECORD_SAMPLES))


async def test_ecg_is_at_the_bay_block_for_block(bay: BayTown, tmp_path: Path) -> None:
    async with bay.gateway() as desk, bay.vehicle(covered=False) as vehicle:
        case = await bay.run_without_link(vehicle)
        assert (await hand_over(bay, desk, vehicle))["state"] == "done"
    store = BayStore(tmp_path / HERE / "bay.sqlite")
    bodies = [any_body(fact.envelope) for fact in store.facts(case)]
    store.close()
    blocks = [body for body in bodies if isinstance(body, EcgRecord)]
    assert sum(len(block.frames) for block in blocks) == RECORD_SAMPLES / 50


async def test_gateway_killed_in_the_middle_goes_on_where_it_was(
    bay: BayTown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onboard.bay_handover.PORTION_FACTS", 4)
    stored = BayStore.take
    pieces = 0

    def refusing(self: BayStore, *arguments: Any) -> int:
        nonlocal pieces
        pieces += 1
        if pieces > 3:  # as if it died here: nothing of this piece is stored or answered
            raise StorageError("killed")
        return stored(self, *arguments)

    async with bay.vehicle(covered=False) as lone:
        case = await bay.run_without_link(lone)
    async with bay.gateway() as desk:
        code = await make_code(desk)
        vehicles = bay.vehicle(covered=False, sensors=())
        vehicle = await vehicles.__aenter__()
        monkeypatch.setattr(BayStore, "take", refusing)
        assert (await begin(vehicle, bay.gateway_url, code))[0] == 200

        async def waits() -> bool:
            return bool((await vehicle.state())["bay"]["state"] == "waiting")

        await until(waits, "it waits", BOUND_S)
    monkeypatch.setattr(BayStore, "take", stored)
    try:
        async with bay.gateway() as desk:

            async def done() -> dict[str, Any] | None:
                told: dict[str, Any] = (await vehicle.state())["bay"]
                return told if told["state"] == "done" else None

            told = await until(done, "it is done", BOUND_S)
            assert told["stored"] == told["expected"]
            card = (await desk.board())[case]
            assert card["bay"]["closed"]
            assert (await shown(desk, case))["points"] == 40
    finally:
        await vehicles.__aexit__(None, None, None)


async def test_wrong_code_and_wrong_gateway_are_told_to_the_crew(
    bay: BayTown, free_port: Callable[[], int]
) -> None:
    async with bay.gateway() as desk, bay.vehicle(covered=False) as vehicle:
        status, answer = await begin(vehicle, bay.gateway_url, "12345678")
        assert (status, "no case" in answer["error"]) == (400, True)
        await bay.run_without_link(vehicle)
        code = await make_code(desk)
        wrong = f"{(int(code) + 1) % 10**8:08}"
        assert (await begin(vehicle, bay.gateway_url, wrong))[0] == 200

        async def failed() -> str:
            told = (await vehicle.state())["bay"]
            return str(told["problem"]) if told["state"] == "failed" else ""

        assert "not the code" in await until(failed, "it failed", BOUND_S)
        for bad in ({"address": "x y", "code": code}, {"address": bay.gateway_url, "code": "12"}):
            status, _ = await begin(vehicle, bad["address"], bad["code"])
            assert status == 400
        await begin(vehicle, f"127.0.0.1:{free_port()}", code)

        async def waits() -> bool:
            return bool((await vehicle.state())["bay"]["state"] == "waiting")

        await until(waits, "it waits", BOUND_S)
        status, answer = await begin(vehicle, bay.gateway_url, code)
        assert (status, "under way" in answer["error"]) == (400, True)
        async with vehicle.http.delete(f"{vehicle.url}/api/bay") as stopped:
            assert stopped.status == 200
        await until(failed, "it failed", BOUND_S)


async def test_gateway_without_a_certificate_of_ours_gets_nothing(
    bay: BayTown, tmp_path: Path
) -> None:
    """A stranger's TLS server in the bay's network: the vehicle does not even say the code."""
    heard: list[bytes] = []

    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1000))
        writer.close()

    authority = Authority(tmp_path / "foreign")
    authority.ensure()
    foreign = authority.server_certificate("page-x", ["127.0.0.1"])
    server = await asyncio.start_server(stranger, "127.0.0.1", 0, ssl=server_context(foreign))
    port = server.sockets[0].getsockname()[1]
    async with server, bay.vehicle(covered=False) as vehicle:
        await bay.run_without_link(vehicle)
        assert (await begin(vehicle, f"127.0.0.1:{port}", "12345678"))[0] == 200

        async def failed() -> str:
            told = (await vehicle.state())["bay"]
            return str(told["problem"]) if told["state"] == "failed" else ""

        assert "no gateway of ours" in await until(failed, "it failed", BOUND_S)
    assert not any(heard)


async def test_strangers_at_the_bay_get_nothing(bay: BayTown) -> None:
    async with bay.gateway() as desk:
        for method, path in (
            ("POST", "/bay/open"), ("POST", "/bay/facts"), ("POST", "/bay/close"),
            ("GET", "/bay/state"), ("POST", "/api/bay/code"), ("POST", "/api/bay/qr"),
        ):  # fmt: skip
            headers = {"Authorization": "Bearer nobody"}
            async with desk.client.request(method, path, headers=headers, data=b"x") as answer:
                assert answer.status in (400, 401, 403), (path, answer.status)
                assert "error" in await answer.json()
        async with desk.client.post("/bay/open", data=io.BytesIO(b"x" * 3_000_000)) as answer:
            assert answer.status == 400


async def test_qr_codes_of_the_tablet_are_read_at_a_seat_and_reconciled(bay: BayTown) -> None:
    async with bay.gateway() as desk:
        async with bay.vehicle(covered=False) as vehicle:
            case = await bay.run_without_link(vehicle)
            async with vehicle.http.get(f"{vehicle.url}/api/bay/code") as answer:
                code = await answer.json()
            assert code["facts"] == code["all_facts"]
            for frames in ([], code["frames"][1:], ["no code of ours"], ["x" * 2000]):
                async with desk.client.post("/api/bay/qr", json={"frames": frames}) as answer:
                    assert answer.status == 400
            async with desk.client.post("/api/bay/qr", json={"frames": code["frames"]}) as answer:
                told = await answer.json()
            assert (told["stored"], told["refused"], told["case"]) == (code["facts"], 0, case)
            before = await shown(desk, case)
            assert (before["points"], before["card"]["bay"]["way"]) == (40, "qr")
            status, _ = await vehicle.act("bay_handover", hospital=HERE, facts=code["facts"])
            assert status == 200
        async with bay.town.open_hub(), bay.vehicle(covered=True, sensors=()):

            async def confirmed() -> bool:
                return bool((await desk.board())[case]["bay"]["confirmed"])

            await until(confirmed, "the hub confirmed it", BOUND_S)
            after = await shown(desk, case)
            assert after["points"] == 40
            assert before["lines"] <= after["lines"]
