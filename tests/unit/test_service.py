"""A service finds its settings, and ends when it is told to, even if a library is deaf once."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from streams import cli
from streams.config import example

PROGRAM = textwrap.dedent(
    """
    import asyncio, contextlib, sys
    from streams import service

    async def deaf():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def serve():
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task({task}())
                print("ready", flush=True)
        finally:
            print("closed", flush=True)

    async def heedful():
        await asyncio.Event().wait()

    service.INSIST_S = 0.2
    sys.exit(service.run(serve))
    """
)


@pytest.mark.parametrize("task", ["heedful", "deaf"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_service_told_to_end_closes_and_ends_with_zero(task: str, number: signal.Signals) -> None:
    program = PROGRAM.format(task=task)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(60) == 0
        assert process.stdout.read() == "closed\n"


@pytest.mark.parametrize(
    ("name", "package"),
    [("onboard", "onboard"), ("dispatch", "dispatch"), ("hospital", "hospital_gateway")],
)
def test_service_command_prints_its_example_and_looks_for_it_here(
    name: str,
    package: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main([name, "--example"]) == 0
    assert capsys.readouterr().out == example(package, f"{name}.toml")
    assert cli.main([name]) == 1
    assert capsys.readouterr().err.startswith(f"forerun {name}: {name}.toml: there is no such file")
    assert cli.main([name, "--config", "other.toml"]) == 1
    assert "other.toml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "package"),
    [("onboard", "onboard"), ("dispatch", "dispatch"), ("hospital", "hospital_gateway")],
)
def test_service_whose_port_is_taken_says_so_before_it_does_anything_else(
    name: str,
    package: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text, count = re.subn(
            r"(?m)^port = \d+$", f"port = {port}", example(package, f"{name}.toml")
        )
        assert count
        host = re.sub(r'(?m)^host = ".*"$', 'host = "127.0.0.1"', text)
        (tmp_path / f"{name}.toml").write_text(host)
        assert cli.main([name]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"forerun {name}: cannot listen on 127.0.0.1:{port} (")
    assert "choose another [listen] host or port" in said
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.toml"], "nothing was made"


def test_lines_that_libraries_log_are_json_like_our_own() -> None:
    program = (
        "import logging; from streams import service; service.set_up_logs('unit-1');"
        "logging.getLogger('asyncio').warning('it took %d s', 3)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    (line,) = run.stderr.splitlines()
    told = json.loads(line)
    assert told["event"] == "it took 3 s"
    assert (told["service"], told["logger"], told["level"]) == ("unit-1", "asyncio", "warning")
