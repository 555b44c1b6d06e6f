"""The settings of speech, a table of the hub's file."""

from __future__ import annotations

from typing import Annotated

import msgspec


class SpeechSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may choose.

    Attributes:
        recognition: Whether speech is turned into text.
        synthesis: Whether text is turned into speech.
        model: Folder of a Whisper model as CTranslate2 has it; empty: the one that the extra
            ``speech`` installed.
        voices: Folder of piper voices (``*.onnx`` with ``*.onnx.json``), used if piper is
            installed; empty: a voice from an installed package, else espeak-ng.
        natural: Whether a natural voice is used where there is one. It needs about a third of the
            time that it speaks, on one core; espeak-ng needs next to none.
        threads: Readings that may go on at once, each on one core; 0: one per core.
        beam: Texts that are followed at once for a final; drafts follow one.
        window_s: The least stretch that the model is shown, s. Whisper was made for 30; shorter
            ones cost less, and below 8 its texts repeat themselves.
        niceness: How far the engines stand back behind vital signs, 0 to 19.
        most_voices: How many voices are listened to at once; more are refused.
    """

    recognition: bool = True
    synthesis: bool = True
    model: str = ""
    voices: str = ""
    natural: bool = True
    threads: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0
    beam: Annotated[int, msgspec.Meta(ge=1, le=8)] = 1
    window_s: Annotated[float, msgspec.Meta(ge=4.0, le=30.0)] = 10.0
    niceness: Annotated[int, msgspec.Meta(ge=0, le=19)] = 5
    most_voices: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
