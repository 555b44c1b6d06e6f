"""Writing with callers against a real hub: characters at once, none twice, none lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from dispatch.settings import Sms
from streams.identity import new_id
from tests.call_sources import NUMBER, Outside, message_gateway
from tests.conftest import WaitFor
from tests.hub_town import BOUND_S, Hospital, Town, Vehicle, a_town, numbers
from tests.text_callers import a_console, a_phone

NEW_LINE = "\u2028"


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as made:
        yield made


async def talk(town: Town, case: str) -> dict[str, Any]:
    found: dict[str, Any] = (await town.get(f"/api/cases/{case}"))["talk"]
    return found


async def texts(town: Town, case: str) -> list[str]:
    return [one["text"] for one in (await talk(town, case))["turns"]]


async def test_caller_s_characters_stand_on_the_console_before_the_line_is_ended(
    town: Town,
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        async with a_console(town, case) as console, a_phone(town, case) as phone:
            await phone.write("我爸")
            first = await console.until("writing", who="caller", text="我爸")
            await phone.write("爸晕\b倒了")
            await console.until("writing", turn=first["turn"], text="我爸爸倒了")
            await phone.write(NEW_LINE)
            await console.until("writing", turn=first["turn"], finished=True)
            await phone.until("turn")
    # a new run of the hub has it from the journal
    async with town.open_hub():
        (turn,) = (await talk(town, case))["turns"]
        assert (turn["text"], turn["finished"], turn["who"]) == ("我爸爸倒了", True, "caller")


async def test_line_that_pauses_is_stored_and_goes_on_where_it_was_after_a_restart(
    town: Town, wait_for: WaitFor
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        async with a_phone(town, case) as phone:
            await phone.write("he fell from the")

            async def stored() -> bool:
                return await texts(town, case) == ["he fell from the"]

            await wait_for(stored, "the line without an end", BOUND_S)
            session = phone.session
    async with town.open_hub():
        async with a_phone(town, case, session) as phone:
            assert phone.count == 16
            await phone.write(" the roof" + NEW_LINE, start=12)  # "the" again, as after a cut
            assert phone.count == 22
            await phone.until("turn")
        assert await texts(town, case) == ["he fell from the roof"]


async def test_characters_that_are_sent_again_count_once_and_a_gap_is_refused(
    town: Town, wait_for: WaitFor
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        async with a_phone(town, case) as phone:
            await phone.write("abc")
            await phone.write("abcdef" + NEW_LINE, start=0)
            await phone.write("ef" + NEW_LINE, start=4)
            await phone.say("text", start=99, text="x")
            error = await phone.until("error")
            assert "7 to 99 are missing" in error["error"]
            await phone.write("g" + NEW_LINE)

            async def stored() -> bool:
                return await texts(town, case) == ["abcdef", "g"]

            await wait_for(stored, "both lines, once each", BOUND_S)


async def test_erasing_over_the_end_of_a_line_opens_it_again(town: Town, wait_for: WaitFor) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        async with a_phone(town, case) as phone:
            await phone.write("no breath" + NEW_LINE)
            await phone.until("turn")
            await phone.write("x\b\bing" + NEW_LINE)

            async def corrected() -> bool:
                return await texts(town, case) == ["no breathing"]

            await wait_for(corrected, "the line as it stands now", BOUND_S)
        assert await texts(town, case) == ["no breathing"], "also once the page is gone"


async def test_what_a_seat_says_is_read_while_it_is_typed_then_whole_then_corrected(
    town: Town,
) -> None:
    async with town.open_hub():
        case, turn = await Outside(town).ring(), new_id()
        async with a_console(town, case) as console, a_phone(town, case) as phone:
            await console.say("writing", case=case, turn=turn, text="Is he br")
            assert (await phone.until("writing", turn=turn))["text"] == "Is he br"
            said: dict[str, Any] = {"case": case, "turn": turn, "id": new_id()}
            await town.act("say_text", text="Is he breathing?", **said)
            await town.act("say_text", text="Is he breathing?", **said)  # sent again
            assert (await phone.until("turn"))["turn"]["text"] == "Is he breathing?"
            again = await town.act(
                "say_text", case=case, turn=turn, text="Is he breathing?", status=409
            )
            assert again["conflict"]["kind"] == "same"
            await town.act("say_text", case=case, turn=turn, text="Is she breathing?")
            shown = (await phone.until("turn"))["turn"]
            assert (shown["text"], shown["corrected"]) == ("Is she breathing?", True)
        async with a_phone(town, case) as later:  # the link opened once more sees all of it
            assert later.heard[-1]["turns"][0]["text"] == "Is she breathing?"


async def test_caller_s_own_words_cannot_be_changed_by_a_seat(town: Town) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        async with a_phone(town, case) as phone:
            await phone.write("two people" + NEW_LINE)
            turn = (await phone.until("turn"))["turn"]["turn"]
            told = await town.act("say_text", case=case, turn=turn, text="ten", status=409)
            assert told["conflict"]["kind"] == "not_yours"
            assert await texts(town, case) == ["two people"]


async def test_seat_that_writes_where_nobody_reads_is_told_so(town: Town) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        told = await town.act("say_text", case=case, turn=new_id(), text="hello", status=409)
        assert told["conflict"]["kind"] == "no_reader"


async def test_whole_message_rings_once_and_is_answered_by_the_gateway(town: Town) -> None:
    async with message_gateway() as (url, sent), town.open_hub(sms=Sms(gateway=url)):
        outside = Outside(town)
        message = {"number": NUMBER, "text": "救命 fire", "message": "gw-1"}
        told = await outside.say("/exchange/texts", message)
        assert await outside.say("/exchange/texts", message) == told
        more = message | {"text": "4th floor", "message": "gw-2"}
        assert await outside.say("/exchange/texts", more) == told
        case = told["case"]
        found = await outside.seen(case)
        assert (found["call"]["phase"], found["call"]["line"]) == ("ringing", "sms")
        assert await texts(town, case) == ["救命 fire", "4th floor"]
        await town.act("answer_call", case=case)
        await town.act("say_text", case=case, turn=new_id(), text="Which street?")
        assert (await sent.get())[1]["text"] == "Which street?"


async def test_page_that_goes_is_said_to_be_lost_or_closed(town: Town, wait_for: WaitFor) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()

        async def is_(state: str) -> bool:
            return bool((await talk(town, case))["reader"] == state)

        async with a_phone(town, case) as phone:
            assert await is_("opened")
            session = phone.session
        await wait_for(lambda: is_("lost"), "that the page is lost", BOUND_S)
        async with a_phone(town, case, session) as phone:
            assert await is_("opened")
            await phone.say("bye")
            await wait_for(lambda: is_("closed"), "that the caller left", BOUND_S)


async def test_crew_and_hospital_get_what_was_written_and_that_the_caller_is_deaf(
    town: Town, tmp_path: Path, wait_for: WaitFor
) -> None:
    unit, hospital = Vehicle("unit-1", tmp_path), Hospital("first-hospital", tmp_path)
    async with town.open_hub(), town.join(unit, hospital):
        case = await Outside(town).ring()
        async with a_phone(town, case) as phone:
            await phone.say("needs", needs=["deaf", "deaf"], language="zh-CN")
            await phone.write("he fell" + NEW_LINE)
            await phone.until("turn")
        await town.act("assign_unit", case=case, unit="unit-1")
        await town.act("choose_hospital", case=case, hospital="first-hospital")

        def is_there(party: Vehicle | Hospital) -> bool:
            return {"caller_profile", "text_turn"} <= set(party.kinds(case))

        await wait_for(
            lambda: is_there(unit) and is_there(hospital), "the writing at both", BOUND_S
        )
        assert "text_channel" not in unit.kinds(case)
        facts = (await town.get(f"/api/cases/{case}"))["facts"]
        await wait_for(
            lambda: set(range(1, facts + 1)) <= set(numbers(hospital, case)), "all", BOUND_S
        )
        assert await hospital.chain_holds(case)
        assert (await talk(town, case))["needs"] == ["deaf"]


@pytest.mark.parametrize(
    "garbage",
    ["", "[]", "nonsense", '{"type":"text"}', '{"type":"hello","session":"x"}',
     '{"type":"text","start":-1,"text":"a"}', '{"type":"text","start":0,"text":""}',
     '{"type":"needs","needs":["rich"]}', '{"type":"nothing"}', '{"type":"text","start":1e400}'],
)  # fmt: skip
async def test_garbage_of_a_page_is_refused_and_the_page_stays(town: Town, garbage: str) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        async with a_phone(town, case) as phone:
            await phone.socket.send_str(garbage)
            assert (await phone.until("error"))["error"]
            await phone.write("still here" + NEW_LINE)
            await phone.until("turn")


async def test_link_that_was_never_given_opens_nothing(town: Town) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        link = town.hub.link_for(case)
        wrong = link[:-3] + ("AAA" if link[-3:] != "AAA" else "BBB")
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(f"{wrong}/text", ssl=town.trust)
            assert refused.value.status == 403
