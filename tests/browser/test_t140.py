"""Real-time text in a real browser: the page's display and typing are those of Python.

Random scripts run through both, and every code point does; the keys, the clipboard and the input
method are the browser's own.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import web
from playwright.async_api import Page

from streams.graphemes import joins, split
from streams.t140 import T140Display
from streams.t140_typing import T140Typing, as_sent
from tests.t140_texts import CHARACTERS, CONTROLS, LINES, LOOSE

MODULE = Path(__file__).parents[2] / "streams" / "static" / "t140.js"
PAGE = """<!doctype html><html lang="zh"><link rel="icon" href="data:,">
<title>T.140</title><textarea aria-label="text"></textarea>
<script type="module">
import * as t140 from "/t140.js";
window.t140 = t140;
const field = document.querySelector("textarea");
const typing = new t140.T140Typing({ intervalMs: 50, charactersPerS: 300 });
window.typing = typing;
window.pieces = [];
window.told = [];
window.holding = true;
t140.watchField(field, (value) => { told.push(value); typing.edit(value); },
  { isHeld: () => holding });
setInterval(() => {
  const piece = typing.take(performance.now());
  if (piece) pieces.push(piece);
}, 10);
</script>"""
SCRIPTS = 200


class Step(NamedTuple):
    """What a field holds at a moment, and whether Enter is pressed then."""

    field: str
    at_ms: int
    is_enter: bool


@pytest.fixture
async def page(open_page: Callable[..., Awaitable[Page]]) -> AsyncIterator[Page]:
    """A page with a field whose text goes through t140.js."""

    async def show(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def module(_: web.Request) -> web.FileResponse:
        return web.FileResponse(MODULE, headers={"Content-Type": "text/javascript"})

    app = web.Application()
    app.add_routes([web.get("/", show), web.get("/t140.js", module)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        opened = await open_page(f"http://{host}:{port}/")
        await opened.wait_for_function("window.typing !== undefined")
        yield opened
    finally:
        await runner.cleanup()


def units(text: str) -> list[int]:
    """UTF-16 code units, which browsers cut text by."""
    return list(memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H"))


def some_text(chance: random.Random, *, has_controls: bool) -> str:
    """A text of what people write and of what is hard about it."""
    alphabet = [*CHARACTERS, *CHARACTERS, *LOOSE, *LINES, *(CONTROLS if has_controls else [])]
    alphabet += [chr(chance.choice([*range(0xD7FF), *range(0xE000, 0x20000)])) for _ in range(5)]
    text = "".join(chance.choice(alphabet) for _ in range(chance.randint(0, 40)))
    return "".join(c for c in text if unicodedata.category(c) != "Cn")


async def test_display_in_the_browser_is_that_of_python_for_random_scripts(page: Page) -> None:
    chance = random.Random(140)
    scripts: list[list[list[int]]] = []
    for _ in range(SCRIPTS):
        rest, pieces = units(some_text(chance, has_controls=True)), []
        while rest:
            size = chance.randint(1, 6)
            pieces.append(rest[:size])
            rest = rest[size:]
        scripts.append(pieces)
    expected = []
    for pieces in scripts:
        display = T140Display(kept=20)
        taken = [display.take("".join(map(chr, piece))) for piece in pieces]
        taken.append(display.finish())
        expected.append(
            {
                "taken": [[t.kept, t.end, t.alerts, units(t.left)] for t in taken],
                "shown": [units(character) for character in display.characters(0)],
                "lines": [display.first_line, len(display.lines), display.left],
            }
        )
    found = await page.evaluate(
        """(scripts) => scripts.map((pieces) => {
          const units = (text) => Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
          const display = new t140.T140Display(20);
          const taken = pieces.map((piece) => display.take(String.fromCharCode(...piece)));
          taken.push(display.finish());
          return {
            taken: taken.map((t) => [t.kept, t.end, t.alerts, units(t.left)]),
            shown: display.characters(0).map(units),
            lines: [display.firstLine, display.lines.length, display.left],
          };
        })""",
        scripts,
    )
    for script, here, there in zip(scripts, expected, found, strict=True):
        assert there == here, script


async def test_display_in_the_browser_takes_bytes_as_python_does(page: Page) -> None:
    chance = random.Random(8)
    scripts = []
    for _ in range(SCRIPTS):
        data = bytearray(some_text(chance, has_controls=True).encode())
        for _ in range(chance.choice([0, 0, 3])):
            data.insert(chance.randint(0, len(data)), chance.randrange(256))
        scripts.append([list(data[at : at + 3]) for at in range(0, len(data), 3)])
    found = await page.evaluate(
        """(scripts) => scripts.map((pieces) => {
          const display = new t140.T140Display();
          for (const piece of pieces) display.takeBytes(new Uint8Array(piece));
          display.finish();
          return display.characters(0);
        })""",
        scripts,
    )
    for script, there in zip(scripts, found, strict=True):
        display = T140Display()
        for piece in script:
            display.take_bytes(bytes(piece))
        display.finish()
        assert there == display.characters(0)


async def test_typing_in_the_browser_sends_what_python_sends_at_the_same_times(page: Page) -> None:
    chance = random.Random(4103)
    scripts: list[list[Step]] = []
    for _ in range(SCRIPTS):
        field, now = "", 0
        script: list[Step] = []
        for _ in range(chance.randint(1, 12)):
            at = chance.randint(0, len(field))
            end = chance.choice([at, at, min(len(field), at + 3), len(field)])
            field = field[:at] + some_text(chance, has_controls=False) + field[end:]
            now += chance.choice([0, 50, 300, 1000])
            is_enter = chance.random() < 0.1
            script.append(Step(field, now, is_enter))
            field = "" if is_enter else field
        scripts.append(script)
    found = await page.evaluate(
        """(scripts) => scripts.map((script) => {
          const typing = new t140.T140Typing();
          const out = [];
          let now = 0;
          for (const [field, at, isEnter] of script) {
            now = at;
            typing.edit(String.fromCharCode(...field));
            if (isEnter) typing.endLine();
            out.push([Math.round(now), typing.take(now)]);
          }
          for (let due = typing.due(now); due !== null; due = typing.due(now)) {
            now = Math.max(now, due);
            out.push([Math.round(now), typing.take(now)]);
          }
          return { out, sent: typing.sent };
        })""",
        [[[units(step.field), step.at_ms, step.is_enter] for step in script] for script in scripts],
    )
    for script, there in zip(scripts, found, strict=True):
        typing, now_s = T140Typing(), 0.0
        out: list[list[Any]] = []
        for step in script:
            now_s = step.at_ms / 1000
            typing.edit(step.field)
            if step.is_enter:
                typing.end_line()
            out.append([round(now_s * 1000), typing.take(now_s)])
        while (due := typing.due(now_s)) is not None:
            now_s = max(now_s, due)
            out.append([round(now_s * 1000), typing.take(now_s)])
        assert there == {"out": out, "sent": typing.sent}


async def test_every_code_point_joins_in_the_browser_as_in_python(page: Page) -> None:
    before = [
        "a",
        "\u1100",
        "\uac00",
        "\uac01",
        "\U0001f600\u200d",
        "\U0001f1e8",
        "\u0600",
        "\u1161",
    ]
    found = await page.evaluate(
        """(before) => before.map((cluster) => {
          const joined = [];
          for (let point = 0; point < 0xe1000; point += 1) {
            if (point >= 0xd800 && point < 0xe000) continue;
            if (t140.joins(cluster, String.fromCodePoint(point))) joined.push(point);
          }
          return joined;
        })""",
        before,
    )
    # Python's Unicode data is the older one: what it does not know yet is not compared.
    known = [
        chr(point)
        for point in [*range(0xD800), *range(0xE000, 0xE1000)]
        if unicodedata.category(chr(point)) != "Cn"
    ]
    for cluster, joined in zip(before, found, strict=True):
        there = set(map(chr, joined))
        different = [f"{ord(c):x}" for c in known if (c in there) != joins(cluster, c)]
        assert different == [], cluster


async def test_characters_are_those_of_the_browsers_own_segmenter(page: Page) -> None:
    """UAX #29 by Chromium's ICU, an implementation that is none of ours."""
    chance = random.Random(29)
    texts = ["".join(chance.choices([*CHARACTERS, *LOOSE], k=12)) for _ in range(SCRIPTS)]
    found = await page.evaluate(
        """(texts) => texts.map((text) => Array.from(
          new Intl.Segmenter("und", { granularity: "grapheme" }).segment(text),
          (found) => found.segment))""",
        texts,
    )
    assert found == [split(text) for text in texts]


async def shown(page: Page, until: Callable[..., Awaitable[Any]]) -> str:
    """What Python's display shows of all that the page has sent, once it has sent all."""
    await until(page, "typing.isIdle")
    display = T140Display()
    for piece in await page.evaluate("pieces"):
        display.take(piece)
    return display.text


async def test_pinyin_that_is_being_composed_is_never_sent(
    page: Page, until: Callable[..., Awaitable[Any]]
) -> None:
    field = page.get_by_label("text")
    await field.focus()
    keyboard = await page.context.new_cdp_session(page)
    for composed in ["j", "ji", "jiu", "jiu m", "jiu ming"]:
        await keyboard.send(
            "Input.imeSetComposition",
            {"text": composed, "selectionStart": len(composed), "selectionEnd": len(composed)},
        )
        assert await field.input_value() == composed
        await page.wait_for_timeout(80)  # longer than an interval: it would have been sent by now
    assert await page.evaluate("[told.length, pieces.length]") == [0, 0]
    await keyboard.send("Input.insertText", {"text": "救命"})
    assert await shown(page, until) == "救命"
    await field.press("End")
    await page.keyboard.type("!")
    await field.press("Backspace")
    await field.press("Backspace")
    assert await field.input_value() == "救"
    assert await shown(page, until) == "救"
    # "!" too, unless it was erased before it was due
    assert set("救命\b") <= set("".join(await page.evaluate("pieces"))) <= set("救命!\b")


async def test_composition_given_up_sends_nothing(
    page: Page, until: Callable[..., Awaitable[Any]]
) -> None:
    await page.get_by_label("text").focus()
    keyboard = await page.context.new_cdp_session(page)
    for composed in ["h", "hu", ""]:
        await keyboard.send(
            "Input.imeSetComposition",
            {"text": composed, "selectionStart": len(composed), "selectionEnd": len(composed)},
        )
    assert await shown(page, until) == ""
    assert await page.evaluate("pieces") == []


async def test_keyboard_that_composes_every_word_is_told_letter_by_letter_where_not_held(
    page: Page, until: Callable[..., Awaitable[Any]]
) -> None:
    await page.get_by_label("text").focus()
    await page.evaluate("holding = false")
    keyboard = await page.context.new_cdp_session(page)
    for composed in ["h", "he", "hel", "help"]:
        await keyboard.send(
            "Input.imeSetComposition",
            {"text": composed, "selectionStart": len(composed), "selectionEnd": len(composed)},
        )
        assert await shown(page, until) == composed
    await keyboard.send("Input.insertText", {"text": "Help"})
    assert await shown(page, until) == "Help"


async def test_keys_paste_and_edits_in_the_middle_arrive_as_the_field_holds_them(
    page: Page, until: Callable[..., Awaitable[Any]]
) -> None:
    field = page.get_by_label("text")
    await field.focus()
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    await page.keyboard.type("fire at 5")
    await page.keyboard.insert_text(f" {family} 𠮷野家 e\u0301")
    for key in ["Backspace", "Backspace", "Enter", "a"]:
        await field.press(key)
    assert await shown(page, until) == await field.input_value()
    await field.press("Control+Home")
    for _ in range(8):
        await field.press("ArrowRight")
    await page.keyboard.press("Shift+ArrowRight")
    await page.keyboard.insert_text("606\n中")
    assert await field.input_value() == await shown(page, until)
    assert (await field.input_value()).startswith("fire at 606\n中")
    await field.press("Control+a")
    await field.press("Delete")
    assert await shown(page, until) == "" == await field.input_value()


def test_as_sent_of_the_corpus_is_the_corpus() -> None:
    assert as_sent("".join(CHARACTERS)) == CHARACTERS
