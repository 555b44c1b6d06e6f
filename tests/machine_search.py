"""What the state machines of delivery search with: how far, and through which values.

``FORERUN_SEARCH=5000`` looks at so many runs, of twice as many steps, instead of a few.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from streams.topics import LANES

RUNS = int(os.environ.get("FORERUN_SEARCH", "0"))

PLACE = st.integers(0, 1000)
LANE = st.sampled_from(LANES)
SIZE = st.one_of(st.integers(0, 40), st.integers(0, 3000))


def search(**others: Any) -> settings:
    """Return the settings of a search; a failure prints a blob that repeats it."""
    return settings(
        stateful_step_count=60 if RUNS else 30,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        **others,
    )
