"""What is newest on board: the last of a sensor, whatever its clock was set to in between."""

from __future__ import annotations

from onboard.positions import Positions
from onboard.vital_signs import VitalSigns
from streams.messages import Numeric, Origin, Position, Vitals

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
NOW = 1_800_000_000 * SECOND


class Cab:
    """The parts of one vehicle, whose machine has run for some seconds."""

    def __init__(self) -> None:
        self.positions, self.vital_signs = Positions(), VitalSigns()

    def at(
        self, latitude_deg: float, wall_ns: int, second: int, sensor: str = "gps",
        origin: Origin = "live",
    ) -> None:  # fmt: skip
        position = Position(
            latitude_deg=latitude_deg, longitude_deg=121.0, measured_ns=wall_ns, source="test"
        )
        self.positions.take(position, origin, sensor, second * SECOND)

    def pulse(self, value: float, wall_ns: int, second: int, sensor: str = "monitor") -> None:
        rate = Numeric(value=value, measured_ns=wall_ns)
        vitals = Vitals(device="m", heart_rate_per_min=rate)
        self.vital_signs.take(vitals, "live", sensor, second * SECOND)

    @property
    def shown(self) -> tuple[float, list[float]]:
        sign = self.vital_signs.view(0)["heart_rate_per_min"]
        return sign["value"], [point["value"] for point in sign["history"]]


def test_position_after_the_clock_was_set_back_is_the_newest_and_goes_out() -> None:
    cab = Cab()
    cab.at(31.0, NOW + HOUR, 1)
    cab.positions.take_unsent()
    cab.at(31.2, NOW, 2)
    sent = cab.positions.take_unsent()
    assert sent is not None
    assert sent.latitude_deg == 31.2


def test_vital_sign_after_the_clock_was_set_back_is_shown() -> None:
    cab = Cab()
    cab.pulse(80.0, NOW + HOUR, 1)
    cab.pulse(35.0, NOW, 2)
    cab.pulse(36.0, NOW + SECOND, 3)
    assert cab.shown == (36.0, [35.0, 36.0])


def test_vital_sign_measured_earlier_by_another_sensor_is_left_out() -> None:
    cab = Cab()
    cab.pulse(80.0, NOW, 1)
    cab.pulse(70.0, NOW - SECOND, 2, sensor="other")
    assert cab.shown == (80.0, [80.0])


def test_vital_sign_of_a_sensor_long_silent_gives_way_to_another() -> None:
    cab = Cab()
    cab.pulse(80.0, NOW + HOUR, 1)
    cab.pulse(70.0, NOW, 20, sensor="other")
    assert cab.shown[0] == 80.0
    cab.pulse(71.0, NOW + 60 * SECOND, 120, sensor="other")
    assert cab.shown[0] == 71.0


def test_track_with_a_synthetic_position_is_synthetic_though_the_last_is_live() -> None:
    cab = Cab()
    cab.at(31.0, NOW, 1, sensor="route", origin="synthetic")
    cab.at(31.1, NOW + SECOND, 2)
    track, origin = cab.positions.take_track()
    assert (len(track), origin) == (2, "synthetic")
    cab.positions.give_back(track, origin)
    assert cab.positions.take_track()[1] == "synthetic"
