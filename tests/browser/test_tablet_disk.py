"""The tablet while the vehicle's disk is full, and while it keeps video: said, and in words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from onboard.settings import CameraTable
from streams.codec import open_body
from streams.errors import StorageError
from streams.messages import Envelope, Milestone
from streams.outbox import Outbox
from streams.video_messages import VideoRecording
from tests.browser.test_tablet import begin_run, has_text, open_tablet
from tests.vehicle_town import UNIT, Started, replay, running, town, write_record

CAMERA = CameraTable(
    source="synthetic", origin="synthetic", width=160, height=120, fps=10, sound=False, record=True
)


@pytest.fixture
async def started(tmp_path: Path) -> AsyncIterator[Started]:
    """A vehicle with a recorded ECG and a drawn picture, ready for a call."""
    record = write_record(tmp_path, samples=120_000)
    async with town(tmp_path) as site:
        changes = {"sensor": (replay(record),), "camera": CAMERA, "hub": "https://127.0.0.1:9"}
        async with running(site, **changes) as found:
            yield found


def fill(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the vehicle's disk refuse every fact; the hub's own takes them."""
    add_all = Outbox.add_all

    def full(self: Outbox, *arguments: Any) -> Any:
        if self.source == UNIT:
            raise StorageError("database or disk is full")
        return add_all(self, *arguments)

    monkeypatch.setattr(Outbox, "add_all", full)


def stamps(started: Started) -> list[Envelope]:
    return [one for one in started.hub.facts if one.kind == "milestone"]


async def test_tablet_full_disk_is_told_a_tap_is_refused_in_words_and_room_ends_it(  # noqa: PLR0917 - fixtures
    started: Started,
    open_page: Any,
    until: Any,
    screenshot: Any,
    wait_for: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = await open_tablet(open_page, started)
    await begin_run(page, started, until)
    with monkeypatch.context() as patch:
        fill(patch)
        await until(page, "!!document.querySelector('.disk-note.full')")
        words = await page.inner_text(".disk-note")
        assert "full since" in words
        assert "radio" in words
        assert "Everything is delivered" not in await page.inner_text(".strip")
        await page.click(".stamp.main")
        await until(page, has_text(".problem", "disk is full"))
        await screenshot(page, "tablet-disk-full")
    await until(page, "!document.querySelector('.disk-note.full')")
    await page.click(".problem button")
    await page.click(".stamp.main")
    await wait_for(lambda: stamps(started), "the stamp at the hub")
    assert [open_body(one, Milestone).stage for one in stamps(started)] == ["en_route"]


async def test_tablet_crew_has_the_case_recorded_and_stops_it(
    started: Started, open_page: Any, until: Any, screenshot: Any, wait_for: Any
) -> None:
    page = await open_tablet(open_page, started)
    await begin_run(page, started, until)
    await page.keyboard.press("2")
    await until(page, has_text(".card.camera", "Not recorded"))
    await page.click(".card.camera button:text('Record')")
    await until(page, has_text(".card.camera", "Recording on board"))
    await until(page, has_text(".timeline", "recorded on board"))
    await screenshot(page, "tablet-recording")
    await page.click(".card.camera button:text('Stop recording')")
    await until(page, has_text(".card.camera", "Not recorded"))

    def said() -> list[str]:
        facts = [one for one in started.hub.facts if one.kind == "video_recording"]
        return [open_body(one, VideoRecording).state for one in facts]

    await wait_for(lambda: len(said()) >= 2, "the crew's word at the hub")
    assert said() == ["started", "stopped"]
