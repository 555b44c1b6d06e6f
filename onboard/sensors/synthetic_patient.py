"""A patient who does not exist, for those who have no recording; always marked as synthetic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import numpy as np

from onboard.errors import SensorError
from onboard.sensors.pace import NS, Pace, Sleep
from onboard.sensors.readings import EcgBegan, EcgChunk, EcgFinished, Ended, Reading
from onboard.sensors.settings import SyntheticPatientSettings
from onboard.sensors.synthetic_beats import make_beats
from onboard.sensors.synthetic_ecg import SyntheticEcg, leads
from streams.clock import Clock
from streams.ecg_block import EcgSetup
from streams.identity import new_id
from streams.messages import Numeric, Origin, Vitals

DEVICE = "Synthetic patient"
VITALS_EVERY_S = 5.0
CUFF_FIRST_S, CUFF_EVERY_S = 15.0, 180.0


@dataclass(frozen=True, slots=True)
class State:
    """The patient at one time; between two the values go in straight lines.

    Attributes:
        at_s: Seconds since the start.
    """

    at_s: float
    heart_rate: float
    systolic: float
    diastolic: float
    spo2: float
    respiratory_rate: float
    temperature: float = 36.8


SCENARIOS: dict[str, tuple[State, ...]] = {
    "stable": (State(0, 74, 128, 78, 98, 14),),
    "stemi": (
        State(0, 88, 138, 86, 97, 18),
        State(300, 104, 112, 70, 95, 22),
        State(900, 118, 88, 52, 91, 26),
    ),
    "stroke": (State(0, 82, 186, 104, 96, 16), State(900, 76, 196, 110, 94, 15)),
    "sepsis": (State(0, 112, 104, 58, 94, 24, 38.9), State(900, 128, 84, 44, 91, 30, 39.4)),
    "bleeding": (State(0, 108, 108, 70, 97, 22), State(600, 138, 72, 40, 93, 30, 36.0)),
}

_ANTERIOR_MV = {"V1": 0.12, "V2": 0.28, "V3": 0.32, "V4": 0.22, "II": -0.06}
_ELEVATION: dict[str, dict[str, float]] = {"stemi": _ANTERIOR_MV}


def state_at(scenario: str, at_s: float) -> State:
    """Return the patient at a time; the last state of a scenario lasts."""
    states = SCENARIOS[scenario]
    times = [state.at_s for state in states]

    def value(name: str) -> float:
        return float(np.interp(at_s, times, [getattr(state, name) for state in states]))

    return State(at_s, *(value(name) for name in State.__slots__ if name != "at_s"))


class SyntheticPatient:
    """Makes ECG and vitals of a scenario as they would come from a monitor.

    Attributes:
        name: Name of the sensor.
        origin: ``synthetic``.
    """

    origin: Origin = "synthetic"

    def __init__(
        self, settings: SyntheticPatientSettings, clock: Clock, sleep: Sleep = asyncio.sleep
    ) -> None:
        self.name: str = settings.name
        self.settings = settings
        self._pace = Pace(clock, sleep, settings.speed)
        self._random = np.random.default_rng(settings.seed)
        self._cuff: dict[str, Numeric] = {}
        self._next_cuff_s = CUFF_FIRST_S

    async def readings(self) -> AsyncGenerator[Reading, None]:
        """Give the ECG in chunks, and vitals every five seconds.

        Raises:
            SensorError: neurokit2 is not installed or fails.
        """
        settings = self.settings
        rate_hz = settings.sampling_frequency_hz
        ecg = await self._prepare() if settings.ecg else None
        setup = EcgSetup(new_id(), float(rate_hz), leads())
        start_ns = self._pace.start()
        if ecg:
            yield EcgBegan(setup, start_ns, DEVICE)
        total = (
            None if settings.duration_s is None else max(1, round(settings.duration_s * rate_hz))
        )
        first, frame, next_vitals_s = 0, 0, 0.0
        while total is None or first < total:
            frame += 1
            end = round(frame * settings.frame_ms * rate_hz / 1000)
            end = end if total is None else min(end, total)
            newest_s = (end - 1) / rate_hz
            samples = ecg.take(end - first, self._heart_rate_at) if ecg else None
            at_ns = await self._pace.reach(round(newest_s * NS))
            if samples is not None:
                yield EcgChunk(setup, first, samples, at_ns)
            first = end
            if settings.vitals and newest_s >= next_vitals_s:
                next_vitals_s += VITALS_EVERY_S
                yield self._vitals(newest_s, at_ns)
        if ecg:
            yield EcgFinished(setup.setup_id, first)
        yield Ended(f"end of the scenario {settings.scenario} after {settings.duration_s:g} s")

    async def _prepare(self) -> SyntheticEcg:
        settings = self.settings
        try:
            beats = await make_beats(settings.sampling_frequency_hz, settings.seed)
        except TimeoutError as error:
            raise SensorError(self.name, "neurokit2 does not finish") from error
        except (OSError, ValueError) as error:
            raise SensorError(self.name, str(error)) from error
        return SyntheticEcg(beats, settings.seed, _ELEVATION.get(settings.scenario))

    def _heart_rate_at(self, at_s: float) -> float:
        return state_at(self.settings.scenario, at_s).heart_rate

    def _vitals(self, at_s: float, at_ns: int) -> Vitals:
        state = state_at(self.settings.scenario, at_s)

        def about(value: float, spread: float, highest: float = 1000) -> Numeric:
            shaken = min(highest, value + spread * float(self._random.standard_normal()))
            return Numeric(value=float(round(shaken)), measured_ns=at_ns)

        if at_s >= self._next_cuff_s:
            self._next_cuff_s += CUFF_EVERY_S
            systolic, diastolic = about(state.systolic, 3), about(state.diastolic, 2)
            mean = Numeric(
                value=float(round(_mean(systolic.value, diastolic.value))), measured_ns=at_ns
            )
            self._cuff = {
                "nibp_systolic_mmhg": systolic,
                "nibp_diastolic_mmhg": diastolic,
                "nibp_mean_mmhg": mean,
            }
        return Vitals(
            device=DEVICE,
            heart_rate_per_min=about(state.heart_rate, 1),
            pulse_rate_per_min=about(state.heart_rate, 1),
            spo2_percent=about(state.spo2, 0.5, 100),
            respiratory_rate_per_min=about(state.respiratory_rate, 0.7),
            temperature_celsius=Numeric(value=round(state.temperature, 1), measured_ns=at_ns),
            **self._cuff,
        )


def _mean(systolic: float | None, diastolic: float | None) -> float:
    """Mean pressure by the rule of thumb: a third of the way from diastolic to systolic."""
    assert systolic is not None
    assert diastolic is not None
    return diastolic + (systolic - diastolic) / 3
