"""Settings of a hospital's gateway, read from one TOML file (``hospital.toml`` is the example)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from streams.messages import Name, Pathway, ShortText

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class Listen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the pages are served; port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: Port = 0


class Broker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the broker is reached: a NATS URL."""

    url: str


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The operator's own certificate of this server, PEM files."""

    certificate: str
    key: str


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings; see ``hospital.toml`` for what each is for.

    Attributes:
        name: Name of the hospital, as in topics and credentials.
        label: Its name for people.
        region: The region (district).
        state: Directory for journal, outbox and ``ready.json``.
        hub: Address of the hub's pages and media, ``https://…``.
        credential: File with this gateway's own credential.
        roster: Directory of the roster that says which seats may come in.
        seats: Names of the seats of the roster that may come in; None lets all of the region in.
        authority: The CA certificate that this gateway trusts.
        listen: Where the pages are served.
        broker: How the broker is reached.
        tls: The server's certificate; None takes one of the local authority.
        roles: What a seat can be, offered once on the page.
        needs: What is made ready for a pathway.
        journal: Database URL of the journal; None is SQLite in ``state``.
    """

    name: Name
    label: ShortText
    region: Name
    state: str
    hub: str
    credential: str
    roster: str
    authority: str
    broker: Broker
    listen: Listen = Listen()
    tls: Tls | None = None
    roles: Annotated[list[ShortText], msgspec.Meta(min_length=1, max_length=20)]
    needs: dict[Pathway, list[ShortText]] = {}
    seats: list[Name] | None = None
    journal: str | None = None

    @property
    def journal_url(self) -> str:
        """Database URL of the journal."""
        return self.journal or f"sqlite:///{Path(self.state).absolute()}/journal.sqlite"
