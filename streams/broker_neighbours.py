"""Neighbouring districts at the broker: who dials whom, and what passes between two of them.

Each pair of districts has an account of its own on both brokers, ``north~south``, and one
leaf-node connection joins the two over TLS. Nothing of a region is in it: the region's account
exports to it what its hub tells that neighbour and imports from it what the neighbour's hub
tells, and no other subject. Because a pair's account is joined to nothing but its other half, a
mesh of districts has no loops, and no district sees what two others tell each other.

The district that has the other's credential, in ``[[neighbours]]``, dials. Where both could, the
one whose name comes first does, and the other waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from streams.broker_rights import rights_of
from streams.credentials import Credential, Entry, read_credential
from streams.errors import ConfigError
from streams.messages import Name
from streams.topics import root

RECONNECT = "500ms"
"""Pause before a lost neighbour is dialled again; the server adds up to as much, by chance."""


class NeighbourSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A neighbouring district that this broker dials; ``broker.toml`` says what each is."""

    region: Name
    url: str
    credential: str
    authority: str = ""


@dataclass(frozen=True, slots=True)
class Remote:
    """A neighbour to dial.

    Attributes:
        region: The neighbour's.
        own: The region of ours that is its neighbour.
        urls: Where its broker takes leaf nodes, without user and password.
        credential: What it gave us.
        authority: The file of the authority that its certificate is from; None for the system's.
    """

    region: str
    own: str
    urls: tuple[str, ...]
    credential: Credential
    authority: Path | None


def pair_account(one: str, other: str) -> str:
    """Return the account of a pair of districts; no region has a ``~`` in its name."""
    return "~".join(sorted((one, other)))


def read_remotes(settings: Iterable[NeighbourSettings]) -> tuple[Remote, ...]:
    """Read the credentials of the neighbours to dial.

    Raises:
        ConfigError: A file is missing, it is not the credential of a district, not of this
            neighbour or for another one twice, or a URL is none.
    """
    found: dict[str, Remote] = {}
    for one in settings:
        remote = _read(one)
        account = pair_account(remote.own, remote.region)
        if account in found:
            raise ConfigError(f"`neighbours`: {remote.region} is there twice for {remote.own}")
        found[account] = remote
    return tuple(found.values())


def _read(settings: NeighbourSettings) -> Remote:
    path = Path(settings.credential)
    credential = read_credential(path)
    if credential.role != "district" or credential.region != settings.region:
        raise ConfigError(
            f"{path} is of {credential.role} {credential.name!r} in {credential.region!r}; "
            f"`neighbours` wants that of a district, issued by {settings.region!r}"
        )
    urls = tuple(_checked(url.strip()) for url in settings.url.split(","))
    authority = Path(settings.authority).resolve() if settings.authority else None
    if authority is not None and not authority.is_file():
        raise ConfigError(f"authority of {settings.region!r}: {authority} is not there")
    return Remote(settings.region, credential.place, urls, credential, authority)


def _checked(url: str) -> str:
    parts = urlsplit(url)
    try:
        complete = parts.scheme == "tls" and parts.hostname and parts.port and not parts.username
    except ValueError:
        complete = False
    if not complete or parts.path or parts.query:
        raise ConfigError(f"`neighbours`: url {url!r}: wants tls://host:port, the leaf-node port")
    return url


def dialled(remotes: Iterable[Remote], entries: Mapping[str, Entry]) -> tuple[Remote, ...]:
    """Return the neighbours that this side dials: not those that dial us, see above."""
    accepted = _pairs(entries)
    return tuple(
        one for one in remotes if one.own < one.region or (one.own, one.region) not in accepted
    )


def _pairs(entries: Mapping[str, Entry]) -> set[tuple[str, str]]:
    """Return (own region, neighbour) of the credentials that were given to neighbours."""
    return {(one.region, one.place) for one in entries.values() if one.role == "district"}


def add_pairs(
    accounts: dict[str, Any], remotes: Iterable[Remote], entries: Mapping[str, Entry]
) -> None:
    """Add the accounts of pairs, and what passes between them and the regions' own."""
    pairs = _pairs(entries) | {(one.own, one.region) for one in remotes}
    for own, other in sorted(pairs):
        name, away, home = pair_account(own, other), _told(own, other), _told(other, own)
        region = accounts.setdefault(own, {"jetstream": "enabled", "users": []})
        pair = accounts.setdefault(name, {"users": []})
        _pass(away, (own, region), (name, pair))
        _pass(home, (name, pair), (own, region))
    for name, entry in sorted(entries.items()):
        if entry.role == "district":
            pair = accounts[pair_account(entry.region, entry.place)]
            pair["users"].append(_user(name, entry))


def _told(region: str, to: str) -> tuple[str, ...]:
    return tuple(f"{root('district', drill=drill)}.{region}.{to}.*" for drill in (False, True))


def _pass(
    subjects: Iterable[str], giver: tuple[str, dict[str, Any]], taker: tuple[str, dict[str, Any]]
) -> None:
    for one in subjects:
        giver[1].setdefault("exports", []).append({"stream": one, "accounts": [taker[0]]})
        source = {"account": giver[0], "subject": one}
        taker[1].setdefault("imports", []).append({"stream": source})


def _user(name: str, entry: Entry) -> dict[str, Any]:
    rights = rights_of("district", entry.region, entry.place)
    return {
        "user": name,
        "password": entry.bcrypt,
        "allowed_connection_types": list(rights.doors),
        "permissions": {
            "publish": {"allow": list(rights.publish)},
            "subscribe": {"allow": list(rights.subscribe)},
        },
    }


def leaf_nodes(
    listen: str, tls: dict[str, Any], remotes: Iterable[Remote], entries: Mapping[str, Entry]
) -> dict[str, Any]:
    """Return the server's ``leafnodes``.

    Args:
        listen: Address and port on which neighbours are served.
        tls: The server's certificate.
        remotes: Those that could be dialled.
        entries: The roster, which says who dials us.
    """
    return {
        "listen": listen,
        "tls": tls,
        # A neighbour dials what its settings say, and not addresses that we name: ours may be
        # behind a proxy or another network's.
        "no_advertise": True,
        "reconnect": RECONNECT,
        "remotes": [_dialling(one) for one in dialled(remotes, entries)],
    }


def _dialling(remote: Remote) -> dict[str, Any]:
    who = f"{remote.credential.name}:{remote.credential.secret}@"
    trust = {} if remote.authority is None else {"ca_file": str(remote.authority)}
    return {
        "urls": [url.replace("//", f"//{who}", 1) for url in remote.urls],
        "account": pair_account(remote.own, remote.region),
        "tls": {**trust, "timeout": 5},
    }
