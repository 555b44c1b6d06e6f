"""What the hub, a gateway and a vehicle have in common as servers of pages.

Where they listen, with which certificate, who may come in, and how they say that they serve.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Protocol

import msgspec
import structlog

from streams.authority import Authority, Pair
from streams.credentials import PLACED, Roster, Verified
from streams.errors import ConfigError, CredentialError
from streams.private_files import held_alone, make_private_directory, write_private
from streams.service import is_everywhere, reachable_host

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]

log = structlog.get_logger(__name__)


class Listen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where pages are served; port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: Port = 0


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The certificate of the pages.

    Attributes:
        addresses: Names and IP addresses under which the pages are reached, besides localhost;
            the first is the one that is told where the service listens everywhere.
        certificate: A certificate, PEM; empty takes one of the local authority, where that is.
        key: Its key, PEM.
    """

    addresses: tuple[str, ...] = ()
    certificate: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        """Refuse half of a pair."""
        if bool(self.certificate) != bool(self.key):
            raise ValueError("`certificate` and `key` go together: name both or none")


class PageSettings(Protocol):
    """The settings that every server of pages has."""

    @property
    def name(self) -> str:
        """The service's name, as in its credential: the place of its seats."""

    @property
    def region(self) -> str:
        """Its region."""

    @property
    def state(self) -> str:
        """Its own folder."""

    @property
    def roster(self) -> str:
        """Directory of the roster."""

    @property
    def authority(self) -> str:
        """The certificate of the authority that it trusts."""

    @property
    def listen(self) -> Listen:
        """Where it listens."""

    @property
    def tls(self) -> Tls:
        """Its certificate."""


def page_certificate(settings: PageSettings) -> Pair:
    """Return the certificate with which a service serves its pages.

    Without one of its own, one is issued where the key of the authority lies beside the
    certificate that the service trusts: on the broker's machine.

    Raises:
        ConfigError: There is none, and none can be made on this machine.
        StorageError: The authority's folder cannot be written.
    """
    tls, name, host = settings.tls, settings.name, settings.listen.host
    if tls.certificate:
        return Pair(Path(tls.certificate), Path(tls.key))
    folder = Path(settings.authority).parent
    local = Authority(folder)
    if not local.can_issue:
        raise ConfigError(
            f"{name} has no certificate for its pages, and the authority's key, which could make "
            f"one, is not in {folder}: on the broker's machine run `forerun broker certify {name} "
            "ADDRESS`, copy the two files here, and name them in [tls]"
        )
    addresses = [*tls.addresses]
    if not is_everywhere(host):
        addresses.append(host)
    elif not addresses:
        log.warning("the pages' certificate holds localhost only: name `addresses` in [tls]")
    return local.server_certificate(certificate_name(name), addresses)


def certificate_name(service: str) -> str:
    """Return the name of a service's certificate among the authority's files."""
    return f"page-{service}"


def page_url(settings: PageSettings, port: int) -> str:
    """Return the address of a service's pages; ``port`` is the one that it got."""
    host = reachable_host(settings.listen.host, settings.tls.addresses)
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def admission(settings: PageSettings) -> Callable[[str], Verified]:
    """Return what turns a token into its holder, or refuses it, for the pages of one service.

    A seat comes in at its own place only. Which other roles may is for each page's guard to say.
    """
    roster, place, region = Roster(Path(settings.roster)), settings.name, settings.region

    def verify(token: str) -> Verified:
        holder = roster.verify(token)
        if holder.region != region or holder.drill:
            raise CredentialError(f"{holder.name} is not of region {region}")
        if holder.role in PLACED and holder.place != place:
            other = holder.place or "no place: revoke it, and issue it again with --at"
            raise CredentialError(
                f"{holder.name} is no {holder.role} at {place}; it is one at {other}"
            )
        return holder

    return verify


@contextlib.contextmanager
def own_state(settings: PageSettings, what: str) -> Iterator[None]:
    """Hold a service's state folder for it alone while the block runs; made if it is not there.

    Args:
        settings: The service's.
        what: It in a word, for the one that comes second.

    Raises:
        ConfigError: Another one runs here.
        StorageError: The folder cannot be made or locked.
    """
    state = Path(settings.state)
    make_private_directory(state)
    with held_alone(state, what):
        _ready(settings).unlink(missing_ok=True)  # of one that was killed
        yield


@contextlib.contextmanager
def said_ready(settings: PageSettings, port: int) -> Iterator[None]:
    """Have ``ready.json`` in its state say that a service serves while the block runs."""
    body = {"port": port, "url": page_url(settings, port), "pid": os.getpid()}
    write_private(_ready(settings), msgspec.json.encode(body))
    log.info("serving", **body)
    try:
        yield
    finally:
        _ready(settings).unlink(missing_ok=True)


def _ready(settings: PageSettings) -> Path:
    return Path(settings.state) / "ready.json"
