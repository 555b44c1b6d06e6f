"""Any interleaving of send, loss, repeat, kill and restore ends with all that was made, once.

Hypothesis chooses what happens; the parts are real (``tests.delivery_world``). A failure prints
the steps and a blob that repeats them. ``FORERUN_SEARCH=5000`` looks at so many runs instead of
a few.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.delivery_world import SECOND_NS, OnWire, World, copy_of
from tests.machine_search import LANE, PLACE, RUNS, SIZE, search

SEARCH = search(max_examples=RUNS or 40, derandomize=not RUNS)

DEATHS = st.sampled_from(["before the commit", "before it answers"])


class Delivery(RuleBasedStateMachine):
    """A vehicle, the hub, and everything that may happen between them."""

    healed: ClassVar[int] = 0
    """Runs whose end was compared: all that was made is in the journal, once, in order."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="delivery-"))
        self.world = World(self.folder, asyncio.new_event_loop())
        self.old_words: list[bytes] = []
        self.old_receipts: list[bytes] = []

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.world.heal()
            Delivery.healed += 1
        finally:
            self.world.close()
            self.world.loop.close()
            shutil.rmtree(self.folder)

    # --- the vehicle ---------------------------------------------------------------------------

    @rule(lane=LANE, case=st.integers(0, 2), size=SIZE, count=st.integers(1, 4))
    def make(self, lane: str, case: int, size: int, count: int) -> None:
        for number in range(count):
            self.world.make(lane, case, size + number)  # type: ignore[arg-type]

    @rule(turns=st.integers(1, 6))
    def send(self, turns: int) -> None:
        for _ in range(turns):
            self.world.send()

    @rule()
    def lose_the_path(self) -> None:
        self.world.connected = False

    @rule()
    def find_a_path(self) -> None:
        self.world.connected = True
        self.world.sender.path_is_new()

    @rule()
    def kill_the_vehicle(self) -> None:
        self.world.restart_vehicle()

    @rule(seconds=st.sampled_from([0.3, 1.1, 2.1, 16, 31]))
    def pass_time(self, seconds: float) -> None:
        self.world.clock.monotonic += int(seconds * SECOND_NS)
        self.world.clock.wall += int(seconds * SECOND_NS)

    @rule()
    def set_the_clock_back(self) -> None:
        self.world.clock.wall -= 3600 * SECOND_NS

    @rule(lane=LANE, case=st.integers(0, 2), size=SIZE, turns=st.integers(1, 6))
    def drive_undisturbed(self, lane: str, case: int, size: int, turns: int) -> None:
        """All is well for a while: without this little would ever be stored and freed."""
        self.find_a_path()
        self.make_the_streams()
        for _ in range(turns):
            self.make(lane, case, size, 2)
            self.world.exchange()

    # --- what is under way ---------------------------------------------------------------------

    def some(self, place: int, count: int) -> list[OnWire]:
        up = self.world.up
        return [up[(place + step) % len(up)] for step in range(min(count, len(up)))]

    @precondition(lambda self: self.world.up)
    @rule(place=PLACE, count=st.integers(1, 8))
    def deliver(self, place: int, count: int) -> None:
        self.world.deliver(self.some(place, count))

    @precondition(lambda self: self.world.up)
    @rule(place=PLACE, count=st.integers(1, 8))
    def deliver_backwards(self, place: int, count: int) -> None:
        self.world.deliver(self.some(place, count)[::-1])

    @precondition(lambda self: self.world.up)
    @rule(place=PLACE)
    def repeat(self, place: int) -> None:
        (one,) = self.some(place, 1)
        self.world.up.append(OnWire(one.topic, one.data, one.acknowledged))

    @precondition(lambda self: self.world.up)
    @rule(place=PLACE, count=st.integers(1, 4))
    def lose(self, place: int, count: int) -> None:
        for one in self.some(place, count):
            self.world._taken(one)

    @precondition(lambda self: self.world.up)
    @rule(place=PLACE, cut=st.integers(1, 60), how=st.integers(0, 3))
    def spoil(self, place: int, cut: int, how: int) -> None:
        """Deliver what is no fact, or not the vehicle's: it must be refused and answer nothing."""
        (one,) = self.some(place, 1)
        data = (one.data[:-cut], one.data[cut:], b"\x00" * cut, one.data)[how]
        topic = one.topic.replace("unit-7", "unit-8") if how == 3 else one.topic
        before = self.world.journaled()
        self.world.deliver([OnWire(topic, data, lambda _: None)])
        assert self.world.journaled() == before, "spoiled, and stored"

    @precondition(lambda self: self.world.down)
    @rule(place=PLACE, keeps=st.booleans())
    def answer(self, place: int, keeps: bool) -> None:
        down = self.world.down
        receipt = down[place % len(down)] if keeps else down.pop(place % len(down))
        self.world.answer(receipt)

    @precondition(lambda self: self.world.down)
    @rule(place=PLACE)
    def lose_a_receipt(self, place: int) -> None:
        self.world.down.pop(place % len(self.world.down))

    @precondition(lambda self: self.world.words)
    @rule(place=PLACE, keeps=st.booleans())
    def hear(self, place: int, keeps: bool) -> None:
        words = self.world.words
        self.world.hear(words[place % len(words)] if keeps else words.pop(place % len(words)))

    # --- the broker and the hub ----------------------------------------------------------------

    @rule()
    def wipe_the_broker(self) -> None:
        self.world.up.clear()
        self.world.connected = self.world.stands = False

    @rule()
    def make_the_streams(self) -> None:
        self.world.stands = True

    @precondition(lambda self: self.world.up)
    @rule(place=PLACE, count=st.integers(1, 8), dies=DEATHS)
    def kill_the_hub_while_it_takes(self, place: int, count: int, dies: str) -> None:
        self.world.deliver(self.some(place, count), dies=dies)
        self.world.restart_hub()

    @rule()
    def back_the_hub_up(self) -> None:
        (self.folder / "backup.sqlite").unlink(missing_ok=True)
        copy_of(self.folder / "journal.sqlite", self.folder / "backup.sqlite")

    @rule()
    def set_the_hub_back(self) -> None:
        """To its backup; or to an empty disk, where there is none."""
        self.world.restart_hub(self.folder / "backup.sqlite")

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "world"):
            self.world.check()


def test_delivery_any_interleaving_ends_with_the_journal_equal_to_what_was_made() -> None:
    run_state_machine_as_test(Delivery, settings=SEARCH)
    assert Delivery.healed >= SEARCH.max_examples // 2, "most runs came to their end"
