"""Where the network in a box cannot be, one sentence says what is missing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bench import network_space
from bench.network import NetworkBox
from bench.network_conditions import NetworkBoxError
from bench.network_namespace import in_city, require


@pytest.fixture(autouse=True)
def able(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which nothing is missing, whatever this one is."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("ip", "nsenter", "unshare"):
        (programs / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (tmp_path / "tun").touch()
    monkeypatch.setattr(network_space, "_TUN", tmp_path / "tun")


def test_nothing_is_missing_where_all_is_there() -> None:
    require()


@pytest.mark.parametrize(
    ("attribute", "value", "missing"),
    [
        ("sys.platform", "darwin", "needs Linux"),
        ("os.geteuid", lambda: 1000, "needs root"),
        ("bench.network_space._TUN", Path("/nowhere/tun"), "needs /nowhere/tun"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, attribute: str, value: object, missing: str
) -> None:
    monkeypatch.setattr(attribute, value)
    with pytest.raises(NetworkBoxError, match=missing) as error:
        NetworkBox()
    assert str(error.value).count(". ") == 0
    assert str(error.value).endswith(".")


@pytest.mark.parametrize("program", ["ip", "nsenter", "unshare"])
def test_missing_program_is_named(tmp_path: Path, program: str) -> None:
    (tmp_path / "bin" / program).rename(tmp_path / "elsewhere")
    with pytest.raises(NetworkBoxError, match=f"needs the program {program} "):
        require()


def test_program_that_has_not_entered_the_city_is_outside() -> None:
    assert not in_city()
