"""Ends leaf-node connections whose credential was taken away or exchanged for another.

The server disconnects clients that a reload leaves without a right, but not leaf nodes: seen
when tried, a neighbour went on getting everything after its user and its account were gone. So
the broker's process asks the server to end these connections, as a user of the server's own
account whose password nobody else has: it is made at each start and only its hash is written.
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Collection, Mapping
from typing import Any

import aiohttp
import bcrypt
import msgspec
import nats
import nats.errors
import structlog

from streams.authority import Pair
from streams.broker_neighbours import pair_account
from streams.broker_rights import inbox_prefix
from streams.credentials import Entry
from streams.errors import ConfigError, TransportError

SYSTEM = "$SYS"
"""The account in which NATS servers speak of themselves."""

_USER = "BROKER"
"""Upper case: cannot be the name of a credential."""

_KICK = "$SYS.REQ.SERVER.{}.KICK"
_TIMEOUT_S = 5.0

log = structlog.get_logger(__name__)


class _Leaf(msgspec.Struct):
    """A leaf-node connection as the server's monitoring tells it."""

    id: int
    account: str
    is_spoke: bool = False
    """Whether this side dialled."""


class _Leaves(msgspec.Struct):
    server_id: str
    leafs: list[_Leaf] = []


def given(entries: Mapping[str, Entry]) -> frozenset[tuple[str, str, str]]:
    """Return what was given to neighbours: the pair's account, the credential, its hash."""
    return frozenset(
        (pair_account(one.region, one.place), name, one.bcrypt)
        for name, one in entries.items()
        if one.role == "district"
    )


def changed_pairs(
    before: Collection[tuple[str, str, str]], now: Collection[tuple[str, str, str]]
) -> frozenset[str]:
    """Return the accounts whose credentials are others than before."""
    return frozenset(account for account, *_ in set(before) ^ set(now))


class LeafDoor:
    """Shows leaf nodes out; one per broker."""

    def __init__(self) -> None:
        """Make the password."""
        self._password = secrets.token_urlsafe(32)
        self._hash = bcrypt.hashpw(
            self._password.encode(), bcrypt.gensalt(rounds=4, prefix=b"2a")
        ).decode()

    def account(self) -> dict[str, Any]:
        """Return the server's own account, with a user that may end connections and no more."""
        user = {
            "user": _USER,
            "password": self._hash,
            "allowed_connection_types": ["STANDARD"],
            "permissions": {
                "publish": {"allow": [_KICK.format("*")]},
                "subscribe": {"allow": [f"{inbox_prefix(_USER)}.>"]},
            },
        }
        return {"users": [user]}

    async def end(self, accounts: Collection[str], url: str, monitor_url: str, tls: Pair) -> int:
        """End the connections that were accepted for these accounts; return how many.

        Args:
            accounts: Accounts of pairs.
            url: The server's for NATS clients.
            monitor_url: The server's monitoring.
            tls: Its certificate.

        Raises:
            ConfigError: The certificate cannot be read.
            TransportError: The server does not answer.
        """
        try:
            found = await _leaves(monitor_url)
            ending = [one for one in found.leafs if one.account in accounts and not one.is_spoke]
            if ending:
                await self._kick(found.server_id, ending, url, tls)
        except (aiohttp.ClientError, nats.errors.Error, OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise TransportError(f"leaf nodes not ended: {reason}") from error
        return len(ending)

    async def _kick(self, server: str, leaves: Collection[_Leaf], url: str, tls: Pair) -> None:
        client = await nats.connect(
            url,
            user=_USER,
            password=self._password,
            tls=_pinned(tls),
            inbox_prefix=inbox_prefix(_USER),
            allow_reconnect=False,
            connect_timeout=_TIMEOUT_S,
        )
        try:
            for one in leaves:
                order = msgspec.json.encode({"cid": one.id})
                await client.request(_KICK.format(server), order, timeout=_TIMEOUT_S)
                log.info("leaf node ended", account=one.account)
        finally:
            await client.close()


async def _leaves(monitor_url: str) -> _Leaves:
    limit = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with (
        aiohttp.ClientSession(timeout=limit) as session,
        session.get(f"{monitor_url}/leafz") as answer,
    ):
        try:
            return msgspec.json.decode(await answer.read(), type=_Leaves)
        except msgspec.MsgspecError as error:
            raise TransportError(f"leaf nodes not told: {error}") from error


def _pinned(tls: Pair) -> ssl.SSLContext:
    """Trust the server's own certificate and no other, whatever names it holds."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cafile=str(tls.certificate))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"certificate {tls.certificate}: {error}") from error
    return context
