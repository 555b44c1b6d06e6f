"""The hand-over at the bay as crew and ER do it: tablet, board, and the board's camera."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from playwright.async_api import Page, async_playwright, expect

from tests.bay_town import BayTown, write_beats
from tests.browser.conftest import FLAGS, FindFaults, OpenPage, TakeScreenshot, Until
from tests.hospital_town import Desk
from tests.hub_town import a_town
from tests.vehicle_town import Vehicle

PAINTED = """(() => {
  const canvas = document.querySelector(".patient-ecg canvas.ecg-trace");
  if (!canvas?.width) return 0;
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let painted = 0;
  for (let at = 3; at < data.length; at += 4) painted += data[at] > 0;
  return painted > 3000 ? painted : 0;
})()"""
"""Points of the trace: more than the calibration pulses and the leads' names."""

PICTURE = (1280, 720)
FPS = 30
EACH = 6
"""Pictures that show the same code: 0.2 s, as on the tablet."""


@dataclass
class Bay:
    """The gateway and the vehicle that stands before it, its run over, nobody told of it."""

    town: BayTown
    desk: Desk
    vehicle: Vehicle
    case: str

    @property
    def board(self) -> str:
        return f"{self.desk.url}/?key={self.town.desk.token}"

    @property
    def tablet(self) -> str:
        return f"{self.vehicle.url}/?key={self.town.crew.token}"


@pytest.fixture
async def bay(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[Bay]:
    """Ask for it before ``open_page``: the pages are then looked at before the services end."""
    async with a_town(tmp_path) as town:
        made = BayTown(town, free_port, write_beats)
        async with made.gateway() as desk, made.vehicle(covered=False) as vehicle:
            yield Bay(made, desk, vehicle, await made.run_without_link(vehicle))


async def test_case_is_handed_over_by_the_code_on_the_board(
    bay: Bay,
    open_page: OpenPage,
    screenshot: TakeScreenshot,
    axe_faults: FindFaults,
    until: Until,
) -> None:
    board = await open_page(bay.board, width=1920, height=1080, theme="light")
    tablet = await open_page(bay.tablet, theme="dark")
    await expect(tablet.locator(".bay-link")).to_contain_text("Hand over at the bay")
    await screenshot(tablet, "bay-tablet-call-1280x800")
    await board.keyboard.press("b")
    await board.get_by_role("button", name="Make a code").focus()
    await board.keyboard.press("Enter")
    digits = "".join((await board.locator(".bay-code").inner_text()).split())
    assert len(digits) == 8
    await screenshot(board, "bay-board-code-1920x1080")
    assert not await axe_faults(board)
    await tablet.locator(".bay-link").click()
    for digit in digits:
        await tablet.locator(".bay-keys").get_by_role("button", name=digit, exact=True).click()
    await screenshot(tablet, "bay-tablet-code-1280x800")
    assert not await axe_faults(tablet)
    boxes = await tablet.locator(".view.bay button, .view.bay a.button").all()
    for box in boxes:
        size = await box.bounding_box()
        assert size is not None
        assert min(size["width"], size["height"]) >= 48
    await tablet.get_by_role("button", name="Hand over", exact=True).click()
    await expect(tablet.locator(".bay-progress.done")).to_be_visible(timeout=20_000)
    told = await tablet.locator(".bay-progress .bay-words").inner_text()
    stored = (await bay.vehicle.state())["bay"]["stored"]
    assert f"The ER has {stored} of {stored} facts" in told
    await expect(board.locator(".bay-list")).to_contain_text(f"All {stored} facts are here")
    await screenshot(tablet, "bay-tablet-done-1280x800")
    await screenshot(board, "bay-board-done-1920x1080")
    await tablet.get_by_role("button", name="Hand over once more").click()
    await expect(tablet.locator(".bay-keys")).to_be_visible()
    await board.keyboard.press("Escape")
    await expect(board.locator(".aside")).to_contain_text("dispatch has not confirmed it yet")
    await screenshot(board, "bay-board-card-1920x1080")
    await board.locator(".aside-headline a").click()
    await expect(board.locator(".patient .bay-note")).to_contain_text("not confirmed")
    await until(board, PAINTED)
    await screenshot(board, "bay-board-patient-1920x1080")


async def test_handover_is_worded_in_chinese_too(
    bay: Bay, open_page: OpenPage, screenshot: TakeScreenshot
) -> None:
    board = await open_page(bay.board, language="zh")
    tablet = await open_page(bay.tablet, language="zh")
    await board.locator(".bay-link").click()
    await expect(board.locator("h1")).to_contain_text("入口交接")
    await board.locator(".bay-make").first.click()
    await expect(board.locator(".bay-code")).to_be_visible()
    await tablet.locator(".bay-link").click()
    await expect(tablet.locator(".view.bay")).to_contain_text("在入口交接")
    await screenshot(board, "bay-board-zh-1280x800")
    await screenshot(tablet, "bay-tablet-zh-1280x800")


async def film_of(tablet: Page, folder: Path) -> Path:
    """Film the tablet's QR codes, each once, as a camera before it sees them: MJPEG."""
    canvas = tablet.locator(".qr-cycle canvas")
    count = int(await canvas.get_attribute("data-count") or 0)
    seen: dict[int, Path] = {}
    async with asyncio.timeout(120):
        while len(seen) < count:
            before = int(await canvas.get_attribute("data-index") or 0)
            path = folder / f"{before}.png"
            if before not in seen:
                await tablet.locator(".bay-overlay").screenshot(path=path)
                if int(await canvas.get_attribute("data-index") or 0) == before:
                    seen[before] = path
            await asyncio.sleep(0.02)
    film = folder / "camera.mjpeg"
    with av.open(str(film), "w", format="mjpeg") as output:
        stream = output.add_stream("mjpeg", rate=FPS)
        stream.width, stream.height = PICTURE
        stream.pix_fmt = "yuvj420p"
        stream.options = {"qscale": "4"}
        for number, index in enumerate(sorted(seen)):
            picture = seen_by_a_camera(seen[index])
            for repeat in range(EACH):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts = number * EACH + repeat
                frame.time_base = Fraction(1, FPS)
                output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return film


def seen_by_a_camera(path: Path) -> np.ndarray:
    """The screen held a little askew, not filling the picture, grey and noisy."""
    screen = Image.open(path).convert("RGB").resize((1056, 660), Image.Resampling.BILINEAR)
    turned = screen.rotate(3, expand=True, fillcolor=(60, 60, 60))
    picture = Image.new("RGB", PICTURE, (60, 60, 60))
    picture.paste(turned, ((PICTURE[0] - turned.width) // 2, (PICTURE[1] - turned.height) // 2))
    noise = np.random.default_rng(1).normal(0, 8, (PICTURE[1], PICTURE[0], 3))
    return np.clip(np.asarray(picture) * 0.8 + 20 + noise, 0, 255).astype(np.uint8)


async def test_qr_codes_of_the_tablet_are_read_by_the_boards_camera(
    bay: Bay,
    open_page: OpenPage,
    screenshot: TakeScreenshot,
    chromium_path: str,
    tmp_path: Path,
) -> None:
    tablet = await open_page(bay.tablet)
    await tablet.goto(f"{bay.vehicle.url}/#/bay")
    await tablet.get_by_role("button", name="Show QR codes").click()
    await expect(tablet.locator(".qr-cycle canvas")).to_be_visible()
    await screenshot(tablet, "bay-tablet-qr-1280x800")
    film = await film_of(tablet, tmp_path)
    flags = [*FLAGS, f"--use-file-for-fake-video-capture={film}"]
    async with async_playwright() as playwright:
        camera = await playwright.chromium.launch(executable_path=chromium_path, args=flags)
        context = await camera.new_context(
            ignore_https_errors=True, permissions=["camera"],
            viewport={"width": 1920, "height": 1080},
        )  # fmt: skip
        board = await context.new_page()
        await board.goto(bay.board)
        await board.locator(".bay-link").click()
        await board.get_by_role("button", name="Read with the camera").click()
        await expect(board.locator("[role=status].number")).to_contain_text(
            "QR codes read:", timeout=20_000
        )
        await screenshot(board, "bay-board-camera-1920x1080")
        await expect(board.locator(".bay-done")).to_be_visible(timeout=60_000)
        await screenshot(board, "bay-board-qr-done-1920x1080")
        await board.locator(".bay-done a").click()
        await expect(board.locator(".patient .bay-note")).to_contain_text("not confirmed")
        await camera.close()
    card = (await bay.desk.board())[bay.case]
    assert card["bay"]["way"] == "qr"
    assert card["bay"]["stored"] == card["bay"]["expected"]
    assert card["patients"][0]["pathway"] == "stemi"
    await tablet.get_by_role("button", name="The board says: complete").click()
    await tablet.locator(".bay-overlay").get_by_role("button", name="First Hospital ER").click()
    await expect(tablet.locator(".view.bay")).to_contain_text("Handed over by QR code")
    await screenshot(tablet, "bay-tablet-qr-done-1280x800")
