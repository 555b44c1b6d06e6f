"""The caller of a scripted call at the real page, and what tests read off pages of a call.

Every step waits until the page shows what it led to, so that a script never outruns itself and its
outcome does not depend on how quick the machine is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

WAIT_MS = 20_000
"""For a page to show something; bounds a failure, and says nothing of how quick it is."""
SPEECH_MS = 90_000
"""The same where speech is read or made: engines start, and what they do takes its time."""
PHONE = {"width": 360, "height": 740}
TABLET = {"width": 1280, "height": 800}
DESK = {"width": 1920, "height": 1080}
NETWORK_GONE = "net::"
"""What a browser logs of a network that a script has taken away."""

LINES = """(items) => items.map((item) => {
  const who = item.classList.contains("caller") ? "caller" : "dispatcher";
  const own = ["waiting", "draft", "live", "held"].filter((one) => item.classList.contains(one));
  const cursor = item.querySelector(".cursor");
  const said = item.querySelector(".said").textContent.replace(cursor?.textContent ?? "", "");
  const corrected = /corrected|更正/.test(item.textContent);
  return {who, said, own, corrected};
})"""


@dataclass
class Faults:
    """What pages said was wrong with them."""

    found: list[str] = field(default_factory=list)

    def watch(self, page: Page, name: str) -> None:
        """Note each error of a page; of the network only those that no script makes."""

        def note(text: str) -> None:
            if NETWORK_GONE not in text:
                self.found.append(f"{name}: {text}")

        page.on("pageerror", lambda error: note(str(error)))
        page.on("console", lambda one: note(one.text) if one.type == "error" else None)


async def a_page(browser: Browser, size: dict[str, int], language: str = "en") -> Page:
    """Open an empty page in a context of its own."""
    context: BrowserContext = await browser.new_context(
        viewport=size,  # type: ignore[arg-type]
        ignore_https_errors=True,
        locale="zh-CN" if language == "zh-CN" else "en-GB",
        permissions=["microphone"],
    )
    return await context.new_page()


async def lines_of(items: Locator) -> list[str]:
    """Return a conversation as a page shows it, in the words of ``call_outcome``."""
    found: list[dict[str, Any]] = await items.evaluate_all(LINES)
    return [
        f"{one['who']}: {one['said'].strip()}"
        + "".join(f" [{mark}]" for mark in one["own"])
        + (" [corrected]" if one["corrected"] else "")
        for one in found
    ]


async def shows(place: Locator, text: str) -> None:
    """Wait until a text stands somewhere."""
    await expect(place).to_contain_text(text, timeout=WAIT_MS)


async def counts(place: Locator, count: int) -> None:
    """Wait until something is there so many times."""
    await expect(place).to_have_count(count, timeout=WAIT_MS)


class Caller:
    """The caller at the page that needs no app.

    Attributes:
        page: The page.
        lines: What stands in its conversation.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.lines = page.locator(".lines li:not(.muted)")
        self.field = page.locator("[name=text]")

    async def opens(self, link: str) -> None:
        """Open the link, and see that it is connected."""
        await self.page.goto(link, wait_until="load")
        await shows(self.page.locator(".conversation"), "")
        await expect(self.field).to_be_visible(timeout=WAIT_MS)

    async def taps(self, answer: str) -> None:
        """Answer a question by its picture."""
        await self.page.locator(".answer", has_text=answer).click(timeout=WAIT_MS)

    async def says_of_himself(self, need: str) -> None:
        """Tap what the dispatcher must know: "I cannot hear"."""
        button = self.page.locator(".needs button", has_text=need)
        await button.click()
        await expect(button).to_have_attribute("aria-pressed", "true", timeout=WAIT_MS)

    async def types(self, text: str) -> None:
        """Press the keys of a text; a line end is the Enter key."""
        await self.field.press_sequentially(text)

    async def writes_at_once(self, text: str) -> None:
        """Have a keyboard that guesses put a text in, at the end of what stands there."""
        await self.field.focus()
        await self.page.keyboard.insert_text(text)

    async def erases(self, count: int) -> None:
        """Press backspace."""
        for _ in range(count):
            await self.field.press("Backspace")

    async def composes(self, *pinyin: str, chosen: str) -> None:
        """Write with a Chinese input method: letters that are no text yet, then the choice."""
        await self.field.focus()
        keyboard = await self.page.context.new_cdp_session(self.page)
        for composed in pinyin:
            place = {"selectionStart": len(composed), "selectionEnd": len(composed)}
            await keyboard.send("Input.imeSetComposition", {"text": composed, **place})
        await keyboard.send("Input.insertText", {"text": chosen})

    async def reads(self, text: str) -> None:
        """Read what the dispatcher said; it stands there for good and once."""
        said = self.page.locator(".lines .dispatcher:not(.draft)", has_text=text)
        await counts(said, 1)
        await counts(self.page.locator(".lines .draft"), 0)

    async def reads_along(self, text: str) -> None:
        """Read what the dispatcher has begun to say."""
        await shows(self.page.locator(".lines .draft"), text)

    async def has_read(self, count: int) -> None:
        """See so many lines of the dispatcher that are said for good."""
        await counts(self.page.locator(".lines .dispatcher:not(.draft)"), count)

    async def is_told(self, step: str) -> None:
        """See the step of the guide."""
        await shows(self.page.locator(".step"), step)

    async def knows_all_has_arrived(self) -> None:
        """See that nothing waits to be sent."""
        await counts(self.page.locator(".lines .waiting"), 0)

    async def is_offline(self) -> None:
        """Go where there is no network, and see that there is none."""
        await self.page.context.set_offline(True)
        await self.sees_no_connection()

    async def sees_no_connection(self) -> None:
        """See that nothing gets through."""
        await shows(self.page.locator(".conversation"), "No connection")

    async def is_online(self) -> None:
        """Come back."""
        await self.page.context.set_offline(False)

    async def leaves(self) -> None:
        """Press the quick exit."""
        await self.page.locator(".leave").click()
        await self.page.wait_for_url("about:blank", timeout=WAIT_MS)

    async def sees_that_it_is_over(self) -> str:
        """Return what the page says once the case is closed."""
        notice = self.page.locator("[role=alert].told.wrong")
        await expect(notice).to_be_visible(timeout=WAIT_MS)
        await counts(self.field, 0)
        return (await notice.locator("strong").inner_text()).strip()
