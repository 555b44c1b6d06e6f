"""The rigs of the contract test, one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from streams.broker import Broker, BrokerSettings, Ports, credentials_directory
from streams.credentials import Roster, issue
from tests.contract.transport_rigs import RIGS, MemoryRig, Rig, WebRtcRig


@pytest.fixture(params=RIGS)
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    """A rig, its other side started."""
    make, name, role = RIGS[request.param]
    directory = credentials_directory(tmp_path)
    sender = issue(directory, name, role, "north")
    credentials = {
        "sender": sender,
        "reader": issue(directory, "hub-north", "hub", "north"),
        "neighbour": issue(directory, make.foreign_topic.split("/")[2], role, "north"),
        "stranger": msgspec.structs.replace(sender, secret="not-the-secret"),
    }
    if make is MemoryRig:
        yield MemoryRig(credentials)
        return
    if make is WebRtcRig:
        async with WebRtcRig(credentials, tmp_path / "authority", Roster(directory)) as webrtc:
            yield webrtc
        return
    settings = BrokerSettings(ports=Ports(0, 0, 0, 0, 0, 0))
    async with Broker(settings, tmp_path) as broker:
        yield make(credentials, broker)
