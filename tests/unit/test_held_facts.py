"""Facts that a full disk refuses: kept in order with their times, given up only past the bound."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from onboard.held_facts import HeldFacts
from onboard.logbook import Logbook
from onboard.outgoing import HUB, Outgoing
from onboard.reserve import SIZE_BYTES, Reserve
from streams.clock import SystemClock
from streams.codec import decode
from streams.errors import MalformedError, StorageError
from streams.messages import Envelope, SensorState
from streams.outbox import Draft, Outbox

FULL = StorageError("no space left on device")


def draft(name: str) -> Draft:
    return Draft("sensor_state", SensorState(sensor=name, state="running"))


class Disk:
    """Takes as many drafts as it has room for."""

    def __init__(self) -> None:
        self.room = 0
        self.taken: list[str] = []
        self.bad: set[str] = set()

    def write(self, drafts: Sequence[Draft]) -> None:
        names = [one.body.sensor for one in drafts if isinstance(one.body, SensorState)]
        if self.bad & set(names):
            raise MalformedError("never")
        if len(names) > self.room:
            raise FULL
        self.room -= len(names)
        self.taken += names


def test_held_facts_are_written_in_order_as_far_as_there_is_room() -> None:
    disk = Disk()
    held = HeldFacts(disk.write)
    for number in range(5):
        held.hold(draft(str(number)), FULL)
    disk.room = 1
    with pytest.raises(StorageError):
        held.release()
    assert (disk.taken, len(held), bool(held.error)) == (["0"], 4, True)
    disk.room = 100
    held.release()
    assert disk.taken == ["0", "1", "2", "3", "4"]
    assert (len(held), held.error, held.lost) == (0, "", 0)


def test_held_facts_past_the_bound_lose_the_oldest_and_count_it() -> None:
    disk = Disk()
    held = HeldFacts(disk.write, most=3)
    for number in range(5):
        held.hold(draft(str(number)), FULL)
    assert (len(held), held.lost) == (3, 2)
    disk.room = 100
    held.release()
    assert disk.taken == ["2", "3", "4"]


def test_held_fact_that_can_never_be_written_stops_no_other() -> None:
    disk = Disk()
    held = HeldFacts(disk.write)
    for number in range(4):
        held.hold(draft(str(number)), FULL)
    disk.room, disk.bad = 100, {"0", "2"}
    held.release()
    assert (disk.taken, len(held)) == (["1", "3"], 0)


@pytest.fixture
def outgoing(tmp_path: Path) -> Outgoing:
    outbox = Outbox(tmp_path / "outbox.sqlite", "unit-1", SystemClock())
    return Outgoing(outbox, Logbook(tmp_path / "logbook.sqlite"))


def made(outgoing: Outgoing) -> list[Envelope]:
    return [decode(one.data) for one in outgoing._outbox.waiting(HUB, "facts", 0, 100)]


def test_fact_made_after_held_ones_follows_them_and_they_keep_their_times(
    outgoing: Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise FULL

    heard: list[str] = []
    outgoing.listen(lambda envelope: heard.append(envelope.id))
    with monkeypatch.context() as patch:
        patch.setattr(outgoing._outbox, "add_all", full)
        outgoing.make_or_hold(draft("a"))
        outgoing.make_or_hold(draft("b"))
        with pytest.raises(StorageError):
            outgoing.make([draft("asked for")])
        assert (outgoing.unsent, heard) == (2, [])
    room_ns = SystemClock().wall_ns()
    outgoing.make([draft("c")])
    facts = made(outgoing)
    assert [one.sequence for one in facts] == [1, 2, 3]
    assert facts[0].source_ns < facts[1].source_ns < room_ns < facts[2].source_ns
    assert heard == [one.id for one in facts]
    assert outgoing.made == 3


def test_reserve_is_given_up_only_where_a_start_has_no_room(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path)
    reserve.lay_up(SIZE_BYTES, keep_free_bytes=SIZE_BYTES)
    assert list(tmp_path.iterdir()) == [], "what is to be kept free is not taken"
    reserve.lay_up(4 * SIZE_BYTES, keep_free_bytes=SIZE_BYTES)
    (file,) = tmp_path.iterdir()
    assert (file.stat().st_size, file.stat().st_mode & 0o777) == (SIZE_BYTES, 0o600)
    assert not reserve.give_up_if_full(SIZE_BYTES)
    assert not reserve.give_up_if_full(-1)
    assert reserve.give_up_if_full(0)
    assert list(tmp_path.iterdir()) == []
    assert not reserve.give_up_if_full(0)
