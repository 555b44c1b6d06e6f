"""Partners as the configuration names them: police, fire, and how they are reached. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from dispatch.errors import UnknownError
from streams.errors import ConfigError
from streams.messages import Name, ShortText
from streams.partner_messages import PartnerFormat

PartnerKind = Literal["police", "fire", "other"]
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
RESTRICTED = frozenset(' ,<&"')
"""May not be in a sender or an address of CAP (CAP 1.2, section 3.2.1)."""


class PartnerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A partner.

    Attributes:
        name: As in its credential, by which it answers.
        url: Where messages are posted; https, except on this machine.
        token: Sent as a bearer token; empty for none.
        authority: Certificate of the authority that its server's is from; empty for the system's.
        sender: Who we are to it; empty makes one of the hub's name and region.
        contact: Whom it calls back at dispatch; goes into each message.
        retry_minutes: So long a message that is not taken is sent again.
        timeout_s: So long its server may take to answer.
        exercises: Whether it may be sent what is marked as an exercise or a test.
    """

    name: Name
    label: ShortText = ""
    kind: PartnerKind = "other"
    url: str
    format: PartnerFormat = "cap"
    token: str = ""
    authority: str = ""
    sender: ShortText = ""
    contact: ShortText = ""
    retry_minutes: Annotated[float, msgspec.Meta(gt=0, le=60)] = 5.0
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0
    exercises: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ConfigError: The address is none, or would carry the message in the clear.
        """
        where = f"[[partners]] {self.name}"
        try:
            parts = urlsplit(self.url)
            _ = parts.port
        except ValueError as error:
            raise ConfigError(f"{where}: url {self.url!r}: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{where}: url {self.url!r} is no https address")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise ConfigError(f"{where}: {self.url!r} would go in the clear: take https")
        if RESTRICTED.intersection(self.sender):
            raise ConfigError(f"{where}: sender {self.sender!r} has a space, comma, <, & or quote")

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.label or self.name


class Partners:
    """All partners of the configuration, and who we are to them."""

    def __init__(
        self,
        settings: Iterable[PartnerSettings] = (),
        *,
        hub: str = "hub",
        region: str = "",
    ) -> None:
        """Take what the configuration names."""
        self.all = {one.name: one for one in settings}
        self.region = region
        self._sender = f"{hub}.{region}.forerun" if region else f"{hub}.forerun"

    def find(self, name: str) -> PartnerSettings:
        """Return a partner.

        Raises:
            UnknownError: The configuration has none of that name.
        """
        try:
            return self.all[name]
        except KeyError:
            raise UnknownError("partner", name, ", ".join(sorted(self.all))) from None

    def sender(self, partner: PartnerSettings) -> str:
        """Return who we are to a partner."""
        return partner.sender or self._sender
