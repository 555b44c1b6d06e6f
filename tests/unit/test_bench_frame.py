"""The frame of all benchmarks: medians, interleaving, promises, exit status, JSON."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from rich.console import Console
from rich.progress import Progress

from bench import frame
from bench.command import command
from bench.frame import Column, Measurement, Outcome, Promise, Relation, Session, Stages


@pytest.fixture
def session() -> Iterator[Session]:
    with Progress(console=Console(quiet=True)) as progress:
        yield Session(data=None, repeats=3, progress=progress)


def register(monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> None:
    """Put a benchmark that measures nothing in the place of a real one."""
    module = ModuleType("bench_of_the_test")
    module.run = lambda _session: outcome  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(frame.REGISTRY, "ecg", f"{module.__name__}:run")


def outcome_with(*promises: Promise) -> Outcome:
    return Outcome(
        title="Bits of the test",
        columns=[Column("bits", "bits/sample")],
        measurements=[Measurement("ours", {"bits": 1.25, "hidden": 7}), Measurement("raw", {})],
        promises=promises,
        details={"records": {"a": 1}},
        notes=["a note"],
        packages=["numpy", "no-such-package"],
    )


def test_session_measure_takes_the_median_of_each_figure(session: Session) -> None:
    figures = iter(
        [{"us": 9.0, "bytes": 1.0}, {"us": 1.0, "bytes": 2.0}, {"us": 3.0, "bytes": 9.0}]
    )
    assert session.measure("x", {"ours": lambda: next(figures)}) == {
        "ours": {"us": 3.0, "bytes": 2.0}
    }


def test_session_measure_with_peers_interleaves_and_turns_the_order(session: Session) -> None:
    order: list[str] = []

    def case(name: str) -> dict[str, float]:
        order.append(name)
        return {"us": 1.0}

    session.measure("x", {name: lambda name=name: case(name) for name in "abc"})  # type: ignore[misc]
    assert order == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]


def test_stages_without_a_terminal_are_a_line_each_and_long_ones_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = io.StringIO()
    with Stages(Console(file=text)) as progress:
        session = Session(data=None, repeats=2, progress=progress)
        session.measure("short", {"a [b]": dict, "c": dict})
        monkeypatch.setattr(frame, "LINE_EVERY_S", 0.0)
        session.measure("long", {"a [b]": dict, "c": dict})
    assert [line.split(" s  ")[1] for line in text.getvalue().splitlines()] == [
        "short",
        "long",
        "long: a [b] (round 1 of 2): 1 of 4 done",
        "long: c (round 1 of 2): 2 of 4 done",
        "long: c (round 2 of 2): 3 of 4 done",
    ]


def test_stages_on_a_terminal_are_a_bar_without_lines() -> None:
    text = io.StringIO()
    with Stages(Console(file=text, force_terminal=True)) as progress:
        Session(data=None, repeats=1, progress=progress).measure("short", {"a": dict})
    assert "━" in text.getvalue()
    assert " s  short" not in text.getvalue()


@pytest.mark.parametrize(
    ("figure", "relation", "bound", "holds"),
    [
        (1.0, "at most", 1.0, True),
        (1.1, "at most", 1.0, False),
        (1.0, "below", 1.0, False),
        (0.9, "below", 1.0, True),
        (1.0, "at least", 1.0, True),
        (0.9, "at least", 1.0, False),
        (0.0, "exactly", 0.0, True),
        (1.0, "exactly", 0.0, False),
        (float("nan"), "at most", 1.0, False),
        (1.0, "at least", float("nan"), False),
    ],
)
def test_promise_at_its_bound_holds_as_its_relation_says(
    figure: float, relation: Relation, bound: float, holds: bool
) -> None:
    assert Promise("p", figure, relation, bound).holds is holds


def test_command_when_promises_hold_ends_with_0_and_writes_all_figures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register(monkeypatch, outcome_with(Promise("small enough", 1.25, "below", 2.0)))
    file = tmp_path / "report.json"
    assert command(["ecg", "--json", str(file), "--repeats", "2"]) == 0
    report = json.loads(file.read_text())
    assert report["measurements"][0] == {"name": "ours", "bits": 1.25, "hidden": 7}
    assert report["promises"] == [
        {"name": "small enough", "figure": 1.25, "relation": "below", "bound": 2.0, "holds": True}
    ]
    assert report["options"]["repeats"] == 2
    assert report["details"] == {"records": {"a": 1}}
    assert report["machine"]["cores"] >= 1
    assert report["versions"]["no-such-package"] == "not installed"
    assert report["versions"]["numpy"][0].isdigit()
    shown = capsys.readouterr().out
    assert "Bits of the test" in shown
    assert "1.25" in shown
    assert "a note" in shown


def test_command_when_a_promise_breaks_ends_with_1_and_says_which(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register(
        monkeypatch,
        outcome_with(
            Promise("good", 1.0, "below", 2.0), Promise("bad", float("nan"), "below", 2.0)
        ),
    )
    file = tmp_path / "report.json"
    assert command(["ecg", "--json", str(file)]) == 1
    assert "BROKEN  bad" in capsys.readouterr().out
    assert [promise["holds"] for promise in json.loads(file.read_text())["promises"]] == [
        True,
        False,
    ]


def test_command_with_missing_peer_module_ends_with_2_and_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(frame.REGISTRY, "ecg", "no_such_module_anywhere:run")
    assert command(["ecg"]) == 2
    assert "no_such_module_anywhere" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["pyflac", "pcodec", "zstandard"])
def test_command_ecg_without_the_extra_ends_with_2_and_says_what_to_do(
    package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("bench.ecg", "bench.ecg_codecs"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)  # an import of it now says it is not there
    assert command(["ecg"]) == 2
    said = capsys.readouterr().err
    assert f"needs the module {package}, which is not installed" in said
    assert 'make bench ARGS="ecg"' in said
    assert "extra `bench`" in said


def test_command_with_json_into_missing_folder_ends_with_2_before_measuring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["ecg", "--json", str(tmp_path / "nowhere" / "report.json")]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["nothing"], ["ecg", "--repeats", "0"], []])
def test_command_with_wrong_arguments_is_refused_by_the_parser(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        command(arguments)
    assert refusal.value.code == 2
