"""Configuration: unknown keys stop the start with the key's name."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from streams.config import load
from streams.errors import ConfigError


class Inner(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: int = 1


class Outer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    inner: Inner = Inner()


def test_config_is_read_into_its_type(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('name = "x"\n[inner]\nport = 5\n')
    assert load(tmp_path / "a.toml", Outer) == Outer(name="x", inner=Inner(port=5))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('name = "x"\ncolour = 1\n', "colour"),
        ('name = "x"\n[inner]\nprot = 1\n', "prot"),
        ("[inner]\n", "name"),
        ('name = "x"\n[inner]\nport = "y"\n', "inner.port"),
        ("name = \n", "not valid TOML"),
    ],
)
def test_config_that_is_wrong_names_file_and_key(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ConfigError, match=named) as caught:
        load(tmp_path / "a.toml", Outer)
    assert "a.toml" in str(caught.value)


def test_config_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml", Outer)
