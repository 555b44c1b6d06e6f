"""What pages hear of the hub's own trouble: at once when something fails, not while it starts."""

from __future__ import annotations

from dispatch.trouble import STARTING_MS, TroubleWatch
from streams.health import Check

START_MS = 1_000_000


class Parts:
    """Two parts of a hub, of which the broker can be taken away."""

    def __init__(self, *, broker: bool) -> None:
        self.broker = broker

    def checks(self) -> dict[str, Check]:
        return {
            "broker": {"ok": self.broker, "text": "connected" if self.broker else "no connection"},
            "journal": {"ok": True, "text": "at fact 7"},
        }


def test_trouble_hub_that_connects_while_it_starts_tells_nothing() -> None:
    parts = Parts(broker=False)
    watch = TroubleWatch(parts.checks)
    for after_ms in (0, 1000, STARTING_MS - 1):
        assert not watch.look(START_MS + after_ms)
        assert watch.standing == []
    parts.broker = True
    assert not watch.look(START_MS + STARTING_MS)
    assert watch.standing == []


def test_trouble_broker_that_never_came_is_told_once_the_start_is_over() -> None:
    watch = TroubleWatch(Parts(broker=False).checks)
    assert not watch.look(START_MS)
    assert watch.look(START_MS + STARTING_MS)
    (trouble,) = watch.standing
    assert trouble == {"part": "broker", "text": "no connection", "since_ms": START_MS}
    assert not watch.look(START_MS + STARTING_MS + 1000)


def test_trouble_broker_that_was_there_and_goes_is_told_at_once_and_again_when_it_is_back() -> None:
    parts = Parts(broker=True)
    watch = TroubleWatch(parts.checks)
    assert not watch.look(START_MS)
    parts.broker = False
    assert watch.look(START_MS + 200)
    assert [trouble["since_ms"] for trouble in watch.standing] == [START_MS + 200]
    parts.broker = True
    assert watch.look(START_MS + 1200)
    assert watch.standing == []
