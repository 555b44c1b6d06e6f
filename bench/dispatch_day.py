"""A day of an ambulance service, played so that free units are where they really would be.

Calls come at random times and places; the unit that a policy names drives, stays on scene, may
drive to a hospital, hands over, and drives home, from where it may be sent again on the way.
What is asked of the policy at each call is kept: measurements ask it anew.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np

from bench.dispatch_city import JemssCity, Station
from dispatch.arrival import Travel
from dispatch.capabilities import Ability
from dispatch.cases import Case, CaseBook
from dispatch.hospital_choice import suggest_hospitals
from dispatch.road_graph import ROAD_CLASSES, RoadGraph, metres_per_degree
from dispatch.road_snapping import Place
from dispatch.roads import Way
from dispatch.suggestion import suggest_units
from dispatch.units import Fleet, HospitalSettings, UnitSettings, place
from streams.messages import Position, Severity

START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000

_BESIDE_M = 60.0
"""Standard deviation of how far a call is from the road along which it was drawn."""

_SEVERITIES: tuple[Severity, ...] = ("red", "yellow", "green")
"""Of the model's priorities high, medium, low."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call: when, where, how urgent, and how long its parts will take."""

    at_s: float
    scene: Place
    severity: Severity
    on_scene_s: float
    handover_s: float | None


@dataclass(frozen=True, slots=True)
class Situation:
    """What the dispatcher has at a call.

    Attributes:
        call: The call.
        places: Where each unit is.
        bound: Units that are not free, with the time since which they are at a hospital.
    """

    call: Call
    places: dict[str, Place]
    bound: dict[str, float | None]


@dataclass(slots=True)
class _Duty:
    """A unit's day: when it is free again, and the way home after."""

    home: Place
    free_s: float = 0.0
    at_hospital_s: float | None = None
    left_s: float = 0.0
    way: Way | None = None

    def place(self, now_s: float) -> Place:
        """Return where it is: at home, or on the way there."""
        if self.way is None or now_s >= self.left_s + self.way.seconds:
            return self.home
        return _along(self.way, max(0.0, now_s - self.left_s) / self.way.seconds)


class _DayBook(CaseBook):
    """The cases that bind units, without a journal."""

    def __init__(self) -> None:
        super().__init__()
        self.bound: dict[str, Case] = {}

    def of_unit(self, unit: str) -> Case | None:
        """Return the case that binds a unit now."""
        return self.bound.get(unit)


@dataclass(slots=True)
class Service:
    """The hub's view of the city, set to one situation after the other.

    Attributes:
        fleet: Units and hospitals as the hub has them.
        travel: How they drive.
    """

    fleet: Fleet
    travel: Travel
    homes: dict[str, Place]
    book: _DayBook = field(default_factory=_DayBook)

    def take(self, situation: Situation) -> tuple[Case, int]:
        """Let the hub know a situation; return the case, and the hub's time."""
        now_ns = START_NS + round(situation.call.at_s * SECOND_NS)
        for name, where in situation.places.items():
            unit = self.fleet.units[name]
            unit.position, unit.heard_ns = None, now_ns
            place(unit, _position(where, now_ns), 0, "synthetic")
        self.book.bound = {}
        for name, since_s in situation.bound.items():
            other = Case(f"of-{name}", unit=name)
            if since_s is not None:
                other.stages["arrived"] = START_NS + round(since_s * SECOND_NS)
            self.book.bound[name] = other
        call = situation.call
        case = Case("asked", position=_position(call.scene, now_ns), severity=call.severity)
        return case, now_ns


Policy = Callable[[Service, Situation], str]
"""Names the unit to send."""


def build_service(city: JemssCity, units: int, travel: Travel) -> Service:
    """Put units into stations by their capacity; two of three have advanced life support."""
    homes = [station.place for station in _stand(city.stations, units)]
    advanced: tuple[Ability, ...] = ("advanced_life_support",)
    settings = tuple(
        UnitSettings(name=f"unit-{number + 1}", abilities=advanced if number % 3 else ())
        for number in range(units)
    )
    hospitals = tuple(
        HospitalSettings(
            name=f"hospital-{number + 1}", latitude_deg=where[0], longitude_deg=where[1]
        )
        for number, (_, where) in enumerate(city.hospitals)
    )
    names = (unit.name for unit in settings)
    return Service(Fleet(settings, hospitals), travel, dict(zip(names, homes, strict=True)))


def draw_calls(
    city: JemssCity, graph: RoadGraph, number: int, units: int, randomness: random.Random
) -> list[Call]:
    """Draw calls by the model's distributions; places along its streets.

    The rate is the model's per unit: its own study has fewer units. The density of population
    by which the model places calls is not in the set: they lie beside streets (no motorways or
    trunk roads), by their length.
    """
    demand = city.demand
    between_s = demand.between_s * city.units / units
    draw_place = _places(graph, randomness)
    calls, now_s = list[Call](), 0.0
    for _ in range(number):
        now_s += randomness.expovariate(1 / between_s)
        transported = randomness.random() < demand.transported
        shape, scale_s = demand.handover
        calls.append(
            Call(
                at_s=now_s,
                scene=draw_place(),
                severity=randomness.choices(_SEVERITIES, demand.priorities)[0],
                on_scene_s=randomness.expovariate(1 / demand.on_scene_s),
                handover_s=randomness.weibullvariate(scale_s, shape) if transported else None,
            )
        )
    return calls


def by_road(service: Service, situation: Situation) -> str:
    """Return the unit that the hub recommends."""
    case, now_ns = service.take(situation)
    return suggest_units(case, service.fleet, service.book, service.travel, now_ns)[0].name


def play(
    service: Service,
    calls: Sequence[Call],
    dispatch_s: float,
    policy: Policy,
    told: Callable[[], None] = lambda: None,
) -> list[tuple[Situation, str]]:
    """Play the calls; return each situation with the unit that was sent.

    Args:
        service: The city.
        calls: In order of time.
        dispatch_s: From the call to the unit's leaving.
        policy: Names the unit.
        told: Called after each call.
    """
    duties = {name: _Duty(home) for name, home in service.homes.items()}
    played: list[tuple[Situation, str]] = []
    for call in calls:
        situation = Situation(
            call=call,
            places={name: duty.place(call.at_s) for name, duty in duties.items()},
            bound={
                name: duty.at_hospital_s
                if duty.at_hospital_s is not None and duty.at_hospital_s <= call.at_s
                else None
                for name, duty in duties.items()
                if duty.free_s > call.at_s
            },
        )
        sent = policy(service, situation)
        played.append((situation, sent))
        _send(service, situation, duties[sent], situation.places[sent], dispatch_s)
        told()
    return played


def _send(
    service: Service, situation: Situation, duty: _Duty, start: Place, dispatch_s: float
) -> None:
    call, roads = situation.call, service.travel.roads
    assert roads is not None
    now_s = max(call.at_s, duty.free_s) + dispatch_s
    there = roads.times_to(call.scene).seconds(start)
    now_s += (there or 0.0) + call.on_scene_s
    where = call.scene
    duty.at_hospital_s = None
    if call.handover_s is not None:
        case, now_ns = service.take(situation)
        fleet, book = service.fleet, service.book
        best = suggest_hospitals(case, fleet, book, service.travel, now_ns)[0]
        where = fleet.hospital(best.name).place
        now_s += best.drive_s or 0.0
        duty.at_hospital_s = now_s
        now_s += call.handover_s
    duty.free_s = duty.left_s = now_s
    duty.way = roads.way(where, duty.home)


def _stand(stations: Sequence[Station], units: int) -> list[Station]:
    """Return a station for each unit, one place of each in turn until all are full, and again."""
    turn = [
        station
        for number in range(max(station.capacity for station in stations))
        for station in stations
        if number < station.capacity
    ]
    return [turn[number % len(turn)] for number in range(units)]


def _places(graph: RoadGraph, randomness: random.Random) -> Callable[[], Place]:
    streets = graph.usable & (graph.road_class >= ROAD_CLASSES.index("primary"))
    links = np.flatnonzero(streets)
    upto = list(accumulate(float(each) for each in graph.metres[links]))
    north_m, east_m = (float(each) for each in metres_per_degree(float(graph.latitude_deg.mean())))

    def draw() -> Place:
        link = links[min(bisect_right(upto, randomness.random() * upto[-1]), len(links) - 1)]
        share = randomness.random()
        start, end = int(graph.start[link]), int(graph.end[link])
        ends = [
            (float(each[start]), float(each[end]))
            for each in (graph.latitude_deg, graph.longitude_deg)
        ]
        latitude, longitude = (one + share * (other - one) for one, other in ends)
        return (
            latitude + randomness.gauss(0, _BESIDE_M) / north_m,
            longitude + randomness.gauss(0, _BESIDE_M) / east_m,
        )

    return draw


def _along(way: Way, share: float) -> Place:
    """Return the place that far along a way, by its length."""
    lengths = [np.hypot(b[0] - a[0], (b[1] - a[1]) * 0.6) for a, b in pairwise(way.places)]
    left = share * float(sum(lengths))
    for (one, other), length in zip(pairwise(way.places), lengths, strict=True):
        if left <= length and length > 0:
            part = float(left / length)
            return one[0] + part * (other[0] - one[0]), one[1] + part * (other[1] - one[1])
        left -= float(length)
    return way.places[-1]


def _position(where: Place, now_ns: int) -> Position:
    return Position(
        latitude_deg=where[0], longitude_deg=where[1], measured_ns=now_ns, source="synthetic"
    )
