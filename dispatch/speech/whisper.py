"""Whisper by CTranslate2, bounded: one pass, no fallback, no text without end.

What faster-whisper does for a whole recording is not wanted here; its parts are: features,
tokens, the model. The model is shown only as much sound as there is, in a window of at least
``window_s``: its encoder's time grows faster than the window, and for 10 s it is about a tenth of
that for the 30 s it was made for.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dispatch.speech.engine import HEARING_RATE_HZ, Language
from dispatch.speech.hanzi import Simplifier
from dispatch.speech.voice_activity import Samples

FRAMES_PER_S = 100
WHOLE_WINDOW_S = 30.0

ROOM_S = 1.0
"""Silence behind the speech within the window: without any the text repeats itself."""

TOKENS_PER_S = 12
MOST_TOKENS = 160
"""People say four words or characters a second, in up to two tokens each."""

REPEATS = 2.4
"""Text that deflates to less than its 1/2.4 says the same again and again (Whisper's figure)."""

NO_SPEECH, UNSURE = 0.6, -1.0
"""Above this probability of no speech and below this mean log-probability there was none
(Whisper's figures)."""

SUBTITLES = ("thanks for watching", "subtitles by", "点赞", "字幕", "订阅")
"""What Whisper learned from subtitles, and says of noise."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the model made of a stretch of sound.

    Attributes:
        text: May be empty.
        language: What it was read as.
        confidence: 0 to 1, see ``engine.Heard``.
    """

    text: str
    language: Language
    confidence: float


class Whisper:
    """The model, loaded; one stretch at a time."""

    def __init__(
        self,
        folder: Path,
        *,
        threads: int,
        readers: int = 1,
        window_s: float = 10.0,
        compute: str = "int8",
    ) -> None:
        """Load it; takes about 2 s.

        Args:
            folder: ``model.bin``, ``config.json``, ``tokenizer.json`` and a vocabulary.
            threads: How many cores one reading uses.
            readers: How many readings may go on at once, from threads of the caller's.
            window_s: The least that the model is shown, s.
            compute: CTranslate2's type of computing.

        Raises:
            ImportError: The extra ``speech`` is not installed.
            RuntimeError: It is no model.
        """
        from faster_whisper import WhisperModel  # noqa: PLC0415 - only in the engine's process

        self._model: Any = WhisperModel(
            str(folder), device="cpu", compute_type=compute, cpu_threads=threads,
            num_workers=readers, local_files_only=True,
        )  # fmt: skip
        self._simplify = Simplifier()
        self._window_s = window_s
        self._prompts: dict[Language, tuple[Any, list[int]]] = {}

    def read(
        self,
        sound: Samples,
        language: Language | None,
        *,
        beam: int = 1,
        again: bool = True,
        window_s: float | None = None,
    ) -> Transcript:
        """Return what is said.

        Args:
            sound: At most 30 s; the rest is not read.
            language: None to let the model choose between the two.
            beam: Texts that are followed at once.
            again: Whether a text that repeats itself is read again in the whole window. Else it
                comes back empty.
            window_s: The least that the model is shown, in place of its own, s.
        """
        found = self._read(sound, language, beam, window_s or self._window_s)
        if not repeats_itself(found.text):
            return found
        if not again:
            return Transcript("", found.language, 0.0)
        second = self._read(sound, found.language, beam, WHOLE_WINDOW_S)
        if repeats_itself(second.text):
            return Transcript("", second.language, 0.0)
        return second

    def _read(
        self, sound: Samples, language: Language | None, beam: int, window_s: float
    ) -> Transcript:
        seconds = min(len(sound) / HEARING_RATE_HZ, WHOLE_WINDOW_S)
        encoded = self._encode(sound, min(max(window_s, seconds + ROOM_S), WHOLE_WINDOW_S))
        chosen = language or self._choose(encoded)
        tokenizer, prompt = self._prompt(chosen)
        cap = min(MOST_TOKENS, math.ceil(16 + TOKENS_PER_S * seconds))
        result = self._model.model.generate(
            encoded, [prompt], beam_size=beam, max_length=len(prompt) + cap,
            return_scores=True, return_no_speech_prob=True,
        )[0]  # fmt: skip
        tokens = result.sequences_ids[0]
        # The score is a mean over the tokens; the mean that Whisper speaks of counts the end too.
        mean = result.scores[0] * len(tokens) / (len(tokens) + 1)
        text = tidy(str(tokenizer.decode(tokens)), chosen, self._simplify)
        confidence = math.exp(min(mean, 0.0)) * (1.0 - result.no_speech_prob)
        silent = result.no_speech_prob > NO_SPEECH and mean < UNSURE
        if silent or (confidence < 0.6 and any(mark in text.lower() for mark in SUBTITLES)):
            return Transcript("", chosen, 0.0)
        return Transcript(text, chosen, round(confidence, 3))

    def _encode(self, sound: Samples, window_s: float) -> Any:
        import ctranslate2  # noqa: PLC0415 - only in the engine's process

        frames = round(window_s * FRAMES_PER_S)
        features = self._model.feature_extractor(sound)[:, :frames]
        padded = np.pad(features, ((0, 0), (0, frames - features.shape[1])))
        whole = np.ascontiguousarray(padded[np.newaxis], dtype=np.float32)
        return self._model.model.encode(ctranslate2.StorageView.from_array(whole))

    def _choose(self, encoded: Any) -> Language:
        found = dict(self._model.model.detect_language(encoded)[0])
        return "zh" if found.get("<|zh|>", 0.0) > found.get("<|en|>", 0.0) else "en"

    def _prompt(self, language: Language) -> tuple[Any, list[int]]:
        from faster_whisper.tokenizer import Tokenizer  # noqa: PLC0415 - as above

        if language not in self._prompts:
            tokenizer = Tokenizer(
                self._model.hf_tokenizer, self._model.model.is_multilingual,
                task="transcribe", language=language,
            )  # fmt: skip
            prompt = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
            self._prompts[language] = tokenizer, prompt
        return self._prompts[language]


def tidy(text: str, language: Language, simplify: Simplifier) -> str:
    """Return the text in simplified characters, without spaces that Chinese does not have.

    A character of which the model gave only the first bytes is left out: U+FFFD stands for what was
    lost on the way (T.140), and nothing was.
    """
    text = " ".join(text.replace("\ufffd", "").split())
    return simplify(text) if language == "zh" else text


def repeats_itself(text: str) -> bool:
    """Whether it says the same again and again."""
    octets = text.encode()
    return len(octets) / max(1, len(zlib.compress(octets))) > REPEATS
