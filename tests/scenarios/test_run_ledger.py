"""The ledger of a real run: every part a process, the ledger from their journals alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from bench.city import HUB
from bench.running_city import running
from streams.export import export_case
from streams.journal import Journal
from tests.conftest import WaitFor
from tests.scenarios.test_main_job import small_stage, timeline


async def test_ledger_of_a_real_run_says_how_late_what_came_and_that_nothing_is_missing(
    tmp_path: Path, wait_for: WaitFor
) -> None:
    table = tmp_path / "vitals.csv"
    rows = [f"{second},{70 + second % 9},97" for second in range(600)]
    table.write_text("\n".join(["t_s,HR,PLETH_SPO2", *rows]))
    sensor = {"kind": "csv_vitals", "name": "monitor", "path": str(table)}
    stage = small_stage(tmp_path / "city", sensors=(sensor,))
    async with running(stage) as city:
        played = await city.play(stage.city.units[0], stage.city.calls[0], acknowledge=False)

        async def vitals_came() -> bool:
            ledger = await city.client.get(city.urls[HUB], f"/api/cases/{played.case}/ledger")
            return bool(ledger["kinds"].get("vitals", 0) >= 2)

        await wait_for(vitals_came, "vital signs in the hub's ledger", timeout_s=60)
        await city.end_runs()
        assert await city.drained()
        kinds = [line["kind"] for line in await timeline(city, played.case)]
    assert kinds.count("run_report") == 1
    ledgers: dict[str, dict[str, Any]] = {}
    for name in (HUB, played.hospital):
        async with Journal(stage.journal(name)) as journal:
            out = tmp_path / name
            await export_case(journal, played.case, out)
            ledgers[name] = msgspec.json.decode((out / "ledger.json").read_bytes())
    hub, hospital = ledgers[HUB], ledgers[played.hospital]
    for ledger in (hub, hospital):
        assert ledger["lost"] == {"facts": [], "places": 0, "samples": 0}
        assert ledger["latency_ms"]["hub"]["vitals"]["p50"] < 5000
        assert ledger["kinds"] == hub["kinds"]
        (clock,) = [one for one in ledger["clocks"] if one["source"].startswith("unit")]
        assert abs(clock["offset_s"][0]) < 1, "they run on one machine"
        assert clock["unknown"] == 0
    assert hub["latency_ms"]["hospital"] is None
    assert hospital["latency_ms"]["hospital"]["vitals"]["count"] >= 1
