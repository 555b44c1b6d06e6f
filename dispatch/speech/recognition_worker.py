"""The process of the recogniser: sound in, texts out. Started by ``recognition``.

One thread takes sound and finds where people speak; one per core reads what they said, each with
one core: two readings side by side are faster than one on both, above all where something else has
one of them. The model frees the interpreter while it computes, so sound never waits for it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import msgspec

from dispatch.speech import wire
from dispatch.speech.engine_output import EngineOutput, take_standard_streams
from dispatch.speech.engine_priority import stand_back
from dispatch.speech.listening import Listening
from dispatch.speech.model_files import ModelError, find_whisper, missing_packages
from dispatch.speech.schedule import Job, Reading, Told
from dispatch.speech.settings import SpeechSettings
from dispatch.speech.voice_activity import load_silero
from dispatch.speech.whisper import Whisper

NEEDED = ("faster_whisper", "ctranslate2", "onnxruntime", "opencc")

ROUGH_WINDOW_S = 6.0
"""What the model is shown for a first draft: a third faster, and seldom wrong for a word or two."""

WARM_UP_S = 1.0
"""The first reading takes longer than all others: it is one of silence, before anybody calls."""


class Worker:
    """Everything of the process but its streams."""

    def __init__(
        self, listening: Listening, whisper: Whisper, beam: int, output: EngineOutput
    ) -> None:
        """Take the loaded parts."""
        self._listening = listening
        self._whisper = whisper
        self._beam = beam
        self._output = output
        self._news = threading.Condition()
        self._reading_since: dict[Job, float] = {}

    def take(self, request: wire.Request) -> None:
        """Do what the service asks."""
        told: list[Told] = []
        with self._news:
            now = time.monotonic()
            match request:
                case wire.Open():
                    self._listening.open(request)
                case wire.Sound():
                    told = self._listening.sound(request, now)
                case wire.EndUtterance(voice):
                    told = self._listening.end_utterance(voice, now)
                case wire.Close(voice):
                    self._listening.close(voice)
                case wire.Ping(number):
                    told = self._listening.schedule.too_late(now)
                    busy_s = now - min(self._reading_since.values(), default=now)
                    late_s = self._listening.schedule.late_s(now)
                    self._output.send(wire.Pong(number, late_s, busy_s))
                case wire.Say():
                    pass  # of the other engine
            self._tell(told)
            self._news.notify()

    def read_for_ever(self) -> None:
        """Read one stretch after the other."""
        while True:
            with self._news:
                while (job := self._listening.schedule.next(time.monotonic())) is None:
                    self._news.wait()
                sound, language = self._listening.sound_of(job)
                self._reading_since[job] = time.monotonic()
            beam = self._beam if job.thorough else 1
            found = self._whisper.read(
                sound, language, beam=beam, again=job.thorough,
                window_s=ROUGH_WINDOW_S if job.rough else None,
            )  # fmt: skip
            may_be_final = job.thorough or (self._beam == 1 and not job.rough)
            reading = Reading(
                found.text, found.language, found.confidence, job.end, thorough=may_be_final
            )
            self._finish(job, reading)

    def _finish(self, job: Job, reading: Reading) -> None:
        with self._news:
            del self._reading_since[job]
            told = self._listening.done(job, reading)
            self._tell([told] if told else [])

    def _tell(self, texts: list[Told]) -> None:
        for told in texts:
            reading = told.reading
            self._output.send(
                wire.Text(
                    told.voice, told.utterance, told.final, reading.text, reading.language,
                    reading.confidence, told.begin, told.end,
                )
            )  # fmt: skip


def load(settings: SpeechSettings, cache: Path, output: EngineOutput) -> Worker:
    """Load the models.

    Raises:
        ModelError: There is none that can be used.
    """
    missing = missing_packages(NEEDED)
    if missing:
        raise ModelError(
            "not_installed", f"install the extra `speech`: {', '.join(missing)} is missing"
        )
    folder, name = find_whisper(settings.model, cache)
    readers = settings.threads or os.cpu_count() or 1
    try:
        whisper = Whisper(folder, threads=1, readers=readers, window_s=settings.window_s)
    except (RuntimeError, ValueError) as error:
        raise ModelError("damaged_model", f"{folder} is no model: {error}") from error
    listening = Listening(load_silero())
    warm_up(whisper)
    output.send(wire.Ready(f"{name} int8", ("en", "zh")))
    return Worker(listening, whisper, settings.beam, output)


def warm_up(whisper: Whisper) -> None:
    """Read silence once."""
    import numpy as np  # noqa: PLC0415 - what the engine has loaded anyway

    whisper.read(np.zeros(round(16_000 * WARM_UP_S), np.float32), "en", again=False)


def main(arguments: list[str]) -> int:
    """Run until the service closes our standard input.

    Args:
        arguments: The settings as JSON, and the folder for joined models.
    """
    settings = msgspec.json.decode(arguments[0], type=SpeechSettings)
    requests, output = take_standard_streams()
    stand_back(settings.niceness)
    try:
        worker = load(settings, Path(arguments[1]), output)
    except ModelError as error:
        output.send(wire.Cannot(error.why, str(error)))
        return 0
    threading.excepthook = _end_process
    for number in range(settings.threads or os.cpu_count() or 1):
        threading.Thread(target=worker.read_for_ever, name=f"reader {number}", daemon=True).start()
    while (request := wire.read_request(requests)) is not None:
        worker.take(request)
    return 0


def _end_process(what: threading.ExceptHookArgs) -> None:
    """A process that hears and never answers is worse than none: the service starts a new one."""
    sys.excepthook(what.exc_type, what.exc_value or what.exc_type(), what.exc_traceback)
    sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)  # a reading that goes on would hold up the end by seconds
