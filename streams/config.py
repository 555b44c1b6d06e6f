"""Configuration: one commented TOML file per service, typed, unknown keys refused."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TypeVar

import msgspec

from streams.errors import ConfigError

Settings = TypeVar("Settings", bound=msgspec.Struct)


def load(path: Path, settings: type[Settings]) -> Settings:
    """Read the TOML file at ``path`` into ``settings``.

    ``settings`` is a msgspec struct with ``forbid_unknown_fields=True`` at every level.

    Raises:
        ConfigError: The file is not there, is no TOML, has an unknown key, misses one, or has
            a value of the wrong type; the text names the file and the key.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return msgspec.toml.decode(text, type=settings)
    except msgspec.ValidationError as error:
        # msgspec: "Expected `int`, got `str` - at `$.listen.port`"
        what, _, where = str(error).partition(" - at `$.")
        key = f"{where.rstrip('`')}: " if where else ""
        raise ConfigError(f"{path}: {key}{what}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def example(package: str, name: str) -> str:
    """Return the commented example ``name`` that ``package`` carries, as text."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
