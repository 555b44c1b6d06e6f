"""The token by which a caller's phone may tell where it is. Pure but for the file of its key.

The token is the case's id with a seal (HMAC-SHA-256 under a key of this hub, 96 bits of it): who
has it may tell the position of that caller, for as long as the case is open, and read nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from pathlib import Path

from streams.errors import CredentialError
from streams.identity import is_id
from streams.private_files import write_private

SEAL_BYTES = 12
KEY_BYTES = 32


class LinkSeal:
    """Makes and checks the tokens of one hub."""

    def __init__(self, key: bytes) -> None:
        """Take the key."""
        self._key = key

    @classmethod
    def of(cls, state: Path) -> LinkSeal:
        """Read the key of a hub's state folder; made at the first start.

        Raises:
            OSError: The folder cannot be read or written.
        """
        path = state / "links.key"
        if not path.exists():
            write_private(path, secrets.token_bytes(KEY_BYTES))
        return cls(path.read_bytes())

    def token(self, case: str) -> str:
        """Return the token of a case: 42 characters that need no escape in an address."""
        return case + self._seal(case)

    def case(self, token: str) -> str:
        """Return the case of a token.

        Raises:
            CredentialError: This hub never made it.
        """
        case, seal = token[:26], token[26:]
        if not is_id(case) or not hmac.compare_digest(seal.encode(), self._seal(case).encode()):
            raise CredentialError("the address of this page is not complete, or was never given")
        return case

    def _seal(self, case: str) -> str:
        full = hmac.digest(self._key, case.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(full[:SEAL_BYTES]).decode()
