"""The crew of a scripted call: a real vehicle's agent, and its tablet."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from playwright.async_api import Page, expect

from onboard.service import serve
from onboard.settings import Broker as BrokerTable
from onboard.settings import Settings
from streams.credentials import credential_path
from tests.call_pages import WAIT_MS, shows
from tests.hub_town import REGION, Town
from tests.vehicle_town import talking_to

UNIT = "unit-1"
ENTRIES = """(rows) => rows.map((row) =>
  row.querySelector(".timeline-text").firstChild.textContent.trim()).reverse()"""


class Crew:
    """The crew at its tablet."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.timeline = page.locator(".timeline")

    async def is_sent(self, address: str) -> None:
        """See where to go."""
        await shows(self.page.locator(".address"), address)

    async def begins_the_run(self) -> None:
        """Tap that it goes."""
        await self.page.locator(".main.run-button").click(timeout=WAIT_MS)
        await expect(self.page.locator(".stamp.main")).to_be_visible(timeout=WAIT_MS)

    async def stamps(self, stage: str) -> None:
        """Tap where it is now."""
        await self.page.locator(".stamp.main", has_text=stage).click(timeout=WAIT_MS)
        await expect(self.page.locator(".stamp.stamped", has_text=stage)).to_be_visible(
            timeout=WAIT_MS
        )

    async def reads(self, text: str) -> None:
        """Read in the timeline what was said, done or noted."""
        await shows(self.timeline, text)

    async def entries(self) -> list[str]:
        """Return the timeline, the oldest first, without times and sources."""
        found: list[str] = await self.timeline.locator(".timeline-row").evaluate_all(ENTRIES)
        return found


@contextlib.asynccontextmanager
async def a_vehicle(town: Town) -> AsyncIterator[str]:
    """Run a vehicle's agent at the town's broker; gives the address of its tablet."""
    ends, credentials = town.broker.endpoints, Path(town.broker.endpoints.credentials)
    crew = town.issue("crew-1", "seat", at=UNIT)
    settings = Settings(
        name=UNIT, label="Ambulance 1", region=REGION, state=str(town.state / UNIT),
        credential=str(credential_path(credentials, UNIT)), authority=str(ends.ca_path),
        roster=str(credentials), broker=BrokerTable(host=ends.host, port=ends.mqtt_port),
    )  # fmt: skip
    agent = asyncio.create_task(serve(settings), name="vehicle")
    try:
        async with talking_to(settings, crew.token) as vehicle:
            yield f"{vehicle.url}/?key={crew.token}"
    finally:
        agent.cancel()
        await asyncio.wait({agent})
        if not agent.cancelled() and (error := agent.exception()) is not None:
            raise error
