"""The standard streams of an engine's process, kept from what libraries print."""

from __future__ import annotations

import os
import sys
import threading
from typing import BinaryIO

from dispatch.speech import wire


class EngineOutput:
    """Sends answers, from whichever thread, each as a whole."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write to ``stream``."""
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, answer: wire.Answer) -> None:
        """Send it. When the service is gone, the process ends."""
        framed = wire.frame(answer)
        try:
            with self._lock:
                self._stream.write(framed)
                self._stream.flush()
        except BrokenPipeError:
            os._exit(0)


def take_standard_streams() -> tuple[BinaryIO, EngineOutput]:
    """Return where requests come from and answers go.

    What a library prints goes to standard error from here on: a line of text among the frames
    would end the connection.
    """
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout = sys.stderr
    return requests, EngineOutput(answers)
