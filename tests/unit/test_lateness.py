"""Which facts are late: by the age at storing, against the staleness of their kind."""

from __future__ import annotations

import pytest

from streams.lateness import EVENT_S, late_after_s, late_ns
from streams.topics import TOPICS

SECOND_NS = 1_000_000_000


def test_late_vital_sign_is_one_older_than_its_topics_staleness() -> None:
    limit_ns = round((TOPICS["vitals"].stale_after_s or 0) * SECOND_NS)
    assert late_ns("vitals", 1000, 1000 + limit_ns) == 0
    assert late_ns("vitals", 1000, 1001 + limit_ns) == limit_ns + 1


def test_late_event_without_staleness_has_a_limit_of_its_own() -> None:
    assert late_after_s("pre_alert") == EVENT_S
    assert late_ns("milestone", 0, 240 * SECOND_NS) == 240 * SECOND_NS
    assert late_ns("milestone", 0, 29 * SECOND_NS) == 0


@pytest.mark.parametrize("kind", ["ecg_record", "ecg_ended", "track", "position", "ecg_live"])
def test_late_is_never_said_of_records_and_streams(kind: str) -> None:
    assert late_ns(kind, 0, 3600 * SECOND_NS) == 0


def test_late_a_source_whose_clock_runs_ahead_is_in_time() -> None:
    assert late_ns("vitals", 10 * SECOND_NS, 0) == 0
