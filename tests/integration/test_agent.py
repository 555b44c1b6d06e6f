"""The vehicle's agent against a real broker and a hub that speaks the real protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import numpy as np
import pytest

from onboard.sensors.settings import RouteSettings, Waypoint
from onboard.service import serve
from onboard.settings import Settings
from streams.authority import client_context
from streams.codec import open_body
from streams.credentials import issue
from streams.ecg_block import decode_frame
from streams.messages import (
    CaseNote,
    EcgEnded,
    EcgRecord,
    EcgStarted,
    Envelope,
    Milestone,
    Position,
    PreAlert,
    SensorState,
    Track,
)
from tests.vehicle_town import (
    BOUND_S,
    RECORD_RATE,
    RECORD_SAMPLES,
    REGION,
    StandInHub,
    Started,
    Town,
    begin_run,
    body_of,
    replay,
    running,
    talking_to,
    town,
    write_record,
)

GPS = RouteSettings(
    name="gps",
    waypoints=(
        Waypoint(latitude_deg=31.21, longitude_deg=121.46),
        Waypoint(latitude_deg=31.23, longitude_deg=121.48),
    ),
)
PROGRAM = "import sys; from onboard.command import command; sys.exit(command(sys.argv[1:]))"


def recordings(hub: StandInHub) -> dict[str, np.ndarray]:
    """Put together what the hub has of each recording; a hole or a repeat is an error."""
    found: dict[str, list[np.ndarray]] = {}
    setups = {}
    for fact in hub.of("ecg_started"):
        setup = open_body(fact, EcgStarted).setup
        setups[setup.setup_id] = setup
        found[setup.setup_id] = []
    for fact in hub.of("ecg_record"):
        body = open_body(fact, EcgRecord)
        for data in body.frames:
            frame = decode_frame(setups[body.setup_id], data)
            known = found[body.setup_id]
            assert frame.first_sample == sum(map(len, known))
            known.append(frame.samples)
    return {name: np.concatenate(parts) for name, parts in found.items() if parts}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Town]:
    async with town(tmp_path) as found:
        yield found


async def test_agent_run_reaches_the_hub_and_its_word_comes_back(site: Town, wait_for: Any) -> None:
    async with running(site) as started:
        hub, vehicle = started.hub, started.vehicle
        case = await begin_run(started, wait_for)
        await vehicle.act("milestone", stage="on_scene")
        await vehicle.act("pre_alert", pathway="stemi", age_years=60, sex="male")
        await wait_for(lambda: hub.of("pre_alert"), "the alert at the hub")
        alert = hub.of("pre_alert")[0]
        assert (alert.case, alert.patient) == (case, "1")
        assert body_of(alert) == PreAlert(pathway="stemi", severity="red", age_years=60, sex="male")

        async def way() -> str:
            return str((await vehicle.state())["case"]["alerts"][0]["delivery"])

        async def is_delivered() -> bool:
            return await way() == "delivered"

        async def is_seen() -> bool:
            return await way() == "seen"

        await wait_for(is_delivered, "the alert shown as delivered")
        hub.acknowledge(case)
        await wait_for(is_seen, "the alert shown as seen")
        await vehicle.act("end_run")
        await wait_for(lambda: "run_ended" in hub.kinds(), "the end at the hub")
        await wait_for(lambda: hub.waiting() == 0, "receipts for all case facts")


async def test_agent_impossible_action_is_refused_with_both_names(site: Town) -> None:
    async with running(site) as started:
        status, answer = await started.vehicle.act("start_run")
        assert status == 400
        assert "'start'" in answer["error"]
        assert "'idle'" in answer["error"]
        status, answer = await started.vehicle.act("fly")
        assert status == 400
        assert "fly" in answer["error"]


async def test_agent_recording_arrives_sample_for_sample(
    site: Town, tmp_path: Path, wait_for: Any
) -> None:
    record = write_record(tmp_path)
    async with running(site, sensor=(replay(record, speed=20.0),)) as started:
        case = await begin_run(started, wait_for)
        await wait_for(lambda: started.hub.of("ecg_ended"), "the end of the recording", BOUND_S)
        await wait_for(lambda: recordings(started.hub), "the recording")
        (samples,) = recordings(started.hub).values()
        numbers = np.arange(RECORD_SAMPLES)
        assert np.array_equal(samples, np.stack((numbers, -numbers), axis=1))
        assert {fact.case for fact in started.hub.of("ecg_record")} == {case}
        ended = open_body(started.hub.of("ecg_ended")[0], EcgEnded)
        assert ended.samples == RECORD_SAMPLES


async def test_agent_without_a_broker_records_and_catches_up(
    site: Town, tmp_path: Path, wait_for: Any
) -> None:
    await site.broker.stop()
    record = write_record(tmp_path)
    sensors = (replay(record, speed=20.0),)
    async with running(site, sensor=sensors, start="agent") as started:
        assert not await started.vehicle.shows(link__connected=True)

        async def is_recorded() -> bool:
            sensor = (await started.vehicle.state())["sensors"][0]
            return bool(sensor["state"] == "ended")

        await wait_for(is_recorded, "the recording's end on board")
        assert (await started.vehicle.state())["link"]["waiting"] >= 7
        await site.broker.start()
        await wait_for(lambda: started.hub.of("ecg_ended"), "what waited, at the hub", 30)
        await wait_for(lambda: recordings(started.hub), "the recording")
        (samples,) = recordings(started.hub).values()
        assert len(samples) == RECORD_SAMPLES
        assert {(fact.case, fact.patient) for fact in started.hub.facts} == {(None, None)}

        async def all_delivered() -> bool:
            return bool((await started.vehicle.state())["link"]["waiting"] == 0)

        await wait_for(all_delivered, "receipts for all")


def write_settings(settings: Settings, path: Path) -> Path:
    """Write settings as a TOML file, which knows no None."""

    def without_none(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without_none(one) for key, one in value.items() if one is not None}
        return [without_none(one) for one in value] if isinstance(value, list) else value

    path.write_bytes(msgspec.toml.encode(without_none(msgspec.to_builtins(settings))))
    return path


@contextlib.asynccontextmanager
async def process(config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `forerun onboard` as a process of its own."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, "--config", str(config),
        stderr=asyncio.subprocess.DEVNULL, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.kill()
        await started.wait()


async def test_agent_killed_in_a_run_goes_on_and_loses_nothing(
    site: Town, tmp_path: Path, wait_for: Any
) -> None:
    record = write_record(tmp_path, samples=60_000)
    settings = site.with_settings(sensor=(replay(record, speed=5.0),))
    config, hub = write_settings(settings, tmp_path / "unit.toml"), site.hub
    async with process(config) as first:
        async with talking_to(settings, site.crew.token) as vehicle:
            started = Started(site, settings, vehicle)
            case = await begin_run(started, wait_for)
            await vehicle.act("milestone", stage="on_scene")
            await wait_for(lambda: len(hub.of("ecg_record")) >= 2, "two records", BOUND_S)
            hub.answering = False  # what is made now has no receipt when the process dies
            await vehicle.act("note", text="made just before the end")
        os.kill(first.pid, signal.SIGKILL)
        await first.wait()
    hub.answering = True
    (Path(settings.state) / "ready.json").unlink()
    async with process(config) as second, talking_to(settings, site.crew.token) as vehicle:
        assert await vehicle.shows(run__state="running", case__id=case)
        stamps = (await vehicle.state())["case"]["stamps"]
        assert "on_scene" in stamps
        await wait_for(lambda: hub.of("case_note"), "the note made before the end", BOUND_S)
        await wait_for(lambda: len(hub.of("ecg_started")) == 2, "a second recording", BOUND_S)
        await wait_for(lambda: hub.of("ecg_ended"), "the end of the first", BOUND_S)
        await wait_for(lambda: len(recordings(hub)) == 2, "samples of the second", BOUND_S)
        await vehicle.act("end_run")
        await wait_for(lambda: len(hub.of("ecg_ended")) == 2, "the end of the second", BOUND_S)
        second.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(second.wait(), 10) == 0
    assert not (Path(settings.state) / "ready.json").exists()
    found = recordings(hub)
    expected = {open_body(fact, EcgEnded).setup_id: open_body(fact, EcgEnded).samples
                for fact in hub.of("ecg_ended")}  # fmt: skip
    assert {name: len(samples) for name, samples in found.items()} == expected
    for samples in found.values():
        assert np.array_equal(samples[:, 0], np.arange(len(samples)) % 30_000)
    ids = [fact.id for fact in hub.facts]
    assert len(ids) == len(set(ids))


async def test_agent_failing_sensor_disturbs_no_other(
    site: Town, tmp_path: Path, wait_for: Any
) -> None:
    sensors = (replay(tmp_path / "nothing", "broken"), replay(write_record(tmp_path), speed=20.0))
    async with running(site, sensor=sensors) as started:
        await begin_run(started, wait_for)
        await wait_for(lambda: started.hub.of("ecg_ended"), "the other's recording", BOUND_S)
        states = [open_body(fact, SensorState) for fact in started.hub.of("sensor_state")]
        failed = [state for state in states if state.state == "failed"]
        assert [state.sensor for state in failed] == ["broken"]
        assert "nothing" in (failed[0].reason or "")
        shown = {one["name"]: one["state"] for one in (await started.vehicle.state())["sensors"]}
        assert shown["broken"] == "failed"


async def test_agent_replay_at_full_speed_waits_for_the_hub(
    site: Town, tmp_path: Path, wait_for: Any
) -> None:
    record = write_record(tmp_path, samples=RECORD_RATE * 120)
    site.hub.answering = False
    limit = 10
    changes = {"sensor": (replay(record, speed=0.0),), "unsent_replay_facts": limit}
    async with running(site, **changes) as started:
        hub, vehicle = started.hub, started.vehicle
        await begin_run(started, wait_for)

        async def is_full() -> bool:
            return bool((await vehicle.state())["link"]["waiting"] > limit)

        await wait_for(is_full, "the limit")
        waiting = (await vehicle.state())["link"]["waiting"]
        assert waiting <= limit + 3
        hub.answering = True
        await wait_for(lambda: hub.of("ecg_ended"), "the whole recording", 40)
        (samples,) = recordings(hub).values()
        assert len(samples) == RECORD_RATE * 120


async def test_agent_repeated_case_facts_are_shown_once_and_answered(
    site: Town, wait_for: Any
) -> None:
    async with running(site) as started:
        hub = started.hub
        case = hub.call()
        note = hub.tell(case, "case_note", CaseNote(text="dog in the yard", at_ns=hub.now_ns()))
        hub.forward(note)
        await wait_for(lambda: hub.waiting() == 0, "receipts for all")
        lines = (await started.vehicle.state())["case"]["timeline"]
        assert [line["id"] for line in lines].count(note.id) == 1


async def test_agent_refused_fact_is_told_to_the_crew(site: Town, wait_for: Any) -> None:
    site.hub.refuse = {"pre_alert"}
    async with running(site) as started:
        await begin_run(started, wait_for)
        await started.vehicle.act("pre_alert", pathway="stroke")

        async def is_refused() -> bool:
            alert = (await started.vehicle.state())["case"]["alerts"][0]
            return bool(alert["delivery"] == "refused" and "unit" in alert["refusal"])

        await wait_for(is_refused, "the refusal on the tablet")
        assert not site.hub.of("pre_alert"), "the hub has not stored it"
        (alert,) = (await started.vehicle.state())["case"]["alerts"]
        assert (alert["pathway"], alert["delivery"]) == ("stroke", "refused")


async def test_agent_clock_that_is_wrong_is_known_and_told(site: Town, wait_for: Any) -> None:
    ahead_ns = 412 * 1_000_000_000
    site.hub.clock_offset_ns = ahead_ns
    async with running(site) as started:
        await wait_for(lambda: len(site.hub.heard["time_request"]) >= 3, "three comparisons")
        await begin_run(started, wait_for)
        await started.vehicle.act("milestone", stage="on_scene")
        await wait_for(lambda: site.hub.of("milestone"), "the stamp")
        fact = site.hub.of("milestone")[0]
        assert fact.offset_ns == pytest.approx(ahead_ns, abs=500_000_000)
        shown = (await started.vehicle.state())["case"]["stamps"]["on_scene"]["at_ms"]
        stamp = open_body(fact, Milestone)
        assert shown == pytest.approx((stamp.at_ns + ahead_ns) / 1e6, abs=1000)


async def test_agent_position_streams_before_the_run_and_the_track_is_kept(
    site: Town, wait_for: Any
) -> None:
    async with running(site, sensor=(GPS,), always=("gps",)) as started:
        hub = started.hub
        await wait_for(lambda: len(hub.heard["position"]) >= 2, "positions without a case")
        assert isinstance(body_of(hub.heard["position"][0]), Position)
        assert hub.heard["position"][0].origin == "synthetic"
        case = await begin_run(started, wait_for)
        await wait_for(lambda: hub.of("track"), "the track before the run")

        def of_the_case() -> int:
            return sum(one.case == case for one in hub.heard["position"])

        # The first may have been measured before the run began, and belongs to the track before.
        await wait_for(lambda: of_the_case() >= 2, "positions of the case")
        await started.vehicle.act("end_run")
        await wait_for(lambda: any(fact.case == case for fact in hub.of("track")), "its track")
        before, during = (
            [fact for fact in hub.of("track") if (fact.case is None) == unassigned]
            for unassigned in (True, False)
        )
        times = [one.measured_ns for fact in (*before, *during) for one in _track(fact)]
        assert times == sorted(set(times))


def _track(fact: Envelope) -> list[Position]:
    return open_body(fact, Track).positions


async def test_agent_action_is_in_the_audit_log_with_who_asked_for_it(
    site: Town, wait_for: Any
) -> None:
    async with running(site) as started:
        assert (await started.vehicle.act("start_run"))[0] == 400
        case = await begin_run(started, wait_for)
        async with started.vehicle.http.ws_connect(started.vehicle.url + "/ws") as socket:
            note = {"type": "action", "request": 1, "action": "note", "text": "door code 4711"}
            await socket.send_json(note)
            await wait_for(lambda: started.hub.of("case_note"), "the note")
    with contextlib.closing(sqlite3.connect(started.settings.folder / "logbook.sqlite")) as log:
        reads = log.execute("SELECT who, case_id, what FROM reads").fetchall()
    who = site.crew.name
    assert reads.index((who, "", "action start_run")) < reads.index((who, case, "shown"))
    for what in ("action start_run", "action note"):
        assert (who, case, what) in reads


async def test_agent_stranger_sees_nothing(site: Town) -> None:
    other = issue(Path(site.settings.roster), "er-desk", "seat", REGION, place="first-hospital")
    async with running(site) as started:
        bearer = {"Authorization": f"Bearer {other.token}"}
        async with started.vehicle.http.get(f"{started.vehicle.url}/", headers=bearer) as answer:
            assert answer.status == 401
            assert "no seat at unit-1" in await answer.text()
        trust = aiohttp.TCPConnector(ssl=client_context(Path(started.settings.authority)))
        async with aiohttp.ClientSession(connector=trust) as http:
            for path in ("/", "/api/state", "/ws"):
                async with http.get(started.vehicle.url + path) as answer:
                    assert answer.status == 401, path
            async with http.get(started.vehicle.url + "/healthz") as answer:
                assert answer.status == 200
                assert json.loads(await answer.text())["ok"] is True
            async with http.get(started.vehicle.url + "/metrics") as answer:
                assert "forerun_outbox_waiting" in await answer.text()


async def test_agent_page_gets_a_snapshot_patches_and_answers_to_its_own_requests(
    site: Town,
) -> None:
    async with (
        running(site) as started,
        started.vehicle.http.ws_connect(started.vehicle.url + "/ws") as socket,
    ):

        async def heard(kind: str) -> dict[str, Any]:
            async with asyncio.timeout(10):
                while (message := await socket.receive_json())["type"] != kind:
                    pass
            found: dict[str, Any] = message
            return found

        snapshot = await heard("snapshot")
        assert snapshot["run"]["state"] == "idle"
        await socket.send_json({"type": "action", "request": "r1", "action": "start_run"})
        answer = await heard("answer")
        assert (answer["request"], answer["ok"]) == ("r1", False)
        assert "'start'" in answer["error"]
        await socket.send_str("no json")
        assert "JSON" in (await heard("error"))["error"]
        started.hub.call()
        while "run" not in (patch := await heard("patch")) or patch["run"]["state"] == "idle":
            pass
        assert patch["case"]["address"] == "12 Long Street"


async def test_agent_second_one_in_the_same_folder_is_refused(site: Town) -> None:
    async with running(site) as started:
        with pytest.raises(Exception, match="another agent runs here"):
            await serve(started.settings)
