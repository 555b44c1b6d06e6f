"""Scripted calls: a script is played with a real broker, hub and browser, as often as is wanted.

    FORERUN_CALLS=5 pytest tests/browser/test_scripted_calls.py

plays each script five times, each time with services and pages of its own, and every time must
leave the same outcome: the transcript in the journal, the facts of the case, what each page showed.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, async_playwright, expect

from dispatch.hub import Hub
from dispatch.settings import Sms
from tests.browser.conftest import FLAGS
from tests.call_crew import Crew, a_vehicle
from tests.call_outcome import facts_of, outcome_of, spoken_of
from tests.call_pages import (
    DESK,
    PHONE,
    SPEECH_MS,
    TABLET,
    WAIT_MS,
    Caller,
    Faults,
    a_page,
    lines_of,
    shows,
)
from tests.call_seat import SpeakingSeat
from tests.call_sources import NUMBER, Outside, message_gateway
from tests.hub_town import Town, a_town
from tests.killed_hub import HubProcess
from tests.waiting import until

CALLS = int(os.environ.get("FORERUN_CALLS", "1"))
"""How often each script is played."""
AS_SAID_AND_CLOSED = """\
caller's page:
  as said
console:
  as said
caller's page at the end:
  The case is closed. Your place is not shown any more."""
"""How an outcome ends where both pages show what the journal says."""
Ending = Literal["handed_over", "treated", "refused", "not_found", "died", "cancelled"]


@dataclass
class ScriptedCall:
    """Who takes part in a call, and how it is seen to its end.

    Attributes:
        town: Broker and hub.
        hub: The hub, which may be a process of its own.
        browser: In which all pages are.
        seat: The dispatcher.
        caller: The caller's page; not open before the script opens it.
        messages: What the gateway was given to send.
        case: The case, from the ring on.
        pages: What the pages showed before the case was closed, and the callers' after it.
    """

    town: Town
    hub: HubProcess | Hub
    browser: Browser
    seat: SpeakingSeat
    caller: Caller
    messages: asyncio.Queue[Any]
    faults: Faults
    case: str = ""
    pages: list[tuple[str, list[str]]] = field(default_factory=list)

    async def rings(self, number: str = NUMBER, line: str = "voice") -> None:
        """The exchange tells of a call, and the seat turns to it."""
        self.case = await Outside(self.town).ring(number, "pbx-1", line=line)
        await self.seat.shows_case(self.case)
        await self.seat.is_in("ringing")

    async def begins(self, *noted: str) -> None:
        """A call by voice: it rings, the seat answers and notes, the caller's page opens.

        Args:
            noted: What the seat puts into the form, as for ``Seat.notes``; nothing leaves it.
        """
        await self.rings()
        await self.seat.answers()
        await (self.seat.notes(*noted) if noted else self.seat.leaves_the_form())
        await self.caller.opens(self.link)
        await self.seat.sees("the caller's page is open")

    async def comes_by_the_door(self) -> None:
        """The caller presses the one button of the help page, and the seat turns to the case."""
        await self.caller.page.goto(f"{self.hub.url}/help", wait_until="load")
        await self.caller.page.locator("#open").click()
        await expect(self.caller.field).to_be_visible(timeout=WAIT_MS)
        row = self.seat.page.locator("[data-case]").first
        self.case = await row.get_attribute("data-case", timeout=WAIT_MS) or ""
        await self.seat.shows_case(self.case)

    @property
    def link(self) -> str:
        """The address of the caller's page."""
        assert isinstance(self.hub, Hub)
        return self.hub.link_for(self.case)

    @property
    def hub_process(self) -> HubProcess:
        """The hub, to be killed."""
        assert isinstance(self.hub, HubProcess)
        return self.hub

    async def another_caller(self, language: str = "en") -> Caller:
        """Return a page on another phone."""
        page = await a_page(self.browser, PHONE, language)
        self.faults.watch(page, "caller's page")
        return Caller(page)

    @contextlib.asynccontextmanager
    async def crew(self) -> AsyncIterator[Crew]:
        """Have a crew at its tablet while the block runs."""
        async with a_vehicle(self.town) as address:
            page = await a_page(self.browser, TABLET)
            self.faults.watch(page, "tablet")
            await page.goto(address, wait_until="load")
            crew = Crew(page)
            await shows(page.locator(".empty"), "No call")
            yield crew
            self.pages.append(("crew's tablet", await crew.entries()))
            await page.close()

    async def has_heard(self, sentence: str) -> None:
        """Wait until a sentence of the caller has begun to sound at the seat."""
        url = self.town.settings().journal_url

        async def is_noted() -> bool:
            return sentence in spoken_of(await facts_of(url, self.case))

        await until(is_noted, f"{sentence!r} sounds at the seat", SPEECH_MS / 1000)

    async def closes(self, outcome: Ending, *callers: Caller) -> None:
        """Look at all pages, close the case, and see that every page of the caller says so."""
        kept = []
        for caller in callers:
            await caller.knows_all_has_arrived()
            kept.append(await lines_of(caller.lines))
            self.pages.append(("caller's page", kept[-1]))
        self.pages.append(("console", await lines_of(self.seat.lines)))
        await self.seat.closes(outcome)
        for caller, lines in zip(callers, kept, strict=True):
            over = await caller.sees_that_it_is_over()
            assert await lines_of(caller.lines) == lines, "what was said stays readable"
            self.pages.append(("caller's page at the end", [over]))


Play = Callable[[ScriptedCall], Awaitable[None]]


class Player:
    """Plays scripts.

    Attributes:
        settings: What of the hub's settings is not as usual.
        language: Of the caller's page.
        as_process: Whether the hub is a process of its own, which the script may kill.
        unsaid: Lines of the outcome that depend on chance, by design.
        as_meant: Gives what stands for a text that was recognised: two readings of the same
            sound need not be the same to the letter.
        sound: File that every microphone hears when it is opened; None for Chromium's own noise.
    """

    def __init__(self, chromium: str, folder: Path) -> None:
        """Begin with nothing played; all is written below the folder."""
        self._chromium = chromium
        self._folder = folder
        self.settings: dict[str, Any] = {}
        self.language = "en"
        self.as_process = False
        self.unsaid: frozenset[str] = frozenset()
        self.sound: Path | None = None
        self.as_meant: Callable[[str], str] = str

    async def outcome(self, script: Play) -> str:
        """Play a script ``CALLS`` times; return what each of them left behind."""
        first = await self._once(script, 1)
        for number in range(2, CALLS + 1):
            again = await self._once(script, number)
            if again != first:
                lines = difflib.unified_diff(first.splitlines(), again.splitlines(), lineterm="")
                pytest.fail(f"call {number} did not go as the first one:\n" + "\n".join(lines))
        return first

    async def _once(self, script: Play, number: int) -> str:
        folder = self._folder / f"call-{number}"
        folder.mkdir()
        async with a_town(folder) as town, message_gateway() as (url, messages):
            changes = {
                "sms": Sms(gateway=url, token="secret", text="Help: {link}"),
                **self.settings,
            }
            async with self._hub(town, changes) as hub, self._pages(town, hub) as call:
                call.messages = messages
                await script(call)
            facts = await facts_of(town.settings().journal_url, call.case)
        assert not call.faults.found, "\n".join(call.faults.found)
        return outcome_of(facts, call.pages, self.unsaid, self.as_meant)

    @contextlib.asynccontextmanager
    async def _hub(self, town: Town, changes: dict[str, Any]) -> AsyncIterator[HubProcess | Hub]:
        """Run the hub, in this process or as one of its own."""
        if not self.as_process:
            async with town.open_hub(**changes) as hub:
                yield hub
            return
        process = HubProcess(town, **changes)
        try:
            await process.start()
            yield process
        finally:
            await process.end()

    @contextlib.asynccontextmanager
    async def _pages(self, town: Town, hub: HubProcess | Hub) -> AsyncIterator[ScriptedCall]:
        """Open the console, and an empty page for the caller."""
        faults = Faults()
        flags = list(FLAGS)
        if self.sound is not None:
            flags.append(f"--use-file-for-fake-audio-capture={self.sound}%noloop")
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=self._chromium, args=flags)
            try:
                console = await a_page(browser, DESK)
                faults.watch(console, "console")
                await console.goto(f"{hub.url}/?key={town.seat.token}", wait_until="load")
                await expect(console.locator(".queue")).to_be_visible(timeout=WAIT_MS)
                phone = await a_page(browser, PHONE, self.language)
                faults.watch(phone, "caller's page")
                yield ScriptedCall(
                    town,
                    hub,
                    browser,
                    SpeakingSeat(console),
                    Caller(phone),
                    asyncio.Queue(),
                    faults,
                )
            finally:
                await browser.close()
