"""Every command of the README does what the README says."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.processes import Child, Processes
from streams.config import example

REPOSITORY = Path(__file__).resolve().parents[2]
FORERUN = ".venv/bin/forerun"


def commands() -> list[str]:
    """Return the command lines of the README's shell blocks."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def starting_with(text: str) -> list[str]:
    return [command for command in commands() if command.startswith(text)]


def forerun(command: str, folder: Path, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a README line with this interpreter's forerun, in ``folder``."""
    words = shlex.split(command.removeprefix(FORERUN))
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", *words],
        cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip


def test_readme_has_only_commands_that_are_tested_here() -> None:
    known = ("make demo", "make test", "make bench", f"{FORERUN} export", f"{FORERUN} broker")
    examples = [command for command in commands() if command.endswith(" --example")]
    others = [command for command in commands() if not command.startswith(known)]
    assert sorted(others) == sorted(examples)


@pytest.mark.parametrize("command", starting_with("make "))
def test_readme_make_target_runs_what_it_says(command: str) -> None:
    """Looks at what make would do: the set-up itself is proven by the run you are reading."""
    told = subprocess.run(
        [*shlex.split(command), "--dry-run"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    _, target, *rest = shlex.split(command)
    arguments = rest[0].removeprefix("ARGS=") if rest else ""
    expected = {"demo": f"forerun demo {arguments}", "bench": f"forerun bench {arguments}"}
    assert expected.get(target, "pytest").strip() in told.stdout


@pytest.mark.parametrize(
    "command", [one for one in commands() if one.endswith((" --example", " --help"))]
)
def test_readme_printed_settings_are_the_commented_file(command: str, tmp_path: Path) -> None:
    ended = forerun(command, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "#" in ended.stdout or "usage:" in ended.stdout


async def test_readme_credentials_and_examples_make_a_city_that_serves(tmp_path: Path) -> None:
    """The four example files, as printed, started from one folder after the README's commands.

    Only the ports are changed: tests run side by side.
    """
    for command in starting_with(f"{FORERUN} broker --state"):
        ended = forerun(command, tmp_path)
        assert ended.returncode == 0, ended.stderr
        made = ended.stdout.split()
        assert made
        assert all((tmp_path / file).is_file() for file in made)
    async with Processes(tmp_path / "logs") as processes:
        broker = service(processes, tmp_path, "broker", no_ports(example("streams", "broker.toml")))
        ready = await processes.ready(
            broker, tmp_path / "broker" / "ready.json", same_process=False
        )
        nats = f":{ready['nats_port']}"
        text = example("dispatch", "dispatch.toml").replace(":4222", nats)
        hub = service(processes, tmp_path, "dispatch", no_ports(text))
        told = await processes.ready(hub, tmp_path / "hub" / "ready.json")
        here = f":{told['port']}"
        text = example("hospital_gateway", "hospital.toml").replace(":4222", nats)
        hospital = service(processes, tmp_path, "hospital", no_ports(text.replace(":8440", here)))
        text = example("onboard", "onboard.toml").replace("port = 8883", "port = 1")
        text = no_ports(text.replace(":8440", here)).replace(
            "port = 1\n", f"port = {ready['mqtt_port']}\n"
        )
        unit = service(processes, tmp_path, "onboard", text)
        await processes.ready(hospital, tmp_path / "state" / "first-hospital" / "ready.json")
        await processes.ready(unit, tmp_path / "state" / "unit-1" / "ready.json")


def no_ports(settings: str) -> str:
    """Let the system choose the ports that services listen on."""
    return re.sub(
        r"^((?:port|mqtt|websocket|nats|monitor|health|leaf) *= )(?:8\d{3}|4222|7422)\b",
        r"\g<1>0",
        settings,
        flags=re.MULTILINE,
    )


def service(processes: Processes, folder: Path, name: str, settings: str) -> Child:
    path = folder / f"{name}.toml"
    path.write_text(settings)
    command = [sys.executable, "-m", "streams.cli", name, "--config", str(path)]
    return processes.start(name, ["env", "-C", str(folder), *command])


def test_readme_demo_without_a_person_delivers_everything_and_exports(tmp_path: Path) -> None:
    """Everything that was made is at the hub and at the right hospital; exit status 0."""
    (line,) = starting_with("make demo ARGS=")
    arguments = shlex.split(line)[2].removeprefix("ARGS=")
    ended = forerun(f"{FORERUN} demo {arguments} --no-browser", tmp_path, timeout_s=300)
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads((tmp_path / "report.json").read_text())
    facts, ecg = told["facts"], told["ecg"]
    assert facts["made"] == facts["journaled"] > 30
    assert facts["lost"] == facts["duplicated"] == facts["misrouted"] == 0
    assert ecg["samples_source"] == ecg["samples_received"] > 100_000
    assert ecg["samples_differing"] == 0
    for kind in ("fact", "ecg", "video"):
        assert set(told["latency_ms"][kind]) >= {"p50", "p95", "p99"}
    names = {"broker", "hub", "first-hospital", "second-hospital", "unit-1", "unit-2", "unit-3"}
    assert names <= {process["name"] for process in told["processes"]}

    listing, export = starting_with(f"{FORERUN} export")
    (case, *_) = forerun(listing, tmp_path).stdout.split()
    ended = forerun(export.replace("CASE", case), tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert {"timeline.jsonl", "case.msgpack", "summary.json", "ecg-1.hea", "ecg-1.dat"} <= {
        path.name for path in (tmp_path / "case").iterdir()
    }
