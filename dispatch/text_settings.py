"""Settings of the doors by which callers write. ``dispatch.toml`` says what each means."""

from __future__ import annotations

from typing import Annotated

import msgspec

from streams.page_server import Port

Positive = Annotated[int, msgspec.Meta(ge=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class TextSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Data channels, and real-time text as RTP.

    Attributes:
        channels: WebRTC peers at once; 0 for none.
        channels_per_caller: Of one caller.
        rtp_address: Where an exchange's RTP is taken; empty for nowhere.
        rtp_announced: The address that exchanges are told, where it is another one.
        rtp_ports: The first and the last UDP port.
    """

    channels: Count = 64
    channels_per_caller: Positive = 4
    rtp_address: str = ""
    rtp_announced: str = ""
    rtp_ports: tuple[Port, Port] = (0, 0)

    def __post_init__(self) -> None:
        """Refuse ports that are no range."""
        first, last = self.rtp_ports
        if first > last or (first == 0) != (last == 0):
            raise ValueError("`rtp_ports` wants the first and the last port, or two zeros")


class HelpSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The page by which somebody without a call opens one.

    Attributes:
        on: Whether there is one.
        per_address: Cases that one network address may open in ten minutes.
        per_minute: Cases that all together may open in a minute.
        number: The emergency number that the page names for who can speak; empty for none.
    """

    on: bool = False
    per_address: Positive = 10
    per_minute: Positive = 30
    number: Annotated[str, msgspec.Meta(pattern=r"^[0-9+ ]{0,20}$")] = ""
