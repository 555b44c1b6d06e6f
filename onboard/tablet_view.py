"""What the tablet shows, as JSON parts; a page gets the parts that changed. No I/O.

All times are milliseconds since 1970 by the hub's clock, as far as it is known here.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec

from onboard.agent import Agent
from onboard.bay_handover import BayHandoverDesk
from onboard.disk_watch import MIB
from onboard.run import possible
from onboard.situation import STAGES, Case, Entry
from streams.bay_messages import BayHandover
from streams.caller_video_messages import CallerVideo
from streams.guidance_messages import GuidanceMark, GuidanceStep
from streams.identity import alias
from streams.messages import (
    Acknowledged,
    CaseNote,
    HospitalChosen,
    HospitalStoodDown,
    Milestone,
    PreAlert,
    RunEnded,
    RunStarted,
    UnitAssigned,
)
from streams.partner_messages import PartnerAnswered
from streams.text_messages import CallerProfile, TextTurn
from streams.topics import find
from streams.video_messages import VideoRecording

MS = 1_000_000
VOLTS = {"v": 1000.0, "mv": 1.0, "uv": 0.001, "µv": 0.001, "nv": 1e-6}
"""Millivolts per physical unit; what is not a voltage is not drawn as ECG."""

_SHOWN: dict[type[Any], str] = {
    CaseNote: "case_note",
    HospitalChosen: "hospital_chosen",
    HospitalStoodDown: "hospital_stood_down",
    UnitAssigned: "unit_assigned",
    Acknowledged: "acknowledged",
    RunStarted: "run_started",
    RunEnded: "run_ended",
    Milestone: "milestone",
    PreAlert: "pre_alert",
    VideoRecording: "video_recording",
    BayHandover: "bay_handover",
    PartnerAnswered: "partner_answered",
    TextTurn: "text_turn",
    CallerProfile: "caller_profile",
    GuidanceStep: "guidance_step",
    GuidanceMark: "guidance_mark",
    CallerVideo: "caller_video",
}
"""Facts that stand on the crew's timeline."""


class TabletView:
    """Reads the agent and words it for the page."""

    def __init__(self, agent: Agent, bay: BayHandoverDesk) -> None:
        """Read from this agent and what hands its case over."""
        self._agent, self._bay = agent, bay
        settings = agent.settings
        self._unit = {
            "name": settings.name,
            "label": settings.title,
            "region": settings.region,
            "drill": agent.outgoing.drill,
            "map_tiles": settings.map_tiles,
            "stages": list(STAGES),
            "stale_s": {
                kind: find(kind).stale_after_s for kind in ("vitals", "position", "arrival")
            },
            "bays": [msgspec.to_builtins(bay) for bay in settings.bay],
            "places": [msgspec.to_builtins(place) for place in settings.places],
        }

    def parts(self) -> dict[str, Any]:
        """Return all parts by name."""
        return {
            "unit": self._unit,
            "run": self._run(),
            "case": self._case(),
            "vitals": self._agent.vital_signs.view(self._agent.link.offset_ns),
            "sensors": self._sensors(),
            "ecg": self._ecg(),
            "link": self._link(),
            "camera": self._camera(),
            "quality": self._quality(),
            "disk": self._disk(),
            "arrival": self._arrival(),
            "position": self._position(),
            "bay": msgspec.to_builtins(self._bay.view),
        }

    @property
    def case(self) -> str | None:
        """The case that stands on the page."""
        return self._agent.situation.current

    def to_page_ms(self, wall_ns: int) -> int:
        """Return a time of this machine's wall clock as the page takes it."""
        return (wall_ns + self._agent.link.offset_ns) // MS

    def _run(self) -> dict[str, Any]:
        situation = self._agent.situation
        waiting = [situation.find(name) for name in situation.queue]
        return {
            "state": situation.state,
            "possible": sorted(possible(situation.state)),
            "waiting": [
                {"id": one.id, "address": one.opened.address if one.opened else None}
                for one in waiting
                if one is not None
            ],
        }

    def _case(self) -> dict[str, Any] | None:
        case = self._agent.situation.case
        if case is None:
            return None
        replaced = case.replaced()
        view: dict[str, Any] = {
            "id": case.id,
            "needs": list(case.profile.needs) if case.profile else [],
            "caller_video": case.video.phase,
            "alias": alias(case.id),
            "ours": case.ours,
            "closed": case.closed.outcome if case.closed else None,
            "synthetic": case.synthetic,
            "drill": case.drill,
            "hospital": msgspec.to_builtins(case.hospital) if case.hospital else None,
            "stamps": {stage: self._stamp(case, entry) for stage, entry in case.stamps().items()},
            "alerts": [self._alert(case, entry) for entry in case.bodies(PreAlert)],
            "acknowledged": [self._acknowledged(one) for one in case.bodies(Acknowledged)],
            "timeline": [
                self._entry(case, entry)
                for entry in case.entries
                if type(entry.body) in _SHOWN and entry.id not in replaced
            ],
        }
        if case.opened:
            known = msgspec.to_builtins(case.opened)
            known.pop("position", None)
            place = case.opened.position
            view |= known
            view["scene"] = [place.latitude_deg, place.longitude_deg] if place else None
        return view

    def _stamp(self, case: Case, entry: Entry) -> dict[str, Any]:
        assert isinstance(entry.body, Milestone)
        return {
            "id": entry.id,
            "at_ms": _true_ms(entry, entry.body.at_ns),
            "made_ms": entry.at_hub_ns // MS,
            "corrected": entry.body.corrects is not None,
            **self._delivery(case, entry),
        }

    def _alert(self, case: Case, entry: Entry) -> dict[str, Any]:
        return {
            "id": entry.id,
            "at_ms": entry.at_hub_ns // MS,
            **msgspec.to_builtins(entry.body),
            **self._delivery(case, entry),
        }

    def _acknowledged(self, entry: Entry) -> dict[str, Any]:
        return {"at_ms": entry.at_hub_ns // MS, **msgspec.to_builtins(entry.body)}

    def _entry(self, case: Case, entry: Entry) -> dict[str, Any]:
        body = entry.body
        at_ns = body.at_ns if isinstance(body, CaseNote | Milestone) else entry.made_ns
        return {
            "id": entry.id,
            "kind": _SHOWN[type(body)],
            "source": entry.source,
            "own": entry.own,
            "at_ms": _true_ms(entry, at_ns),
            "noted_ms": entry.at_hub_ns // MS,
            "origin": entry.origin,
            "body": msgspec.to_builtins(body),
            **(self._delivery(case, entry) if entry.own else {}),
        }

    def _delivery(self, case: Case, entry: Entry) -> dict[str, Any]:
        refusal = self._agent.refusals.get(entry.id)
        if refusal is not None:
            return {"delivery": "refused", "refusal": refusal.text}
        seen = case.seen(entry)
        if seen is not None and isinstance(seen.body, Acknowledged):
            return {"delivery": "seen", "seen_by": seen.body.role}
        return {"delivery": "made" if entry.delivered_hub_ns is None else "delivered"}

    def _sensors(self) -> list[dict[str, Any]]:
        return [
            {
                "name": one.name,
                "kind": one.kind,
                "state": one.state,
                "origin": one.origin,
                "reason": one.reason,
                "since_ms": self.to_page_ms(one.since_ns),
            }
            for one in self._agent.sensors.status
        ]

    def _ecg(self) -> list[dict[str, Any]]:
        return [
            {
                "setup": _setup(one.began.setup),
                "device": one.began.device,
                "origin": one.origin,
                "purpose": one.began.purpose,
                "bound": one.binding.patient is not None,
            }
            for one in self._agent.ecg.running
        ]

    def _link(self) -> dict[str, Any]:
        link, backlog = self._agent.link.state, self._agent.outgoing.backlog()
        # What a full disk refuses is not delivered either.
        unwritten = len(self._agent.outgoing.held) + bool(self._agent.ecg.error)
        oldest_ns = backlog.oldest_ns or (self._agent.disk.state.since_ns if unwritten else None)
        return {
            "connected": link.connected,
            "since_ms": self.to_page_ms(link.since_ns),
            "answered_ms": self.to_page_ms(link.answered_ns) if link.answered_ns else None,
            "refused": link.refused,
            "uplink": link.uplink,
            "waiting": backlog.total + unwritten,
            "waiting_urgent": backlog.waiting.get("urgent", 0),
            "oldest_ms": self.to_page_ms(oldest_ns) if oldest_ns else None,
            "live_ecg": self._agent.live_ecg.connected,
        }

    def _camera(self) -> dict[str, Any] | None:
        if self._agent.camera is None:
            return None
        view = self._agent.camera.view
        return {
            "stream": view.stream,
            "wanted": view.wanted,
            "on": view.on,
            "reason": view.reason,
            "since_ms": self.to_page_ms(view.since_ns),
            "origin": view.origin,
            "record": asdict(self._agent.video.view),
        }

    def _quality(self) -> dict[str, Any] | None:
        view = self._agent.quality.view
        if view.step is None:
            return None
        return {
            "since_ms": self.to_page_ms(view.since_ns),
            "said": msgspec.to_builtins(view.step),
        }

    def _disk(self) -> dict[str, Any]:
        now = self._agent.disk.state
        return {
            "state": now.state,
            "since_ms": self.to_page_ms(now.since_ns),
            "free_mib": now.free_bytes // MIB if now.state == "low" else 0,
            "held_facts": now.held_facts,
            "held_ecg_s": now.held_ecg_s,
            "lost_facts": now.lost_facts,
        }

    def _arrival(self) -> dict[str, Any] | None:
        arrival = self._agent.arrivals.get(self._agent.situation.current or "")
        if arrival is None:
            return None
        return {
            "at_ms": arrival.at_ns // MS,
            "position_ms": arrival.position_ns // MS,
            "distance_m": arrival.distance_m,
            "method": arrival.method,
        }

    def _position(self) -> dict[str, Any] | None:
        positions = self._agent.positions
        newest = positions.newest
        if newest is None:
            return None
        return {
            "latitude_deg": newest.latitude_deg,
            "longitude_deg": newest.longitude_deg,
            "heading_deg": newest.heading_deg,
            "radius_m": newest.radius_m,
            "speed_mps": newest.speed_mps,
            "at_ms": self.to_page_ms(newest.measured_ns),
            "origin": positions.origin,
            "track": list(positions.shown)[:: max(1, len(positions.shown) // 200)],
        }


def _true_ms(entry: Entry, at_ns: int) -> int:
    """Return a time that the fact's body states, by the hub's clock as of the fact."""
    return (at_ns + entry.at_hub_ns - entry.made_ns) // MS


def _setup(setup: Any) -> dict[str, Any]:
    view: dict[str, Any] = msgspec.to_builtins(setup)
    for lead in view["leads"]:
        lead["mv_per_unit"] = VOLTS.get(lead.get("physical_unit", "mV").lower())
    return view
