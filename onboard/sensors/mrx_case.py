"""Replay of a case that a Philips HeartStart MRx (M3535A, M3536A) exported as a folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from onboard.errors import SensorError
from onboard.sensors import safe_xml
from onboard.sensors.mrx_files import (
    CaseEvent,
    CaseFolder,
    TrendRow,
    WaveFile,
    read_events,
    read_trend,
    read_wave,
    read_wave_list,
    unlisted_wave,
)
from onboard.sensors.readings import Ended, Reading, Samples
from onboard.sensors.replay import Replay
from onboard.sensors.settings import MrxCaseSettings
from onboard.sensors.sierra_ecg import TwelveLead, read_twelve_lead
from onboard.sensors.timeline import Moment, Waveform, at_once, in_order, play, stream
from onboard.sensors.vitals_columns import CUFF
from streams.ecg_block import MAX_LEADS, Lead
from streams.messages import DeviceEvent, Numeric, SensorState, Vitals

T = TypeVar("T")


@dataclass(slots=True)
class Case:
    """What was read of an export.

    Attributes:
        device: Name, model and serial number as far as the export has them.
        began: When the device was switched on by its own clock, which knows no time zone and is
            minutes off; None where the export does not say.
        twelve_leads: With the milliseconds at which each was taken.
        problems: Per part that cannot be read, why.
    """

    device: str = "HeartStart MRx"
    began: datetime | None = None
    events: list[CaseEvent] = field(default_factory=list)
    trends: list[TrendRow] = field(default_factory=list)
    waves: list[Waveform] = field(default_factory=list)
    twelve_leads: list[tuple[int, TwelveLead]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class MrxCase(Replay[MrxCaseSettings]):
    """Replays an export: events, trends, waves and 12-leads at the moments they were taken.

    A part that is missing or damaged is told in a ``SensorState`` and the rest plays; the alarms
    are the device's own and are given as it logged them.
    """

    async def readings(self) -> AsyncGenerator[Reading, None]:
        """Give the case as it went.

        Raises:
            SensorError: The folder is not there or nothing of it can be read.
        """
        case = await asyncio.to_thread(self._read)
        for problem in case.problems:
            yield SensorState(sensor=self.name, state="running", reason=problem[:4000])
        while True:
            self._pace.start()
            async for reading in play(self._pace, self._moments(case)):
                yield reading
            if not self.settings.loop:
                break
        yield Ended(f"end of the case after {len(case.events)} events")

    def _read(self) -> Case:
        try:
            case = read_case(CaseFolder(Path(self.settings.folder)))
        except (OSError, ValueError) as error:
            raise SensorError(self.name, f"{self.settings.folder}: {error}") from error
        if not (case.events or case.trends or case.waves or case.twelve_leads):
            problems = "; ".join(case.problems) or "it is empty"
            raise SensorError(self.name, f"{self.settings.folder}: nothing to play: {problems}")
        return case

    def _moments(self, case: Case) -> Iterable[Moment]:
        frame_ms = self.settings.frame_ms
        twelve_leads = [
            at_once(_waveform(twelve_lead), frame_ms, at_ms / 1000)
            for at_ms, twelve_lead in sorted(case.twelve_leads, key=lambda pair: pair[0])
        ]
        return in_order(
            *(stream(wave, frame_ms) for wave in case.waves),
            [_event_moment(event, case) for event in case.events],
            _trend_moments(case),
            twelve_leads,
        )


def read_case(folder: CaseFolder) -> Case:
    """Read what can be read of an export, and note what cannot."""
    case = Case()

    def attempt(name: str, read: Callable[[bytes], T]) -> T | None:
        try:
            return read(folder.read(name))
        except ValueError as error:
            case.problems.append(f"{name}: {error}")
            return None

    index = attempt("index.xml", _device)
    case.device = index or case.device
    case.began = attempt("index.xml", _began) if index is not None else None
    case.events = attempt("events.xml", read_events) or []
    for name in folder.names(r"trend/[^/]*\.xml"):
        case.trends += attempt(name, read_trend) or []
    case.trends.sort(key=lambda row: row.at_ms)
    files: list[WaveFile] = []
    for name in folder.names(r"(wavelist|addwaves)\.xml"):
        files += attempt(name, lambda data: read_wave_list(data, folder)) or []
    listed = {file.name for file in files}
    for name in folder.names(r".*\.wv"):
        if name not in listed:
            case.problems.append(f"{name}: no list names it; its lead and start are not known")
            files.append(unlisted_wave(name))
    waves = [(file, attempt(file.name, read_wave)) for file in files]
    case.waves = _join([(file, wave) for file, wave in waves if wave is not None], case.device)
    taken = _twelve_lead_times(case.events, folder)
    for name in folder.names(r"12leads/[^/]*\.xml"):
        twelve_lead = attempt(name, read_twelve_lead)
        if twelve_lead is not None:
            case.twelve_leads.append((taken.get(name, 0), twelve_lead))
            case.events += _statements(taken.get(name, 0), twelve_lead)
    case.events.sort(key=lambda event: event.at_ms)
    return case


def _device(data: bytes) -> str:
    root = safe_xml.parse(data)
    words = []
    for name in ("deviceName", "model", "serialNumber"):
        element = next(safe_xml.descendants(root, name), None)
        if element is not None and element.text:
            words.append(element.text.strip())
    return " ".join(words)[:200]


def _began(data: bytes) -> datetime | None:
    for name in ("use", "documentInfo"):
        element = next(safe_xml.descendants(safe_xml.parse(data), name), None)
        for key in ("realStartTime", "date"):
            text = element.get(key) if element is not None else None
            if text:
                return datetime.fromisoformat(text).replace(tzinfo=None)
    return None


def _join(waves: list[tuple[WaveFile, Samples]], device: str) -> list[Waveform]:
    """Put waves of the same start, rate and length side by side into one recording."""
    groups: dict[tuple[int, float, int], list[tuple[WaveFile, Samples]]] = {}
    for file, samples in waves:
        group = groups.setdefault((file.start_ms, file.rate_hz, len(samples)), [])
        group.append((file, samples))
    joined: list[Waveform] = []
    for (start_ms, rate_hz, _), group in sorted(groups.items(), key=lambda item: item[0]):
        for first in range(0, len(group), MAX_LEADS):
            part = group[first : first + MAX_LEADS]
            leads = tuple(Lead(f.label, 1 / f.unit_mv, adc_resolution_bits=16) for f, _ in part)
            columns = np.concatenate([samples for _, samples in part], axis=1)
            joined.append(Waveform(leads, rate_hz, columns, device, start_ms / 1000))
    return joined


def _twelve_lead_times(events: list[CaseEvent], folder: CaseFolder) -> dict[str, int]:
    """Return when each 12-lead file was taken, by the event that names it."""
    times: dict[str, int] = {}
    for event in events:
        name = folder.find(event.parameters.get("fileName", ""))
        if name is not None:
            times[name] = event.at_ms
    return times


def _statements(at_ms: int, twelve_lead: TwelveLead) -> list[CaseEvent]:
    """Return what the device said of its 12-lead as an event beside it."""
    words = list(twelve_lead.statements)
    if twelve_lead.inoperative:
        words.append(f"leads off: {' '.join(twelve_lead.inoperative)}")
    if not words:
        return []
    parameters = {"acquired": twelve_lead.acquired[:200]}
    return [CaseEvent(at_ms, "ecg12LeadStatement", "; ".join(words)[:4000], parameters)]


def _waveform(twelve_lead: TwelveLead) -> Waveform:
    return Waveform(
        twelve_lead.leads,
        twelve_lead.rate_hz,
        twelve_lead.samples,
        twelve_lead.device[:200],
        purpose="twelve_lead",
    )


def _device_time(began: datetime | None, at_ms: int) -> str | None:
    if began is None:
        return None
    try:
        return (began + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds")
    except OverflowError:  # beyond the year 9999: what was written is no time
        return None


def _event_moment(event: CaseEvent, case: Case) -> Moment:
    device_time = _device_time(case.began, event.at_ms)

    def give(at_ns: int) -> list[Reading]:
        return [
            DeviceEvent(
                device=case.device,
                event=event.type,
                text=event.caption,
                at_ns=at_ns,
                parameters=event.parameters,
                device_time=device_time,
            )
        ]

    return Moment(event.at_ms / 1000, give)


def _trend_moments(case: Case) -> list[Moment]:
    """Trends as vitals; a cuff pressure stays, with its own time, until the next one."""
    cuff: dict[str, Numeric] = {}

    def moment(row: TrendRow) -> Moment:
        def give(at_ns: int) -> list[Reading]:
            values = {
                name: msgspec.structs.replace(numeric, measured_ns=at_ns)
                for name, numeric in row.values.items()
            }
            cuff.update({name: values.pop(name) for name in CUFF if name in values})
            return [Vitals(device=case.device, **values, **cuff)]

        return Moment(row.at_ms / 1000, give)

    return [moment(row) for row in case.trends]
