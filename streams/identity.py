"""Ids of facts, cases and patients, and the spoken alias of an unknown patient."""

from __future__ import annotations

import hashlib
import re

from ulid import ULID

from streams.errors import MalformedError

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")

# Two short words that survive a bad radio: no two colours or birds here sound alike.
_COLOURS = (
    "Amber", "Blue", "Copper", "Crimson", "Golden", "Green", "Indigo", "Ivory",
    "Orange", "Purple", "Scarlet", "Silver", "Turquoise", "Violet", "White", "Yellow",
)  # fmt: skip
_BIRDS = (
    "Condor", "Cuckoo", "Eagle", "Falcon", "Finch", "Heron", "Kestrel", "Magpie",
    "Nightingale", "Osprey", "Pelican", "Raven", "Robin", "Sparrow", "Swallow", "Wagtail",
)  # fmt: skip


def new_id() -> str:
    """Return a new ULID: 26 characters, sortable by the time of making (ms)."""
    return str(ULID())


def is_id(text: str) -> bool:
    """Whether ``text`` is a ULID as ``new_id`` makes them."""
    try:
        return str(ULID.from_str(text)) == text
    except ValueError:
        return False


def check_name(text: str) -> str:
    """Return ``text`` if it can name a unit, hospital or region.

    Lower-case letters, digits, ``-`` and ``_``, at most 40 characters, so that it is one
    token of an MQTT topic, of a NATS subject, of a URL and of a file name.

    Raises:
        MalformedError: It cannot.
    """
    if not _NAME.fullmatch(text):
        raise MalformedError(
            f"name {text!r}: use 1 to 40 lower-case letters, digits, '-' or '_', no '.' or '/'"
        )
    return text


def alias(case: str) -> str:
    """Return the spoken alias of a case's patient until somebody knows the name.

    The same case always gives the same alias; 256 aliases, so two patients of one day may
    share one: an alias is said beside the unit, never alone.
    """
    first, second = hashlib.sha256(case.encode()).digest()[:2]
    return f"{_COLOURS[first % 16]} {_BIRDS[second % 16]}"
