"""Calls in real time through the interface that the channel uses: how late each text is."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil

from bench.frame import BenchError
from bench.speech_clips import Clip
from dispatch.speech.engine import HEARING_RATE_HZ, EngineState, Heard, Language
from dispatch.speech.recognition import Recognition
from dispatch.speech.synthesis import Synthesis

BLOCK_S = 0.02
"""As WebRTC brings it."""

SILENCE_S = 2.0
"""After each clip of a call."""

LONGEST_S = 10.0
"""After that silence; a final that is not there by then counts as never come."""

READY_S = 120.0

SENTENCES: dict[Language, tuple[str, ...]] = {
    "en": (
        "My husband is on the floor and he is not breathing.",
        "We are at 12 Main Street, apartment 4B.",
        "Yes.",
        "He took two of the white pills about half an hour ago, and then he fell down.",
    ),
    "zh": (
        "我丈夫倒在地上，没有呼吸。",
        "我们在人民路120号3单元502室。",
        "是的。",
        "他半小时以前吃了两片白色的药，然后就倒下了，叫不醒。",
    ),
}
SPEAK_EVERY_S = 1.0


@dataclass(slots=True)
class Times:
    """What came of some calls.

    Attributes:
        first_draft_s: From the first word of each clip to the first text of it.
        final_s: From the last word of each clip to its last final text.
        drafts: How many drafts were shown.
        speech_s: Sound between the first and last words.
        first_sound_s: From the end of a sentence that is typed to the first of its sound.
        heard: Final texts by clip, of the last time that it was played.
        confidence: Of these texts, by clip: the least of its utterances.
        never: Clips that no final text came of.
        dropped_s: Sound that never reached the engine.
        cpu_s: CPU time of the recogniser's process, s.
        others_cpu_s: CPU time of everything else on the machine but this benchmark, s.
        wall_s: Time in which it was spent.
        rss_mib: Its resident memory.
    """

    first_draft_s: list[float] = field(default_factory=list)
    final_s: list[float] = field(default_factory=list)
    drafts: int = 0
    speech_s: float = 0.0
    first_sound_s: list[float] = field(default_factory=list)
    heard: dict[str, str] = field(default_factory=dict)
    confidence: dict[str, float] = field(default_factory=dict)
    never: int = 0
    dropped_s: float = 0.0
    cpu_s: float = 0.0
    others_cpu_s: float = 0.0
    wall_s: float = 0.0
    rss_mib: float = 0.0

    @property
    def cpu_percent(self) -> float:
        """Of one core: the recogniser's process."""
        return 100 * self.cpu_s / self.wall_s if self.wall_s else 0.0

    @property
    def others_cpu_percent(self) -> float:
        """Of one core: what else ran on the machine, which these figures suffer from."""
        return 100 * self.others_cpu_s / self.wall_s if self.wall_s else 0.0

    @property
    def drafts_per_s(self) -> float:
        """Drafts in a second of speech of one call."""
        return self.drafts / self.speech_s if self.speech_s else 0.0


async def play_calls(
    recognition: Recognition, synthesis: Synthesis, clips: Sequence[Clip], calls: int, times: Times
) -> None:
    """Play all clips in so many calls at once, each call beginning with another clip.

    Beside them somebody types: a sentence each second, spoken while the calls go on.
    """
    processes = [psutil.Process(pid) for pid in (recognition.pid, synthesis.pid, os.getpid())]
    before, all_before = [_cpu_s(process) for process in processes], _machine_cpu_s()
    began = time.monotonic()
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        typing = group.create_task(_type(synthesis, times, over), name="bench.typing")
        async with asyncio.TaskGroup() as playing:
            for number in range(calls):
                first = number * len(clips) // calls
                order = [*clips[first:], *clips[:first]]
                playing.create_task(
                    _play_call(recognition, order, times), name=f"bench.call[{number}]"
                )
        over.set()
        await typing
    used = [_cpu_s(process) - first for process, first in zip(processes, before, strict=True)]
    times.cpu_s += used[0]
    times.others_cpu_s += max(0.0, _machine_cpu_s() - all_before - sum(used))
    times.wall_s += time.monotonic() - began
    times.rss_mib = processes[0].memory_info().rss / 2**20


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _machine_cpu_s() -> float:
    """Return the CPU time that all processes of the machine have used, s."""
    times = psutil.cpu_times()
    return float(sum(getattr(times, kind, 0.0) for kind in ("user", "nice", "system", "softirq")))


async def ready(engine: Recognition | Synthesis) -> EngineState:
    """Wait until an engine is ready.

    Raises:
        BenchError: It is off, or takes too long.
    """
    try:
        async with asyncio.timeout(READY_S):
            while not engine.state.usable and engine.state.condition != "off":
                await engine.changed()
    except TimeoutError:
        raise BenchError(f"not ready after {READY_S:g} s: {engine.state}") from None
    if not engine.state.usable:
        raise BenchError(str(engine.state))
    return engine.state


async def _play_call(recognition: Recognition, clips: Sequence[Clip], times: Times) -> None:
    for clip in clips:
        await _play(recognition, clip, times)


async def _play(recognition: Recognition, clip: Clip, times: Times) -> None:
    """Play one clip as a voice of its own, in real time, and note when its texts come."""
    voice = recognition.listen(clip.language)
    texts: list[tuple[float, Heard]] = []

    async def note() -> None:
        async for heard in voice:
            texts.append((time.monotonic(), heard))  # noqa: PERF401 - read while it grows

    async with asyncio.TaskGroup() as group:
        group.create_task(note(), name=f"bench.texts[{clip.name}]")
        size = round(BLOCK_S * HEARING_RATE_HZ) * 2
        sound = clip.pcm + bytes(2 * round(SILENCE_S * HEARING_RATE_HZ))
        began = time.monotonic()
        for place in range(0, len(sound), size):
            # A block is there when its last sample is.
            due = began + (place + size) / 2 / HEARING_RATE_HZ
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            voice.feed(sound[place : place + size])
        until = time.monotonic() + LONGEST_S
        while (  # noqa: ASYNC110 - a figure, not a signal: the list says when it is complete
            not (texts and texts[-1][1].final) and time.monotonic() < until
        ):
            await asyncio.sleep(BLOCK_S)
        voice.close()
    times.dropped_s += voice.dropped_s
    _count(clip, began, texts, times)


def _count(clip: Clip, began: float, texts: list[tuple[float, Heard]], times: Times) -> None:
    shown = [(at, heard) for at, heard in texts if heard.text]
    finals = [(at, heard) for at, heard in shown if heard.final]
    times.drafts += sum(not heard.final for _, heard in shown)
    times.speech_s += clip.last_s - clip.first_s
    times.heard[clip.name] = " ".join(heard.text for _, heard in finals)
    if not finals:
        times.never += 1
        # Later than the time in which it was waited for: never better than that.
        times.final_s.append(clip.seconds - clip.last_s + SILENCE_S + LONGEST_S)
        times.first_draft_s.append(clip.seconds - clip.first_s + SILENCE_S + LONGEST_S)
        return
    times.confidence[clip.name] = min(heard.confidence for _, heard in finals)
    times.first_draft_s.append(shown[0][0] - began - clip.first_s)
    times.final_s.append(finals[-1][0] - began - clip.last_s)


async def _type(synthesis: Synthesis, times: Times, over: asyncio.Event) -> None:
    """Have a sentence spoken each second, in both languages in turn."""
    pairs = [(text, of) for both in zip(*SENTENCES.values(), strict=True)
             for text, of in zip(both, SENTENCES, strict=True)]  # fmt: skip
    number = 0
    while not over.is_set():
        text, language = pairs[number % len(pairs)]
        number += 1
        spoken = synthesis.speak(text, language)
        async for _ in spoken:
            pass
        if spoken.complete and spoken.first_sound_s is not None:
            times.first_sound_s.append(spoken.first_sound_s)
        else:
            times.first_sound_s.append(float("inf"))
        try:
            async with asyncio.timeout(SPEAK_EVERY_S):
                await over.wait()
        except TimeoutError:
            continue
