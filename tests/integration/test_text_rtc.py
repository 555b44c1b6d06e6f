"""Text over a WebRTC data channel (RFC 8865) against a real hub: foreign clients write and read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dispatch.text_settings import TextSettings
from streams.identity import new_id
from streams.t140 import LINE_SEPARATOR, MISSING
from streams.webrtc import close_peer
from tests.call_sources import Outside
from tests.conftest import WaitFor
from tests.hub_town import BOUND_S, Town, a_town
from tests.lossy_udp import LossyPath, candidate_port, lossy_path, through
from tests.text_callers import a_console
from tests.text_channel_client import a_client, a_text_phone, hang_up, offer
from tests.waiting import until


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as made:
        yield made


async def turns(town: Town, case: str) -> list[tuple[str, str, str]]:
    found = (await town.get(f"/api/cases/{case}"))["talk"]["turns"]
    return [(one["who"], one["way"], one["text"]) for one in found]


async def test_foreign_client_writes_and_reads_over_a_data_channel(
    town: Town, wait_for: WaitFor
) -> None:
    async with town.open_hub():
        case, turn = await Outside(town).ring(), new_id()
        async with a_console(town, case) as console, a_text_phone(town, case) as phone:
            for block in ("\ufeff我爸", "爸晕", "\b倒", "了\r\n", "二楼"):
                phone.type(block)
            await console.until("writing", who="caller", text="我爸爸倒了", finished=True)
            await console.until("writing", who="caller", text="二楼")
            await console.say("writing", case=case, turn=turn, text="Is he aweke")
            await phone.shows("Is he aweke")
            await console.say("writing", case=case, turn=turn, text="Is he awake")
            await phone.shows("Is he awake")
            await town.act("say_text", case=case, turn=turn, text="Is he awake?")
            await phone.shows("Is he awake?\n")
            assert phone.display.text == "Is he awake?\n"
            assert "\b\b\b" in "".join(phone.received)
            assert LINE_SEPARATOR in "".join(phone.received)
            await town.act("say_text", case=case, turn=turn, text="Is she awake?")
            await phone.shows("更正 · Correction: Is she awake?\n")

        async def stored() -> bool:
            return [one for one in await turns(town, case) if one[0] == "caller"] == [
                ("caller", "t140", "我爸爸倒了"), ("caller", "t140", "二楼")
            ]  # fmt: skip

        await wait_for(stored, "both lines", BOUND_S)


async def test_client_that_reconnects_gets_its_text_marked_and_hears_what_it_missed(
    town: Town, wait_for: WaitFor
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        async with a_console(town, case) as console:
            async with a_text_phone(town, case, query="?language=en") as phone:
                phone.type("he fell from")
                await console.until("writing", text="he fell from")
                await town.act("say_text", case=case, turn=new_id(), text="Where?")
                await phone.shows("Where?\n")
            await town.act("say_text", case=case, turn=new_id(), text="Which floor?")
            async with a_text_phone(town, case) as phone:
                phone.type(" the roof" + LINE_SEPARATOR)
                await console.until("writing", text=f"he fell from{MISSING} the roof")
                await phone.shows("Which floor?\n")
                assert "Where?" not in phone.display.text
                await hang_up(phone)

            async def closed() -> bool:
                return bool((await town.get(f"/api/cases/{case}"))["talk"]["reader"] == "closed")

            await wait_for(closed, "that the caller left", BOUND_S)
            async with a_text_phone(town, case) as phone:  # it had gone: nothing is missing
                phone.type("back" + LINE_SEPARATOR)
                await console.until("writing", text="back", finished=True)


async def test_channel_that_the_description_maps_is_answered_so_and_keeps_to_its_rate(
    town: Town,
) -> None:
    lines = (
        'a=dcmap:6 label="rtt";subprotocol="t140"\r\n'
        "a=dcsa:6 fmtp:t140 cps=5\r\na=dcsa:6 hlang-recv:zh\r\n"
    )
    async with town.open_hub():
        case = await Outside(town).ring()
        async with (
            a_console(town, case) as console,
            a_text_phone(town, case, lines=lines, negotiated=6) as phone,
        ):
            assert 'a=dcmap:6 subprotocol="t140";label="rtt"' in phone.answer
            assert "a=dcsa:6 fmtp:t140 cps=" in phone.answer
            phone.type("on a mapped channel")
            await console.until("writing", text="on a mapped channel")
            await town.act("say_text", case=case, turn=new_id(), text="0123456789")
            await phone.shows("0123456789\n")
            assert max(map(len, phone.received)) <= 5


@pytest.mark.parametrize(
    ("options", "lines"),
    [({"ordered": False}, ""), ({"maxRetransmits": 0}, ""), ({"protocol": "chat"}, "")],
)
async def test_channel_that_may_lose_text_or_is_for_something_else_is_closed(
    town: Town, wait_for: WaitFor, options: dict[str, object], lines: str
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        phone = a_client(**options)  # type: ignore[arg-type]
        await offer(town, case, phone, lines=lines)
        await wait_for(lambda: phone.channel.readyState == "closed", "it is closed", BOUND_S)
        await phone.peer.close()
        assert await turns(town, case) == []


@pytest.mark.parametrize(
    ("sdp", "status"),
    [
        ("", 400), ("v=0\r\n", 400), ("garbage", 400), ("v=0\r\n" + "a" * 40_000, 400),
        ('v=0\r\na=dcmap:2 subprotocol="bfcp"\r\n', 400),
    ],
)  # fmt: skip
async def test_offer_that_is_none_is_refused(town: Town, sdp: str, status: int) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        path = f"/here/{town.hub.link_for(case).rpartition('/')[2]}/rtc"
        headers = {"Content-Type": "application/sdp"}
        async with town._http.post(path, data=sdp, headers=headers, ssl=town.trust) as answer:
            assert answer.status == status, await answer.text()


async def test_peers_of_one_caller_are_limited_and_a_closed_case_takes_none(
    town: Town, wait_for: WaitFor
) -> None:
    async with town.open_hub(text=TextSettings(channels=3, channels_per_caller=1)):
        case = await Outside(town).ring()
        async with a_text_phone(town, case) as phone:
            other = a_client()
            await offer(town, case, other, status=503)
            await other.peer.close()
            for action in ("answer_call", "end_call"):
                await town.act(action, case=case)
            await town.act("close_case", case=case, outcome="cancelled")
            await phone.shows("The emergency service has closed this case.")
            await wait_for(
                lambda: phone.channel.readyState == "closed", "the hub closes it", BOUND_S
            )
        late = a_client()
        await offer(town, case, late, status=409)
        await late.peer.close()


async def test_flood_ends_the_channel_and_is_counted(town: Town, wait_for: WaitFor) -> None:
    async with town.open_hub() as hub:
        case = await Outside(town).ring()
        async with a_text_phone(town, case) as phone:
            for _ in range(12):
                phone.type("x" * 1000)
            await wait_for(lambda: hub.text_channels.ended["flood"] == 1, "the flood", BOUND_S)
            await wait_for(lambda: phone.channel.readyState == "closed", "its end", BOUND_S)
        assert hub.text_channels.ended["flood"] == 1


async def test_foreign_text_is_whole_on_a_path_that_loses_and_reorders(town: Town) -> None:
    said = "there is smoke 有烟 in the house"
    async with town.open_hub(), contextlib.AsyncExitStack() as stack:
        case = await Outside(town).ring()
        phone, paths = a_client(), list[LossyPath]()
        stack.push_async_callback(close_peer, phone.peer)

        async def detour(sdp: str) -> str:
            found = lossy_path(candidate_port(sdp), loss=0.2, jitter_s=0.03)
            path = await stack.enter_async_context(found)
            paths.append(path)
            return through(sdp, path)

        await offer(town, case, phone, detour=detour)
        await until(lambda: phone.channel.readyState == "open", "the channel is open", 60)
        async with a_console(town, case) as console:
            for character in said:
                phone.type(character)
                await asyncio.sleep(0.02)
            phone.type(LINE_SEPARATOR)
            async with asyncio.timeout(60):
                while not (await console.until("writing"))["finished"]:
                    pass
            assert console.heard[-1]["text"] == said
            await town.act("say_text", case=case, turn=new_id(), text="Leave it. 出去。")
            await until(lambda: phone.display.text == "Leave it. 出去。\n", "the answer", 60)
        assert paths[0].lost > 5
