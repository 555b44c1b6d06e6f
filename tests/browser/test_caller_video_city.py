"""A caller on video, seen by seat, crew and hospital of a real city; then on no disk of it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from bench.city import HUB, build
from bench.running_city import Played, RunningCity, running
from bench.stage import Stage
from dispatch.caller_link import LinkSeal
from dispatch.packet_tap import PacketTap
from streams.caller_video import CAMERA, resource_of
from streams.webrtc import PeerConnection, PeerSettings, Signalling, close_peer, connect_peer
from tests.browser.conftest import FindFaults, OpenPage, TakeScreenshot, Until
from tests.waiting import until as wait_until

CITY_S = 60.0
"""How long a picture may take while all services of a city share this machine."""

ENDED = ("403", "404", "409", "Failed to load resource")
SEARCHED, PIECE = 120, 32
"""Packets of which a piece is searched for on the disks, and its bytes."""

PICTURES = (b"RIFF", b"\x89PNG", b"\xff\xd8\xff", b"\x1aE\xdf\xa3", b"DKIF", b"OggS", b"GIF8")
"""How files of pictures, videos and sound begin."""


Look = Callable[[Page, str], Awaitable[None]]
"""Saves a screenshot of a page, and finds no serious fault of accessibility on it."""

IMAGE = """async () => {
  const shown = await fetch(document.querySelector(".shown img").src);
  return [...new Uint8Array(await shown.arrayBuffer())];
}"""


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[RunningCity]:
    """One vehicle, one hospital; what they write as temporary files lies in a folder of its own."""
    temporary = tmp_path / "city" / "temporary"
    temporary.mkdir(parents=True)
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(temporary)
    try:
        starting = running(Stage(tmp_path / "city", build(1, 1, None, None), headless=True))
        found = await starting.__aenter__()
    finally:
        os.environ.pop("TMPDIR")
        if before is not None:
            os.environ["TMPDIR"] = before
    try:
        yield found
    finally:
        await starting.__aexit__(None, None, None)


def files_with(folder: Path, pieces: list[bytes]) -> list[Path]:
    """Return the files below a folder in which any of the pieces stands."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            if any(piece in data for piece in pieces):
                found.append(path)
    return found


def files_of_pictures(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and (path.read_bytes()[:4].startswith(PICTURES))
    ]


class Eavesdropper:
    """A seat's view that keeps pieces of the coded picture, as the hub passes it on."""

    def __init__(self, city: RunningCity, case: str) -> None:
        self.pieces: list[bytes] = []
        url = f"{city.urls[HUB]}/whep/{resource_of(case, CAMERA)}"
        self._signalling = Signalling(url, city.stage.token(HUB), city.client._trust)
        self._peer = PeerConnection(PeerSettings(addresses=("127.0.0.1",)))

    async def __aenter__(self) -> Eavesdropper:
        self._peer.addTransceiver("video", direction="recvonly")
        PacketTap(self._peer, on_rtp=self._keep, on_rtcp=_ignore, on_connected=_nothing)
        await connect_peer(self._peer, self._signalling)
        return self

    async def __aexit__(self, *_: object) -> None:
        await close_peer(self._peer)

    def _keep(self, packet: bytes) -> None:
        if len(packet) > 4 * PIECE and len(self.pieces) < SEARCHED:
            self.pieces.append(packet[-2 * PIECE : -PIECE])


def _ignore(_packet: bytes) -> None:
    """Reports are of no interest."""


def _nothing() -> None:
    """Nor is the moment of the connection."""


async def plays(page: Page, until: Until, frame: str) -> None:
    video = f"document.querySelector('{frame}[data-phase=live] video')"
    await until(page, f"{video}?.videoWidth > 0", timeout_s=CITY_S)
    at = f"document.querySelector('{frame} video').currentTime"
    since = await page.evaluate(at)
    await until(page, f"{at} > {since} + 0.5", timeout_s=CITY_S)


@pytest.fixture
def look(screenshot: TakeScreenshot, axe_faults: FindFaults) -> Look:
    async def see(page: Page, name: str) -> None:
        await screenshot(page, name)
        assert await axe_faults(page) == []

    return see


async def steps(city: RunningCity, case: str) -> list[tuple[str, str]]:
    told = await city.client.get(city.urls[HUB], f"/api/cases/{case}/timeline")
    found: list[dict[str, Any]] = [one["data"] for one in told if one["kind"] == "caller_video"]
    return [(one["step"], one["by"]) for one in found]


async def test_caller_is_seen_by_seat_crew_and_hospital_and_no_frame_stays_on_any_disk(
    city: RunningCity, open_page: OpenPage, until: Until, look: Look
) -> None:
    played = await city.play(city.stage.city.units[0], city.stage.city.calls[0], acknowledge=False)
    case = played.case
    token = LinkSeal.of(city.stage.state(HUB)).token(case)
    phone = await open_page(f"{city.urls[HUB]}/here/{token}", width=360, height=740, may_log=ENDED)
    console = await open_page(city.page(HUB), width=1920, height=1080, may_log=ENDED)
    tablet = await open_page(city.page(played.unit), width=1280, height=800, may_log=ENDED)
    board = await open_page(
        city.page(played.hospital, f"#/case/{case}"), width=1920, height=1080, may_log=ENDED
    )
    await expect(console.locator("button[data-key=caller-video]")).to_be_visible(timeout=20_000)
    assert await tablet.locator(".caller-video").count() == 0, "nothing is shown, nothing offered"
    await console.keyboard.press("Shift+V")
    await phone.locator(".video .yes").click()
    await plays(console, until, ".caller-picture")

    await tablet.locator(".caller-video button").click(timeout=20_000)
    await plays(tablet, until, ".caller-frame")
    await look(tablet, "tablet-caller-video")
    await expect(board.locator(".caller-video")).to_contain_text("acknowledge the patient")
    await _acknowledge(city, played)
    await board.locator(".caller-video button").first.click(timeout=20_000)
    await plays(board, until, ".caller-frame")
    await look(board, "board-caller-video")
    await expect(phone.locator(".video-own")).to_contain_text("The hospital watches too")
    await expect(phone.locator(".video-own")).to_contain_text("The ambulance crew watches too")
    await expect(tablet.locator(".timeline")).to_contain_text("The caller agreed to show video")
    await expect(board.locator(".patient-timeline")).to_contain_text("watches the caller's video")

    async with Eavesdropper(city, case) as heard:
        await wait_until(lambda: len(heard.pieces) >= SEARCHED, "packets of the picture", 60)
    await console.get_by_role("button", name="Show a picture").click()
    image_file = city.stage.folder.parent / "image.png"
    await tablet.screenshot(path=image_file)
    await console.locator(".caller-pictures input").set_input_files(image_file)
    await until(phone, "document.querySelector('.shown img')?.naturalWidth > 0")
    image = bytes(await phone.evaluate(IMAGE))
    pieces = [*heard.pieces, *(image[at : at + PIECE] for at in (1000, len(image) // 2))]
    await console.keyboard.press("Shift+V")
    await expect(phone.locator(".video-own")).to_contain_text("sees your picture")
    await phone.locator(".video .stop").click()
    for page in (tablet, board):
        await expect(page.locator(".caller-frame")).to_have_count(0, timeout=20_000)
    await expect(console.locator(".caller-video[data-phase=withdrawn]")).to_be_visible()
    assert await steps(city, case) == [
        ("asked", "seat"), ("consented", "caller"), ("watched", "unit"), ("watched", "hospital"),
        ("picture_shown", "seat"), ("looked", "seat"), ("withdrawn", "caller"),
    ]  # fmt: skip

    await city.end_run(played)
    await city.client.act(city.urls[HUB], "close_case", case=case, outcome="handed_over")
    assert await city.drained()
    folder = city.stage.folder
    assert files_with(folder, pieces) == [], "of the caller's picture, or of what was shown there"
    assert files_of_pictures(folder) == []
    control = folder / "control"
    for piece in (pieces[0], pieces[-1]):
        control.write_bytes(b"before" + piece + b"after")
        assert files_with(folder, pieces) == [control], "the search finds what is there"


async def _acknowledge(city: RunningCity, played: Played) -> None:
    action = {"action": "acknowledge", "case": played.case, "role": "charge nurse"}
    await city._until_accepted(played.hospital, action)
