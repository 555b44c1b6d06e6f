"""Neighbouring districts as a hub sees them, what it tells of itself, and what it takes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from dispatch.capacity import Capacity
from dispatch.cases import CaseBook
from dispatch.district_picture import SOURCE_LENGTH, picture
from dispatch.neighbours import (
    SILENCE_NS,
    Neighbours,
    NeighbourSettings,
    check_neighbours,
)
from dispatch.units import Fleet, HospitalSettings, UnitSettings, place
from streams.chain import Refused, Stored
from streams.clock import SystemClock
from streams.codec import decode, encode
from streams.delivery import Examined, examine
from streams.district_messages import (
    LABEL_LENGTH,
    MOST_HOSPITALS,
    MOST_UNITS,
    DistrictFact,
    DistrictHospital,
    DistrictState,
    DistrictUnit,
)
from streams.errors import ConfigError
from streams.messages import Envelope, GivenPlace, Position
from streams.outbox import Draft, Outbox
from streams.topics import Scope, path

SECOND_NS = 1_000_000_000
START_NS = 1_800_000_000 * SECOND_NS


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    """A hub's outbox."""
    return Outbox(tmp_path / "outbox.sqlite", "hub", SystemClock(), boot="b")


def neighbours() -> Neighbours:
    """One neighbour."""
    return Neighbours([NeighbourSettings(region="south", label="South")])


def enveloped(outbox: Outbox, state: DistrictState, made_ns: int, boot: str = "b") -> Envelope:
    """The envelope of a state that was made at a time of its machine's monotonic clock."""
    envelope = outbox.envelope(Draft("district_state", state))
    return msgspec.structs.replace(envelope, monotonic_ns=made_ns, boot=boot)


def test_neighbour_is_connected_while_it_speaks_and_says_since_when() -> None:
    found = neighbours()
    south = found.get("south")
    assert south is not None
    assert found.look(START_NS, 0) == []
    assert (south.connected, south.since_ns, south.label) == (False, START_NS, "South")

    assert found.hear("south", START_NS + 1, 1)
    assert not found.hear("south", START_NS + 2, 2)
    assert (south.connected, south.since_ns, south.heard_ns) == (True, START_NS + 1, START_NS + 2)

    assert found.look(START_NS + SILENCE_NS, 2 + SILENCE_NS) == []
    assert found.look(START_NS + SILENCE_NS + 5, 3 + SILENCE_NS) == ["south"]
    assert found.look(START_NS + SILENCE_NS + 6, 4 + SILENCE_NS) == []
    assert (south.connected, south.since_ns) == (False, START_NS + SILENCE_NS + 5)
    assert found.hear("south", START_NS + 2 * SILENCE_NS, 2 * SILENCE_NS)


def test_older_state_does_not_replace_a_newer_one_and_another_machine_s_does(
    outbox: Outbox,
) -> None:
    found = neighbours()
    first, second = (
        DistrictState(at_ns=START_NS + number, units=[DistrictUnit(name=f"unit-{number}")])
        for number in (1, 2)
    )

    assert found.take("south", enveloped(outbox, second, 20), second, START_NS)
    assert not found.take("south", enveloped(outbox, first, 10), first, START_NS)
    assert not found.take("south", enveloped(outbox, second, 20), second, START_NS)
    assert [unit.name for unit in found.all()[0].units] == ["unit-2"]
    assert found.take("south", enveloped(outbox, first, 10, "other"), first, START_NS)
    assert [unit.name for unit in found.all()[0].units] == ["unit-1"]


def test_times_are_moved_to_our_clock_and_a_wait_on_the_way_makes_nothing_young(
    outbox: Outbox,
) -> None:
    """The neighbour's clock is an hour ahead; its second message waited 4 s on the way."""
    found, ahead_ns = neighbours(), 3600 * SECOND_NS

    def state(at_ns: int) -> DistrictState:
        position = Position(
            latitude_deg=31.0, longitude_deg=121.0, source="gnss",
            measured_ns=at_ns + ahead_ns - 2 * SECOND_NS,
        )  # fmt: skip
        unit = DistrictUnit(name="unit-1", position=position, heard_ns=position.measured_ns)
        silent = DistrictUnit(name="unit-2")
        hospital = DistrictHospital(
            name="h", latitude_deg=31.0, longitude_deg=121.0, beds=2, stated_ns=at_ns + ahead_ns
        )
        return DistrictState(at_ns=at_ns + ahead_ns, units=[unit, silent], hospitals=[hospital])

    made = state(START_NS)
    assert found.take("south", enveloped(outbox, made, 1), made, START_NS)
    late_ns = START_NS + SECOND_NS
    made = state(late_ns)
    assert found.take("south", enveloped(outbox, made, 2), made, late_ns + 4 * SECOND_NS)

    south = found.all()[0]
    unit, silent = south.units
    assert unit.position is not None
    assert unit.position.measured_ns == unit.heard_ns == late_ns - 2 * SECOND_NS
    assert (silent.position, silent.heard_ns) == (None, 0)
    assert south.hospitals[0].stated_ns == south.state_ns == late_ns
    assert not south.is_stale(late_ns + 10 * SECOND_NS)
    assert south.is_stale(late_ns + 10 * SECOND_NS + 1)


def test_picture_tells_units_and_hospitals_and_no_more_than_one_message_takes() -> None:
    many = range(MOST_UNITS + 3)
    fleet = Fleet(
        tuple(UnitSettings(name=f"u-{number:03}", label="L" * 200) for number in many),
        (
            HospitalSettings(
                name="h", latitude_deg=31.0, longitude_deg=121.0, abilities=("stroke",)
            ),
        ),
    )
    fleet.capacities["h"] = Capacity(beds=3, resus_bays=None, diversion=True, stated_ns=7)
    last = fleet.units[f"u-{many[-1]:03}"]
    last.heard_ns = 5
    here = Position(latitude_deg=31.0, longitude_deg=121.0, measured_ns=9, source="gnss")
    given = GivenPlace(datum="gcj02", latitude_deg=31.0, longitude_deg=121.0)
    assert place(last, msgspec.structs.replace(here, given=given), 0, "synthetic")

    told = picture(fleet, CaseBook(), START_NS)

    assert (told.at_ns, len(told.units), told.left_out) == (START_NS, MOST_UNITS, 3)
    assert told.units[-1].name == last.name  # the one that was heard last is not left out
    assert (told.units[-1].status, told.units[-1].origin) == ("free", "synthetic")
    assert told.units[-1].position == here
    assert len(told.units[0].label) == LABEL_LENGTH
    (hospital,) = told.hospitals
    assert (hospital.beds, hospital.resus_bays, hospital.diversion) == (3, None, True)
    assert (hospital.abilities, hospital.stated_ns, hospital.bound) == (("stroke",), 7, 0)


def test_largest_state_is_within_the_limit_of_its_kind(outbox: Outbox) -> None:
    words = tuple(f"w{number:02}_" + "x" * 26 for number in range(12))
    large = 2**63 - 1
    position = Position(
        latitude_deg=-89.123456789, longitude_deg=-179.123456789, measured_ns=large,
        source="𝄞" * SOURCE_LENGTH, radius_m=1234.5678, confidence=0.123456, speed_mps=12.345678,
        heading_deg=123.45678, altitude_m=1234.5678,
    )  # fmt: skip
    unit = DistrictUnit(
        name="n" * 40, label="𝄞" * LABEL_LENGTH, status="s" * 30, abilities=words,
        serves=False, position=position, heard_ns=large, origin="synthetic",
    )  # fmt: skip
    hospital = DistrictHospital(
        name="n" * 40, label="𝄞" * LABEL_LENGTH, latitude_deg=-89.12345678,
        longitude_deg=-179.12345678, abilities=words, capabilities=words, beds=large,
        resus_bays=large, diversion=True, stated_ns=large, bound=large,
    )  # fmt: skip
    state = DistrictState(
        at_ns=large,
        units=[unit] * MOST_UNITS,
        hospitals=[hospital] * MOST_HOSPITALS,
        left_out=large,
    )

    data = encode(outbox.envelope(Draft("district_state", state)))  # OversizedError, were it more
    address: tuple[Scope, str, str] = ("district", "north", "south")
    assert isinstance(examine(path(*address, "district_state"), data, 1, "hub"), Examined)


def told_fact(outbox: Outbox, region: str = "north") -> bytes:
    """A fact for a neighbour, as it travels."""
    body = DistrictFact(region=region, fact=b"whatever it is")
    return encode(outbox.add("district/south", Draft("district_fact", body, lane="urgent")))


def test_neighbour_s_fact_is_numbered_under_its_region_and_its_hub(outbox: Outbox) -> None:
    topic = path("district", "north", "south", "district_fact")

    item = examine(topic, told_fact(outbox), START_NS, "hub")

    assert isinstance(item, Examined)
    assert item.arrived.line is not None
    assert item.arrived.line.source == "north/hub"
    assert item.arrived.line.lane == "urgent"  # that of the fact it carries
    assert decode(item.arrived.data).case is None  # a neighbour's case is none of ours


def test_fact_in_another_district_s_name_is_refused_and_answered(outbox: Outbox) -> None:
    topic = path("district", "west", "south", "district_fact")

    item = examine(topic, told_fact(outbox, "north"), START_NS, "hub")

    assert isinstance(item, Refused)
    assert "'west' may not speak for 'north'" in item.text
    assert item.line is not None
    assert (item.line.source, item.sequence) == ("west/hub", 1)


def test_name_that_the_journal_cannot_keep_is_refused(outbox: Outbox) -> None:
    topic = path("district", "n" * 38, "south", "district_fact")

    item = examine(topic, told_fact(outbox, "n" * 38), START_NS, "hub")

    assert isinstance(item, Refused)
    assert "more than 39 characters" in item.text


def test_neighbours_must_be_other_districts_and_names_short() -> None:
    south, west = (NeighbourSettings(region=one) for one in ("south", "west"))
    check_neighbours([south, west], "north", "hub")
    check_neighbours([], "n" * 40, "h" * 40)
    for settings in ([south, south], [south, NeighbourSettings(region="north")]):
        with pytest.raises(ConfigError, match="twice"):
            check_neighbours(settings, "north", "hub")
    with pytest.raises(ConfigError, match=r"\[\[neighbours\]\] 'south' `border`"):
        line = ((31.0, 121.0), (31.1, 121.0))
        check_neighbours([NeighbourSettings(region="south", border=line)], "north", "hub")
    with pytest.raises(ConfigError, match="39 characters"):
        check_neighbours([south], "n" * 30, "h" * 10)


def test_neighbour_s_hub_that_is_named_as_our_unit_is_not_that_unit() -> None:
    fleet = Fleet((UnitSettings(name="hub"),), ())
    body = DistrictFact(region="south", fact=b"x")
    envelope = Envelope(
        version=1, kind="district_fact", id="0" * 26, source="hub", epoch="0" * 26, lane="facts",
        sequence=1, source_ns=1, monotonic_ns=1, offset_ns=0, uncertainty_ns=0, origin="live",
        body=msgspec.Raw(msgspec.msgpack.encode(body)),
    )  # fmt: skip
    fleet.take(Stored(1, envelope, b"", None, START_NS, START_NS, None))
    assert fleet.units["hub"].heard_ns == 0
