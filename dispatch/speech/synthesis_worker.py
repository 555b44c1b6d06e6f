"""The process that speaks: texts in, sound out. Started by ``synthesis``.

Texts are spoken one after the other. A natural voice takes a part of a second before its first
sound, so it begins with a few words, and speaks only when nothing else waits and the machine is
fast enough at the moment; else espeak-ng speaks, which takes milliseconds.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Sequence

import msgspec

from dispatch.speech import wire
from dispatch.speech.engine import Language
from dispatch.speech.engine_output import EngineOutput, take_standard_streams
from dispatch.speech.engine_priority import stand_back
from dispatch.speech.espeak import Espeak, EspeakError
from dispatch.speech.model_files import ModelError
from dispatch.speech.piper_voice import PiperVoice, find_voices
from dispatch.speech.settings import SpeechSettings
from dispatch.speech.spoken_text import opening
from dispatch.speech.voices import Pace, Resampler, Voice

MOST_WAITING = 64
"""Texts; one more is answered at once as not spoken."""


class Speaker:
    """Everything of the process but its streams."""

    def __init__(self, natural: Sequence[Voice], quick: Voice | None, output: EngineOutput) -> None:
        """Take the loaded voices."""
        self._natural = natural
        self._quick = quick
        self._output = output
        self._paces = {voice.name: Pace(_first_pace(voice)) for voice in natural}
        self._waiting: queue.Queue[tuple[wire.Say, float]] = queue.Queue(MOST_WAITING)
        self._unwanted: set[int] = set()
        self._wanted: set[int] = set()
        self._lock = threading.Lock()
        self._since: float | None = None

    @property
    def languages(self) -> tuple[Language, ...]:
        """What can be said."""
        voices = [*self._natural, *([self._quick] if self._quick else [])]
        return tuple(sorted({of for voice in voices for of in voice.languages}))

    def take(self, request: wire.Request) -> None:
        """Do what the service asks."""
        match request:
            case wire.Say(voice):
                self._queue(request, voice)
            case wire.Close(voice):
                with self._lock:
                    if voice in self._wanted:
                        self._unwanted.add(voice)
            case wire.Ping(number):
                since = self._since
                busy_s = time.monotonic() - since if since else 0.0
                self._output.send(wire.Pong(number, 0.0, busy_s))
            case _:
                pass  # of the other engine

    def speak_for_ever(self) -> None:
        """Speak one text after the other."""
        while True:
            say, _ = self._waiting.get()
            self._since = time.monotonic()
            complete = self._speak(say)
            self._since = None
            with self._lock:
                self._unwanted.discard(say.voice)
                self._wanted.discard(say.voice)
            self._output.send(wire.AllSpoken(say.voice, complete))

    def _queue(self, say: wire.Say, voice: int) -> None:
        with self._lock:
            self._wanted.add(voice)
        try:
            self._waiting.put_nowait((say, time.monotonic()))
        except queue.Full:
            with self._lock:
                self._wanted.discard(voice)
            self._output.send(wire.AllSpoken(voice, complete=False))

    def _speak(self, say: wire.Say) -> bool:
        complete = True
        pace = self._pace_of(say)
        for number, (language, text) in enumerate(say.parts):
            if self._stopped(say.voice):
                return False
            voice = self._voice_for(language, natural=pace is not None)
            if voice is None:
                complete = False
                continue
            pieces = [text]
            if pace is not None and number == 0 and voice is not self._quick:
                pieces = [piece for piece in opening(text, pace.opening) if piece]
            complete &= self._say_part(voice, language, pieces, say.voice)
        return complete

    def _pace_of(self, say: wire.Say) -> Pace | None:
        """Return the pace of the natural voice where it is to speak this text."""
        language = say.parts[0][0]
        voice = self._voice_for(language, natural=True)
        if voice is None or voice is self._quick:
            return None
        pace = self._paces[voice.name]
        if self._quick is None or language not in self._quick.languages:
            return pace
        if not self._waiting.empty():
            return None
        if pace.opening == 0:
            pace.recover()
            return None
        return pace

    def _say_part(self, voice: Voice, language: Language, pieces: list[str], number: int) -> bool:
        resampler = Resampler(voice.rate_hz)

        def give(pcm: bytes) -> bool:
            for block in resampler.blocks(pcm):
                self._output.send(wire.Spoken(number, block))
            return not self._stopped(number)

        for piece in pieces:
            began = time.monotonic()
            try:
                voice.say(piece, language, give)
            except (EspeakError, RuntimeError, ValueError) as error:
                sys.stderr.write(f"{voice.name}: {error}\n")
                return False
            if self._stopped(number):
                return False
            if voice.name in self._paces:
                self._paces[voice.name].took(len(piece), time.monotonic() - began)
        for block in resampler.rest():
            self._output.send(wire.Spoken(number, block))
        return True

    def _voice_for(self, language: Language, *, natural: bool) -> Voice | None:
        known = next((voice for voice in self._natural if language in voice.languages), None)
        quick = self._quick if self._quick and language in self._quick.languages else None
        return known if known is not None and (natural or quick is None) else quick

    def _stopped(self, number: int) -> bool:
        with self._lock:
            return number in self._unwanted


def _first_pace(voice: Voice) -> float:
    """Have a voice say something that nobody hears; return the seconds that a character takes."""
    language = voice.languages[0]
    text = {"en": "The ambulance is on its way to you.", "zh": "救护车已经在路上了。"}[language]
    seconds = []
    for _ in range(2):  # the first time loads what the second one needs
        began = time.monotonic()
        voice.say(text, language, lambda _: True)
        seconds.append(time.monotonic() - began)
    return seconds[-1] / len(text)


def load(settings: SpeechSettings, output: EngineOutput) -> Speaker:
    """Load all voices that are to be used.

    Raises:
        ModelError: There is none.
    """
    natural: list[Voice] = []
    problems: list[str] = []
    for path in find_voices(settings.voices) if settings.natural else ():
        try:
            natural.append(PiperVoice(path))
        except (ImportError, OSError, ValueError, RuntimeError) as error:
            problems.append(f"{path.name}: {error}")
    quick: Voice | None = None
    try:
        quick = Espeak()
    except (EspeakError, OSError) as error:
        problems.append(str(error))
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    speaker = Speaker(natural, quick, output)
    if not speaker.languages:
        raise ModelError("no_voice", "; ".join(problems))
    voices = [*natural, *([quick] if quick else [])]
    Resampler(voices[0].rate_hz)  # loads what it needs, before anybody waits for it
    output.send(wire.Ready(", ".join(voice.name for voice in voices), speaker.languages))
    return speaker


def main(arguments: list[str]) -> int:
    """Run until the service closes our standard input.

    Args:
        arguments: The settings as JSON.
    """
    settings = msgspec.json.decode(arguments[0], type=SpeechSettings)
    requests, output = take_standard_streams()
    stand_back(settings.niceness)
    try:
        speaker = load(settings, output)
    except ModelError as error:
        output.send(wire.Cannot(error.why, str(error)))
        return 0
    threading.excepthook = _end_process
    threading.Thread(target=speaker.speak_for_ever, name="speaker", daemon=True).start()
    while (request := wire.read_request(requests)) is not None:
        speaker.take(request)
    return 0


def _end_process(what: threading.ExceptHookArgs) -> None:
    """A process that never speaks is worse than none: the service starts a new one."""
    sys.excepthook(what.exc_type, what.exc_value or what.exc_type(), what.exc_traceback)
    sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)  # a library that still speaks would hold up the end
