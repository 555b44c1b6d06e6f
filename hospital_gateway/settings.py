"""Settings of a hospital's gateway, read from one TOML file (``hospital.toml`` is the example)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from streams.messages import Name, Pathway, ShortText
from streams.page_server import Listen, Tls


class Broker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the broker is reached: a NATS URL."""

    url: str


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings; see ``hospital.toml`` for what each is for.

    Attributes:
        name: Name of the hospital, as in topics and credentials.
        label: Its name for people.
        region: The region (district).
        state: Directory for journal, outbox and ``ready.json``.
        hub: Address of the hub's pages and media, ``https://…``.
        credential: File with this gateway's own credential.
        roster: Directory of the roster, which says which seats may come in.
        authority: The CA certificate that this gateway trusts.
        listen: Where the pages are served.
        broker: How the broker is reached.
        tls: The page server's certificate, and under which names it is reached.
        roles: What a seat can be, offered once on the page.
        needs: What is made ready for a pathway.
        journal: Database URL of the journal; None is SQLite in ``state``.
    """

    name: Name
    label: ShortText
    region: Name
    state: str
    hub: Annotated[str, msgspec.Meta(pattern=r"^https?://[^/]")]
    credential: str
    roster: str
    authority: str
    broker: Broker
    listen: Listen = Listen()
    tls: Tls = Tls()
    roles: Annotated[list[ShortText], msgspec.Meta(min_length=1, max_length=20)]
    needs: dict[Pathway, list[ShortText]] = {}
    journal: str | None = None

    @property
    def journal_url(self) -> str:
        """Database URL of the journal."""
        return self.journal or f"sqlite:///{Path(self.state).absolute()}/journal.sqlite"
