"""The life-support guide as the configuration names it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from dispatch.aed import AedList
from dispatch.guidance.loading import load
from dispatch.guidance.protocol import Library
from streams.errors import ConfigError


class GuidanceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which protocols, and where defibrillators hang.

    Attributes:
        folder: The operator's own protocols, over ours; empty for none.
        drugs: Drugs that the medical director lets callers be told of.
        aeds: File of defibrillators (see ``dispatch.aed``); empty for none.
    """

    folder: str = ""
    drugs: tuple[Literal["aspirin", "naloxone"], ...] = ()
    aeds: str = ""

    def library(self) -> Library:
        """Return the protocols, walked whole.

        Raises:
            ConfigError: A file cannot be read, or is faulty.
        """
        return _library(self.folder, self.drugs)

    def aed_list(self) -> AedList | None:
        """Return the list of defibrillators; None without one.

        Raises:
            ConfigError: The file cannot be read, or a line of it is wrong.
        """
        if not self.aeds:
            return None
        path = Path(self.aeds)
        try:
            return AedList.read(path.read_text(encoding="utf-8-sig"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"[guidance] aeds: {path} cannot be read: {error}") from error


@cache
def _library(folder: str, drugs: tuple[str, ...]) -> Library:
    return load(Path(folder) if folder else None, switches=drugs)
