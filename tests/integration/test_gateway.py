"""A hospital's gateway over the real broker, with a small hub of kernel parts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from hospital_gateway.gateway import serve
from hospital_gateway.live import PAST
from hospital_gateway.settings import Settings
from streams.chain import verify
from streams.codec import encode
from streams.credentials import issue
from streams.errors import ConfigError
from streams.journal import Journal
from streams.messages import (
    CaseFact,
    EcgStarted,
    Milestone,
    Position,
    PreAlert,
)
from streams.outbox import Draft
from tests.case_writer import twelve_leads
from tests.hospital_town import BOUND_S, HERE, NOBODYS, THERE, Town
from tests.hub_stand_in import REGION, HubStandIn, hospital_settings
from tests.waiting import until


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with HubStandIn(tmp_path) as hub:
        yield Town(hub)


async def test_board_case_shows_on_the_chosen_hospitals_board_and_on_no_other(town: Town) -> None:
    async with town.gateway(HERE) as here, town.gateway(THERE) as there:
        case = await town.case(HERE)
        alert = PreAlert(pathway="stemi", severity="red", age_years=60)
        await town.hub.fact(case, alert, "pre_alert", "unit-1", patient="1")
        await town.vitals(case, 118)
        await town.delivered(HERE)
        card = (await here.board())[case]
        assert (card["severity"], card["patients"][0]["pathway"]) == ("red", "stemi")
        assert card["patients"][0]["vitals"]["heart_rate_per_min"]["value"] == 118
        assert await there.board() == {}
        await there.get(f"/api/cases/{case}", status=400)


async def test_second_gateway_in_the_same_state_is_refused_and_the_first_goes_on(
    town: Town,
) -> None:
    async with town.gateway() as here:
        case = await town.case()
        with pytest.raises(ConfigError, match="another gateway runs here"):
            await serve(msgspec.convert(hospital_settings(town.hub, HERE), Settings))
        await town.delivered()
        assert case in await here.board()


async def test_divert_old_hospital_stands_down_and_new_one_gets_the_whole_case(town: Town) -> None:
    async with town.gateway(HERE) as here, town.gateway(THERE) as there:
        case = await town.case(HERE)
        await town.vitals(case, 100)
        await town.stand_down(case, HERE)
        await town.choose(case, THERE)
        await town.vitals(case, 120)
        await town.delivered(HERE)
        await town.delivered(THERE)
        old, new = (await here.board())[case], (await there.board())[case]
        assert (old["status"], old["stood_down_reason"]) == ("stood_down", "CT is down")
        assert old["patients"][0]["vitals"]["heart_rate_per_min"]["value"] == 100
        assert (new["status"], new["chain"]["missing"]) == ("inbound", 0)
        assert new["patients"][0]["vitals"]["heart_rate_per_min"]["value"] == 120
        await here.act(status=400, action="acknowledge", case=case, role="charge nurse")
        await here.act(action="dismiss", case=case)
        assert await here.board() == {}


async def test_copy_of_the_case_is_the_hubs_byte_for_byte_and_its_chain_verifies(
    town: Town, tmp_path: Path
) -> None:
    async with town.gateway() as here:
        case = await town.case()
        for beat in range(20):
            await town.vitals(case, 60 + beat)
        await town.delivered()
        assert (await here.board())[case]["chain"] == {
            "proven": 23, "last": 23, "missing": 0, "broken": [],
        }  # fmt: skip
    async with Journal(f"sqlite:///{tmp_path / HERE / 'journal.sqlite'}") as copy:
        copied, original = await copy.facts(case=case), await town.hub.journal.facts(case=case)
    assert [fact.data for fact in copied] == [fact.data for fact in original]
    in_order = sorted(copied, key=lambda fact: fact.case_sequence or 0)
    assert verify(iter(in_order)) == original[-1].hash


async def test_acknowledge_goes_to_the_hub_and_comes_back_delivered(town: Town) -> None:
    async with town.gateway() as here:
        case = await town.case()
        await town.delivered()
        answer = await here.act(action="acknowledge", case=case, role="charge nurse")
        assert answer["ok"]

        async def delivered() -> bool:
            seen = (await here.board())[case]["seen"]
            return [(mark["role"], mark["state"]) for mark in seen] == [
                ("charge nurse", "delivered")
            ]

        await until(delivered, "the acknowledgement comes back", BOUND_S)
        again = await here.act(action="acknowledge", case=case, role="charge nurse")
        assert again["already"]
        assert [one.kind for one in town.hub.from_hospitals] == ["acknowledged"]
        lines = (await here.get(f"/api/cases/{case}"))["lines"]
        assert lines[-1]["said"]["role"] == "charge nurse"


async def test_acknowledge_refused_by_the_hub_is_told_on_the_card(town: Town) -> None:
    town.hub.refuse_hospitals = True
    async with town.gateway() as here:
        case = await town.case()
        await town.delivered()
        await here.act(action="acknowledge", case=case, role="charge nurse")

        async def refused() -> bool:
            seen = (await here.board())[case]["seen"]
            return bool(seen) and seen[0]["problem"] is not None

        await until(refused, "the refusal is shown", BOUND_S)
        (seen,) = (await here.board())[case]["seen"]
        assert (seen["role"], seen["problem"]) == ("charge nurse", "not this hospital's case")


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ({"action": "acknowledge", "case": NOBODYS, "role": "nurse"}, "not known"),
        ({"action": "acknowledge", "case": "nonsense", "role": "nurse"}, "case"),
        ({"action": "acknowledge", "role": "nurse"}, "case"),
        ({"action": "acknowledge", "case": NOBODYS, "role": " "}, "role"),
        ({"action": "explode", "case": NOBODYS}, "explode"),
        ({}, "action"),
    ],
)  # fmt: skip
async def test_action_that_is_wrong_is_refused_in_words(
    town: Town, action: dict[str, Any], words: str
) -> None:
    async with town.gateway() as here:
        assert words in (await here.act(status=400, **action))["error"]


async def test_action_of_a_page_that_is_refused_is_answered_by_its_own_number(town: Town) -> None:
    async with town.gateway() as here, here.client.ws_connect("/ws") as page:
        await page.send_json({"type": "look", "cases": "nonsense"})
        wrong = {"type": "action", "request": "r7", "action": "note", "case": NOBODYS, "text": "x"}
        await page.send_json(wrong)
        error = await _until_message(page, lambda m: m["type"] == "error")
        assert "look" in error["error"]
        answer = await _until_message(page, lambda m: m["type"] == "answer")
        assert (answer["request"], answer["ok"]) == ("r7", False)
        assert "not known" in answer["error"]


@pytest.mark.parametrize(
    ("at_ms", "words"),
    [
        (1e305, "<= 9000000000000"),
        (10**400, "at_ms"),
        (math.nan, "not a JSON"),
        (math.inf, "not a JSON"),
        (-1, "> 0"),
        (0, "> 0"),
        (1, "more than a day back"),
        (8_999_999_999_999, "in the future"),
    ],
)
async def test_note_of_an_impossible_time_is_refused_in_words(
    town: Town, at_ms: float, words: str
) -> None:
    async with town.gateway() as here:
        case = await town.case()
        await town.delivered()
        answer = await here.act(status=400, action="note", case=case, text="seen", at_ms=at_ms)
        assert words in answer["error"]


async def test_note_of_an_hour_ago_is_taken(town: Town) -> None:
    async with town.gateway() as here:
        case = await town.case()
        await town.delivered()
        at_ms = town.hub.now_ns() // 1_000_000 - 3_600_000
        assert (await here.act(action="note", case=case, text="seen", at_ms=at_ms))["ok"]


async def test_acknowledge_by_a_role_that_is_not_here_is_refused_with_those_that_are(
    town: Town,
) -> None:
    async with town.gateway(roles=["charge nurse", "surgeon"]) as here:
        case = await town.case()
        await town.delivered()
        answer = await here.act(status=400, action="acknowledge", case=case, role="king")
        assert "charge nurse, surgeon" in answer["error"]
        assert (await here.board())[case]["seen"] == []
        assert (await here.act(action="acknowledge", case=case, role=" surgeon "))["ok"]


async def test_wrong_carried_facts_are_refused_and_the_rest_goes_on(town: Town) -> None:
    async with town.gateway() as here:
        case = await town.case()
        other = await town.case(None)
        foreign = (await town.hub.journal.facts(case=other))[0]
        town.hub.forward_one(HERE, foreign, case=case)
        town.hub.forward_one(HERE, foreign, case=case, fact=b"\x93garbage")
        place = Position(latitude_deg=0, longitude_deg=0, measured_ns=0, source="gnss")
        stream = town.hub.envelope(case, place, "position", "unit-1")
        town.hub.forward_one(HERE, foreign, case=case, fact=encode(stream))
        await town.vitals(case, 90)
        await town.delivered()
        assert list(await here.board()) == [case]
        refused = [one for receipt in town.hub.receipts for one in receipt.refused]
        assert {one.reason for one in refused} == {"carried_fact", "malformed"}


async def test_changed_fact_is_loud_and_stays_so_over_a_restart(town: Town) -> None:
    async with town.gateway() as here:
        case = await town.case()
        await town.delivered()
        facts = await town.hub.journal.facts(case=case)
        body = CaseFact(
            case_sequence=2, hash=bytes(32), corrected_ns=facts[1].corrected_ns,
            received_ns=facts[1].received_ns, fact=facts[2].data,
        )  # fmt: skip
        draft = Draft("case_fact", body, case=case, lane="urgent")
        town.hub.outbox.add(f"hospital/{HERE}", draft)
        town.hub.senders[HERE].wake()
        await town.delivered()
        assert (await here.board())[case]["chain"]["broken"] == [2]
        health = await here.get("/healthz", status=503)
        assert case in health["parts"]["copies"]["text"]
    async with town.gateway() as here:
        assert (await here.board())[case]["chain"]["broken"] == [2]


async def test_kill_and_restart_gives_exactly_the_same_board(town: Town, tmp_path: Path) -> None:
    run = "import sys; from hospital_gateway.command import command; command(sys.argv[1:])"
    config = tmp_path / "hospital.toml"
    config.write_bytes(msgspec.toml.encode(hospital_settings(town.hub)))
    state = tmp_path / HERE

    async def started() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-c", run,
            "--config", str(config), stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

    first = await started()
    try:
        await town.ready(state, lambda: first.returncode)
        case = await town.case()
        diverted = await town.case()
        await town.stand_down(diverted, HERE)
        for beat in range(30):
            await town.vitals(case, 60 + beat)
            if beat == 15:
                os.kill(first.pid, signal.SIGKILL)
                await first.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            first.kill()
    (state / "ready.json").unlink()
    boards = []
    for _ in range(2):
        async with town.gateway() as here:
            await town.delivered()
            await here.act(action="dismiss", case=diverted)
            boards.append((await here.get("/api/board"))["cases"])
            lines = (await here.get(f"/api/cases/{case}"))["lines"]
    assert boards[0] == boards[1]
    assert [one["card"]["case"] for one in boards[0]] == [case]
    assert len(boards[0][0]["curves"]["1"]["heart_rate_per_min"]) == 30
    assert boards[0][0]["card"]["chain"]["missing"] == 0
    assert [line["kind"] for line in lines] == ["case_opened", "unit_assigned", "hospital_chosen"]


async def test_page_gets_snapshot_changes_and_only_the_ecg_it_looks_at(town: Town) -> None:
    async with town.gateway() as here:
        case, other = await town.case(unit="unit-1"), await town.case(unit="unit-2")
        elsewhere = await town.case(THERE, unit="unit-3")
        started = EcgStarted(setup=twelve_leads(), start_ns=town.hub.now_ns(), device="monitor")
        await town.hub.fact(case, started, "ecg_started", "unit-1", patient="1")
        await town.delivered()
        async with here.client.ws_connect("/ws") as page:
            snapshot = await page.receive_json(timeout=BOUND_S)
            assert snapshot["type"] == "snapshot"
            assert [one["card"]["case"] for one in snapshot["cases"]] == sorted([case, other])
            await page.send_json({"type": "look", "cases": [case]})
            await page.send_json({"type": "action", "action": "note", "case": case, "text": "x"})
            await _until_message(page, lambda m: m["type"] == "answer" and m["ok"])
            for foreign in (other, elsewhere):
                await town.hub.ecg(HERE, foreign, "ecg-1", b"other", "unit-2")
            await town.hub.ecg(HERE, case, "ecg-1", b"stranger", "unit-9")
            await town.hub.ecg(HERE, case, "ecg-1", b"frame-1", "unit-1")
            frame = await _until_frame(page)
            assert (frame[2:28].decode(), frame[1] & PAST) == (case, 0)
            assert frame.endswith(b"frame-1")
            await town.vitals(case, 99)
            change = await _until_message(page, lambda m: m["type"] == "case" and m["curves"])
            assert change["curves"]["1"]["heart_rate_per_min"][0][1] == 99
            # the start of the ECG may have come to the gateway in the same breath
            assert "vitals" in [fact[0] for fact in change["facts"]]
        async with here.client.ws_connect("/ws") as page:
            await page.send_json({"type": "look", "cases": [case]})
            past = await _until_frame(page)
            assert (past[1] & PAST, past.endswith(b"frame-1")) == (PAST, True)


async def test_stand_down_ends_streams_at_once(town: Town) -> None:
    async with town.gateway() as here:
        case = await town.case()
        await town.delivered()
        async with here.client.ws_connect("/ws") as page:
            await page.send_json({"type": "look", "cases": [case]})
            await town.hub.ecg(HERE, case, "ecg-1", b"before", "unit-1")
            assert (await _until_frame(page)).endswith(b"before")
            await town.stand_down(case, HERE)
            await _until_message(
                page, lambda m: m["type"] == "case" and m["card"]["status"] == "stood_down"
            )
            await town.hub.ecg(HERE, case, "ecg-1", b"after", "unit-1")
            await town.hub.eta(HERE, case, 60)
            current = await town.case()
            await page.send_json({"type": "look", "cases": []})
            seen = await _until_message(
                page, lambda m: m["type"] == "case" and m["card"]["case"] == current, frames=True
            )
            assert seen["type"] == "case"
        async with here.client.post(f"/whep/{case}/cabin", data="v=0") as answer:
            assert answer.status == 403
            assert "stood down" in await answer.text()


async def test_hub_with_another_clock_gives_the_board_its_time(tmp_path: Path) -> None:
    ahead_ns = 412 * 1_000_000_000
    async with HubStandIn(tmp_path, ahead_ns=ahead_ns) as hub:
        town = Town(hub)
        async with town.gateway() as here:

            async def set_right() -> bool:
                now_ms = (await here.get("/api/board"))["now_ms"]
                return bool(abs(now_ms - hub.now_ns() / 1e6) < 500)

            await until(set_right, "the board shows the hub's time", BOUND_S)
            case = await town.case()
            await town.hub.fact(
                case, Milestone(stage="on_scene", at_ns=hub.now_ns()), "milestone", "unit-1"
            )
            await town.delivered()
            stamped = (await here.board())[case]["milestones"]["on_scene"]
            assert abs(stamped - hub.now_ns() / 1e6) < 10_000
            report = await here.get("/api/latency")
            assert report["fact_stored"]["max"] < 10_000


async def test_reads_of_patients_are_in_the_audit_log(town: Town, tmp_path: Path) -> None:
    async with town.gateway() as here:
        case = await town.case()
        await town.delivered()
        await here.board()
        await here.get(f"/api/cases/{case}")
        async with here.client.ws_connect("/ws") as page:
            await page.receive_json(timeout=BOUND_S)
            await page.send_json({"type": "look", "cases": [case]})
            await page.send_json({"type": "action", "action": "note", "case": case, "text": "x"})
            await _until_message(page, lambda m: m["type"] == "answer")
        await here.act(action="acknowledge", case=case, role="charge nurse")
        await here.act(400, action="acknowledge", case=NOBODYS, role="charge nurse")
    with contextlib.closing(sqlite3.connect(tmp_path / HERE / "journal.sqlite")) as database:
        reads = database.execute("SELECT who, what, case_id FROM reads").fetchall()
    assert {what for who, what, read in reads if (who, read) == ("er-desk", case)} >= {
        "board by API", "case", "board", "live ecg", "action note", "action acknowledge",
    }  # fmt: skip
    assert ("er-desk", "action acknowledge", NOBODYS) in reads, "also what was not done"


async def test_seats_of_others_do_not_come_in(town: Town) -> None:
    """Neither a seat of the hub or another hospital, nor a hospital itself."""
    console = issue(town.hub.roster, "console", "seat", REGION, place="hub")
    async with town.gateway() as here:
        strangers = (console, town.hub.seats[THERE], town.hub.credentials[HERE])
        for path in ("/", "/api/board", "/ws"):
            for stranger in strangers:
                headers = {"Authorization": f"Bearer {stranger.token}"}
                async with here.client.get(path, headers=headers) as answer:
                    assert answer.status == 401, await answer.text()
        assert await here.board() == {}


async def test_drawn_reports_become_the_latency_report(town: Town) -> None:
    async with town.gateway() as here, here.client.ws_connect("/ws") as page:
        await page.send_json({"type": "drawn", "kind": "ecg", "latencies_ms": [100, 200, -3]})
        for wrong in ("nonsense", [True], ["1"], [1] * 3000):
            await page.send_json({"type": "drawn", "kind": "ecg", "latencies_ms": wrong})
            await _until_message(page, lambda m: m["type"] == "error")
        report = await here.get("/api/latency")
        assert report["ecg"] == {"count": 3, "p50": 100.0, "p95": 200.0, "p99": 200.0, "max": 200.0}


async def _until_message(
    page: aiohttp.ClientWebSocketResponse, wanted: Callable[[Any], Any], *, frames: bool = False
) -> Any:
    async with asyncio.timeout(BOUND_S):
        while True:
            message = await page.receive()
            if message.type is aiohttp.WSMsgType.BINARY:
                assert not frames, "a frame came that must not"
                continue
            assert message.type is aiohttp.WSMsgType.TEXT, message
            found = json.loads(message.data)
            if wanted(found):
                return found


async def _until_frame(page: aiohttp.ClientWebSocketResponse) -> bytes:
    async with asyncio.timeout(BOUND_S):
        while True:
            message = await page.receive()
            if message.type is aiohttp.WSMsgType.BINARY:
                return bytes(message.data)
            assert message.type is aiohttp.WSMsgType.TEXT, message
