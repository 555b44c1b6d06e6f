"""The repository's own rules: no path of one machine, locks without addresses, small files."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from streams import vendor

REPOSITORY = Path(__file__).resolve().parents[2]
LONGEST = 500
TEXT = {".py", ".js", ".css", ".html", ".md", ".toml", ".json", ".lock", ".sh", ".txt", ""}
NOT_A_NOUN = {"utils", "util", "helpers", "helper", "manager", "misc", "common"}
# Written in two halves, so that this file does not find itself.
MACHINE_PATHS = re.compile(r"(?<![\w.~-])/(?:wor" + r"k|ro" + r"ot|ho" + r"me)/[\w.-]")
REGISTRIES = re.compile(
    r"pypi\.o" + r"rg|pythonhost" + r"ed\.org|registry\.npm" + r"js|deb\.deb" + r"ian\.org"
)


def tracked() -> list[Path]:
    """Returns the files that git knows of, or will at the next commit."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a git clone")
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return [
        path for name in done.stdout.split("\n") if name and (path := REPOSITORY / name).is_file()
    ]


def project() -> dict[str, Any]:
    """Returns the table [project] of pyproject.toml, and more."""
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def found_in(files: list[Path], pattern: re.Pattern[str]) -> list[str]:
    """Returns file:line of what matches."""
    return [
        f"{file.relative_to(REPOSITORY)}:{number}: {line.strip()[:120]}"
        for file in files
        if file.suffix in TEXT
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def test_tracked_files_hold_no_path_of_one_machine() -> None:
    assert not found_in(tracked(), MACHINE_PATHS)


def test_tracked_files_name_no_package_registry() -> None:
    assert not found_in(tracked(), REGISTRIES)


def test_locks_hold_no_address() -> None:
    locks = [file for file in tracked() if file.name.endswith((".lock", "-lock.json"))]
    names = {file.name for file in locks}
    assert {"demo.lock", "dev.lock", "npm.lock", "package-lock.json"} <= names
    assert not found_in(locks, re.compile(r"[a-z]+://|index-url|find-links"))


def test_locks_pin_every_package_by_hash() -> None:
    for lock in (REPOSITORY / ".ci").glob("*.lock"):
        pins = re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8").strip())
        assert pins
        assert all("==" in pin.split("\n")[0] and "--hash=sha256:" in pin for pin in pins), lock


def test_dev_lock_pins_the_same_versions_as_the_demo_lock() -> None:
    def pins(name: str) -> set[str]:
        text = (REPOSITORY / ".ci" / name).read_text(encoding="utf-8")
        return {line.rstrip(" \\") for line in text.splitlines() if "==" in line}

    assert pins("demo.lock") <= pins("dev.lock")


def test_locks_name_every_dependency_of_the_project() -> None:
    table = project()["project"]
    extras = table["optional-dependencies"]
    installed = ("demo", "bench", "speech", "dev")
    wanted = [*table["dependencies"], *(one for extra in installed for one in extras[extra])]
    locked = (REPOSITORY / ".ci" / "dev.lock").read_text(encoding="utf-8").lower()
    names = [re.split(r"[\[<>=~! ;]", one)[0].lower().replace("_", "-") for one in wanted]
    missing = [name for name in names if f"\n{name}==" not in f"\n{locked}"]
    assert not missing, f"run `make lock`: {missing}"


def test_browser_libraries_are_pinned_exactly_and_by_hash() -> None:
    static = REPOSITORY / "streams" / "static"
    manifest = json.loads((static / "package.json").read_text(encoding="utf-8"))
    locked = json.loads((static / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    wanted = manifest["dependencies"] | manifest["devDependencies"]
    for name, version in wanted.items():
        package = locked[f"node_modules/{name}"]
        assert package["version"] == version
        assert package["integrity"].startswith("sha512-")
    assert all("resolved" not in package for package in locked.values())


def test_build_hook_asks_for_the_same_npm_as_the_makefile(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = vendor.VendorHook.__new__(vendor.VendorHook)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert hook.dependencies() == project()["dependency-groups"]["npm"]


def test_bare_imports_of_vendored_modules_become_neighbours() -> None:
    text = 'import{h as n}from"preact";export*from"@preact/signals-core";import x from"./own.js";'
    assert vendor.rewrite_imports(text) == (
        'import{h as n}from"./preact.js";export*from"./signals_core.js";import x from"./own.js";'
    )


def test_wheel_carries_pages_and_browser_libraries(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q",
         "--disable-pip-version-check", "-w", str(tmp_path), str(REPOSITORY)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("forerun-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    libraries = {f"streams/static/vendor/{file}" for _, file in vendor.MODULES.values()}
    assert libraries | {"streams/static/vendor/leaflet.css", "streams/static/view.js"} <= names
    assert not {name for name in names if "node_modules" in name or name.startswith("tests")}


@pytest.mark.parametrize("name", sorted(project()["project"]["entry-points"]["forerun.commands"]))
def test_entry_point_leads_to_a_command(name: str) -> None:
    target = project()["project"]["entry-points"]["forerun.commands"][name]
    module, _, attribute = target.partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))


def test_readme_map_names_folders_that_exist() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    folders = set(re.findall(r"`([\w/.-]+/)`", readme))
    assert {"streams/", "onboard/", "dispatch/", "hospital_gateway/", "bench/"} <= folders
    assert not [name for name in sorted(folders) if not (REPOSITORY / name).is_dir()]


def test_source_files_stay_small() -> None:
    long = [
        f"{file.relative_to(REPOSITORY)}: {lines} lines"
        for file in tracked()
        if file.suffix in {".py", ".js", ".css", ".html"}
        and (lines := file.read_text(encoding="utf-8").count("\n")) > LONGEST
    ]
    assert not long, f"split what holds two ideas: {long}"


def test_source_files_are_named_after_the_domain() -> None:
    sources = [file for file in tracked() if file.suffix in {".py", ".js"}]
    assert not [file for file in sources if NOT_A_NOUN & set(re.split(r"[_.-]", file.stem.lower()))]


def test_ci_script_runs_make_check() -> None:
    script = REPOSITORY / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "make check" in script.read_text(encoding="utf-8")
