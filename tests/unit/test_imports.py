"""The import direction of the packages (style.md, shape 1), read from the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MAY_IMPORT = {
    "streams": set[str](),
    "onboard": {"streams"},
    "dispatch": {"streams"},
    "hospital_gateway": {"streams"},
    "bench": {"streams", "onboard", "dispatch", "hospital_gateway"},
}


def imports_of(source: str) -> Iterator[tuple[int, str]]:
    """Yields (line, top-level package) for every import, wherever in the file it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            # A relative import stays in its package.
            yield node.lineno, (node.module or "").split(".")[0] if node.level == 0 else ""
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute | ast.Name)
            and (getattr(node.func, "attr", None) or getattr(node.func, "id", None))
            in {"import_module", "__import__"}
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.lineno, str(node.args[0].value).split(".")[0]


def crossings(package: str, source: str) -> list[tuple[int, str]]:
    """Returns the imports of a source file that its package may not have."""
    forbidden = (set(MAY_IMPORT) | {"tests"}) - MAY_IMPORT[package] - {package}
    return [(line, name) for line, name in imports_of(source) if name in forbidden]


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_package_imports_only_what_the_direction_allows(package: str) -> None:
    files = sorted((REPOSITORY / package).rglob("*.py"))
    assert files, f"no package {package}"
    found = [
        f"{file.relative_to(REPOSITORY)}:{line} imports {name}"
        for file in files
        for line, name in crossings(package, file.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("streams", "import onboard"),
        ("onboard", "def f():\n    from dispatch.relay import Relay"),
        ("dispatch", "import importlib\nimportlib.import_module('hospital_gateway.server')"),
        ("hospital_gateway", "from bench import city"),
        ("bench", "import tests.conftest"),
    ],
)
def test_import_against_the_direction_is_found(package: str, source: str) -> None:
    assert crossings(package, source)


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("onboard", "from streams.codec import encode\nfrom . import link\nimport aiohttp"),
        ("bench", "import onboard, dispatch, hospital_gateway, streams"),
    ],
)
def test_import_along_the_direction_is_let_through(package: str, source: str) -> None:
    assert not crossings(package, source)
