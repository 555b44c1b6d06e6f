"""A vehicle whose disk is really full: a small tmpfs that another program fills."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.private_disk import DiskError, private_disk
from tests.full_disk_vehicle import FULL_S

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> dict[str, Any]:
    """What the vehicle found that lived through it."""
    folder = tmp_path_factory.mktemp("disk")
    try:
        disk = private_disk(folder, 16 * MIB)
    except (DiskError, OSError) as error:
        pytest.skip(f"this machine gives no disk of its own: {error}")
    try:
        done = subprocess.run(
            [*disk.prefix, sys.executable, "-m", "tests.full_disk_vehicle", str(disk.folder)],
            cwd=repository, env=os.environ | {"PYTHONPATH": str(repository)},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    finally:
        disk.close()
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_full_disk_loses_no_value_and_no_sample_and_needs_no_restart(found: dict[str, Any]) -> None:
    assert found["held_facts"] > 10 * FULL_S / 2, "it was really full"
    assert found["vitals_equal"], found
    assert found["vitals_missing"] <= 1, "one may be on its way at the end"
    assert found["vitals_gap_s"] < 1, "what was held has the time of its making"
    assert found["ecg_equal"], found
    assert found["ecg_ended"] == [found["ecg_samples"]]
    assert (found["ids_twice"], found["numbers_missing"]) == (0, 0)
    assert not found["sensor_failed"]
    assert found["back_after_s"] < 5


def test_full_disk_is_told_and_what_the_crew_taps_is_refused(found: dict[str, Any]) -> None:
    assert found["check_while_full"]["ok"] is False
    assert "full" in found["check_while_full"]["text"]
    assert found["note"] == "refused"


def test_full_disk_takes_the_oldest_video_first_and_leaves_receipts(found: dict[str, Any]) -> None:
    assert found["oldest_gone_after_s"] < 5
    assert found["recording_while_full"] == "disk"
    assert found["video_said"] == ["started", "paused", "resumed", "ended"]
    assert {reason for reason, _ in found["video_deleted"]} == {"room"}
    assert sum(number for _, number in found["video_deleted"]) >= 3
    assert found["segments_play"]
    assert min(found["segments_play"]) > 0


def test_full_disk_at_the_start_keeps_no_agent_from_starting(found: dict[str, Any]) -> None:
    assert found["starts_while_full"] == "ended"
