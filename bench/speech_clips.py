"""The recorded clips of `forerun bench speech`: loaded, compared with what was said."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from bench.frame import BenchError
from dispatch.speech.engine import HEARING_RATE_HZ, Language

LOUD_DB = 20.0
"""A frame within so many dB of the loudest one belongs to a word, for the edges of a clip; the
noise between words of these clips is 25 to 35 dB below."""

EDGE_S = 0.02
EDGE_FRAMES = 3
"""So many loud frames in a row: a breath or a click is shorter."""

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SHORT = {"mr": "mister", "mrs": "missis", "dr": "doctor", "st": "saint"}


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording with what is said in it.

    Attributes:
        name: The file's.
        language: English or Mandarin.
        text: The transcript.
        pcm: Mono, 16 bits, ``HEARING_RATE_HZ``.
        first_s: Where the first word begins, by loudness alone, s.
        last_s: Where the last word ends, by loudness alone, s.
    """

    name: str
    language: Language
    text: str
    pcm: bytes
    first_s: float
    last_s: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.pcm) / 2 / HEARING_RATE_HZ

    @property
    def samples(self) -> NDArray[np.float32]:
        """Its sound, -1 to 1."""
        return np.frombuffer(self.pcm, np.int16).astype(np.float32) / 32768.0


def load_clips(folder: Path) -> list[Clip]:
    """Load all clips that TRANSCRIPTS.tsv has a text for.

    Raises:
        BenchError: There is none.
    """
    table = folder / "TRANSCRIPTS.tsv"
    if not table.is_file():
        raise BenchError(f"{folder} has no TRANSCRIPTS.tsv (columns: file, lang, fs, text, source)")
    clips: list[Clip] = []
    with table.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            if (row["text"] or "").strip():
                language: Language = "zh" if row["lang"].startswith("zh") else "en"
                clips.append(_load(folder / row["file"], language, row["text"].strip()))
    if not clips:
        raise BenchError(f"{table} has no transcript")
    return clips


def _load(path: Path, language: Language, text: str) -> Clip:
    try:
        with av.open(str(path)) as file:
            resampler = av.AudioResampler("s16", "mono", HEARING_RATE_HZ)
            frames = [f for frame in file.decode(audio=0) for f in resampler.resample(frame)]
            frames += resampler.resample(None)
    except (OSError, av.FFmpegError) as error:
        raise BenchError(f"{path} cannot be read: {error}") from error
    pcm = b"".join(frame.to_ndarray().astype(np.int16).tobytes() for frame in frames)
    first_s, last_s = edges(np.frombuffer(pcm, np.int16).astype(np.float32))
    return Clip(path.name, language, text, pcm, first_s, last_s)


def edges(samples: NDArray[np.float32]) -> tuple[float, float]:
    """Return where the first word begins and the last one ends, by loudness alone, s.

    It knows nothing of the recogniser's own idea of speech, so that its delays are not hidden.
    """
    size = round(EDGE_S * HEARING_RATE_HZ)
    whole = samples[: len(samples) // size * size].reshape(-1, size)
    power = np.mean(whole.astype(np.float64) ** 2, axis=1)
    loud = power >= power.max() * 10 ** (-LOUD_DB / 10)
    runs = np.convolve(loud, np.ones(EDGE_FRAMES), "valid") == EDGE_FRAMES
    begins = np.flatnonzero(runs)
    if not len(begins):
        return 0.0, len(samples) / HEARING_RATE_HZ
    return float(begins[0] * EDGE_S), float((begins[-1] + EDGE_FRAMES) * EDGE_S)


@dataclass(frozen=True, slots=True)
class Errors:
    """How many words or characters are wrong, of how many."""

    wrong: int
    of: int

    @property
    def percent(self) -> float:
        """The error rate."""
        return 100 * self.wrong / self.of if self.of else float("nan")


def errors_of(clip: Clip, heard: str, simplify: Callable[[str], str]) -> Errors:
    """Compare what was heard with the transcript, after both were normalised alike."""
    said, got = (tokens(text, clip.language, simplify) for text in (clip.text, heard))
    return Errors(edit_distance(said, got), len(said))


def tokens(text: str, language: Language, simplify: Callable[[str], str]) -> list[str]:
    """Return words (English) or characters (Mandarin), normalised.

    English: lower case, no punctuation, hyphens part words, digits as words, mr as mister.
    Mandarin: simplified characters, nothing but characters, letters and digits.
    """
    if language == "zh":
        return re.findall(r"[\u3400-\u9fff]|[a-z0-9]", simplify(text).lower())
    words = re.findall(r"[a-z']+|\d+", text.lower().replace("’", "'"))
    said: list[str] = []
    for word in words:
        if word.isdigit():
            said += number_words(int(word)) if len(word) <= 4 else [_ONES[int(d)] for d in word]
        else:
            said.append(_SHORT.get(word, word))
    return said


def number_words(number: int) -> list[str]:
    """Return a number below 10,000 in words, as it is read."""
    if number < 20:
        return [_ONES[number]]
    if number < 100:
        ones = [] if number % 10 == 0 else [_ONES[number % 10]]
        return [_TENS[number // 10 - 2], *ones]
    scale, word = (100, "hundred") if number < 1000 else (1000, "thousand")
    rest = [] if number % scale == 0 else number_words(number % scale)
    return [*number_words(number // scale), word, *rest]


def edit_distance(said: Sequence[str], got: Sequence[str]) -> int:
    """Return how many words are to be put in, left out or replaced (Levenshtein)."""
    row = list(range(len(got) + 1))
    for place, word in enumerate(said, 1):
        before, row[0] = row[0], place
        for other, heard in enumerate(got, 1):
            best = min(row[other] + 1, row[other - 1] + 1, before + (word != heard))
            before, row[other] = row[other], best
    return row[-1]
