"""Police and fire against a real hub: told by HTTP, answering by HTTP, down, repeating, lying."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from streams.identity import new_id
from tests.call_sources import NUMBER, Outside
from tests.hub_town import BOUND_S, Hospital, Town, Vehicle, a_town
from tests.partner_stand_in import ControlRoom, a_case, alert_of, cap_answer, control_room, text_of

DOWN_BOUND_S = 25.0


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as made:
        yield made


@pytest.fixture
async def police(town: Town) -> AsyncIterator[ControlRoom]:
    room = control_room(town)
    async with room.open():
        yield room


async def tell(town: Town, case: str, partner: str = "police", **fields: Any) -> dict[str, Any]:
    return await town.act(
        "tell_partner", **{"case": case, "partner": partner, "purposes": ["violence"]} | fields
    )


async def seen(town: Town, case: str, partner: str = "police") -> dict[str, Any]:
    found: dict[str, Any] = (await town.get(f"/api/cases/{case}"))["partners"][partner]
    return found


async def until_last(town: Town, case: str, state: str, wait_for: Any) -> None:
    """Wait until the last message to the police is sent, or has failed."""

    async def has_it() -> bool:
        return bool((await seen(town, case))["last"]["state"] == state)

    await wait_for(has_it, f"a message that is {state}", DOWN_BOUND_S)


async def states(town: Town, case: str) -> list[str]:
    """The partner lines of the timeline, in words short enough to compare."""
    lines = await town.get(f"/api/cases/{case}/timeline")
    return [
        line["data"].get("state") or line["data"]["status"]
        for line in lines
        if line["kind"] in ("partner_told", "partner_answered")
    ]


async def test_partner_is_told_the_minimum_by_cap_and_its_answers_stand_in_the_case(
    town: Town, police: ControlRoom, wait_for: Any, tmp_path: Path
) -> None:
    unit, hospital = Vehicle("unit-1", tmp_path), Hospital("first-hospital", tmp_path)
    settings = police.settings(contact="021-55500120")
    async with town.open_hub(partners=(settings,)), town.join(unit, hospital):
        case = await a_case(town)
        await town.act("assign_unit", case=case, unit="unit-1")
        await town.act("choose_hospital", case=case, hospital="first-hospital")
        await tell(town, case, note="knife, man in red jacket")
        await wait_for(lambda: police.taken, "the message", BOUND_S)
        (sent,) = police.taken
        assert police.tokens == ["Bearer sesame"]
        alert = alert_of(sent)
        assert text_of(alert, "msgType") == "Alert"
        assert text_of(alert, "status") == "Actual"
        circles = [one.text for one in alert.within("circle")]
        assert circles == ["31.230400,121.473700 0.020"] * 2
        assert {one.text for one in alert.within("event")} == {"Violence", "暴力事件"}
        for part in ("No. 8 Garden Road", "Ambulance 1", "knife", "021-55500120"):
            assert part in sent
        for part in ("stab wound", "unconscious", "female", NUMBER[3:]):
            assert part not in sent
        sender, name, at = (text_of(alert, one) for one in ("sender", "identifier", "sent"))
        reference = f"{sender},{name},{at}"
        await police.answer(cap_answer(reference))
        await police.answer(cap_answer(reference, "Update", code="en_route", number="a-2"))
        await police.answer({"message": name, "status": "on_scene", "note": "two cars"})
        assert (await seen(town, case))["answer"]["status"] == "on_scene"
        expected = ["asked", "sent", "received", "en_route", "on_scene"]
        assert await states(town, case) == expected
        await wait_for(
            lambda: unit.kinds(case).count("partner_answered") == 3, "the crew's", BOUND_S
        )
        await wait_for(
            lambda: hospital.kinds(case).count("partner_answered") == 3, "the chain", BOUND_S
        )
        assert "partner_told" not in unit.kinds(case), "a crew has no use for it"
        assert await hospital.chain_holds(case)


async def test_second_telling_is_an_update_that_refers_to_the_first_and_a_cancel_ends_both(
    town: Town, police: ControlRoom, wait_for: Any
) -> None:
    async with town.open_hub(partners=(police.settings(),)):
        case = await a_case(town)
        refused = await town.act(
            "cancel_partner", case=case, partner="police", note="over", status=409
        )
        assert refused["conflict"]["kind"] == "not_told"
        await tell(town, case)
        await tell(town, case, purposes=["violence", "fire"], note="it burns now")
        for action in ("answer_call", "end_call"):
            await town.act(action, case=case)
        await town.act("close_case", case=case, outcome="treated")
        await town.act("cancel_partner", case=case, partner="police", note="all over")
        await wait_for(lambda: len(police.taken) == 3, "three messages", BOUND_S)
        alert, update, cancel = map(alert_of, police.taken)
        first = ",".join(text_of(alert, one) for one in ("sender", "identifier", "sent"))
        second = ",".join(text_of(update, one) for one in ("sender", "identifier", "sent"))
        assert text_of(update, "msgType") == "Update"
        assert text_of(update, "references") == first
        assert text_of(cancel, "msgType") == "Cancel"
        assert text_of(cancel, "references") == f"{first} {second}"
        assert text_of(cancel, "note") == "all over"
        assert not (await seen(town, case))["stands"]
        assert (await tell_again_of_closed(town, case))["conflict"]["kind"] == "closed"


async def tell_again_of_closed(town: Town, case: str) -> dict[str, Any]:
    return await tell(town, case, status=409)


async def test_server_that_is_down_gets_the_message_when_it_is_back(
    town: Town, wait_for: Any, free_port: Any
) -> None:
    police, port = control_room(town), free_port()
    police.port = port
    async with town.open_hub(partners=(police.settings(),)):
        case = await a_case(town)
        await tell(town, case)
        assert (await seen(town, case))["last"]["state"] == "asked"
        police.statuses = [503]
        async with police.open(port):
            await wait_for(lambda: police.taken, "the message", DOWN_BOUND_S)
            await until_last(town, case, "sent", wait_for)
        assert len(set(police.tried)) == 1, "every try is the same to the letter"
        assert (await seen(town, case))["last"]["tries"] >= 2


async def test_server_that_stays_down_is_said_and_the_next_telling_is_an_alert_again(
    town: Town, wait_for: Any, free_port: Any
) -> None:
    police, port = control_room(town), free_port()
    police.port = port
    async with town.open_hub(partners=(police.settings(retry_minutes=0.02),)):
        case = await a_case(town)
        await tell(town, case)

        await until_last(town, case, "failed", wait_for)
        last = (await seen(town, case))["last"]
        assert last["reason"].startswith("no answer")
        assert last["tries"] >= 2
        async with police.open(port):
            await tell(town, case)
            await wait_for(lambda: police.taken, "the message", BOUND_S)
        assert text_of(alert_of(police.taken[0]), "msgType") == "Alert"


async def test_server_that_hangs_is_given_up_in_time_and_asked_again(
    town: Town, police: ControlRoom, wait_for: Any
) -> None:
    police.hangs = True
    async with town.open_hub(partners=(police.settings(timeout_s=0.3),)):
        case = await a_case(town)
        await tell(town, case)
        await wait_for(lambda: police.tried, "the first try", BOUND_S)
        police.hangs = False
        await wait_for(lambda: police.taken, "the next one", BOUND_S)
        assert len(police.tried) == 2


@pytest.mark.parametrize("status", [401, 302, 404])
async def test_server_that_refuses_is_said_at_once(
    town: Town, police: ControlRoom, wait_for: Any, status: int
) -> None:
    police.statuses = [status]
    async with town.open_hub(partners=(police.settings(),)):
        case = await a_case(town)
        await tell(town, case)

        await until_last(town, case, "failed", wait_for)
        assert str(status) in (await seen(town, case))["last"]["reason"]
        assert len(police.tried) == 1


async def test_message_that_one_hub_could_not_send_is_sent_by_its_next_life(
    town: Town, wait_for: Any, free_port: Any
) -> None:
    police, port = control_room(town), free_port()
    police.port = port
    async with town.open_hub(partners=(police.settings(),)):
        case = await a_case(town)
        await tell(town, case)
        asked = (await seen(town, case))["last"]
    async with police.open(port), town.open_hub(partners=(police.settings(),)):
        await wait_for(lambda: police.taken, "the message", BOUND_S)
        assert police.taken == [asked["document"]]
        await until_last(town, case, "sent", wait_for)


async def test_partner_that_left_the_settings_is_said_to_be_untold(
    town: Town, wait_for: Any, free_port: Any
) -> None:
    police = control_room(town)
    police.port = free_port()
    async with town.open_hub(partners=(police.settings(),)):
        case = await a_case(town)
        await tell(town, case)
    async with town.open_hub():
        await until_last(town, case, "failed", wait_for)
        assert (await seen(town, case))["last"]["reason"], "and why"
    assert police.taken == []


async def test_message_that_is_not_taken_keeps_no_other_case_waiting(
    town: Town, police: ControlRoom, wait_for: Any
) -> None:
    async with town.open_hub(partners=(police.settings(),)):
        outside = Outside(town)
        stuck, other = await outside.ring(), await outside.ring("+8613800000002", "pbx-2")
        for case in (stuck, other):
            await town.act("amend_case", case=case, address="Long Street")
        police.statuses = [500]
        await tell(town, stuck)
        await wait_for(lambda: police.tried, "the first try", BOUND_S)
        await tell(town, other)
        await wait_for(lambda: len(police.taken) == 2, "both", BOUND_S)
        assert other in police.taken[0]


async def test_answer_that_comes_twice_stands_once(
    town: Town, police: ControlRoom, wait_for: Any
) -> None:
    async with town.open_hub(partners=(police.settings(format="json"),)):
        case = await a_case(town)
        await tell(town, case)
        await wait_for(lambda: police.taken, "the message", BOUND_S)
        told = json.loads(police.taken[0])
        answer = {"message": told["message"], "status": "accepted", "id": "p-1"}
        assert await police.answer(answer) == {"ok": True}
        assert await police.answer(answer) == {"ok": True, "repeated": True}
        unnamed = {"message": told["message"], "status": "refused", "note": "no car free"}
        assert await police.answer(unnamed) == {"ok": True}
        assert await police.answer(unnamed) == {"ok": True, "repeated": True}
        assert await states(town, case) == ["asked", "sent", "accepted", "refused"]
        assert (await seen(town, case))["answer"]["note"] == "no car free"


async def test_answer_about_what_a_partner_was_not_told_is_refused_without_a_word_more(
    town: Town, police: ControlRoom, wait_for: Any
) -> None:
    fire = control_room(town, "fire")
    async with (
        fire.open(),
        town.open_hub(partners=(police.settings(), fire.settings(kind="fire"))),
    ):
        case = await a_case(town)
        await tell(town, case)
        await wait_for(lambda: police.taken, "the message", BOUND_S)
        name = text_of(alert_of(police.taken[0]), "identifier")
        of_nobody = f"{new_id()}.{new_id()}"
        for message in (name, of_nobody, f"{case}.{new_id()}", "nonsense"):
            told = await fire.answer({"message": message, "status": "done"}, status=404)
            assert told["error"] == f"no message {message!r}"
        await police.answer(cap_answer(f"x,{of_nobody},y"), status=404)
        assert await states(town, case) == ["asked", "sent"]


async def test_door_is_open_to_partners_of_the_settings_alone(
    town: Town, police: ControlRoom
) -> None:
    stranger = town.issue("coastguard", "partner").token
    async with town.open_hub(partners=(police.settings(),)):
        case = await a_case(town)
        for key in (town.seat.token, Outside(town).key, stranger, "police.wrong"):
            await police.answer({"message": case, "status": "done"}, status=403, key=key)
        town_key = police.key
        async with town._http.get(
            "/api/cases", headers={"Authorization": f"Bearer {town_key}"}, ssl=town.trust
        ) as answer:
            assert answer.status == 401, "a partner reads nothing"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("<x", "document"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><alert/>', "DOCTYPE"),
        ("<alert><identifier>1</identifier></alert>", "sender"),
        ("{", "body"),
        ('{"message": "a", "status": "asleep"}', "status"),
        ('{"status": "done"}', "body"),
    ],
)
async def test_answer_that_cannot_be_read_names_the_field(
    town: Town, police: ControlRoom, body: str, field: str
) -> None:
    async with town.open_hub(partners=(police.settings(),)):
        told = await police.answer(body, status=422)
        assert (told["ok"], told["field"]) == (False, field)


async def test_exercise_answer_moves_no_real_case(
    town: Town, police: ControlRoom, wait_for: Any
) -> None:
    async with town.open_hub(partners=(police.settings(),)):
        case = await a_case(town)
        await tell(town, case)
        await wait_for(lambda: police.taken, "the message", BOUND_S)
        name = text_of(alert_of(police.taken[0]), "identifier")
        told = await police.answer(
            cap_answer(f"s,{name},t", code="on_scene", use="Exercise"), status=422
        )
        assert told["field"] == "status"
        assert (await seen(town, case))["answer"] is None


async def test_repeated_action_tells_once_and_a_used_id_for_another_is_refused(
    town: Town, police: ControlRoom, wait_for: Any
) -> None:
    async with town.open_hub(partners=(police.settings(),)):
        case, action = await a_case(town), new_id()
        await tell(town, case, id=action, note="knife")
        again = await tell(town, case, id=action, note="knife")
        assert again["repeated"]
        other = await tell(town, case, id=action, note="gun", status=409)
        assert other["conflict"]["kind"] == "id"
        await wait_for(lambda: police.taken, "the message", BOUND_S)
        assert await states(town, case) == ["asked", "sent"]
