"""The main job, with every part real: broker, hub, gateways and vehicles as processes."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import wfdb

from bench.city import HUB, build
from bench.client import RefusedError
from bench.ledger import account_facts
from bench.running_city import RunningCity, running
from bench.stage import Stage
from streams.export import export_case
from streams.journal import Journal
from tests.conftest import WaitFor


def records_of(folder: Path) -> list[Path]:
    return sorted(path.with_suffix("") for path in folder.glob("*.hea"))


@pytest.mark.parametrize("folder", ["ecg12", "ecg_rhythm"])
async def test_every_record_reaches_the_er_sample_for_sample(
    tmp_path: Path, shared_data: Path, folder: str, wait_for: WaitFor
) -> None:
    """All records of a set, and one that wfdb refuses, in one run of one ambulance."""
    records = records_of(shared_data / folder)
    bad = tmp_path / "malformed"
    shutil.copy(records[0].with_suffix(".hea"), bad.with_suffix(".hea"))
    text = bad.with_suffix(".hea").read_text()
    first, rest = text.split("\n", 1)
    bad.with_suffix(".hea").write_text(f"{first} 05-May-2020 14:50:55\n{rest}")
    paths = [str(path) for path in (records[0], bad, *records[1:])]
    ecg = {"kind": "wfdb", "name": "ecg", "paths": paths, "speed": 0, "frame_ms": 500}
    stage = small_stage(tmp_path / "city", sensors=(ecg,))
    async with running(stage) as city:
        played = await city.play(stage.city.units[0], stage.city.calls[0], acknowledge=False)

        async def all_ended() -> bool:
            kinds = [line["kind"] for line in await timeline(city, played.case)]
            return kinds.count("ecg_ended") >= len(records)

        await wait_for(all_ended, "every recording at the hub", timeout_s=900)
        await city.end_runs()
        assert await city.drained()
    async with Journal(stage.journal(played.hospital)) as journal:
        summary = await export_case(journal, played.case, tmp_path / "out")
    lines = (tmp_path / "out" / "timeline.jsonl").read_text().splitlines()
    states = [one["body"] for one in map(json.loads, lines) if one["kind"] == "sensor_state"]
    assert any("malformed" in (state.get("reason") or "") for state in states), states
    assert_equal_to_sources(records, tmp_path / "out", summary)


def assert_equal_to_sources(records: list[Path], out: Path, summary: dict[str, Any]) -> None:
    """Each source record is among the exported ones: same samples, units, lead names, rate."""
    exported = [
        wfdb.rdrecord(str(out / one["record"]), physical=False, smooth_frames=False)
        for one in summary["recordings"]
    ]
    assert all(one["missing"] == [] for one in summary["recordings"])
    for path in records:
        source = wfdb.rdrecord(str(path), physical=False, smooth_frames=False)
        twins = [
            one
            for one in exported
            if one.sig_name == source.sig_name
            and one.units == source.units
            and one.fs == source.fs
            and one.adc_gain == source.adc_gain
            and one.baseline == source.baseline
            and all(
                np.array_equal(*pair)
                for pair in zip(one.e_d_signal, source.e_d_signal, strict=True)
            )
        ]
        assert len(twins) == 1, f"{path.name} is not there exactly once"


async def test_case_reaches_the_chosen_hospital_and_no_other(
    tmp_path: Path, wait_for: WaitFor
) -> None:
    """Also after a divert: the old hospital is told to stand down and gets nothing more."""
    stage = small_stage(tmp_path / "city")
    async with running(stage) as city:
        played = await city.play(stage.city.units[0], stage.city.calls[0], acknowledge=True)
        first, second = (one.name for one in stage.city.hospitals)
        assert played.hospital == first
        assert await statuses(city, second) == []
        await city.client.act(
            city.urls[HUB], "choose_hospital", case=played.case, hospital=second, reason="full"
        )

        async def moved() -> bool:
            return (await statuses(city, first), await statuses(city, second)) == (
                ["stood_down"], ["inbound"],
            )  # fmt: skip

        await wait_for(moved, "the case at the second hospital, the first stood down")
        await city.end_runs()
        assert await city.drained()
        outboxes = city.outboxes()
    hospitals = {name: stage.journal(name) for name in (first, second)}
    ledger = await account_facts(stage.journal(HUB), hospitals, outboxes)
    assert (ledger.lost, ledger.misrouted, ledger.duplicated) == (0, 0, 0)


async def test_nonsense_is_refused_with_words_counted_and_stops_nothing(tmp_path: Path) -> None:
    stage = small_stage(tmp_path / "city")
    async with running(stage) as city:
        played = await city.play(stage.city.units[0], stage.city.calls[0], acknowledge=False)
        hub = city.urls[HUB]
        for action, words in (
            ({"action": "choose_hospital", "case": played.case, "hospital": "nowhere"}, "nowhere"),
            ({"action": "assign_unit", "case": played.case, "unit": "unit-99"}, "unit-99"),
            ({"action": "choose_hospital", "case": "x", "hospital": "first-hospital"}, "case"),
            ({"action": "levitate"}, "levitate"),
        ):
            with pytest.raises(RefusedError, match=words):
                await city.client.act(hub, **action)
        async with aiohttp.ClientSession() as stranger:
            answer = await stranger.get(f"{hub}/api/cases", ssl=False)
            assert answer.status == 401
        metrics = await metrics_of(hub)
        assert 'forerun_refused_total{place="web",reason="credential"}' in metrics
        assert [line for line in metrics.splitlines() if "refused_total" in line and "web" in line]
        assert (await city.client.get(hub, f"/api/cases/{played.case}"))["id"] == played.case


def small_stage(folder: Path, sensors: tuple[dict[str, Any], ...] = ()) -> Stage:
    """One vehicle and two hospitals; without recordings unless sensors say so."""
    city = build(1, 2, None, None)
    unit = dataclasses.replace(city.units[0], sensors=sensors)
    return Stage(folder, dataclasses.replace(city, units=(unit,)), headless=True)


async def timeline(city: RunningCity, case: str) -> list[dict[str, Any]]:
    found = await city.client.get(city.urls[HUB], f"/api/cases/{case}/timeline")
    return list(found["timeline"] if isinstance(found, dict) else found)


async def statuses(city: RunningCity, hospital: str) -> list[str]:
    board = await city.client.get(city.urls[hospital], "/api/board")
    return [case["card"]["status"] for case in board["cases"]]


async def metrics_of(url: str) -> str:
    async with aiohttp.ClientSession() as session:
        answer = await session.get(f"{url}/metrics", ssl=False)
        return await answer.text()
