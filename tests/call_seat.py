"""The dispatcher of a scripted call at the real console; every step waits for what it led to."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.call_pages import SPEECH_MS, WAIT_MS, counts, shows


class Seat:
    """The dispatcher at the console.

    Attributes:
        page: The console.
        lines: What stands in the conversation of the case that is shown.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.lines = page.locator(".talk .turns li.turn")
        self.field = page.locator("[name=talk]")
        self.timeline = page.locator(".timeline")

    async def press(self, keys: str) -> None:
        """Press keys that mean something to the console, with nothing in focus."""
        await self.page.evaluate("document.activeElement.blur()")
        for key in keys.split():
            await self.page.keyboard.press(key)

    async def shows_case(self, case: str) -> None:
        """Turn to a case."""
        await self.page.locator(f"[data-case='{case}']").click(timeout=WAIT_MS)

    async def answers(self) -> None:
        """Take the call; the form for where and what opens."""
        await self.press("a")
        await self.is_in("talking")
        await expect(self.page.locator("[name=address]")).to_be_focused(timeout=WAIT_MS)

    async def is_in(self, phase: str) -> None:
        """See how the call stands."""
        bar = self.page.locator(f".call-bar[data-phase={phase}]")
        await expect(bar).to_be_visible(timeout=WAIT_MS)

    async def leaves_the_form(self) -> None:
        """Nobody says where: go on without."""
        await self.page.keyboard.press("Escape")  # out of the field
        await self.page.keyboard.press("Escape")  # out of the form
        await counts(self.page.locator("[name=address]"), 0)

    async def notes(self, address: str, complaint: str, severity: str = "red") -> None:
        """Write down where and what, in the form that answering opened or the key E opens."""
        if not await self.page.locator("[name=address]").count():
            await self.press("e")
        await self.page.locator("[name=address]").fill(address)
        await self.page.locator("[name=complaint]").fill(complaint)
        await self.page.locator("[name=severity]").select_option(severity)
        await self.page.locator("[name=complaint]").press("Enter")
        await shows(self.page.locator(".case-head .address"), address)
        await counts(self.page.locator("[name=address]"), 0)

    async def reads(self, text: str) -> None:
        """Read what the caller writes or wrote, last of all."""
        await shows(self.page.locator(".turn.caller").last, text)

    async def sees_an_end(self) -> None:
        """See that the caller ended the line."""
        await counts(self.page.locator(".turn.caller .cursor"), 0)

    async def sees(self, words: str) -> None:
        """See in the conversation's head how the caller can be reached."""
        await shows(self.page.locator(".talk-head"), words)

    async def notes_of_the_caller(self, need: str) -> None:
        """Note how one has to talk with the caller."""
        button = self.page.locator(".talk .needs button", has_text=need)
        await button.click()
        await expect(button).to_have_attribute("aria-pressed", "true", timeout=WAIT_MS)

    async def sees_of_the_caller(self, need: str) -> None:
        """See what the caller said of himself."""
        button = self.page.locator(".talk .needs button", has_text=need)
        await expect(button).to_have_attribute("aria-pressed", "true", timeout=WAIT_MS)

    async def begins(self, text: str) -> None:
        """Begin to write."""
        await self.field.click()
        await self.page.keyboard.type(text)

    async def ends(self, text: str) -> None:
        """Write the rest, and say it."""
        await self.page.keyboard.type(text)
        whole = await self.field.input_value()
        await self.page.keyboard.press("Enter")
        await self._has_said(whole)

    async def cannot_say(self) -> None:
        """Press Enter without a link to the hub: nothing leaves, and what was written stays."""
        whole = await self.field.input_value()
        await self.page.keyboard.press("Enter")
        await shows(self.page.locator(".problem"), "Not sent")
        await expect(self.field).to_have_value(whole, timeout=WAIT_MS)

    async def writes(self, text: str) -> None:
        """Write a whole line, and say it."""
        await self.begins("")
        await self.ends(text)

    async def replies(self, key: str) -> str:
        """Say a ready reply by its shortcut, seen before it is sent; return its words."""
        await self.begins(f"/{key}")
        await expect(self.field).not_to_have_value(f"/{key}", timeout=WAIT_MS)
        words = await self.field.input_value()
        await self.ends("")
        return words

    async def corrects(self, before: str, after: str) -> None:
        """Take the last line back into the field and say it as it was meant."""
        await self.page.get_by_role("button", name="Correct", exact=True).last.click()
        await expect(self.field).to_have_value(before, timeout=WAIT_MS)
        await self.field.fill(after)
        await self.field.press("Enter")
        await self._has_said(after)
        await counts(self.page.locator(".turn.dispatcher", has_text=before).last, 0)

    async def sends_a_unit(self) -> None:
        """Send the unit that is recommended."""
        await self.press("u")
        await expect(self.page.locator(".question")).to_be_visible(timeout=WAIT_MS)
        await self.page.keyboard.press("Enter")
        await counts(self.page.locator(".question"), 0)
        await shows(self.timeline, " sent")

    async def sends_the_link(self) -> None:
        """Have the link sent by SMS."""
        await self.press("p")
        await expect(self.page.locator(".question")).to_be_visible(timeout=WAIT_MS)
        await self.page.keyboard.press("Enter")
        await shows(self.timeline, "Message sent to")

    async def starts_the_guide(self) -> None:
        """Open the guide; its keys have the focus."""
        await self.press("z")
        await expect(self.page.locator(".guide-keys")).to_be_focused(timeout=WAIT_MS)

    async def guides(self, key: str) -> str:
        """Answer or go on by a key; return the step to which that leads."""
        text = self.page.locator(".guide-text")
        before = await text.inner_text()
        await self.page.locator(".guide-keys").focus()
        await self.page.keyboard.press(key)
        await expect(text).not_to_have_text(before, timeout=WAIT_MS)
        return await text.inner_text()

    async def sees_that_it_is_timed(self, moment: str) -> None:
        """See a moment of the resuscitation with its time since the ring."""
        await shows(self.page.locator(".guide-times"), moment)

    async def ends_the_guide(self, reason: str) -> None:
        """End the guide; it wants a reason."""
        await self.page.locator(".guide-keys").focus()
        await self.page.keyboard.press("e")
        await self.page.keyboard.type(reason)
        await self.page.keyboard.press("Enter")
        await shows(self.timeline, reason)

    async def sees_on_the_timeline(self, words: str) -> None:
        """See that something was done."""
        await shows(self.timeline, words)

    async def marks_the_call_silent(self) -> None:
        """Note that nobody speaks on the line."""
        await self.press("s")
        await shows(self.page.locator(".call-bar"), "silent")

    async def gives_up(self, reason: str) -> None:
        """Call back no more, and say why."""
        await self.page.locator("[name=give_up]").fill(reason)
        await self.page.locator("[name=give_up]").press("Enter")
        await self.is_in("ended")

    async def hangs_up(self) -> None:
        """End the call."""
        await self.page.locator("[data-call=end_call]").click()
        await self.is_in("ended")

    async def closes(self, outcome: str) -> None:
        """Close the case; nothing is left in the queue."""
        await self.page.get_by_role("button", name="Close case").last.click()
        await self.page.locator("[name=outcome]").select_option(outcome)
        await self.page.locator("[data-confirm]").click()
        await counts(self.page.locator(".queue > ol .row"), 0)

    async def _has_said(self, text: str) -> None:
        await counts(self.page.locator(".turn.dispatcher:not(.live)", has_text=text), 1)
        await expect(self.field).to_have_value("", timeout=WAIT_MS)


class SpeakingSeat(Seat):
    """The dispatcher who speaks with a caller that reads, and hears what that caller writes."""

    async def can_speak(self) -> None:
        """See that both engines work."""
        await expect(self.page.locator("[data-key=mic]")).to_be_visible(timeout=WAIT_MS)
        await expect(self.page.locator("[data-engine]")).to_have_count(0, timeout=SPEECH_MS)

    async def speaks_mandarin(self) -> None:
        """Say that the microphone will hear Mandarin."""
        await self.page.locator("[data-key=mic-language]").click()
        await shows(self.page.locator("[data-key=mic-language]"), "Mandarin")

    async def presses_the_microphone(self) -> None:
        """Switch it on; what it hears is the recording."""
        await self.press("F8")
        mic = self.page.locator("[data-key=mic]")
        await expect(mic).to_have_attribute("aria-pressed", "true", timeout=WAIT_MS)

    async def releases_the_microphone(self) -> None:
        """Switch it off."""
        await self.press("F8")
        mic = self.page.locator("[data-key=mic]")
        await expect(mic).to_have_attribute("aria-pressed", "false", timeout=WAIT_MS)

    async def looks_at_the_number(self, number: str) -> None:
        """See a number marked that was heard and waits for a look."""
        doubt = self.page.locator(".turn.held mark.doubt")
        await expect(doubt).to_contain_text(number, timeout=SPEECH_MS)

    async def says_instead(self, text: str) -> None:
        """Take what was heard into the field, and say it as it was meant."""
        await self.page.locator(".turn.held [data-key=correct-heard]").click()
        await expect(self.field).not_to_have_value("", timeout=WAIT_MS)
        await self.field.fill(text)
        await self.field.press("Enter")
        await self._has_said(text)
        await counts(self.page.locator(".turn.held"), 0)

    async def confirms(self) -> None:
        """It was heard rightly: say it."""
        await self.page.locator(".turn.held [data-key=say-heard]").click()
        await counts(self.page.locator(".turn.held"), 0)

    async def says_what_was_heard(self) -> None:
        """Say what was heard: what is sure went by itself, what is not waits for this."""
        heard = self.page.locator(".turn.held, .turn.dispatcher:not(.live)")
        await expect(heard).to_have_count(1, timeout=SPEECH_MS)
        if await self.page.locator(".turn.held").count():
            await self.confirms()
