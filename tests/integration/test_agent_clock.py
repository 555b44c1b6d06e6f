"""The agent's clock against a real broker: off by 412 s, and known after a kill and a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from streams.codec import open_body
from streams.link_messages import ClockState
from tests.vehicle_town import Town, running, town

SECOND_NS = 1_000_000_000
AHEAD_NS = 412 * SECOND_NS


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Town]:
    async with town(tmp_path) as found:
        yield found


async def test_agent_whose_clock_is_off_tells_by_how_much_and_knows_it_after_a_restart(
    site: Town, wait_for: Any
) -> None:
    site.hub.clock_offset_ns = AHEAD_NS
    async with running(site):
        await wait_for(lambda: site.hub.of("clock_state"), "the fact about the clock")
        state = open_body(site.hub.of("clock_state")[0], ClockState)
        assert state.offset_ns == pytest.approx(AHEAD_NS, abs=SECOND_NS)
    answered = len(site.hub.heard["time_request"])
    async with running(site):
        await wait_for(lambda: len(site.hub.heard["time_request"]) > answered, "a new life")
        first = site.hub.heard["time_request"][answered]
        assert first.offset_ns == pytest.approx(AHEAD_NS, abs=SECOND_NS), "before any answer"
        assert first.boot == site.hub.heard["time_request"][0].boot
