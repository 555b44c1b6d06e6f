"""Credentials: one per vehicle, per hub, per gateway and per person; who may, and who says so.

A credential is a name and a random secret of 256 bits. Its owner has it as a small TOML file
(``issued/<name>.toml``, 0600); who verifies has the roster (``roster.toml``) with hashes only.
As a bearer token it is ``name.secret``: a name has no dot.

Two hashes stand in the roster. Our own checks use salted SHA-256: slow hashes such as bcrypt
make guessing a *human's* password dear, but 2^256 cannot be guessed at any speed, and a slow
hash would only make every request slow. NATS checks passwords with bcrypt, so that stands
there too, at its lowest cost for the same reason: at the usual cost 500 vehicles that come back
after an outage would keep a core busy for half a minute.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import bcrypt
import msgspec

from streams.config import load
from streams.errors import ConfigError, CredentialError
from streams.identity import check_name
from streams.private_files import locked, make_private_directory, write_private

Role = Literal["unit", "hub", "hospital", "seat", "exchange", "partner", "district"]
"""``seat`` is a person's place at a page; ``exchange`` a telephone exchange, message gateway or
location service that tells a hub of calls; ``partner`` police or fire, who answer what a hub told
them. None of the three has rights at the broker. ``district`` is the broker of a neighbouring
district, which joins ours as a leaf node."""

PLACED: frozenset[Role] = frozenset({"seat", "exchange", "partner"})
"""Roles that come in at the pages of one service and nowhere else."""

_BCRYPT_COST = 4


class Credential(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """What its owner holds.

    Attributes:
        name: Of the unit, hospital, hub or person; one name, one credential.
        role: What it is for.
        region: The region (district) to which it is limited.
        place: Of a seat, exchange or partner: the hub, hospital or unit that lets it in, and no
            other. Of a district: the neighbour's region, whose broker holds this credential.
        drill: Only for exercises: rights in the drill tree and none in the live one.
        secret: 256 bits, URL-safe base64; never logged.
    """

    name: str
    role: Role
    region: str
    place: str = ""
    drill: bool = False
    secret: str

    @property
    def token(self) -> str:
        """The bearer token, ``name.secret``."""
        return f"{self.name}.{self.secret}"

    def __repr__(self) -> str:
        """Show all but the secret."""
        return f"Credential({self.name!r}, {self.role!r}, {self.region!r}, drill={self.drill})"

    __str__ = __repr__


class Entry(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """What the verifying side knows of a credential, under its name.

    Attributes:
        role: See ``Credential``.
        region: See ``Credential``.
        place: See ``Credential``.
        drill: See ``Credential``.
        salt: Random, hex.
        sha256: SHA-256 of salt and secret, hex.
        bcrypt: The secret's bcrypt hash, for the broker.
    """

    role: Role
    region: str
    place: str = ""
    drill: bool = False
    salt: str
    sha256: str
    bcrypt: str


@dataclass(frozen=True, slots=True)
class Verified:
    """Whose token it was; what a request may do depends on this and nothing else.

    Attributes:
        name: See ``Credential``.
        role: See ``Credential``.
        region: See ``Credential``.
        drill: See ``Credential``.
        place: See ``Credential``.
    """

    name: str
    role: Role
    region: str
    drill: bool
    place: str = ""


def credential_path(directory: Path, name: str) -> Path:
    """Return where ``issue`` puts the file for the owner of ``name``."""
    return directory / "issued" / f"{name}.toml"


def read_credential(path: Path) -> Credential:
    """Read the file that its owner holds.

    Raises:
        ConfigError: It is not there or no credential.
    """
    if not path.exists():
        raise ConfigError(f"{path}: there is no credential; `forerun broker issue` makes one")
    return load(path, Credential)


def read_own_credential(path: Path, role: Role, name: str, region: str) -> Credential:
    """Read the credential that a service starts with, and check that it is its own.

    Raises:
        ConfigError: It is not there, no credential, or somebody else's; or it is for exercises,
            in which the hub takes no part yet: what is sent would wait for ever.
    """
    credential = read_credential(path)
    if (credential.role, credential.name) != (role, name):
        raise ConfigError(
            f"{path} is of {credential.role} {credential.name!r}, not of {role} {name!r}"
        )
    if credential.region != region:
        raise ConfigError(f"{path} is for region {credential.region!r}")
    if credential.drill:
        raise ConfigError(f"{path} is for exercises, which do not work yet: the hub reads none")
    return credential


def issue(
    directory: Path, name: str, role: Role, region: str, *, place: str = "", drill: bool = False
) -> Credential:
    """Make a credential, or return the one of that name that is there already.

    Args:
        directory: Where the roster and the issued files are.
        name: See ``Credential``.
        role: See ``Credential``.
        region: See ``Credential``.
        place: See ``Credential``; for a seat, exchange, partner or district, and for nothing else.
        drill: See ``Credential``.

    Raises:
        CredentialError: The name is taken for something else, its file is gone, a seat has no
            place or another role has one, a district's is no neighbour, or a hub or district is
            to be for exercises only (they carry both trees).
        MalformedError: ``name``, ``region`` or ``place`` cannot be a name.
        StorageError: The directory cannot be written.
    """
    if drill and role in ("hub", "district"):
        raise CredentialError(f"a {role} carries live and drill data: it cannot be marked drill")
    if role == "district" and place in ("", region):
        raise CredentialError(
            "a district's credential is for a neighbour: name its region, not ours, with --at"
        )
    if role in PLACED and not place:
        raise CredentialError(
            f"a{'n' * (role == 'exchange')} {role} is at one place: name the hub, hospital or unit "
            f"that lets it in with --at"
        )
    if role not in PLACED and role != "district" and place:
        raise CredentialError(
            f"a {role} has no place: only a seat, an exchange or a partner is at one"
        )
    for one in (name, region, *([place] if place else [])):
        check_name(one)
    make_private_directory(directory / "issued")
    with locked(directory):
        entries, path = _read_roster(directory), credential_path(directory, name)
        if name in entries:
            entry = entries[name]
            before = (entry.role, entry.region, entry.place, entry.drill)
            if before != (role, region, place, drill):
                at = f" at {entry.place}" if entry.place else ""
                raise CredentialError(
                    f"name {name!r} is taken by a {entry.role}{at} of {entry.region}; revoke it "
                    "first"
                )
            return _issued_before(path, name)
        credential = Credential(
            name=name, role=role, region=region, place=place, drill=drill,
            secret=secrets.token_urlsafe(32),
        )  # fmt: skip
        # The owner's file first: a roster entry whose secret nobody has would be in the way.
        write_private(path, msgspec.toml.encode(credential))
        _write_roster(directory, {**entries, name: _entry(credential)})
    return credential


def _issued_before(path: Path, name: str) -> Credential:
    if not path.exists():
        raise CredentialError(
            f"the secret of {name!r} was handed out and is not here; revoke it to issue another"
        )
    return read_credential(path)


def revoke(directory: Path, name: str) -> None:
    """Take a credential away; brokers and services that watch the roster follow.

    Raises:
        CredentialError: There is none of that name.
        StorageError: The directory cannot be written.
    """
    unknown = CredentialError(f"there is no credential {name!r} in {directory}")
    if not directory.is_dir():
        raise unknown
    with locked(directory):
        entries = _read_roster(directory)
        if entries.pop(name, None) is None:
            raise unknown
        _write_roster(directory, entries)
        credential_path(directory, name).unlink(missing_ok=True)


class Roster:
    """The verifying side: reads the roster again whenever its file has changed."""

    def __init__(self, directory: Path) -> None:
        """Name the directory; a roster that is not there is an empty one."""
        self._directory = directory
        self._read = _Read()
        self._lock = threading.Lock()

    def entries(self) -> dict[str, Entry]:
        """Return all entries by name, as the file says now.

        Raises:
            ConfigError: The file is damaged.
        """
        stamp = _stamp(_roster_path(self._directory))
        with self._lock:
            if self._read.stamp != stamp:
                self._read = _Read(stamp, _read_roster(self._directory))
            return self._read.entries

    def verify(self, token: str) -> Verified:
        """Return whose ``token`` it is, in a time that does not depend on the secret.

        Raises:
            CredentialError: Unknown, revoked or wrong; which of them is not said.
        """
        name, _, secret = token.partition(".")
        entry = self.entries().get(name)
        known = entry or _NOBODY
        found = _digest(known.salt, secret)
        if not hmac.compare_digest(found, known.sha256) or entry is None:
            raise CredentialError("the credential is unknown or revoked")
        return Verified(name, entry.role, entry.region, entry.drill, entry.place)


@dataclass(frozen=True, slots=True)
class _Read:
    stamp: tuple[int, ...] | None = None
    entries: dict[str, Entry] = field(default_factory=dict)


def _digest(salt: str, secret: str) -> str:
    return hashlib.sha256(f"{salt}.{secret}".encode(errors="replace")).hexdigest()


def _entry(credential: Credential) -> Entry:
    salt = secrets.token_hex(16)
    hashed = bcrypt.hashpw(
        credential.secret.encode(), bcrypt.gensalt(rounds=_BCRYPT_COST, prefix=b"2a")
    )
    return Entry(
        role=credential.role,
        region=credential.region,
        place=credential.place,
        drill=credential.drill,
        salt=salt,
        sha256=_digest(salt, credential.secret),
        bcrypt=hashed.decode(),
    )


_NOBODY = Entry(role="seat", region="-", salt="0" * 32, sha256="0" * 64, bcrypt="-")
"""Compared with when a name is unknown, so that this takes as long as a wrong secret."""


def _roster_path(directory: Path) -> Path:
    return directory / "roster.toml"


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


class _RosterFile(msgspec.Struct, forbid_unknown_fields=True):
    credentials: dict[str, Entry] = {}


def _read_roster(directory: Path) -> dict[str, Entry]:
    path = _roster_path(directory)
    return dict(load(path, _RosterFile).credentials) if path.exists() else {}


def _write_roster(directory: Path, entries: dict[str, Entry]) -> None:
    ordered = {name: entries[name] for name in sorted(entries)}
    write_private(_roster_path(directory), msgspec.toml.encode(_RosterFile(ordered)))
