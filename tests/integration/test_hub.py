"""The hub against the real broker: facts in, facts out, and nothing to anybody else."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from prometheus_client import REGISTRY

from dispatch.server import serving
from streams import topics
from streams.codec import encode, encode_body, open_body
from streams.errors import ConfigError
from streams.identity import new_id
from streams.messages import (
    Acknowledged,
    CaseNote,
    EcgLive,
    EcgRecord,
    Numeric,
    Position,
    RunStarted,
    TimeReply,
    TimeRequest,
    Vitals,
)
from streams.outbox import Draft
from tests.hub_town import REGION, Hospital, Town, Vehicle, a_town, numbers

WaitFor = Callable[..., Any]


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


def refused(reason: str, place: str = "hub") -> float:
    labels = {"place": place, "reason": reason}
    return REGISTRY.get_sample_value("forerun_refused_total", labels) or 0.0


def vitals(case: str, rate: float, at_ns: int = 1, patient: str | None = None) -> Draft:
    measured = Numeric(value=rate, measured_ns=at_ns)
    body = Vitals(device="monitor", heart_rate_per_min=measured)
    return Draft("vitals", body, case=case, patient=patient)


async def test_case_runs_from_opening_to_hospital_and_nobody_else_gets_it(
    town: Town, tmp_path: Path, wait_for: WaitFor
) -> None:
    unit, other_unit = Vehicle("unit-1", tmp_path), Vehicle("unit-2", tmp_path)
    first, second = Hospital("first-hospital", tmp_path), Hospital("second-hospital", tmp_path)
    async with town.open_hub() as hub, town.join(unit, other_unit, first, second):
        case = await town.open_case(complaint="chest pain", severity="red")
        await town.act("assign_unit", case=case, unit="unit-1")
        await wait_for(lambda: unit.kinds(case) == ["case_opened", "unit_assigned"], "the crew")
        unit.make(Draft("run_started", RunStarted(crew="A"), case=case))
        unit.make(vitals(case, 88))
        unit.make(Draft("ecg_record", EcgRecord(setup_id="a", frames=[b"x"]), case=case))
        await wait_for(lambda: unit.waiting() == 0, "receipts for the unit's facts")
        await town.act("choose_hospital", case=case, hospital="first-hospital")
        await wait_for(lambda: len(numbers(first, case)) == 6, "the case at the hospital")

        assert numbers(first, case) == [1, 2, 3, 4, 5, 6]
        assert await first.chain_holds(case)
        first.make(
            Draft("acknowledged", Acknowledged(hospital="first-hospital", role="nurse"), case=case)
        )
        await wait_for(lambda: "acknowledged" in unit.kinds(case), "the ER's word at the crew")
        assert unit.kinds(case) == [
            "case_opened", "unit_assigned", "hospital_chosen", "acknowledged",
        ]  # fmt: skip
        await wait_for(lambda: first.kinds(case)[-1:] == ["acknowledged"], "its own word back")
        assert not second.facts
        assert not other_unit.facts
        shown = await town.get(f"/api/cases/{case}")
        await wait_for(lambda: not hub.forwarder._missing["hospital/first-hospital", case], "all")
        shown = await town.get(f"/api/cases/{case}")
        assert shown["hospital_mark"] == {"state": "seen", "role": "nurse"}
        assert shown["unit_mark"] == {"state": "seen", "role": "crew"}


async def test_synthetic_position_is_said_to_be_one_at_the_console_and_to_the_hospital(
    town: Town, tmp_path: Path, wait_for: WaitFor
) -> None:
    unit, first = Vehicle("unit-1", tmp_path), Hospital("first-hospital", tmp_path)
    async with town.open_hub(), town.join(unit, first):
        case = await town.open_case()
        await town.act("assign_unit", case=case, unit="unit-1")
        await town.act("choose_hospital", case=case, hospital="first-hospital")
        position = Position(latitude_deg=31.2, longitude_deg=121.4, measured_ns=1, source="route")
        await unit.stream(Draft("position", position, origin="synthetic", case=case))
        await wait_for(lambda: first.heard["arrival"], "an estimate")
        assert [one.origin for one in first.heard["arrival"]] == ["synthetic"]
        shown = {one["name"]: one for one in await town.get("/api/units")}
        assert shown["unit-1"]["position_origin"] == "synthetic"


async def test_change_of_hospital_stands_the_old_one_down_and_cuts_it_off(
    town: Town, tmp_path: Path, wait_for: WaitFor
) -> None:
    unit = Vehicle("unit-1", tmp_path)
    first, second = Hospital("first-hospital", tmp_path), Hospital("second-hospital", tmp_path)
    async with town.open_hub(), town.join(unit, first, second):
        case = await town.open_case()
        await town.act("assign_unit", case=case, unit="unit-1")
        await town.act("choose_hospital", case=case, hospital="first-hospital")
        await wait_for(lambda: "hospital_chosen" in first.kinds(case), "the first hospital")
        await town.act("choose_hospital", case=case, hospital="second-hospital", reason="cath lab")
        unit.make(vitals(case, 90))
        await wait_for(lambda: "vitals" in second.kinds(case), "the second hospital")
        position = Position(latitude_deg=31.2, longitude_deg=121.4, measured_ns=1, source="gnss")
        await unit.stream(Draft("position", position, case=case))
        await wait_for(lambda: second.heard["position"] and second.heard["arrival"], "position")

        assert first.kinds(case)[-1] == "hospital_stood_down"
        assert numbers(second, case) == [1, 2, 3, 4, 5, 6]
        assert not first.heard["position"]
        assert await second.chain_holds(case)
        first.make(
            Draft("acknowledged", Acknowledged(hospital="first-hospital", role="nurse"), case=case)
        )
        await wait_for(lambda: first.waiting() == 0, "an answer to the first hospital")
        assert first.receipts[-1].refused[0].reason == "case"
        assert "acknowledged" not in second.kinds(case)


async def test_second_hub_in_the_same_state_is_refused_and_the_first_goes_on(town: Town) -> None:
    async with town.open_hub():
        with pytest.raises(ConfigError, match="another hub runs here"):
            async with serving(town.settings()):
                pass
        case = await town.open_case()
        assert (await town.get(f"/api/cases/{case}"))["id"] == case


async def test_restart_of_the_hub_brings_back_exactly_the_journal(
    town: Town, tmp_path: Path, wait_for: WaitFor
) -> None:
    first = Hospital("first-hospital", tmp_path)
    action: dict[str, Any] = {
        "id": new_id(),
        "address": "Long Street",
        "severity": "yellow",
        "age_years": 61,
    }
    async with town.open_hub():
        case = await town.open_case(**action)
        await town.act("assign_unit", case=case, unit="unit-2")
        await town.act("choose_hospital", case=case, hospital="first-hospital")
        reached = town.hub.forwarder.reached
        await wait_for(lambda: reached("hospital/first-hospital", case, 3) is False, "sent on")
        before = await town.get(f"/api/cases/{case}")
    async with town.open_hub():
        # Looked at before the hospital is there: what it then gets changes the marks.
        after = await town.get(f"/api/cases/{case}")
        assert after == before
        assert after["hospital"] == "first-hospital"
        async with town.join(first):
            again = await town.act("open_case", **action)
            await wait_for(lambda: len(numbers(first, case)) == 3, "what waited in the outbox")
            assert again == {"ok": True, "case": case, "made": ["case_opened"], "repeated": True}
            assert len(await town.get("/api/cases")) == 1
            await town.act("note", case=case, text="after the restart")
            await wait_for(lambda: numbers(first, case) == [1, 2, 3, 4], "the chain goes on")
            assert await first.chain_holds(case)


async def test_garbage_on_a_fact_topic_is_refused_counted_and_stops_nothing(
    town: Town, tmp_path: Path, wait_for: WaitFor
) -> None:
    unit = Vehicle("unit-1", tmp_path)
    async with town.open_hub() as hub, town.join(unit):
        case, foreign = await town.open_case(), await town.open_case()
        await town.act("assign_unit", case=case, unit="unit-1")
        before = {r: refused(r) for r in ("malformed", "version", "oversized", "case")}
        good = encode(unit.outbox.envelope(vitals(case, 70), "vitals", 1))
        topic = topics.path("unit", REGION, "unit-1", "vitals")
        newer = msgspec.structs.replace(unit.outbox.envelope(vitals(case, 70)), version=2)
        large = msgspec.structs.replace(
            newer, version=1, body=encode_body(EcgRecord(setup_id="a", frames=[bytes(40_000)]))
        )
        strange = [msgspec.msgpack.encode(envelope) for envelope in (newer, large)]
        for data in (b"", b"\xc1", good[:-3], *strange):
            await unit.transport.publish(topic, data)
        unit.make(vitals(foreign, 70))
        unit.make(vitals(case, 71))
        await wait_for(lambda: unit.waiting() == 0, "answers to all facts")

        assert refused("malformed") > before["malformed"]
        assert refused("version") == before["version"] + 1
        assert refused("oversized") == before["oversized"] + 1
        assert refused("case") == before["case"] + 1
        assert [r.reason for receipt in unit.receipts for r in receipt.refused] == ["case"]
        counts = await hub._parts.journal.count()
        assert counts["refused"] == 6
        metrics = await town.get("/metrics")
        assert 'forerun_refused_total{place="hub",reason="oversized"}' in metrics
        shown = await town.get(f"/api/cases/{case}")
        assert shown["patients"][0]["signs"]["heart_rate_per_min"]["value"] == 71


async def test_facts_of_a_unit_without_the_case_are_refused_with_reason(
    town: Town, tmp_path: Path, wait_for: WaitFor
) -> None:
    assigned, stranger = Vehicle("unit-1", tmp_path), Vehicle("unit-3", tmp_path)
    first = Hospital("first-hospital", tmp_path)
    async with town.open_hub(), town.join(assigned, stranger, first):
        case = await town.open_case()
        await town.act("assign_unit", case=case, unit="unit-1")
        await town.act("choose_hospital", case=case, hospital="first-hospital")
        stranger.make(Draft("case_note", CaseNote(text="not mine", at_ns=1), case=case))
        await wait_for(lambda: stranger.receipts and not stranger.waiting(), "an answer")
        position = Position(latitude_deg=31.2, longitude_deg=121.4, measured_ns=1, source="gnss")
        await stranger.stream(Draft("position", position, case=case))
        await assigned.stream(Draft("position", position, case=case))
        await wait_for(lambda: first.heard["position"], "the assigned unit's position")

        refusal = stranger.receipts[-1].refused[0]
        assert refusal.reason == "case"
        assert case in refusal.text
        assert {envelope.source for envelope in first.heard["position"]} == {"unit-1"}
        assert "case_note" not in first.kinds(case)


async def test_duplicates_in_any_order_are_stored_once(
    town: Town, tmp_path: Path, wait_for: WaitFor
) -> None:
    unit, first = Vehicle("unit-1", tmp_path), Hospital("first-hospital", tmp_path)
    async with town.open_hub() as hub, town.join(unit, first):
        case = await town.open_case()
        await town.act("assign_unit", case=case, unit="unit-1")
        await town.act("choose_hospital", case=case, hospital="first-hospital")
        made = [unit.outbox.envelope(vitals(case, float(n), n), "vitals", n) for n in range(1, 21)]
        topic = topics.path("unit", REGION, "unit-1", "vitals")
        for envelope in [*reversed(made), *made, *made[::3]]:
            await unit.transport.publish(topic, encode(envelope))
        await wait_for(
            lambda: unit.receipts and unit.receipts[-1].stored.get("vitals") == 20, "all stored"
        )
        await wait_for(lambda: numbers(first, case) == list(range(1, 24)), "all forwarded once")

        assert (await hub._parts.journal.count())["facts"] == 23
        shown = await town.get(f"/api/cases/{case}")
        newest = shown["patients"][0]["signs"]["heart_rate_per_min"]
        assert newest["value"] == 20, "the newest by the time of measuring, not of coming"


async def test_unknown_names_and_busy_units_get_a_clear_error_and_change_nothing(
    town: Town,
) -> None:
    async with town.open_hub() as hub:
        one = await town.open_case("First Street")
        two = await town.open_case("Second Street")
        before = refused("unknown", "action")
        answer = await town.act("choose_hospital", status=404, case=one, hospital="no-hospital")
        assert "no-hospital" in answer["error"]
        assert "first-hospital" in answer["error"]
        await town.act("assign_unit", status=404, case=one, unit="unit-9")
        await town.act("assign_unit", status=404, case=new_id(), unit="unit-1")
        assert refused("unknown", "action") == before + 3
        assert (await town.get(f"/api/cases/{one}"))["hospital"] is None

        await town.act("assign_unit", case=one, unit="unit-1")
        answer = await town.act("assign_unit", status=409, case=two, unit="unit-1")
        assert "First Street" in answer["error"]
        assert answer["conflict"]["case"] == one
        await town.act("assign_unit", status=409, case=two, unit="unit-1", override=True)
        assert hub.record.book.of_unit("unit-1").id == one  # type: ignore[union-attr]
        await town.act(
            "assign_unit", case=two, unit="unit-1", override=True, reason="cardiac arrest"
        )
        assert hub.record.book.of_unit("unit-1").id == two  # type: ignore[union-attr]
        told = await town.get(f"/api/cases/{one}/timeline")
        assert told[-1]["kind"] == "unit_released"
        assert "cardiac arrest" in told[-1]["data"]["reason"]
        await town.act("open_case", status=400, address="   ")
        await town.act("dance", status=400)


def ecg_frame(unit: Vehicle, case: str, newest_ns: int) -> bytes:
    frame = EcgLive(setup_id="a", frame=b"no samples at all", newest_ns=newest_ns)
    return encode(unit.outbox.envelope(Draft("ecg_live", frame, case=case)))


async def test_live_ecg_goes_to_the_hospital_of_the_case_and_is_not_opened(
    town: Town, tmp_path: Path, wait_for: WaitFor
) -> None:
    unit = Vehicle("unit-1", tmp_path)
    first, second = Hospital("first-hospital", tmp_path), Hospital("second-hospital", tmp_path)
    async with town.open_hub() as hub, town.join(unit, first, second):
        case = await town.open_case()
        await town.act("assign_unit", case=case, unit="unit-1")
        await town.act("choose_hospital", case=case, hospital="first-hospital")
        warm_up, data = (ecg_frame(unit, case, newest_ns) for newest_ns in (1, 2))
        before = refused("malformed")
        hub._take_message("unit-2/live", "ecg", data)
        hub._take_message("unit-1/live", "chat", data)
        hub._take_message("unit-1/cabin", "ecg", data)
        assert refused("malformed") == before + 1

        def is_listening() -> object:
            # A stream is sent once and never kept: whoever does not listen yet misses it.
            hub._take_message("unit-1/live", "ecg", warm_up)
            return first.heard["ecg_live"]

        def heard() -> list[bytes]:
            return [one for one in map(encode, first.heard["ecg_live"]) if one != warm_up]

        await wait_for(is_listening, "a frame")
        hub._take_message("unit-1/live", "ecg", data)
        await wait_for(heard, "the frame")
        assert heard() == [data]
        assert not second.heard["ecg_live"]
        await town.act("close_case", case=case, outcome="handed_over")
        hub._take_message("unit-1/live", "ecg", data)
        assert hub.live._ecg.empty(), "a closed case streams nowhere"


async def test_time_request_is_answered_with_the_hubs_clock(
    town: Town, tmp_path: Path, wait_for: WaitFor
) -> None:
    unit, first = Vehicle("unit-1", tmp_path), Hospital("first-hospital", tmp_path)
    async with town.open_hub(), town.join(unit, first):
        for party in (unit, first):
            await party.stream(Draft("time_request", TimeRequest(t1_ns=42)))
            await wait_for(lambda p=party: p.heard["time_reply"], "the reply")
            envelope = party.heard["time_reply"][0]
            reply = open_body(envelope, TimeReply)
            assert reply.t1_ns == 42
            assert 42 < reply.t2_ns <= reply.t3_ns


async def test_vehicle_that_comes_back_gets_what_waited_at_once(
    town: Town, tmp_path: Path, wait_for: WaitFor
) -> None:
    async with town.open_hub() as hub:
        case = await town.open_case()
        await town.act("assign_unit", case=case, unit="unit-1")
        await wait_for(lambda: hub.forwarder.senders, "a sender")
        unit = Vehicle("unit-1", tmp_path)
        async with town.join(unit):
            await unit.stream(Draft("time_request", TimeRequest(t1_ns=1)))
            await wait_for(lambda: unit.kinds(case) == ["case_opened", "unit_assigned"], "all", 5)
            await wait_for(lambda: hub.forwarder.reached("unit/unit-1", case, 2), "the receipt")
            assert unit.kinds(case) == ["case_opened", "unit_assigned"], "each once"


async def test_media_is_for_the_unit_itself_the_seat_and_the_hospital_of_the_case(
    town: Town,
) -> None:
    async with town.open_hub(), contextlib.AsyncExitStack() as stack:
        case = await town.open_case()
        await town.act("assign_unit", case=case, unit="unit-1")
        await town.act("choose_hospital", case=case, hospital="first-hospital")
        roles = {"unit-1": "unit", "unit-2": "unit", "first-hospital": "hospital",
                 "second-hospital": "hospital", "seat-1": "seat"}  # fmt: skip
        http = await stack.enter_async_context(aiohttp.ClientSession(town.hub.url))

        async def status(path: str, who: str | None) -> int:
            token = town.issue(who, roles[who]).token if who else "nobody.secret"  # type: ignore[arg-type]
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
            async with http.post(path, data=b"v=0", headers=headers, ssl=town.trust) as answer:
                return answer.status

        # 400: let in, and then the offer is no offer.
        assert await status("/whip/unit-1/cabin", "unit-1") == 400
        assert await status("/whip/unit-1/cabin", "unit-2") == 403
        assert await status("/whip/unit-1/cabin", "first-hospital") == 403
        assert await status("/whip/unit-1/cabin", "seat-1") == 403
        assert await status("/whip/unit-1/cabin", None) == 401
        assert await status("/whep/unit-1/cabin", "seat-1") == 400
        assert await status("/whep/unit-1/cabin", "first-hospital") == 400
        assert await status("/whep/unit-1/cabin", "second-hospital") == 403
        assert await status("/whep/unit-2/cabin", "first-hospital") == 403
        assert await status("/whep/unit-1/cabin", "unit-1") == 403
        await town.act("choose_hospital", case=case, hospital="second-hospital")
        assert await status("/whep/unit-1/cabin", "first-hospital") == 403
        assert await status("/whep/unit-1/cabin", "second-hospital") == 400


async def test_pages_refuse_without_a_seat_and_note_every_read(town: Town) -> None:
    async with town.open_hub() as hub, aiohttp.ClientSession(hub.url) as http:
        case = await town.open_case()
        for path in ("/", "/api/cases", "/ws"):
            async with http.get(path, ssl=town.trust) as answer:
                assert answer.status == 401
        hospital = town.issue("first-hospital", "hospital")
        headers = {"Authorization": f"Bearer {hospital.token}"}
        async with http.get("/api/cases", headers=headers, ssl=town.trust) as answer:
            assert answer.status == 401
        before = (await hub._parts.journal.count())["reads"]
        await town.get("/api/cases")
        await town.get(f"/api/cases/{case}")
        await town.get(f"/api/cases/{case}/timeline")
        assert (await hub._parts.journal.count())["reads"] == before + 3
        health = await town.get("/healthz")
        assert set(health["parts"]) == {"broker", "journal", "relay", "clock", "gaps", "neighbours"}
        assert health["ok"]


async def test_seats_of_hospitals_and_crews_open_neither_console_nor_video(town: Town) -> None:
    async with town.open_hub() as hub, aiohttp.ClientSession(hub.url) as http:
        case = await town.open_case()
        await town.act("assign_unit", case=case, unit="unit-1")
        for place in ("first-hospital", "unit-1"):
            seat = town.issue(f"{place}-seat", "seat", at=place)
            headers = {"Authorization": f"Bearer {seat.token}"}
            for path in ("/", "/ws", "/api/cases", f"/api/cases/{case}/timeline"):
                async with http.get(path, headers=headers, ssl=town.trust) as answer:
                    assert answer.status == 401
                    assert "no seat at hub" in await answer.text()
            action = {"action": "note", "case": case, "text": "not mine"}
            for path, body in (("/api/action", action), ("/whep/unit-1/cabin", {})):
                async with http.post(path, json=body, headers=headers, ssl=town.trust) as answer:
                    assert answer.status == 401
        told = await town.get(f"/api/cases/{case}/timeline")
        assert [entry["kind"] for entry in told] == ["case_opened", "unit_assigned"]


async def test_console_socket_tells_what_changes_and_answers_actions(town: Town) -> None:
    async with town.open_hub() as hub, aiohttp.ClientSession(hub.url) as http:
        headers = {"Authorization": f"Bearer {town.seat.token}"}
        async with http.ws_connect("/ws", headers=headers, ssl=town.trust) as socket:
            snapshot = await socket.receive_json(timeout=5)
            assert snapshot["type"] == "snapshot"
            assert [unit["name"] for unit in snapshot["units"]] == ["unit-1", "unit-2", "unit-3"]
            key = new_id()
            await socket.send_json(
                {"type": "action", "action": "open_case", "id": key, "address": "Long Street"}
            )
            found: dict[str, Any] = {}
            while {"answer", "case"} - set(found):
                message = await socket.receive_json(timeout=5)
                found[message["type"]] = message
            assert found["answer"]["ok"]
            assert found["answer"]["id"] == key
            assert found["case"]["case"]["address"] == "Long Street"
            case = found["answer"]["case"]
            await socket.send_json({"type": "watch", "case": case})
            while "detail" not in found:
                message = await socket.receive_json(timeout=5)
                found[message["type"]] = message
            assert [entry["kind"] for entry in found["detail"]["entries"]] == ["case_opened"]
            await socket.send_json(
                {"type": "action", "action": "assign_unit", "case": case, "unit": "unit-7"}
            )
            found.pop("answer")
            while "answer" not in found:
                message = await socket.receive_json(timeout=5)
                found[message["type"]] = message
            assert not found["answer"]["ok"]
            assert "unit-7" in found["answer"]["error"]
