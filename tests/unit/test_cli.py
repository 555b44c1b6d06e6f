"""The command `forerun`: finds, runs and refuses subcommands."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from streams import cli
from streams.errors import ConfigError

REPOSITORY = Path(__file__).parents[2]
received: list[list[str]] = []


def accept(arguments: list[str]) -> int:
    """A subcommand that notes its arguments."""
    received.append(arguments)
    return 7


def refuse(arguments: list[str]) -> int:
    """A subcommand that meets an error of ours."""
    del arguments
    raise ConfigError("hub.toml: unknown key\n 'prot'")


def interrupted(arguments: list[str]) -> int:
    """A subcommand that a person stops."""
    del arguments
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the fakes above, and one whose import fails."""
    received.clear()
    module = __name__
    sys.modules.setdefault(module, sys.modules[__name__])
    entries = [
        EntryPoint("accept", f"{module}:accept", cli.GROUP),
        EntryPoint("refuse", f"{module}:refuse", cli.GROUP),
        EntryPoint("interrupted", f"{module}:interrupted", cli.GROUP),
        EntryPoint("broken", "no_such_module:command", cli.GROUP),
    ]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: entries)


def test_command_with_arguments_gets_them_and_gives_its_status() -> None:
    assert cli.main(["accept", "--units", "3"]) == 7
    assert received == [["--units", "3"]]


def test_command_beside_one_that_cannot_be_imported_still_runs() -> None:
    assert cli.main(["accept"]) == 7


def test_unknown_command_is_refused_with_the_nearest_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["acept"]) == 2
    assert "did you mean accept" in capsys.readouterr().err


def test_unknown_command_far_from_all_lists_what_there_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["xyzzy"]) == 2
    assert "accept, broken, interrupted, refuse" in capsys.readouterr().err


def test_error_of_ours_becomes_one_line_without_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["refuse"]) == 1
    assert capsys.readouterr().err == "forerun refuse: hub.toml: unknown key 'prot'\n"


def test_interrupt_ends_quietly_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["interrupted"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_all_commands_without_importing_them(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {name}" in shown for name in ("accept", "broken", "refuse"))


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"forerun {importlib.metadata.version('forerun')}\n"


def test_summaries_are_those_of_the_registered_commands() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert set(cli.SUMMARIES) == set(project["entry-points"][cli.GROUP])


def test_help_of_the_real_command_imports_no_package_but_streams() -> None:
    code = (
        "import sys; from streams import cli; cli.main(['--help']); "
        "print([n for n in ('onboard', 'dispatch', 'hospital_gateway', 'bench', 'aiohttp') "
        "if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"
