"""What an operator decides of mass-casualty incidents: wristbands, and room that nobody stated."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from dispatch.wristband import PATTERN, CheckDigit, WristbandScheme
from streams.errors import ConfigError

Room = Annotated[int, msgspec.Meta(ge=0, le=1000)]


@dataclass(frozen=True, slots=True)
class IncidentRules:
    """The rules.

    Attributes:
        wristbands: How codes are written.
        unstated_beds: What a hospital counts as having that did not say.
        unstated_resus_bays: Likewise.
        old_after_s: A statement older than this counts no more than that.
    """

    wristbands: WristbandScheme = field(default_factory=WristbandScheme)
    unstated_beds: int = 2
    unstated_resus_bays: int = 1
    old_after_s: float = 3600.0


class IncidentSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table ``[incidents]`` of the settings."""

    wristband: str = PATTERN
    check_digit: CheckDigit = "none"
    unstated_beds: Room = 2
    unstated_resus_bays: Room = 1
    old_statement_minutes: Annotated[float, msgspec.Meta(gt=0)] = 60.0

    def __post_init__(self) -> None:
        """Refuse a pattern that is none.

        Raises:
            ConfigError: ``wristband`` is no regular expression.
        """
        try:
            re.compile(self.wristband)
        except re.error as error:
            raise ConfigError(f"[incidents] wristband {self.wristband!r}: {error}") from error

    def rules(self) -> IncidentRules:
        """Return the rules."""
        return IncidentRules(
            wristbands=WristbandScheme(re.compile(self.wristband), self.check_digit),
            unstated_beds=self.unstated_beds,
            unstated_resus_bays=self.unstated_resus_bays,
            old_after_s=self.old_statement_minutes * 60,
        )
