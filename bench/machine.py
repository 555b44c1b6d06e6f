"""What a figure was measured on: the machine, the versions, the commit."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil


def describe_machine() -> dict[str, int | float | str | None]:
    """Return what the figures were measured on: processor, cores, memory, system, load."""
    return {
        "processor": _processor_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_average_1min": round(psutil.getloadavg()[0], 2),
    }


def _processor_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "not known"
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "not known"


def describe_versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of Python, of Forerun with its commit, and of the named packages."""
    versions = {"python": platform.python_version()}
    for package in ("forerun", *packages):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    commit = _git_commit(Path(__file__).parent)
    if commit:
        versions["commit"] = commit
    return versions


def _git_commit(folder: Path) -> str | None:
    """Return the commit of the source, marked when the tree was changed after it; None if none."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
