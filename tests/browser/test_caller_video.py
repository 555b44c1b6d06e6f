"""A caller on video in Chromium with a drawn camera: asked, blurred, looked at, stopped, ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import FindFaults, OpenPage, TakeScreenshot, Until
from tests.call_sources import Outside
from tests.hub_town import Town, a_town

PHONE: dict[str, Any] = {"width": 360, "height": 740}
ENDED = ("403", "404", "net::", "Failed to load resource")
"""What a browser logs of a session that the hub ended, and of a network that is away."""

PLAYS = (
    "document.querySelector('.caller-picture[data-phase=live] video')?.videoWidth > 0"
    " && document.querySelector('.caller-picture video').currentTime > 0.5"
)
AT = "document.querySelector('.caller-picture video').currentTime"
IS_MUTED = "document.querySelector('.caller-picture video').muted"
PLAYS_WITHIN_S = 20.0
WAIT_MS = 20_000.0
"""What a page is given while three of them code and decode video on this machine."""


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


Look = Callable[..., Awaitable[None]]
"""Saves a screenshot of a page, and finds no serious fault of accessibility on it."""


@pytest.fixture
def look(screenshot: TakeScreenshot, axe_faults: FindFaults) -> Look:
    async def see(page: Page, name: str, *, whole: bool = False) -> None:
        await screenshot(page, name, whole=whole)
        assert await axe_faults(page) == []

    return see


async def both(
    town: Town, open_page: OpenPage, language: str = "en", *, line: str = "text"
) -> tuple[Page, Page, str]:
    """Return a console that shows a call, the caller's page, and the case."""
    case = await Outside(town).ring(line=line)
    console = await open_page(
        f"{town.hub.url}/?key={town.seat.token}", width=1920, height=1080, language=language,
        may_log=ENDED,
    )  # fmt: skip
    await console.locator(f"[data-case='{case}']").click()
    phone = await open_page(town.hub.link_for(case), language=language, may_log=ENDED, **PHONE)
    await expect(console.locator("button[data-key=caller-video]")).to_be_visible(timeout=WAIT_MS)
    await console.evaluate("document.activeElement.blur()")
    return console, phone, case


async def steps(town: Town, case: str) -> list[str]:
    told = await town.get(f"/api/cases/{case}/timeline")
    return [one["data"]["step"] for one in told if one["kind"] == "caller_video"]


async def ask_and_consent(console: Page, phone: Page) -> None:
    await console.keyboard.press("Shift+V")
    await phone.locator(".video .yes").click()


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_caller_who_is_asked_is_seen_blurred_then_clearly_and_ends_it_by_one_tap(
    town: Town, open_page: OpenPage, look: Look, until: Until, language: str
) -> None:
    async with town.open_hub() as hub:
        console, phone, case = await both(town, open_page, language)
        await console.keyboard.press("Shift+V")
        await expect(phone.locator("#video-question")).to_be_visible(timeout=WAIT_MS)
        await look(phone, f"caller-video-asked-{language}-360")
        assert hub.relay.snapshot().resources == {}, "nothing is sent before the yes"
        await phone.locator(".video .yes").click()
        await until(console, PLAYS, PLAYS_WITHIN_S)
        assert await console.evaluate(IS_MUTED)
        blur = "getComputedStyle(document.querySelector('.caller-picture video')).filter"
        assert await console.evaluate(blur) == "blur(32px)"
        await look(console, f"caller-video-blurred-{language}-1920")
        await expect(phone.locator(".video[data-link=live]")).to_be_visible(timeout=WAIT_MS)
        await look(phone, f"caller-video-on-{language}-360")
        await console.keyboard.press("Shift+V")
        await until(console, f"{blur} === 'none'")
        await until(console, f"!{IS_MUTED}")
        await expect(phone.locator(".video [role=status]").first).to_contain_text(
            "sees your picture" if language == "en" else "正在看您的画面", timeout=WAIT_MS
        )
        await look(console, f"caller-video-clear-{language}-1920")
        await console.keyboard.press("Shift+V")
        await until(console, f"{blur} === 'blur(32px)' && {IS_MUTED}")
        await phone.locator(".video .stop").click()
        await expect(console.locator(".caller-video[data-phase=withdrawn]")).to_be_visible(
            timeout=WAIT_MS
        )
        await until(phone, "!document.querySelector('.video-own')")
        await look(phone, f"caller-video-ended-{language}-360", whole=True)
        assert await phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert await steps(town, case) == ["asked", "consented", "looked", "blurred", "withdrawn"]


async def test_seat_that_ends_the_video_ends_the_camera_and_the_caller_is_told(
    town: Town, open_page: OpenPage, until: Until, look: Look
) -> None:
    async with town.open_hub() as hub:
        console, phone, case = await both(town, open_page)
        await phone.get_by_role("button", name="Show what you see").click()
        await expect(phone.locator("#video-question")).to_contain_text(
            "Show what you see?", timeout=WAIT_MS
        )
        await phone.locator(".video .yes").click()
        await until(console, PLAYS, PLAYS_WITHIN_S)
        await console.locator(".caller-ways .stop").click()
        await expect(phone.locator(".told")).to_contain_text(
            "The dispatcher ended the video", timeout=WAIT_MS
        )
        await until(phone, "!document.querySelector('.video-own')")
        await look(phone, "caller-video-stopped-en-360")
        assert hub.relay.snapshot().resources == {}
        await expect(phone.get_by_role("button", name="Show what you see")).to_have_count(
            0, timeout=WAIT_MS
        )
        await console.keyboard.press("Shift+V")
        await phone.get_by_role("button", name="No", exact=True).click()
        await expect(console.locator(".caller-video")).to_contain_text("no video", timeout=WAIT_MS)
        assert await steps(town, case) == ["consented", "stopped", "asked", "refused"]


async def test_video_comes_back_by_itself_after_its_path_was_lost(
    town: Town, open_page: OpenPage, until: Until
) -> None:
    async with town.open_hub() as hub:
        console, phone, case = await both(town, open_page)
        await ask_and_consent(console, phone)
        await until(console, PLAYS, PLAYS_WITHIN_S)
        camera = f"caller-{case}/camera"
        assert hub.relay.end_all(camera, "publish", "cut by the test") == 1
        assert hub.relay.snapshot().resources[camera].source is None
        shown_s = await console.evaluate(AT)
        await until(console, f"{AT} > {shown_s} + 3", PLAYS_WITHIN_S)
        assert hub.relay.snapshot().resources[camera].source == f"caller/{case}"
        await expect(phone.locator(".video[data-link=live]")).to_be_visible(timeout=WAIT_MS)
        assert await steps(town, case) == ["asked", "consented"], "one consent, one video"


async def test_camera_that_the_phone_refuses_is_said_plainly_and_text_goes_on(
    town: Town, open_page: OpenPage, look: Look
) -> None:
    async with town.open_hub():
        console, phone, case = await both(town, open_page)
        await phone.evaluate(
            "() => { navigator.mediaDevices.getUserMedia = async () => {"
            " throw new DOMException('no', 'NotAllowedError'); }; }"
        )
        await ask_and_consent(console, phone)
        await expect(phone.locator(".video.wrong")).to_contain_text(
            "does not give its camera", timeout=WAIT_MS
        )
        await expect(console.locator(".caller-video")).to_contain_text(
            "the phone does not give its camera", timeout=WAIT_MS
        )
        await look(phone, "caller-video-refused-en-360")
        await phone.locator("[name=text]").press_sequentially("I write then\n")
        await expect(console.locator(".turn.caller").last).to_contain_text(
            "I write then", timeout=WAIT_MS
        )
        assert await steps(town, case) == ["asked", "consented", "refused"]


async def test_page_without_secure_context_or_webrtc_says_so_before_any_consent(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        console, phone, case = await both(town, open_page)
        await phone.evaluate("delete globalThis.RTCPeerConnection")
        await ask_and_consent(console, phone)
        await expect(phone.locator(".video.wrong")).to_contain_text(
            "cannot send video", timeout=WAIT_MS
        )
        await expect(console.locator(".caller-video")).to_contain_text(
            "cannot send video", timeout=WAIT_MS
        )
        assert await steps(town, case) == ["asked", "refused"]


async def test_caller_who_leaves_the_page_ends_the_video(
    town: Town, open_page: OpenPage, until: Until
) -> None:
    async with town.open_hub() as hub:
        console, phone, case = await both(town, open_page)
        await ask_and_consent(console, phone)
        await until(console, PLAYS, PLAYS_WITHIN_S)
        await phone.locator(".leave").click()
        await expect(console.locator(".caller-video[data-phase=withdrawn]")).to_contain_text(
            "ended by the caller", timeout=WAIT_MS
        )
        assert f"caller-{case}/camera" not in hub.relay.snapshot().resources


async def test_seat_speaks_to_the_page_and_shows_pictures_there(
    town: Town, open_page: OpenPage, until: Until, look: Look, tmp_path: Path
) -> None:
    async with town.open_hub() as hub:
        console, phone, case = await both(town, open_page)
        await ask_and_consent(console, phone)
        await until(console, PLAYS, PLAYS_WITHIN_S)
        await console.get_by_role("button", name="Speak to the page").click()
        await until(console, "document.querySelector('[data-voice=live]')", PLAYS_WITHIN_S)
        await expect(phone.locator(".video")).to_contain_text(
            "The dispatcher speaks to you", timeout=WAIT_MS
        )
        await until(phone, "document.querySelector('.ear').currentTime > 0.5", PLAYS_WITHIN_S)
        assert not await phone.evaluate("document.querySelector('.ear').muted")
        await console.get_by_role("button", name="Stop speaking").click()
        await until(phone, "!document.querySelector('.ear')")

        await console.get_by_role("button", name="Show a picture").click()
        await look(console, "caller-video-pictures-en-1920")
        await console.get_by_role("button", name="On the side").click()
        await expect(phone.locator(".shown use")).to_have_attribute(
            "href", "/static/page/caller/pictograms.svg#recovery", timeout=WAIT_MS
        )
        await expect(console.locator(".caller-shown")).to_contain_text(
            "On the side", timeout=WAIT_MS
        )
        image = await phone.screenshot(path=tmp_path / "image.png")
        assert image
        await console.get_by_role("button", name="Show a picture").click()
        await console.locator(".caller-pictures input").set_input_files(tmp_path / "image.png")
        await until(phone, "document.querySelector('.shown img')?.naturalWidth === 360")
        await look(phone, "caller-video-image-en-360")
        await console.get_by_role("button", name="Take away").click()
        await expect(phone.locator(".shown")).to_have_count(0, timeout=WAIT_MS)
        assert await steps(town, case) == [
            "asked", "consented", "voice_on", "voice_off", "picture_shown", "picture_shown",
            "picture_gone",
        ]  # fmt: skip
        assert hub.videos._pictures == {}


async def test_page_that_could_not_load_its_video_tries_again_at_the_next_tap(
    town: Town, open_page: OpenPage, until: Until
) -> None:
    async with town.open_hub():
        console, phone, _ = await both(town, open_page)
        await phone.context.set_offline(True)
        await phone.get_by_role("button", name="Show what you see").click()
        await expect(phone.locator("main")).to_contain_text(
            "video could not be started", timeout=WAIT_MS
        )
        await phone.context.set_offline(False)
        await phone.get_by_role("button", name="Show what you see").click()
        await phone.locator(".video .yes").click()
        await until(console, PLAYS, PLAYS_WITHIN_S)
