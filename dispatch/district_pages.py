"""Neighbouring districts as the console's page gets them: JSON-able, times in ms.

What is a neighbour's never stands among our own cases and units: it has its own messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from dispatch import case_pages
from dispatch.case_sharing import BETWEEN, region_of, seat_name
from dispatch.unit_requests import Card, Wanted

if TYPE_CHECKING:
    from dispatch.caller_place import Places
    from dispatch.cases import Case
    from dispatch.district_desk import DistrictDesk
    from dispatch.elsewhere import Elsewhere
    from dispatch.foreign_cases import Asked, Foreign
    from dispatch.neighbours import Neighbour
    from streams.clock import Clock
    from streams.district_messages import DistrictHospital, DistrictUnit
    from streams.messages import Position

EVERY_NS: Final = 1_800_000_000
"""Units and hospitals of neighbours, of which there are hundreds, are sent this often at most."""


def neighbour(one: Neighbour, now_ns: int) -> dict[str, Any]:
    """Return a neighbour with its units and hospitals."""
    return {
        "region": one.region,
        "label": one.label,
        "connected": one.connected,
        "since_ms": _ms(one.since_ns),
        "state_ms": _ms(one.state_ns) if one.state_ns else None,
        "is_stale": one.is_stale(now_ns),
        "left_out": one.left_out,
        "waiting": one.waiting,
        "units": [_unit(unit) for unit in one.units],
        "hospitals": [_hospital(hospital) for hospital in one.hospitals],
    }


def elsewhere(one: Elsewhere) -> dict[str, Any]:
    """Return a neighbour's unit that may be asked for."""
    return {
        "region": one.neighbour.region,
        "district": one.neighbour.label,
        "name": one.unit.name,
        "label": one.unit.label or one.unit.name,
        "drive_s": round(one.way.seconds),
        "distance_m": round(one.way.metres),
        "by_road": one.way.by_road,
        "saves_s": None if one.saves_s is None else round(one.saves_s),
        "heard_ms": _ms(one.unit.heard_ns) if one.unit.heard_ns else None,
    }


def wanted(one: Wanted) -> dict[str, Any]:
    """Return a request of ours for a neighbour's unit, and how far it is."""
    answer = one.answer
    return {
        "request": one.asked.request,
        "region": one.asked.region,
        "unit": one.asked.unit,
        "label": one.asked.label or one.asked.unit,
        "state": one.state,
        "at_ms": _ms(one.at_ns),
        "seat": one.asked.seat,
        "by": answer.seat if answer else "",
        "reason": answer.reason if answer else None,
    }


def card(one: Card) -> dict[str, Any]:
    """Return a neighbour's request that waits for somebody here."""
    body = one.request
    return {
        "request": body.request,
        "region": body.region,
        "unit": body.unit,
        "alias": body.alias,
        "address": body.address,
        "complaint": body.complaint,
        "severity": body.severity,
        "position": _position(body.position),
        "seat": body.seat,
        "reason": body.reason,
        "at_ms": _ms(one.at_ns),
        "origin": one.origin,
    }


class DistrictPages:
    """What of the neighbours is shown, and what of it is another than before.

    Attributes:
        wake: Called when there is something to send.
    """

    def __init__(
        self, desk: DistrictDesk, neighbours: Callable[[], list[Neighbour]], places: Places,
        clock: Clock,
    ) -> None:  # fmt: skip
        """Prepare.

        Args:
            desk: Has the cases and requests of neighbours.
            neighbours: Who is there.
            places: Where callers are.
            clock: The hub's clocks.
        """
        self.wake: Callable[[], None] = lambda: None
        self._desk = desk
        self._neighbours = neighbours
        self._places = places
        self._clock = clock
        self._cases: set[str] = set()
        self._others: set[str] = set()
        self._told: tuple[int, list[bool]] = (0, [])
        desk.foreign.changed = self._case_changed
        desk.cards.changed = self._cards_changed

    def snapshot(self) -> dict[str, Any]:
        """Return all of it, for a page that comes."""
        return {
            "foreign": [self._summary(one) for one in self._desk.foreign.shown()],
            "neighbours": self.neighbours(),
            "cards": [card(one) for one in self._desk.cards.waiting()],
        }

    def neighbours(self) -> list[dict[str, Any]]:
        """Return the neighbours, their units and hospitals."""
        return [neighbour(one, self._clock.wall_ns()) for one in self._neighbours()]

    def changes(self) -> list[dict[str, Any]]:
        """Return the messages of what is another than before, once."""
        cases, self._cases = self._cases, set()
        others, self._others = self._others, set()
        found: list[dict[str, Any]] = []
        for one in filter(None, map(self._desk.foreign.get, sorted(cases))):
            if one.is_shown:
                found.append({"type": "foreign", "case": self._summary(one)})
            elif one.left is not None:
                left = {"why": one.left.why, "seat": one.left.seat, "home": one.region}
                found.append({"type": "foreign_left", "case": one.id, **left})
        if "cards" in others:
            cards = [card(one) for one in self._desk.cards.waiting()]
            found.append({"type": "cards", "cards": cards})
        if "neighbours" in others and self._is_due():
            found.append({"type": "neighbours", "neighbours": self.neighbours()})
        now_ms = self._clock.wall_ns() // 1_000_000
        return [message | {"now_ms": now_ms} for message in found]

    def _is_due(self) -> bool:
        """Whether the neighbours are to be told now; what is put off goes with their next word."""
        now_ns = self._clock.monotonic_ns()
        connected = [one.connected for one in self._neighbours()]
        if connected == self._told[1] and now_ns - self._told[0] < EVERY_NS:
            return False
        self._told = (now_ns, connected)
        return True

    def detail(self, case: str) -> dict[str, Any] | None:
        """Return what is shown of a neighbour's case beside its summary; None if there is none."""
        one = self._desk.foreign.get(case)
        if one is None:
            return None
        body = case_pages.detail(one.case, _nowhere)
        now_ms = self._clock.wall_ns() // 1_000_000
        return {"type": "detail", "now_ms": now_ms, "case": case, **body}

    def of_own(self, case: Case) -> dict[str, Any]:
        """Return what is shown of our own case: with whom it is shared, what was asked for it."""
        return {
            "shared": sorted(self._desk.sharing.of(case.id)),
            "wanted": [wanted(one) for one in self._desk.own.of(case.id)],
        }

    def district_changed(self, _region: str) -> None:
        """Note that a neighbour came, went, or said something new."""
        self._others.add("neighbours")
        self.wake()

    def _case_changed(self, case: str) -> None:
        self._cases.add(case)
        self.wake()

    def _cards_changed(self) -> None:
        self._others.add("cards")
        self.wake()

    def _summary(self, one: Foreign) -> dict[str, Any]:
        more: dict[str, Any] = {"place": self._places.of(one.case), "maybe": None}
        more["home"] = one.region
        more["asked"] = [_asked(each) for each in one.asked.values()]
        summary = case_pages.summary(one.case, _nowhere) | more
        if (call := summary["call"]) is not None:
            names = {name: self._name(one.region, call[name]) for name in ("seat", "offered_to")}
            summary["call"] = call | names
        return summary

    def _name(self, home: str, seat: str) -> str:
        """Return a seat's name as it is said here: ours bare, the home's with its region."""
        if not seat:
            return ""
        if region_of(seat) == self._desk.region:
            return seat.partition(BETWEEN)[2]
        return seat if region_of(seat) else seat_name(home, seat)


def _asked(one: Asked) -> dict[str, Any]:
    return {
        "request": one.request,
        "seat": one.seat,
        "action": one.action,
        "text": one.text,
        "at_ms": _ms(one.at_ns),
        "error": one.answer.error if one.answer else None,
    }


def _unit(one: DistrictUnit) -> dict[str, Any]:
    return {
        "name": one.name,
        "label": one.label or one.name,
        "status": one.status,
        "abilities": list(one.abilities),
        "serves": one.serves,
        "position": _position(one.position),
        "heard_ms": _ms(one.heard_ns) if one.heard_ns else None,
        "origin": one.origin,
    }


def _hospital(one: DistrictHospital) -> dict[str, Any]:
    return {
        "name": one.name,
        "label": one.label or one.name,
        "latitude_deg": one.latitude_deg,
        "longitude_deg": one.longitude_deg,
        "beds": one.beds,
        "resus_bays": one.resus_bays,
        "diversion": one.diversion,
        "stated_ms": _ms(one.stated_ns) if one.stated_ns else None,
        "bound": one.bound,
    }


def _position(position: Position | None) -> dict[str, Any] | None:
    if position is None:
        return None
    return {
        "latitude_deg": position.latitude_deg,
        "longitude_deg": position.longitude_deg,
        "radius_m": position.radius_m,
        "at_ms": _ms(position.measured_ns),
        "heading_deg": position.heading_deg,
    }


def _nowhere(_party: str, _case: str, _number: int) -> None:
    """A neighbour's case goes from here to nobody."""
    return


def _ms(time_ns: int) -> int:
    return time_ns // 1_000_000
