"""Reading the protocols: ours, and an operator's over them.

One TOML file is one protocol; ``sources.toml`` beside them lists the guidelines they rest on. An
operator's own folder has the same shape: a protocol of the same ``id`` there replaces ours, others
are added, and so are its sources. A fault stops the start: it names file, step and field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from dispatch.guidance.completeness import faults
from dispatch.guidance.protocol import Library, Protocol, Source
from streams.errors import ConfigError

SOURCES_FILE: Final = "sources.toml"

Table = TypeVar("Table", bound=msgspec.Struct)


class _SourceFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    source: tuple[Source, ...]


def load(folder: Path | None = None, *, switches: Iterable[str] = ()) -> Library:
    """Read our protocols, and those of an operator's folder over them.

    Args:
        folder: The operator's; None for none.
        switches: See ``Library``.

    Raises:
        ConfigError: A file cannot be read, or is faulty: names file, step, field and what to do.
    """
    protocols: dict[str, Protocol] = {}
    sources: dict[str, Source] = {}
    files: dict[str, str] = {}
    folders: list[Traversable] = [resources.files("dispatch.guidance").joinpath("protocols")]
    if folder is not None:
        if not folder.is_dir():
            raise ConfigError(f"{folder}: no folder of protocols is there")
        folders.append(folder)
    for one in folders:
        sources |= _sources(one)
        read = dict(_protocols(one))
        protocols |= {protocol.id: protocol for protocol in read.values()}
        _check_once(read)
        files |= {protocol.id: file for file, protocol in read.items()}
    library = Library(protocols, sources, frozenset(switches), files)
    found = faults(library)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ConfigError(f"{found[0]}{more}")
    return library


def read(text: str, file: str) -> Protocol:
    """Read one protocol; what it is to others is not looked at.

    Args:
        text: The file.
        file: Its name, for errors.

    Raises:
        ConfigError: It is no TOML, a field is unknown, missing or of the wrong type.
    """
    return _decode(text, file, Protocol)


def _decode(text: str, file: str, kind: type[Table]) -> Table:
    try:
        return msgspec.toml.decode(text, type=kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        raise ConfigError(f"{file}: {_named(text, where.strip('.`'))}{what}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from error


def _named(text: str, where: str) -> str:
    """Return in words where a fault is: ``step[3].to`` is told by the step's own name."""
    if not where:
        return ""
    numbered = re.match(r"(step|source)\[(\d+)\]\.?(.*)", where)
    if numbered is None:
        return f"{where}: "
    table, number, field = numbered[1], int(numbered[2]), numbered[3]
    name = msgspec.toml.decode(text)[table][number].get("id", f"number {number + 1}")
    return f"{table} {name!r}{f', {field}' if field else ''}: "


def _text_of(file: Traversable) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read ({error})") from error


def _sources(folder: Traversable) -> dict[str, Source]:
    file = folder.joinpath(SOURCES_FILE)
    if not file.is_file():
        return {}
    return {one.id: one for one in _decode(_text_of(file), str(file), _SourceFile).source}


def _protocols(folder: Traversable) -> Iterator[tuple[str, Protocol]]:
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if file.name.endswith(".toml") and file.name != SOURCES_FILE:
            yield str(file), read(_text_of(file), str(file))


def _check_once(read_ones: Mapping[str, Protocol]) -> None:
    seen: dict[str, str] = {}
    for file, protocol in read_ones.items():
        if protocol.id in seen:
            raise ConfigError(
                f"{file}: id: {protocol.id!r} is that of {seen[protocol.id]} too: give it another"
            )
        seen[protocol.id] = file
