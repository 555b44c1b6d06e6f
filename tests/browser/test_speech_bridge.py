"""The bridge in two real browsers: a microphone fed from recordings, a caller who reads."""

from __future__ import annotations

import contextlib
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from bench.speech_clips import Clip
from dispatch.speech.engine import HEARING_RATE_HZ
from tests.browser.conftest import FLAGS, FindFaults, OpenPage, TakeScreenshot
from tests.call_sources import Outside
from tests.hub_town import Town, a_town
from tests.speech_bridge import NUMBERS, SENTENCE, SPEECH, clips_of, need_extra

PHONE: dict[str, Any] = {"width": 360, "height": 740}
SECOND = bytes(2 * HEARING_RATE_HZ)
"""Of silence."""
HEARD_MS = 60_000
"""The model loads meanwhile, and reading on a machine that others use takes its time."""


@pytest.fixture
def clips(shared_data: Path) -> dict[str, Clip]:
    need_extra()
    return clips_of(shared_data)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


class Desk:
    """A seat whose browser has a file as its microphone, which plays once when it is opened."""

    def __init__(self, town: Town, chromium: str, folder: Path) -> None:
        self.town = town
        self._chromium = chromium
        self._sound = folder / "microphone.wav"

    @contextlib.asynccontextmanager
    async def console(self, *said: bytes, language: str = "en") -> AsyncIterator[Page]:
        """Open the console; ``said`` is what the microphone hears, mono at 16 kHz."""
        with wave.open(str(self._sound), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(HEARING_RATE_HZ)
            file.writeframes(b"".join(said))
        flags = [*FLAGS, f"--use-file-for-fake-audio-capture={self._sound}%noloop"]
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=self._chromium, args=flags)
            context = await browser.new_context(
                viewport={"width": 1920, "height": 1080},
                ignore_https_errors=True,
                locale="zh-CN" if language == "zh-CN" else "en-GB",
                permissions=["microphone"],
            )
            page = await context.new_page()
            await page.goto(f"{self.town.hub.url}/?key={self.town.seat.token}", wait_until="load")
            try:
                yield page
            finally:
                await browser.close()


@pytest.fixture
def desk(town: Town, chromium_path: str, tmp_path: Path) -> Desk:
    return Desk(town, chromium_path, tmp_path)


@dataclass(frozen=True)
class Look:
    """How pages are looked at."""

    shot: TakeScreenshot
    faults: FindFaults


@pytest.fixture
def look(screenshot: TakeScreenshot, axe_faults: FindFaults) -> Look:
    return Look(screenshot, axe_faults)


async def opened(town: Town, console: Page, open_page: OpenPage, language: str = "en") -> Page:
    """Ring, show the call on the console, and return the caller's page."""
    case = await Outside(town).ring()
    await console.locator(f"[data-case='{case}']").click()
    phone = await open_page(town.hub.link_for(case), language=language, may_log=("net::",), **PHONE)
    await expect(console.locator("[data-key=mic]")).to_be_visible()
    await console.evaluate("document.activeElement.blur()")
    await expect(console.locator("[data-engine]")).to_have_count(0, timeout=HEARD_MS)
    return phone


async def test_spoken_sentence_is_read_by_the_caller_while_it_is_said(
    desk: Desk, clips: dict[str, Clip], open_page: OpenPage, look: Look
) -> None:
    sound = (SECOND, clips[SENTENCE].pcm, SECOND * 20)
    async with desk.town.open_hub(speech=SPEECH), desk.console(*sound) as console:
        phone = await opened(desk.town, console, open_page)
        await console.keyboard.press("F8")
        await expect(phone.locator(".lines .draft")).to_be_visible(timeout=HEARD_MS)
        await look.shot(console, "speech-draft-en-1920")
        said = phone.locator(".lines .dispatcher:not(.draft)")
        await expect(said).to_contain_text("not an ill", timeout=HEARD_MS)
        await expect(console.locator(".turn.dispatcher")).to_contain_text("% sure")
        await expect(phone.locator(".lines .draft")).to_have_count(0)
        await console.keyboard.press("F8")
        await expect(console.locator("[data-key=mic]")).to_have_attribute("aria-pressed", "false")
        assert await look.faults(console) == []


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_number_that_was_heard_is_confirmed_with_one_key_or_corrected(
    desk: Desk, clips: dict[str, Clip], open_page: OpenPage, look: Look, language: str
) -> None:
    spoken = clips[NUMBERS].pcm
    sound = (SECOND, spoken, SECOND * 3, spoken, SECOND * 30)
    async with (
        desk.town.open_hub(speech=SPEECH),
        desk.console(*sound, language=language) as console,
    ):
        phone = await opened(desk.town, console, open_page, language)
        if language == "zh-CN":
            await console.locator("[data-key=mic-language]").click()  # the clip is English
            await console.evaluate("document.activeElement.blur()")
        await console.keyboard.press("F8")
        held = console.locator(".turn.held")
        await expect(held.first).to_be_visible(timeout=HEARD_MS)
        await expect(held.first.locator("[data-key=say-heard]")).to_be_focused()
        await expect(held.first.locator("mark.doubt").first).to_be_visible()
        await expect(phone.locator(".lines .draft").first).to_contain_text("▢▢")
        await expect(phone.locator(".lines .dispatcher:not(.draft)")).to_have_count(0)
        await look.shot(console, f"speech-held-{language}-1920")
        await look.shot(phone, f"caller-held-{language}-360")
        assert await look.faults(console) == []
        await console.keyboard.press("Enter")
        said = phone.locator(".lines .dispatcher:not(.draft)")
        await expect(said).to_have_count(1)
        await expect(held).to_have_count(1, timeout=HEARD_MS)  # the second time
        await held.locator("[data-key=correct-heard]").click()
        await console.locator("[name=talk]").fill("1, 2, 4")
        await console.locator("[name=talk]").press("Enter")
        await expect(said.last).to_contain_text("1, 2, 4")
        await expect(held).to_have_count(0)
        await expect(phone.locator(".lines .draft")).to_have_count(0)


async def test_sentence_of_the_caller_sounds_at_the_seat_and_again_when_asked(
    desk: Desk, clips: dict[str, Clip], open_page: OpenPage
) -> None:
    async with desk.town.open_hub(speech=SPEECH), desk.console(SECOND) as console:
        phone = await opened(desk.town, console, open_page)
        await phone.locator("[name=text]").press_sequentially("He does not breathe. Please c")
        sounding = console.locator(".turn.caller .again[data-sounding=true]")
        await expect(console.locator(".turn.caller")).to_contain_text("Please c")
        await expect(sounding).to_have_count(1, timeout=HEARD_MS)
        await expect(sounding).to_have_count(0, timeout=HEARD_MS)
        await console.locator(".turn.caller .again").last.click()
        await console.keyboard.press("F9")
        await expect(console.locator("[data-key=voice]")).to_have_attribute("aria-pressed", "false")
        await expect(console.locator(".turn.caller .again")).to_have_count(0)


async def test_without_speech_the_seat_is_told_and_types(
    desk: Desk, open_page: OpenPage, look: Look
) -> None:
    async with desk.town.open_hub(), desk.console(SECOND) as console:
        case = await Outside(desk.town).ring()
        await console.locator(f"[data-case='{case}']").click()
        await open_page(desk.town.hub.link_for(case), **PHONE)
        await expect(console.locator("[data-engine=both]")).to_contain_text("No speech to text")
        await console.evaluate("document.activeElement.blur()")
        await console.keyboard.press("F8")
        await expect(console.locator(".speech-bar")).to_contain_text("type instead")
        await look.shot(console, "speech-off-en-1920")
        await console.keyboard.press("F8")
        await console.keyboard.press("i")
        await console.keyboard.type("Is he awake?")
        await console.keyboard.press("Enter")
        await expect(console.locator(".turn.dispatcher")).to_contain_text("Is he awake?")
