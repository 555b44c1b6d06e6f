"""Real-time text of an exchange (RFC 4103) against a real hub, over real UDP on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from dispatch.rtt.receiver import TextReceiver
from dispatch.rtt.sender import Stream, TextSender
from dispatch.text_settings import TextSettings
from streams.identity import new_id
from streams.t140 import LINE_SEPARATOR, MISSING, T140Display
from tests.call_sources import Outside
from tests.hub_town import BOUND_S, Town, a_town
from tests.text_callers import a_console
from tests.text_captures import text_call
from tests.unit.test_text_rtp_captures import TEXTS
from tests.waiting import until

ON = TextSettings(rtp_address="127.0.0.1")
TEXT, RED = 98, 100
LOOK_S = 0.02


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as made:
        yield made


class Gateway:
    """The media side of a SIP exchange: a UDP port, a sender and a receiver of its own."""

    def __init__(self, town: Town, outside: Outside, call: str) -> None:
        self.town, self.outside, self.call = town, outside, call
        self.port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port.bind(("127.0.0.1", 0))
        self.port.setblocking(False)
        self.display = T140Display()
        self.hub: tuple[str, int] = ("", 0)
        self.answer = ""
        self.sender = TextSender(Stream(7, 65_530, 4_294_967_000), text_type=TEXT, red_type=RED)
        self.receiver = TextReceiver(text_type=TEXT, red_type=RED)

    def sdp(self, *, text_type: int = TEXT, red_type: int | None = RED, more: str = "") -> str:
        """An offer of audio and text."""
        types = f"{text_type} {red_type}" if red_type is not None else f"{text_type}"
        red = (
            f"a=rtpmap:{red_type} red/1000\r\na=fmtp:{red_type} {text_type}/{text_type}/{text_type}"
            "\r\n"
        )
        return (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            "m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
            f"m=text {self.port.getsockname()[1]} RTP/AVP {types}\r\n"
            f"a=rtpmap:{text_type} t140/1000\r\n{red if red_type is not None else ''}{more}"
        )

    async def offer(self, sdp: str | None = None, *, status: int = 200, key: str = "") -> str:
        """Offer to the hub; keep where its answer has the text."""
        headers = {"Authorization": f"Bearer {key or self.outside.key}"}
        url = f"{self.town.hub.url}/exchange/calls/{self.call}/text"
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(url, data=self.sdp() if sdp is None else sdp, ssl=self.town.trust) as told,
        ):
            text = await told.text()
            assert told.status == status, (told.status, text)
        if status == 200:
            found = re.search(r"^m=text (\d+) ", text, re.MULTILINE)
            assert found is not None, text
            self.hub, self.answer = ("127.0.0.1", int(found[1])), text
        return text

    async def hang_up_text(self) -> None:
        """Say that the text is over."""
        headers = {"Authorization": f"Bearer {self.outside.key}"}
        url = f"{self.town.hub.url}/exchange/calls/{self.call}/text"
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.delete(url, ssl=self.town.trust) as told,
        ):
            assert told.status == 200

    async def run(self, weather: random.Random | None = None) -> None:
        """Send what is typed, through weather if there is any, and read what comes."""
        loop = asyncio.get_running_loop()
        while True:
            if (packet := self.sender.take(loop.time())) is not None:
                self._send(packet, weather)
            with contextlib.suppress(BlockingIOError):
                while True:
                    for found in self.receiver.take(self.port.recv(2000), loop.time()):
                        self.display.take(found.text)
            await asyncio.sleep(LOOK_S)

    def _send(self, packet: bytes, weather: random.Random | None) -> None:
        loop = asyncio.get_running_loop()
        if weather is None:
            self.port.sendto(packet, self.hub)
            return
        copies = 0 if weather.random() < 0.2 else 2 if weather.random() < 0.2 else 1
        for _ in range(copies):
            late_s = weather.uniform(0.3, 0.8) if weather.random() < 0.2 else 0.0
            loop.call_later(late_s, self._send_late, packet)

    def _send_late(self, packet: bytes) -> None:
        if self.port.fileno() >= 0:
            self.port.sendto(packet, self.hub)


@contextlib.asynccontextmanager
async def a_gateway(town: Town, call: str = "pbx-1") -> AsyncIterator[tuple[Gateway, str]]:
    """A gateway with a call that rings, and its case."""
    outside = Outside(town)
    case = await outside.ring(call=call, line="text")
    gateway = Gateway(town, outside, call)
    try:
        yield gateway, case
    finally:
        gateway.port.close()


@contextlib.asynccontextmanager
async def going(gateway: Gateway, weather: random.Random | None = None) -> AsyncIterator[None]:
    """Run a gateway while the block runs."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(gateway.run(weather), name="gateway")
        try:
            yield
        finally:
            task.cancel()


async def turns(town: Town, case: str) -> list[tuple[str, str]]:
    found: dict[str, Any] = await town.get(f"/api/cases/{case}")
    return [(one["way"], one["text"]) for one in found["talk"]["turns"] if one["who"] == "caller"]


async def test_text_passes_both_ways_and_ends_with_the_call(town: Town) -> None:
    async with (
        town.open_hub(text=ON) as hub,
        a_gateway(town) as (gateway, case),
        a_console(town, case) as console,
    ):
        await gateway.offer()
        assert "m=audio 0 RTP/AVP 0" in gateway.answer
        assert f"a=fmtp:{RED} {TEXT}/{TEXT}/{TEXT}" in gateway.answer
        async with going(gateway):
            gateway.sender.write("我爸爸晕\b摔倒了" + LINE_SEPARATOR + "二楼")
            await console.until("writing", text="我爸爸摔倒了", finished=True)
            await console.until("writing", text="二楼")
            turn = new_id()
            await console.say("writing", case=case, turn=turn, text="Is he aw")
            await until(lambda: gateway.display.text == "Is he aw", "the draft", BOUND_S)
            await town.act("say_text", case=case, turn=turn, text="Is he awake?")
            await until(lambda: gateway.display.text == "Is he awake?\n", "the turn", BOUND_S)
            await gateway.outside.step("pbx-1", "hung_up")
            await until(lambda: hub.text_rtp.texts == {}, "the text is over", BOUND_S)
        await until(lambda: _is_stored(town, case), "both lines", BOUND_S)
        assert await turns(town, case) == [("rtp", "我爸爸摔倒了"), ("rtp", "二楼")]
        await gateway.offer(status=409)


async def test_caller_who_writes_on_once_a_seat_ended_the_call_rings_and_stays_connected(
    town: Town,
) -> None:
    async with town.open_hub(text=ON) as hub, a_gateway(town) as (gateway, case):
        await gateway.offer()
        async with going(gateway):
            await town.act("answer_call", case=case)
            await town.act("end_call", case=case)
            gateway.sender.write("wait, he is blue" + LINE_SEPARATOR)

            async def rings() -> bool:
                return bool((await town.get(f"/api/cases/{case}"))["call"]["phase"] == "unattended")

            await until(rings, "the ring", BOUND_S)
            text = hub.text_rtp.texts[case]
            assert text.over_at is None, "what was to be its end is taken back"
            await town.act("answer_call", case=case)
            await town.act("say_text", case=case, turn=new_id(), text="I am here.")
            await until(lambda: gateway.display.text == "I am here.\n", "the turn", BOUND_S)


async def _is_stored(town: Town, case: str) -> bool:
    return len(await turns(town, case)) == 2


@pytest.mark.parametrize("group", TEXTS)
async def test_text_of_recorded_calls_stands_in_the_case(
    town: Town, shared_data: Path, group: str
) -> None:
    _, expected = TEXTS[group]
    file = min((shared_data / "ng911_pcap" / group).glob("*.pcap"))
    call = text_call(file)
    assert call is not None
    hops = {hop for hop in expected if any(_hop(packet) == hop for packet in call.packets)}
    assert hops
    async with town.open_hub(text=ON):
        for number, hop in enumerate(sorted(hops)):
            async with a_gateway(town, f"pbx-{number}") as (gateway, case):
                sdp = gateway.sdp(text_type=call.text_type, red_type=call.red_type)
                await gateway.offer(sdp)
                for packet in call.packets:
                    if _hop(packet) == hop:
                        gateway.port.sendto(packet.data, gateway.hub)
                        await asyncio.sleep(0)
                await asyncio.sleep(1.2)  # a gap at the beginning is waited for so long
                await gateway.hang_up_text()
                wanted = [("rtp", expected[hop])]

                async def stands(case: str = case, wanted: Any = wanted) -> bool:
                    return bool(await turns(town, case) == wanted)

                await until(stands, f"{wanted} of {hop} in {file.name}", BOUND_S)


def _hop(packet: Any) -> tuple[str, str]:
    return packet.sender, packet.receiver


@pytest.mark.parametrize("seed", [1, 2])
async def test_bad_path_leaves_marks_and_never_a_wrong_character(town: Town, seed: int) -> None:
    said = "救命 there is smoke in the kitchen 厨房着火 on the 4th floor"
    async with town.open_hub(text=ON), a_gateway(town) as (gateway, case):
        await gateway.offer()
        async with going(gateway, random.Random(seed)):
            for character in said:
                gateway.sender.write(character)
                await asyncio.sleep(0.1)
            await until(lambda: gateway.sender.is_idle, "all is sent and repeated", 30)
            await asyncio.sleep(1.5)
        await gateway.hang_up_text()
        await until(lambda: turns(town, case), "the text", BOUND_S)
        ((_, shown),) = await turns(town, case)
    at = 0
    for piece in filter(None, shown.split(MISSING)):
        found = said.find(piece, at)
        assert found >= 0, (shown, piece)
        assert found == at or MISSING in shown, "nothing is left out unmarked"
        at = found + len(piece)
    assert len(shown.replace(MISSING, "")) > 0.9 * len(said)


async def test_same_offer_again_changes_nothing_and_another_one_moves_the_text(
    town: Town,
) -> None:
    async with (
        town.open_hub(text=ON),
        a_gateway(town) as (gateway, case),
        a_console(town, case) as console,
    ):
        await gateway.offer()
        first = gateway.hub
        await gateway.offer()
        assert gateway.hub == first
        async with going(gateway):
            gateway.sender.write("he fell from")
            await console.until("writing", text="he fell from")
            await gateway.offer(gateway.sdp(more="a=sendonly\r\n"))
            assert gateway.hub != first
            assert "a=recvonly" in gateway.answer
            gateway.sender.write(" the roof" + LINE_SEPARATOR)
            told = await console.until("writing", finished=True)
            assert told["text"].startswith(f"he fell from{MISSING}")
            assert told["text"].endswith("the roof")


@pytest.mark.parametrize(
    ("sdp", "status"),
    [
        ("", 400), ("garbage", 400), ("v=0\r\n", 400), ("v=0\r\nm=text x RTP/AVP 98\r\n", 400),
        ("v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\n", 406),
        ("v=0\r\nc=IN IP4 10.0.0.1\r\nm=text 4000 RTP/SAVP 98\r\na=rtpmap:98 t140/1000\r\n", 406),
        ("v=0\r\nc=IN IP4 10.0.0.1\r\nm=text 4000 RTP/AVP 98\r\na=rtpmap:98 xxxx/1000\r\n", 406),
        ("v=0\r\nc=IN IP4 0.0.0.0\r\nm=text 4000 RTP/AVP 98\r\na=rtpmap:98 t140/1000\r\n", 400),
        ("v=0\r\nm=text 4000 RTP/AVP 98\r\na=rtpmap:98 t140/1000\r\n", 400),
    ],
)  # fmt: skip
async def test_offer_that_cannot_be_served_is_refused(town: Town, sdp: str, status: int) -> None:
    async with town.open_hub(text=ON) as hub, a_gateway(town) as (gateway, _):
        await gateway.offer(sdp, status=status)
        assert hub.text_rtp.texts == {}, "no port stays open for it"


async def test_door_is_shut_unless_configured_and_open_to_exchanges_alone(town: Town) -> None:
    async with town.open_hub() as hub, a_gateway(town) as (gateway, _):
        await gateway.offer(status=404)
        await gateway.offer(status=403, key=town.seat.token)
        assert hub.text_rtp.texts == {}


async def test_ports_of_the_range_run_out_and_come_back(town: Town) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1] // 2 * 2
    few = TextSettings(rtp_address="127.0.0.1", rtp_ports=(port, port + 1))
    async with (
        town.open_hub(text=few) as hub,
        a_gateway(town) as (one, _),
        a_gateway(town, "pbx-2") as (other, _),
    ):
        await one.offer()
        assert one.hub[1] == port
        await other.offer(status=503)
        await one.hang_up_text()
        await until(lambda: hub.text_rtp.texts == {}, "the first is over", BOUND_S)
        await other.offer()
        assert other.hub[1] == port
