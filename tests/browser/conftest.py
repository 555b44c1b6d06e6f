"""Fixtures of the browser tests: headless Chromium, pages that may not fail, screenshots, axe.

Screenshots go to `screenshots/` in the repository's folder, which git ignores: look at them.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.conftest import IN_CI

REPOSITORY = Path(__file__).resolve().parents[2]
SCREENSHOTS = REPOSITORY / "screenshots"
AXE = REPOSITORY / "build" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    "--no-sandbox",  # tests may run as root in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-loopback-in-peer-connection",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]


class OpenPage(Protocol):
    """Opens a page; see `open_page`."""

    async def __call__(
        self,
        url: str,
        *,
        width: int = 1280,
        height: int = 800,
        theme: str | None = None,
        language: str = "en",
        may_log: tuple[str, ...] = (),
    ) -> Page: ...


class Until(Protocol):
    """Waits for a page; see `until`."""

    async def __call__(self, page: Page, expression: str, timeout_s: float = 10.0) -> Any: ...


class TakeScreenshot(Protocol):
    """Saves a screenshot; see `screenshot`."""

    async def __call__(self, page: Page, name: str, *, whole: bool = False) -> Path: ...


class FindFaults(Protocol):
    """Looks for accessibility faults; see `axe_faults`."""

    async def __call__(self, page: Page, *, without: tuple[str, ...] = ()) -> list[str]: ...


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The path of Chromium; skips without one, or fails where CI runs."""
    wanted = os.environ.get("FORERUN_CHROMIUM")
    found = wanted or next(filter(None, map(shutil.which, NAMES)), None)
    if found is not None:
        return found
    message = "Chromium is not installed (package chromium), so no page can be tried"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
async def browser(chromium_path: str) -> AsyncIterator[Browser]:
    """A headless Chromium of this test's own."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        try:
            yield started
        finally:
            await started.close()


@pytest.fixture
async def open_page(browser: Browser) -> AsyncIterator[OpenPage]:
    """A function that opens a page in a context of its own, as a person would.

    A page that throws, or logs an error that is not in `may_log`, fails the test at its end.
    The servers' local certificate authority is not asked for.
    """
    failures: list[str] = []

    async def opened(
        url: str,
        *,
        width: int = 1280,
        height: int = 800,
        theme: str | None = None,
        language: str = "en",
        may_log: tuple[str, ...] = (),
    ) -> Page:
        context = await browser.new_context(
            viewport={"width": width, "height": height},
            ignore_https_errors=True,
            locale="zh-CN" if language.startswith("zh") else "en-GB",
            permissions=["camera", "microphone"],
        )
        page = await context.new_page()

        def note(kind: str, text: str) -> None:
            # A server that is not there (a test may end it before its pages) is no fault of a page.
            gone = kind == "console" and "net::ERR_CONNECTION_REFUSED" in text
            if not gone and not any(part in text for part in may_log):
                failures.append(f"{url}: {kind}: {text}")

        page.on("pageerror", lambda error: note("error", str(error)))
        page.on(
            "console",
            lambda said: note("console", said.text) if said.type == "error" else None,
        )
        if theme is not None:
            await page.add_init_script(
                f"localStorage.setItem('forerun.theme' + location.pathname, '{theme}')"
            )
        await page.goto(url, wait_until="load", timeout=20_000)
        return page

    yield opened
    assert not failures, "\n".join(failures)


@pytest.fixture
def until() -> Until:
    """A function that waits until an expression is true on a page, and returns its value.

    Playwright's own `wait_for_function` evaluates text in the page, which the pages' content
    security policy forbids; that policy stays as it is in tests.
    """

    async def wait(page: Page, expression: str, timeout_s: float = 10.0) -> Any:
        stop = time.monotonic() + timeout_s
        while not (value := await page.evaluate(expression)):
            if time.monotonic() > stop:
                pytest.fail(f"not within {timeout_s:g} s on {page.url}: {expression}")
            await asyncio.sleep(0.02)
        return value

    return wait


@pytest.fixture
def screenshot() -> TakeScreenshot:
    """A function that saves what the page shows as `screenshots/NAME.png`, where one can look."""

    async def take(page: Page, name: str, *, whole: bool = False) -> Path:
        path = SCREENSHOTS / f"{name}.png"
        if not IN_CI:  # nobody looks at them there
            SCREENSHOTS.mkdir(exist_ok=True)
            await page.screenshot(path=path, full_page=whole)
        return path

    return take


@pytest.fixture
def axe_faults() -> FindFaults:
    """A function that lists the serious and critical faults that axe-core finds on a page."""

    async def find(page: Page, *, without: tuple[str, ...] = ()) -> list[str]:
        if not AXE.is_file():
            pytest.fail("axe-core is not there: run `python -m streams.vendor --dev`")
        # Evaluated by the debugger, so the page's content security policy stays as it is.
        await page.evaluate(AXE.read_text(encoding="utf-8"))
        rules = {rule: {"enabled": False} for rule in without}
        result: dict[str, Any] = await page.evaluate(
            "(rules) => axe.run(document, {rules, resultTypes: ['violations']})", rules
        )
        return [
            f"{found['id']} ({found['impact']}): {node['target']} {node['failureSummary']}"
            for found in result["violations"]
            if found["impact"] in {"serious", "critical"}
            for node in found["nodes"]
        ]

    return find
