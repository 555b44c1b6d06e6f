"""The demonstration's options: what cannot be is refused before anything is started."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from bench.city import HUB, build
from bench.demo import MARK, command
from bench.stage import Stage
from streams.credentials import Roster
from streams.errors import ConfigError


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seconds", "-5"], "--seconds -5"),
        (["--seconds", "nan"], "--seconds nan"),
        (["--report", "no/such/folder/report.json"], "no folder"),
        (["--data", "no-such-folder"], "--data no-such-folder"),
        (["--record", "no-such-record"], "no-such-record.hea"),
        (["--units", "0"], "--units 0"),
        (["--hospitals", "99"], "--hospitals 99"),
    ],
)
def test_demo_impossible_option_is_refused_by_name(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=words):
        command(["--headless", *arguments])
    assert not any(tmp_path.iterdir())


def test_demo_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="not a demonstration's"):
        command(["--headless", "--state", str(tmp_path)])
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_demo_folder_of_a_running_demonstration_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    with (tmp_path / MARK).open("a") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="a demonstration runs in"):
            command(["--headless", "--state", str(tmp_path)])
    assert (tmp_path / "hub").is_dir()


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_demo_folder_that_cannot_be_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--state"):
        command(["--headless", "--state", str(tmp_path / name)])


def test_demo_seat_opens_the_pages_of_its_own_place_only(tmp_path: Path) -> None:
    stage = Stage(tmp_path, build(2, 2, None, None), headless=True)
    stage.issue_credentials()
    places = [HUB, "first-hospital", "second-hospital", "unit-1", "unit-2"]
    roster = Roster(stage.credentials)
    assert [roster.verify(stage.token(place)).place for place in places] == places
    seats = [name for name, entry in roster.entries().items() if entry.role == "seat"]
    assert len(seats) == len(places) + 1, "and the script's own at the hub"
    assert (roster.verify(stage.script()).place, roster.verify(stage.exchange()).place) == (
        HUB,
        HUB,
    )
