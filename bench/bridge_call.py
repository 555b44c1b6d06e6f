"""Rounds of `forerun bench bridge`: what is said and typed, and when the other page shows it."""

from __future__ import annotations

import asyncio
import contextlib
import wave
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from playwright.async_api import Browser, Page, async_playwright

from bench.city import HUB
from bench.frame import BenchError
from bench.running_city import RunningCity
from bench.speech_clips import Clip
from bench.viewers import FLAGS
from dispatch.caller_link import LinkSeal
from dispatch.speech.engine import HEARING_RATE_HZ

LANGUAGES: Final = (
    (
        "sense_and_sensibility_01_austen_64kb-0870.wav",
        "sense_and_sensibility_01_austen_64kb-0880.wav",
    ),
    ("aishell-BAC009S0724W0121.wav", "ID001.wav"),
)
"""Clips of a call in English and of one in Mandarin."""
SENTENCES: Final = (
    "Please come quickly.", "My father fell.", "He hit his head.", "There is some blood.",
    "He does not answer.", "We are at home.", "The door is open.", "Bring a stretcher.",
    "Nobody else is here.", "It is a red house.", "Stand by the gate.", "Look for the dog.",
)  # fmt: skip
KEY_EVERY_S: Final = 0.15
LEAD_S, GAP_S = 2.0, 3.0
ROUNDS_OF_CLIPS: Final = 2
BLOCK: Final = 512
READY_MS: Final = 90_000
MARGIN_S: Final = 1.0
"""An utterance begins a lead before its word; recognition may also cut one in two."""
FLAGS_HERE: Final = (
    "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
)  # fmt: skip

WATCH: Final = """() => {
  const seen = window.seen = { blocks: [], started: [], told: [], heard: [], keys: [], shown: [] };
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    if (data instanceof ArrayBuffer) {
      const samples = new Int16Array(data);
      let power = 0;
      for (const one of samples) power += one * one;
      seen.blocks.push([Date.now(), Math.sqrt(power / samples.length)]);
    } else if (data.includes('"started"')) seen.started.push([Date.now(), JSON.parse(data).number]);
    return send.call(this, data);
  };
  const note = (event) => {
    if (typeof event.data !== "string") return;
    const message = JSON.parse(event.data);
    const drawn = (list, what) => requestAnimationFrame(() => list.push([Date.now(), ...what]));
    if (message.type === "speaking") seen.told.push([message.number, message.text]);
    if (message.type === "heard") {
      const { turn, text, wait, begun_ms } = message;
      drawn(seen.heard, [turn, text, wait, begun_ms]);
    }
    if (message.type === "writing" && message.who === undefined && message.text) {
      drawn(seen.shown, ["draft", message.turn, message.text]);
    }
    if (message.type === "turn" && message.turn.who === "dispatcher") {
      drawn(seen.shown, ["turn", message.turn.turn, message.turn.text]);
    }
    if (message.type === "writing" && message.who === "caller") {
      drawn(seen.shown, ["caller", message.turn, message.text]);
    }
  };
  const Socket = WebSocket;
  window.WebSocket = class extends Socket {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", note);
    }
  };
  addEventListener("keydown", (event) => seen.keys.push([Date.now(), event.key]), true);
}"""
"""Run on both pages before all else: notes sound, messages and keys by the machine's clock; what a
message shows is noted in the frame after it."""


@dataclass(slots=True)
class Figures:
    """What came of the rounds.

    Attributes:
        key_ms: From a key on the caller's page to the frame of the console that shows it.
        sound_ms: From the key that ends a sentence to the moment in which it sounds.
        draft_s: From the first word of a clip to the caller's frame with its first text.
        final_s: From the last word to the frame with all of it; to the dispatcher's own where a
            person has to confirm it.
        held: Clips of which something was to be confirmed.
        missing: Keys, sentences and clips that never were shown.
        texts: What was shown, by clip.
    """

    key_ms: list[float] = field(default_factory=list)
    sound_ms: list[float] = field(default_factory=list)
    draft_s: list[float] = field(default_factory=list)
    final_s: list[float] = field(default_factory=list)
    held: int = 0
    missing: int = 0
    texts: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it."""
        return asdict(self)


def share(values: Sequence[float], percent: int) -> float:
    """Return the value that so many percent do not exceed; nan of none."""
    ordered = sorted(values)
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)] if ordered else float("nan")


@dataclass(frozen=True)
class Sound:
    """What one microphone hears.

    Attributes:
        path: The file.
        clips: Each clip, with the seconds of its first and last word in the file.
        loudness: Of each block of the file.
    """

    path: Path
    clips: tuple[tuple[Clip, float, float], ...]
    loudness: NDArray[np.float64]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.loudness) * BLOCK / HEARING_RATE_HZ


def write_sound(path: Path, clips: Sequence[Clip]) -> Sound:
    """Write a microphone's file: the clips, with pauses between them."""
    pcm, places = bytes(2 * round(LEAD_S * HEARING_RATE_HZ)), []
    for clip in [*clips] * ROUNDS_OF_CLIPS:
        at = len(pcm) / 2 / HEARING_RATE_HZ
        places.append((clip, at + clip.first_s, at + clip.last_s))
        pcm += clip.pcm + bytes(2 * round(GAP_S * HEARING_RATE_HZ))
    pcm += bytes(-len(pcm) % (2 * BLOCK))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(HEARING_RATE_HZ)
        file.writeframes(pcm)
    blocks = np.frombuffer(pcm, np.int16).astype(np.float64).reshape(-1, BLOCK)
    return Sound(path, tuple(places), np.sqrt((blocks**2).mean(axis=1)))


async def play_round(
    city: RunningCity, browser: Path, sounds: Sequence[Sound], which_round: tuple[int, int],
    *, into: Figures,
) -> None:  # fmt: skip
    """Play calls at once, in English and Mandarin in turn.

    Args:
        city: Where the hub runs.
        browser: Chromium.
        sounds: What microphones hear, in each language.
        which_round: How many calls, and the number of the round.
        into: Where figures go.
    """
    calls, number = which_round
    turn = [(number + call) % len(sounds) for call in range(calls)]
    async with contextlib.AsyncExitStack() as stack:
        chromium = {
            which: await stack.enter_async_context(_chromium(browser, sounds[which].path))
            for which in sorted(set(turn))
        }
        pairs = []
        for call, which in enumerate(turn):
            name = f"bridge-{calls}-{number}-{call}"
            pairs.append((which, *await _open(city, chromium[which], name, which)))
        async with asyncio.TaskGroup() as group:
            for which, console, phone in pairs:
                group.create_task(_play(console, phone, sounds[which]), name="bench.bridge.call")
        for which, console, phone in pairs:
            seen = [await page.evaluate("window.seen") for page in (console, phone)]
            _count(sounds[which], seen[0], seen[1], into)
        for call in range(calls):
            path = f"/exchange/calls/bridge-{calls}-{number}-{call}/steps"
            await city.client.tell(city.urls[HUB], path, {"step": "hung_up"})


@contextlib.asynccontextmanager
async def _chromium(browser: Path, sound: Path) -> AsyncIterator[Browser]:
    flags = [flag for flag in FLAGS if not flag.startswith(("--headless", "--remote-debugging"))]
    flags += [*FLAGS_HERE, f"--use-file-for-fake-audio-capture={sound}%noloop"]
    async with async_playwright() as driver:
        chromium = await driver.chromium.launch(executable_path=str(browser), args=flags)
        yield chromium
        await chromium.close()


async def _open(
    city: RunningCity, chromium: Browser, name: str, language: int
) -> tuple[Page, Page]:
    """Let a call ring; open the console on it and the caller's page."""
    hub = city.urls[HUB]
    number = f"+8613{abs(hash(name)) % 10**9:09}"
    told = await city.client.tell(
        hub, "/exchange/calls", {"call": name, "number": number, "line": "text"}
    )
    case = str(told["case"])
    link = f"{hub}/here/{LinkSeal.of(city.stage.state(HUB)).token(case)}"
    pages = []
    for url, width in ((city.page(HUB), 1920), (link, 360)):
        context = await chromium.new_context(
            viewport={"width": width, "height": 900}, ignore_https_errors=True,
            permissions=["microphone"], locale="zh-CN" if language else "en-GB",
        )  # fmt: skip
        page = await context.new_page()
        await page.add_init_script(f"({WATCH})()")
        await page.goto(url)
        pages.append(page)
        if width == 1920:
            await page.locator(f"[data-case='{case}']").first.click()
    console, phone = pages
    await console.locator("[data-key=mic]").wait_for()
    await console.evaluate("document.activeElement.blur()")
    await phone.locator("[name=text]").wait_for()
    waits = "() => !document.querySelector('[data-engine]')"
    await console.wait_for_function(waits, timeout=READY_MS)
    return console, phone


async def _play(console: Page, phone: Page, sound: Sound) -> None:
    await phone.locator("[name=text]").focus()
    await console.keyboard.press("F8")
    end = asyncio.get_running_loop().time() + sound.seconds + GAP_S
    place = 0
    while asyncio.get_running_loop().time() < end:
        for key in SENTENCES[place % len(SENTENCES)]:
            await phone.keyboard.press("Space" if key == " " else key)
            await asyncio.sleep(KEY_EVERY_S)
        await phone.keyboard.press("Enter")
        place += 1
    await asyncio.sleep(MARGIN_S)
    await console.keyboard.press("F8")


def _count(sound: Sound, console: dict[str, Any], phone: dict[str, Any], into: Figures) -> None:
    _count_keys(console, phone, into)
    _count_speech(sound, console, phone, into)


def _count_keys(console: dict[str, Any], phone: dict[str, Any], into: Figures) -> None:
    """Compare the keys of each line with the first frame in which the console shows so much."""
    shown = [(at, turn, text) for at, kind, turn, text in console["shown"] if kind == "caller"]
    turns = list(dict.fromkeys(turn for _, turn, _ in shown))
    said: dict[str, list[int]] = {}
    for number, text in console["told"]:
        said.setdefault(text, []).append(number)
    began = {number: at for at, number in console["started"]}
    line: list[tuple[float, str]] = []
    lines = []
    for at, key in phone["keys"]:
        if key == "Enter":
            lines.append(line)
            line = []
        else:
            line.append((at, key))
    for number, keys in enumerate(lines):
        frames = [(at, text) for at, turn, text in shown if turns[number : number + 1] == [turn]]
        for count, (pressed, _) in enumerate(keys, 1):
            at = next((at for at, text in frames if len(text) >= count), None)
            if at is None:
                into.missing += 1
            else:
                into.key_ms.append(at - pressed)
        text = "".join(key for _, key in keys)
        if (numbers := said.get(text)) and (at := began.get(numbers.pop(0))) is not None:
            into.sound_ms.append(at - keys[-1][0])


def _count_speech(
    sound: Sound, console: dict[str, Any], phone: dict[str, Any], into: Figures
) -> None:
    began_ms = _file_began_ms(sound, console["blocks"])
    begun = {turn: begun_ms for _, turn, _, _, begun_ms in console["heard"]}
    for place, (clip, first_s, last_s) in enumerate(sound.clips):
        first_ms, last_ms = began_ms + 1000 * first_s, began_ms + 1000 * last_s
        own = {
            turn for turn, at in begun.items()
            if first_ms - 1000 * MARGIN_S <= at <= last_ms + 1000 * GAP_S / 2
        }  # fmt: skip
        shown = [one for one in phone["shown"] if one[2] in own]
        held = [one for one in console["heard"] if one[1] in own and one[2] and one[3] != "draft"]
        said = [one for one in shown if one[1] == "turn"]
        waiting = [one for one in held if one[3]]
        if not shown or not (said or waiting):
            into.missing += 1
            continue
        into.held += bool(waiting)
        into.draft_s.append((shown[0][0] - first_ms) / 1000)
        last = max([one[0] for one in said] + [one[0] for one in waiting])
        into.final_s.append((last - last_ms) / 1000)
        into.texts[f"{place} {clip.name}"] = " ".join(one[2] for one in held)


def _file_began_ms(sound: Sound, blocks: Sequence[tuple[float, float]]) -> float:
    """Return when the file began to sound, from the loudness of what the microphone gave."""
    given = np.log1p(np.array([level for _, level in blocks]))
    wanted = np.log1p(sound.loudness)
    if len(given) < len(wanted) / 2:
        raise BenchError("the console's microphone gave no sound")
    match = np.correlate(given - given.mean(), wanted - wanted.mean(), "full")
    lag = int(match.argmax()) - (len(wanted) - 1)
    # Block k of the file is block lag + k of the microphone; it is there when its end is.
    times = np.array([at for at, _ in blocks])
    places = np.arange(len(times)) - lag
    return float(np.median(times - (places + 1) * BLOCK / HEARING_RATE_HZ * 1000))
