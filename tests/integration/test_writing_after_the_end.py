"""A caller who writes once nobody has the call rings again; and what he writes hides nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dispatch.settings import Sms
from streams.t140 import MISSING
from tests.call_sources import NUMBER, Outside, message_gateway
from tests.conftest import WaitFor
from tests.hub_town import BOUND_S, Town, a_town
from tests.text_callers import Phone, a_console, a_phone

NEW_LINE = "\u2028"


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as made:
        yield made


async def phase(town: Town, case: str) -> str:
    found: dict[str, Any] = await town.get(f"/api/cases/{case}")
    return str(found["call"]["phase"])


async def steps(town: Town, case: str) -> list[str]:
    lines = await town.get(f"/api/cases/{case}/timeline")
    return [line["data"]["step"] for line in lines if line["kind"] == "call_step"]


async def stands(phone: Phone, call: str) -> None:
    """Wait until the page is told that the call stands so."""
    while (await phone.until("status"))["status"]["call"] != call:
        pass


async def test_caller_s_page_is_told_how_call_and_help_stand_as_it_changes(town: Town) -> None:
    async with town.open_hub():
        case = await Outside(town).ring(dialled="120")
        async with a_phone(town, case) as phone:
            welcome = phone.heard[-1]
            assert welcome["status"] == {"call": "ringing", "help": "none", "place": False}
            assert welcome["dialled"] == "120"
            await town.act("answer_call", case=case)
            await stands(phone, "read")
            await town.act("assign_unit", case=case, unit="unit-1")
            told = (await phone.until("status"))["status"]
            assert told == {"call": "read", "help": "assigned", "place": False}
            await town.act("hold_call", case=case)
            await stands(phone, "held")
            await town.act("answer_call", case=case)
            await stands(phone, "read")
            await town.act("end_call", case=case)
            await stands(phone, "ended")


async def test_character_after_the_end_rings_at_every_seat_once_until_it_is_answered(
    town: Town,
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        async with a_phone(town, case) as phone, a_console(town, case) as console:
            await town.act("answer_call", case=case)
            await phone.write("he is awake" + NEW_LINE)
            await town.act("end_call", case=case)
            await stands(phone, "ended")
            await phone.write("w")  # no line's end is waited for
            await stands(phone, "waits")
            await console.until("writing", who="caller", text="w")
            await phone.write("ait! he does not breathe" + NEW_LINE + "help" + NEW_LINE)
            while (await phone.until("turn"))["turn"]["text"] != "help":
                pass
            assert await phase(town, case) == "unattended"
            await town.act("answer_call", case=case)
            await stands(phone, "read")
            await phone.write("thank you" + NEW_LINE)
            await phone.until("turn")
            await town.act("end_call", case=case)
        assert await steps(town, case) == [
            "rang", "answered", "hung_up", "wrote", "answered", "hung_up",
        ]  # fmt: skip


async def test_text_from_before_the_end_rings_nobody_and_one_that_is_erased_neither(
    town: Town, wait_for: WaitFor
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        async with a_phone(town, case) as phone:
            await town.act("answer_call", case=case)
            await phone.write("oh x")  # stored once it pauses, after the end
            await town.act("end_call", case=case)

            async def stored() -> bool:
                turns = (await town.get(f"/api/cases/{case}"))["talk"]["turns"]
                return [one["text"] for one in turns] == ["oh x"]

            await wait_for(stored, "the pause", BOUND_S)
            await phone.write("\b\b\b\b")
            assert await phase(town, case) == "ended"
            assert await steps(town, case) == ["rang", "answered", "hung_up"]


async def test_call_that_was_lost_rings_again_when_its_caller_writes(town: Town) -> None:
    async with town.open_hub():
        outside = Outside(town)
        case = await outside.ring()
        async with a_phone(town, case) as phone:
            await outside.step("pbx-1", "hung_up")
            await stands(phone, "lost")
            await phone.write("I cannot talk" + NEW_LINE)
            await stands(phone, "waits")
            await outside.step("pbx-1", "hung_up")  # the exchange says it again
            assert await phase(town, case) == "unattended"


async def test_ring_of_a_caller_who_wrote_is_there_again_after_a_restart_of_the_hub(
    town: Town,
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        async with a_phone(town, case) as phone:
            await town.act("answer_call", case=case)
            await town.act("end_call", case=case)
            await phone.write("wait" + NEW_LINE)
            await stands(phone, "waits")
            session = phone.session
    async with town.open_hub():
        assert await phase(town, case) == "unattended"
        async with a_phone(town, case, session) as phone:
            assert phone.heard[-1]["status"]["call"] == "waits"


async def test_whole_message_after_the_end_rings_again_and_a_repeat_of_it_does_not(
    town: Town,
) -> None:
    async with message_gateway() as (url, _), town.open_hub(sms=Sms(gateway=url)):
        outside = Outside(town)
        first = {"number": NUMBER, "text": "fire", "message": "gw-1"}
        case = (await outside.say("/exchange/texts", first))["case"]
        await town.act("answer_call", case=case)
        await town.act("end_call", case=case)
        await outside.say("/exchange/texts", first)
        assert await phase(town, case) == "ended"
        more = first | {"text": "it burns again", "message": "gw-2"}
        assert (await outside.say("/exchange/texts", more))["case"] == case
        assert await phase(town, case) == "unattended"


async def test_whole_message_is_shown_without_what_hides_or_reorders_it(town: Town) -> None:
    async with town.open_hub():
        outside = Outside(town)
        told = {"number": NUMBER, "text": "flat 5\u202e0\u0000\nb\tc", "message": "gw-1"}
        case = (await outside.say("/exchange/texts", told))["case"]
        await outside.say("/exchange/texts", told | {"text": "\u202e\u0007", "message": "gw-2"})
        turns = (await town.get(f"/api/cases/{case}"))["talk"]["turns"]
        assert [one["text"] for one in turns] == ["flat 50\nb c", MISSING]
