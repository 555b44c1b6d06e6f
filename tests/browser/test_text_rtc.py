"""The caller's page in Chromium: characters go over a data channel, and change ways unharmed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Route, WebSocket, expect

from dispatch.hub import Hub
from streams.web import PageSocket
from tests.browser.conftest import OpenPage
from tests.call_sources import Outside
from tests.conftest import WaitFor
from tests.hub_town import Town, a_town
from tests.lossy_udp import LossyPath, candidate_port, lossy_path, through

PHONE: dict[str, Any] = {"width": 360, "height": 740}


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


class Phone:
    """The caller's page, and by which way its characters go."""

    def __init__(self, town: Town, page: Page) -> None:
        self.town, self.page = town, page
        self.by_socket: list[str] = []
        self.path: LossyPath | None = None
        page.on("websocket", self._watch)

    def _watch(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda data: self._sent(str(data)))

    def _sent(self, data: str) -> None:
        if '"type":"text"' in data:
            self.by_socket.append(data)

    @property
    def channels(self) -> set[str]:
        """The open channels that the hub has."""
        found = self.town.hub.text_channels.sessions
        return {one.id for one in found if one.write is not None}

    async def type(self, text: str) -> None:
        await self.page.locator("[name=text]").press_sequentially(text, delay=15)


@contextlib.asynccontextmanager
async def a_phone(
    town: Town, open_page: OpenPage, wait_for: WaitFor, case: str, *, loss: float = 0.0
) -> AsyncIterator[Phone]:
    """Open the page with its channel, which leads through a path that can lose and be cut."""
    async with contextlib.AsyncExitStack() as stack:
        page = await open_page("about:blank", may_log=("net::", "ERR_", "503"), **PHONE)
        phone = Phone(town, page)

        async def answer(route: Route) -> None:
            response = await route.fetch()
            sdp = await response.text()
            if response.status != 201:
                await route.fulfill(response=response)
                return
            found = lossy_path(candidate_port(sdp), loss=loss, jitter_s=0.02)
            phone.path = await stack.enter_async_context(found)
            await route.fulfill(response=response, body=through(sdp, phone.path))

        await page.route("**/rtc?*", answer)
        await page.goto(town.hub.link_for(case))
        await wait_for(lambda: phone.channels, "the channel is open", 20)
        phone.by_socket.clear()
        yield phone


def cut_sockets(hub: Hub, case: str) -> None:
    """Break the page's WebSocket, as a proxy does that is restarted."""
    for page in hub.texts._talks[case].pages:
        if isinstance(page, PageSocket):
            transport = page._socket._req.transport  # type: ignore[union-attr]
            assert transport is not None
            transport.abort()


async def lines(town: Town, case: str) -> list[str]:
    found: dict[str, Any] = await town.get(f"/api/cases/{case}")
    return [one["text"] for one in found["talk"]["turns"]]


async def test_characters_go_over_the_channel_and_not_over_the_socket(
    town: Town, open_page: OpenPage, wait_for: WaitFor
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        async with a_phone(town, open_page, wait_for, case) as phone:
            await phone.type("he fell 摔倒\nsecond floor\n")
            await expect(phone.page.locator(".lines .caller")).to_have_count(2)
            await expect(phone.page.locator(".lines .waiting")).to_have_count(0)
            assert phone.by_socket == []
            assert await lines(town, case) == ["he fell 摔倒", "second floor"]


async def test_channel_that_is_cut_while_it_is_typed_on_loses_and_repeats_nothing(
    town: Town, open_page: OpenPage, wait_for: WaitFor
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        async with a_phone(town, open_page, wait_for, case) as phone:
            await phone.type("there is sm")
            assert phone.path is not None
            before = phone.channels
            phone.path.is_cut = True  # without a word: no packet passes any more
            await phone.type("oke in the house\nsecond floor\nwe are t")
            await wait_for(lambda: phone.by_socket, "the socket takes over", 4)
            await phone.type("wo\n")
            await expect(phone.page.locator(".lines .caller")).to_have_count(3)
            await expect(phone.page.locator(".lines .waiting")).to_have_count(0)
            assert await lines(town, case) == [
                "there is smoke in the house", "second floor", "we are two",
            ]  # fmt: skip
            # and it comes back to a channel by itself
            await wait_for(lambda: phone.channels - before, "another channel", 20)
            phone.by_socket.clear()
            await phone.type("on the roof\n")
            await expect(phone.page.locator(".lines .caller")).to_have_count(4)
            await expect(phone.page.locator(".lines .waiting")).to_have_count(0)
            assert phone.by_socket == []
            assert (await lines(town, case))[3] == "on the roof"


async def test_socket_that_is_cut_while_the_channel_stands_loses_and_repeats_nothing(
    town: Town, open_page: OpenPage, wait_for: WaitFor
) -> None:
    async with town.open_hub() as hub:
        case = await Outside(town).ring()
        async with a_phone(town, open_page, wait_for, case) as phone:
            await phone.type("one ")
            for number in range(4):
                cut_sockets(hub, case)
                await phone.type(f"two {number} thr")
                await phone.type("ee\n")
            await expect(phone.page.locator(".lines .caller")).to_have_count(4, timeout=15_000)
            await expect(phone.page.locator(".lines .waiting")).to_have_count(0)
            assert await lines(town, case) == [
                "one two 0 three", "two 1 three", "two 2 three", "two 3 three",
            ]  # fmt: skip


async def test_text_is_whole_on_a_path_that_loses_a_fifth_of_its_packets(
    town: Town, open_page: OpenPage, wait_for: WaitFor
) -> None:
    said = [f"line {number} 第{number}行 of what happened here" for number in range(6)]
    async with town.open_hub():
        case = await Outside(town).ring()
        async with a_phone(town, open_page, wait_for, case, loss=0.2) as phone:
            for line in said:
                await phone.type(line + "\n")
            await expect(phone.page.locator(".lines .caller")).to_have_count(6, timeout=30_000)
            await expect(phone.page.locator(".lines .waiting")).to_have_count(0, timeout=30_000)
            assert phone.path is not None
            assert phone.path.lost > 0
            assert await lines(town, case) == said
