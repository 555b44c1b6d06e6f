"""Traditional characters made simplified, and Chinese text without the spaces in it.

Whisper mixes both scripts within a sentence. OpenCC (Apache-2.0, 7 MB, in the extra ``speech``)
knows 2,600 characters and those that depend on their neighbours (乾淨, 乾隆); a table of our own
would be a worse copy of its.
"""

from __future__ import annotations

import re

HANZI = r"\u3400-\u4dbf\u4e00-\u9fff"
_SPACE = re.compile(rf"(?<=[{HANZI}，。？！、；：])\s+|\s+(?=[{HANZI}，。？！、；：])")


class Simplifier:
    """Makes text simplified; loads OpenCC once."""

    def __init__(self) -> None:
        """Load the tables.

        Raises:
            ImportError: OpenCC is not installed.
        """
        from opencc import OpenCC  # noqa: PLC0415 - only in the engine's process

        self._convert = OpenCC("t2s").convert

    def __call__(self, text: str) -> str:
        """Return the text simplified, and without spaces beside its characters."""
        return _SPACE.sub("", self._convert(text))


def mostly_hanzi(text: str) -> bool:
    """Whether a text is to be read as Chinese: more characters than Latin words."""
    characters = len(re.findall(rf"[{HANZI}]", text))
    return characters > len(re.findall(r"[A-Za-z]+", text))
