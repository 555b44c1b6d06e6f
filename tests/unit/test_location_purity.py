"""What reads and judges positions does no I/O: only the geocoder's adapter may."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "dispatch" / "location"
ADAPTERS = {"geocoder.py"}
DOES_IO = {"asyncio", "aiohttp", "aiomqtt", "nats", "socket", "urllib.request", "sqlite3", "time"}


def imports(source: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("name", sorted(file.name for file in PACKAGE.glob("*.py")))
def test_location_module_is_pure_unless_it_is_the_adapter(name: str) -> None:
    source = (PACKAGE / name).read_text(encoding="utf-8")
    found = imports(source) & DOES_IO
    assert found == ({"asyncio"} if name in ADAPTERS else set())
    assert name in ADAPTERS or "async def" not in source
