"""`forerun bench dispatch`: does the right unit go, how fast is that found, and what is it worth.

On a real city (JEMSS' Edmonton): a day is played with the hub's own recommendation, so that who
is free varies. At each call the recommended unit's time on the roads is compared with the true
minimum over the free fitting units, found by other means (`bench.dispatch_check`); with that of
the unit that is nearest by straight line, chosen in the same situation; and both are judged once
more by the travel times of JEMSS' own network, which knows nothing of ours.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from bench.dispatch_check import TrueTimes
from bench.dispatch_city import JemssCity, find_city, read_network
from bench.dispatch_day import (
    Service,
    Situation,
    build_service,
    by_road,
    draw_calls,
    play,
)
from bench.frame import BenchError, Column, Measurement, Outcome, Promise, Session
from dispatch.arrival import Travel
from dispatch.hospital_choice import suggest_hospitals
from dispatch.road_files import read_roads
from dispatch.roads import RoadRules, Roads
from dispatch.suggestion import suggest_units
from streams.errors import ConfigError

CALLS, UNITS = 1000, 86
EQUAL_S: Final = 1e-6
"""Two sums of the same links in another order differ by less."""
BOUND_MS: Final = 50.0
WARM_UP: Final = 0.2
"""Share of calls that are played before any counts: the day begins with all units at home."""

_SEED = 20190114
_DRAWS = 2000
_RULES = RoadRules(emergency_factor=1.2, off_road_mps=15 / 3.6, reach_m=1500.0)
_JEMSS_RULES = RoadRules(emergency_factor=1.0, off_road_mps=45 / 3.6, reach_m=1500.0)
"""Its times are with lights already; off the road it drives 45 km/h (travel_1.csv)."""
_OWN_DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "city_jemss"

Ratio = dict[str, float]
"""The ratio of two means as ``value``, and its 95 % interval from ``low`` to ``high``."""

OURS, STRAIGHT = "Forerun, by road", "nearest by straight line"

COLUMNS = (
    Column("p50_ms", "p50 ms", 2),
    Column("p95_ms", "p95 ms", 2),
    Column("p99_ms", "p99 ms", 2),
    Column("cpu_p95_ms", "p95 CPU, ms", 2),
    Column("mean_s", "mean drive, s", 1),
    Column("p90_s", "p90 drive, s", 1),
    Column("jemss_mean_s", "by JEMSS' times, s", 1),
    Column("day_mean_s", "a day of its own, s", 1),
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One situation with what both ways of choosing answer, and the true minimum."""

    situation: Situation
    ours: str
    straight: str
    ours_s: float
    straight_s: float
    least_s: float


@dataclass(frozen=True, slots=True)
class _Found:
    """Everything that was measured."""

    city: JemssCity
    units: int
    roads: Roads
    load_s: float
    asked: Sequence[_Asked]
    speed: dict[str, dict[str, float]]
    own_days: dict[str, list[float]]
    judged: tuple[list[float], list[float]] | None
    left_out: Sequence[str]

    @property
    def drives(self) -> dict[str, list[float]]:
        """The drives of both choices in the same situations, in seconds."""
        return {
            OURS: [one.ours_s for one in self.asked],
            STRAIGHT: [one.straight_s for one in self.asked],
        }

    @property
    def ratios(self) -> dict[str, Ratio | None]:
        """Our mean drive over the other's: same situations, days of their own, JEMSS' times."""
        return {
            "same": _ratio(self.drives[OURS], self.drives[STRAIGHT]),
            "day": _ratio(self.own_days[OURS], self.own_days[STRAIGHT]),
            "jemss": _ratio(*self.judged) if self.judged else None,
        }


def run(session: Session) -> Outcome:
    """Play a day, check every answer, and measure how long an answer takes."""
    number = int(session.options.get("calls", CALLS))
    units = int(session.options.get("units", UNITS))
    city, left_out = find_city(session.data or _default_data())
    began_s = time.perf_counter()
    roads = _open(city)
    loaded_s = time.perf_counter() - began_s
    service = build_service(city, units, Travel(roads=roads))
    calls = draw_calls(
        city, roads.graph, round(number * (1 + WARM_UP)), units, random.Random(_SEED)
    )
    days = {}
    for name, policy in ((OURS, by_road), (STRAIGHT, _by_straight_line)):
        task = session.progress.add_task(f"a day, {name}", total=len(calls))
        told = partial(session.progress.advance, task)
        days[name] = play(service, calls, city.demand.dispatch_s, policy, told)[-number:]
    asked = _check(session, service, [situation for situation, _ in days[OURS]])
    speed = session.measure(
        "recommendations",
        {
            OURS: lambda: _timed(service, asked, roads),
            STRAIGHT: lambda: _timed(_without_roads(service), asked, roads),
        },
    )
    return _conclude(
        _Found(
            city=city,
            units=units,
            roads=roads,
            load_s=loaded_s,
            asked=asked,
            speed=speed,
            own_days={name: _drives(service, day) for name, day in days.items()},
            judged=_judge(city, asked),
            left_out=left_out,
        )
    )


def _default_data() -> Path:
    if not _OWN_DATA.is_dir():
        raise BenchError("there is no city beside the repository; name a folder with --data")
    return _OWN_DATA


def _open(city: JemssCity) -> Roads:
    try:
        return Roads(read_roads(city.osm), _RULES)
    except ConfigError as error:
        raise BenchError(str(error)) from error


def _without_roads(service: Service) -> Service:
    return replace(service, travel=replace(service.travel, roads=None))


def _by_straight_line(service: Service, situation: Situation) -> str:
    return by_road(_without_roads(service), situation)


def _fitting(service: Service, situation: Situation) -> dict[str, tuple[float, float]]:
    """Return where the units are that are free and can do what the call needs."""
    wanted = "advanced_life_support" if situation.call.severity == "red" else None
    return {
        name: where
        for name, where in situation.places.items()
        if name not in situation.bound
        and (wanted is None or wanted in service.fleet.units[name].abilities)
    }


def _check(session: Session, service: Service, situations: Sequence[Situation]) -> list[_Asked]:
    """Ask both ways in each situation, and find the true minimum."""
    roads = service.travel.roads
    assert roads is not None
    truth = TrueTimes(roads.graph, roads.rules)
    task = session.progress.add_task("the true minimum, by networkx", total=len(situations))
    asked = []
    for situation in situations:
        session.progress.advance(task)
        fitting = _fitting(service, situation)
        if not fitting:
            continue  # nobody can be the right one
        ours, straight = by_road(service, situation), _by_straight_line(service, situation)
        times = roads.times_to(situation.call.scene)
        ours_s, straight_s = (
            _or_infinite(times.seconds(situation.places[name])) for name in (ours, straight)
        )
        least = truth.least(situation.call.scene, fitting, ours_s)
        least_s = float("nan") if least is None or ours not in fitting else least[0]
        asked.append(_Asked(situation, ours, straight, ours_s, straight_s, least_s))
    if not asked:
        raise BenchError("at no call was any unit free")
    return asked


def _or_infinite(seconds: float | None) -> float:
    return float("inf") if seconds is None else seconds


def _timed(service: Service, asked: Sequence[_Asked], roads: Roads) -> dict[str, float]:
    """Measure a recommendation of units and hospitals; nothing is remembered of the one before."""
    taken_ms, cpu_ms = [], []
    for one in asked:
        case, now_ns = service.take(one.situation)
        roads.forget()
        began_s, cpu_began_s = time.perf_counter(), time.process_time()
        suggest_units(case, service.fleet, service.book, service.travel, now_ns)
        suggest_hospitals(case, service.fleet, service.book, service.travel, now_ns)
        cpu_ms.append((time.process_time() - cpu_began_s) * 1000)
        taken_ms.append((time.perf_counter() - began_s) * 1000)
    p50, p95, p99 = np.percentile(taken_ms, (50, 95, 99))
    return {
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        "p99_ms": float(p99),
        "cpu_p95_ms": float(np.percentile(cpu_ms, 95)),
    }


def _drives(service: Service, day: Sequence[tuple[Situation, str]]) -> list[float]:
    roads = service.travel.roads
    assert roads is not None
    return [
        _or_infinite(roads.times_to(situation.call.scene).seconds(situation.places[sent]))
        for situation, sent in day
    ]


def _judge(city: JemssCity, asked: Sequence[_Asked]) -> tuple[list[float], list[float]] | None:
    """Return the drives of both choices by JEMSS' own times, None without its network."""
    if city.network is None:
        return None
    roads = Roads(read_network(city.network), _JEMSS_RULES)
    ours, straight = [], []
    for one in asked:
        times, places = roads.times_to(one.situation.call.scene), one.situation.places
        first, second = times.seconds(places[one.ours]), times.seconds(places[one.straight])
        if first is not None and second is not None:
            ours.append(first)
            straight.append(second)
    return ours, straight


def _ratio(ours: Sequence[float], other: Sequence[float]) -> Ratio:
    """Return the ratio of the means with its interval (paired bootstrap)."""
    pairs: npt.NDArray[np.float64] = np.array([ours, other], np.float64)
    picks = np.random.default_rng(_SEED).integers(0, pairs.shape[1], (_DRAWS, pairs.shape[1]))
    sums = pairs[:, picks].sum(axis=2)
    low, high = np.percentile(sums[0] / sums[1], (2.5, 97.5))
    return {"value": float(pairs[0].sum() / pairs[1].sum()), "low": float(low), "high": float(high)}


def _conclude(found: _Found) -> Outcome:
    asked, graph, ratios = found.asked, found.roads.graph, found.ratios
    equal = sum(abs(one.ours_s - one.least_s) <= EQUAL_S for one in asked)
    free = [found.units - len(one.situation.bound) for one in asked]
    same = ratios["same"] or {}
    promises = (
        Promise("calls, % with the true minimum", 100 * equal / len(asked), "exactly", 100.0),
        Promise(
            f"recommendation p95 with {found.units} units, ms",
            found.speed[OURS]["p95_ms"],
            "at most",
            BOUND_MS,
        ),
        Promise("mean drive over that of nearest by straight line", same["value"], "below", 1.0),
    )
    return Outcome(
        title=f"Dispatch: {found.city.name}, {len(asked)} calls, {found.units} units, "
        f"{graph.nodes} nodes, {graph.links} links",
        columns=COLUMNS,
        measurements=[_row(found, name, place) for place, name in enumerate((OURS, STRAIGHT))],
        promises=promises,
        details={
            "ratios": ratios,
            "calls_checked": len(asked),
            "calls_equal": equal,
            "calls_chosen_otherwise": sum(one.ours != one.straight for one in asked),
            "free_units": {"least": min(free), "mean": statistics.fmean(free), "most": max(free)},
            "roads": {
                "nodes": graph.nodes,
                "links": graph.links,
                "load_s": round(found.load_s, 2),
            },
        },
        notes=_notes(found, free),
        packages=("numpy", "scipy", "networkx", "geopy"),
    )


def _row(found: _Found, name: str, place: int) -> Measurement:
    drives = found.drives[name]
    figures = {
        **found.speed[name],
        "mean_s": statistics.fmean(drives),
        "p90_s": float(np.percentile(drives, 90)),
        "jemss_mean_s": statistics.fmean(found.judged[place]) if found.judged else None,
        "day_mean_s": statistics.fmean(found.own_days[name]),
    }
    return Measurement(name, figures)


def _notes(found: _Found, free: Sequence[int]) -> list[str]:
    said = {
        name: f"{ratio['value']:.3f} (95 % interval {ratio['low']:.3f} to {ratio['high']:.3f})"
        for name, ratio in found.ratios.items()
        if ratio is not None
    }
    asked = found.asked
    changed = [one for one in asked if one.ours != one.straight]
    saved_s = sum(one.straight_s - one.ours_s for one in changed) / max(1, len(changed))
    jemss = f"The same choices by the times of JEMSS' own network: {said.get('jemss')}."
    return [
        f"Ratio of the mean drives, same situations: {said['same']}; another unit is chosen at "
        f"{len(changed)} of {len(asked)} calls, where it is there {saved_s:.0f} s sooner in the "
        "mean.",
        f"Each way sent its own choice for a day of the same calls: {said['day']}.",
        *([jemss] if found.judged else []),
        "Times are of a whole recommendation, three units and three hospitals, with nothing "
        "remembered of an earlier one; by the clock on the wall, and beside it the CPU's, which "
        "does not count what others do on the machine.",
        f"Free: {min(free)} to {max(free)} units, {statistics.fmean(free):.1f} in the mean. Calls "
        f"by the model's laws of time, priority, stay, transport and hand-over, at its rate per "
        f"unit ({found.city.units} in its study); the density of population is not in the set: "
        "places are drawn along streets by length. Two of three units have advanced life support, "
        "which calls of high priority need.",
        *(f"left out: {line}" for line in found.left_out),
    ]
