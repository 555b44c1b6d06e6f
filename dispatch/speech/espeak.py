"""espeak-ng, as a library in this process: not beautiful, and it speaks within milliseconds.

The package ``espeakng-loader`` carries version 1.52 with its data (GPL-3.0-or-later; only the
process of the voice loads it). Without it the system's library is tried. A library is never
trusted on Mandarin: Debian's 1.51 has the voice ``cmn``, which spells every character in English.
Whether it pronounces Chinese is read off its phonemes, which name the language wherever it changes.

API: ``speak_lib.h`` of espeak-ng 1.52.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import re
from pathlib import Path

from dispatch.speech.engine import Language
from dispatch.speech.voices import Give
from streams.errors import ForerunError

SYNCHRONOUS_RETRIEVAL = 2  # AUDIO_OUTPUT_SYNCHRONOUS
DONT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: it would end the process where data is missing
UTF8 = 1  # espeakCHARS_UTF8; neither espeakSSML nor espeakPHONEMES: text is only text
BUFFER_MS = 100
RATE, WORDS_A_MINUTE = 1, 165  # espeakRATE

NAMES: dict[Language, tuple[str, ...]] = {
    "en": ("en-gb", "en-us", "en"),
    "zh": ("cmn", "zh"),
}
PROBES: dict[Language, str] = {"en": "ambulance", "zh": "救护车"}

_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class EspeakError(ForerunError):
    """The library is not there, or speaks none of our languages."""

    reason = "speech_espeak"


class Espeak:
    """The loaded library; there is one per process."""

    def __init__(self) -> None:
        """Load it and find out what it really speaks.

        Raises:
            EspeakError: It is not there, or speaks neither language.
        """
        library, data = _find()
        self._library = library
        _declare(library)
        rate = library.espeak_Initialize(SYNCHRONOUS_RETRIEVAL, BUFFER_MS, data, DONT_EXIT)
        if rate <= 0:
            raise EspeakError("espeak-ng finds no data of its own")
        self.rate_hz = int(rate)
        self.version = str(library.espeak_Info(None).decode(errors="replace")).split(" ")[0]
        self._give: Give | None = None
        self._callback = _Callback(self._take)  # kept: the library holds only its address
        library.espeak_SetSynthCallback(self._callback)
        library.espeak_SetParameter(RATE, WORDS_A_MINUTE, 0)
        self._names = {of: name for of in NAMES if (name := self._speaking(of))}
        if not self._names:
            raise EspeakError(f"espeak-ng {self.version} speaks neither English nor Mandarin")

    @property
    def name(self) -> str:
        """Engine and version."""
        return f"espeak-ng {self.version}"

    @property
    def languages(self) -> tuple[Language, ...]:
        """What it can say."""
        return tuple(self._names)

    def say(self, text: str, language: Language, give: Give) -> None:
        """Give the sound of a text.

        Raises:
            EspeakError: It cannot say it.
        """
        self._choose(self._names[language])
        self._give = give
        octets = text.encode() + b"\0"
        try:
            status = self._library.espeak_Synth(octets, len(octets), 0, 1, 0, UTF8, None, None)
        finally:
            self._give = None
        if status != 0:
            raise EspeakError(f"espeak-ng: status {status}")

    def phonemes(self, text: str, name: str) -> str:
        """Return how it would pronounce a text with one of its own voices."""
        self._choose(name)
        said, left = "", ctypes.c_char_p(text.encode())
        while left.value:
            part = self._library.espeak_TextToPhonemes(ctypes.byref(left), UTF8, 0)
            said += part.decode(errors="replace") if part else ""
        return said

    def _speaking(self, language: Language) -> str | None:
        """Return the first voice that speaks the language itself, without borrowing another."""
        for name in NAMES[language]:
            try:
                said = self.phonemes(PROBES[language], name)
            except EspeakError:
                continue
            if is_of(language, said):
                return name
        return None

    def _choose(self, name: str) -> None:
        # A name that it does not know leaves the voice before: English read by a Cantonese.
        if self._library.espeak_SetVoiceByName(name.encode()) != 0:
            raise EspeakError(f"espeak-ng has no voice {name}")

    def _take(self, samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int) -> int:
        if not samples or count <= 0 or self._give is None:
            return 0
        return 0 if self._give(ctypes.string_at(samples, 2 * count)) else 1


def is_of(language: Language, phonemes: str) -> bool:
    """Whether phonemes are those of the language itself.

    A voice that does not know a script borrows another one, which it names in brackets, or spells
    it (``Chinese letter``). Mandarin has a tone on each syllable, of two digits or more.
    """
    if not phonemes.strip() or "(" in phonemes:
        return False
    return language != "zh" or re.search(r"[1-5]{2}", phonemes) is not None


def _find() -> tuple[ctypes.CDLL, bytes | None]:
    """Return the library, and where its data is unless it knows that itself."""
    spec = importlib.util.find_spec("espeakng_loader")
    if spec is not None and spec.submodule_search_locations:
        import espeakng_loader  # noqa: PLC0415 - only in the engine's process

        path = Path(espeakng_loader.get_library_path())
        if path.is_file():
            return ctypes.CDLL(str(path)), espeakng_loader.get_data_path().encode()
    system = ctypes.util.find_library("espeak-ng")
    if system is None:
        raise EspeakError("no espeak-ng: install the extra `speech`")
    return ctypes.CDLL(system), None


def _declare(library: ctypes.CDLL) -> None:
    library.espeak_Initialize.argtypes = [
        ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int,
    ]  # fmt: skip
    library.espeak_Info.restype = ctypes.c_char_p
    library.espeak_Info.argtypes = [ctypes.c_void_p]
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = [
        ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int,
    ]  # fmt: skip
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint,
        ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
