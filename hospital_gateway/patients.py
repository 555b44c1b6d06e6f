"""One patient of a case: what was alerted, measured and recorded of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from hospital_gateway.vital_trends import Trend
from streams.ecg_block import EcgSetup
from streams.messages import Origin, PreAlert
from streams.source_clocks import Order

Value = TypeVar("Value")


@dataclass(slots=True)
class Latest(Generic[Value]):
    """A value that a later fact of the case replaces, whichever comes first.

    What the hub decides is later when it stands later in the case. What a unit says is later
    when it was made later: on its way one may overtake another.
    """

    sequence: int = 0
    value: Value | None = None
    made: Order = (0, "", 0, 0, 0)

    def offer(self, sequence: int, value: Value, made: Order = (0, "", 0, 0, 0)) -> None:
        """Take the value if its fact is later than the one known.

        Args:
            sequence: The fact's place in the case.
            value: What it says.
            made: When it was made, for what units say.
        """
        if (made, sequence) > (self.made, self.sequence):
            self.sequence, self.value, self.made = sequence, value, made


@dataclass(frozen=True, slots=True)
class Stamped:
    """A fact's body with what is needed to show when and by whom it was said.

    Attributes:
        id: The fact's id.
        sequence: Its place in the case.
        at_ns: When it was made, by the hub's clock.
        shift_ns: What moves times inside the body to the hub's clock.
        source: Who made it.
        origin: live, replay or synthetic.
        made: What sorts it among the facts of its source.
        late_ns: How late it came, to the hub; 0 when in time.
    """

    id: str
    sequence: int
    at_ns: int
    shift_ns: int
    source: str
    origin: Origin
    made: Order
    late_ns: int


@dataclass(frozen=True, slots=True)
class Alert(Stamped):
    """A pre-alert as the crew sent it."""

    body: PreAlert


@dataclass(frozen=True, slots=True)
class Recording(Stamped):
    """An ECG that runs or ran."""

    setup: EcgSetup
    device: str
    start_ns: int
    purpose: str


@dataclass(slots=True)
class Patient:
    """What belongs to one patient of the case; ``label`` None is *unassigned*.

    Attributes:
        label: The patient's label as the crew gave it, or None.
        alert: The newest pre-alert.
        trends: Vital signs by name.
        recordings: ECG recordings by the id of their setup.
        ended: Setup ids of recordings that ended.
        origins: Where the clinical values came from.
    """

    label: str | None
    alert: Latest[Alert] = field(default_factory=Latest)
    trends: dict[str, Trend] = field(default_factory=dict)
    recordings: dict[str, Latest[Recording]] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    origins: set[Origin] = field(default_factory=set)

    @property
    def has_content(self) -> bool:
        """Whether anything clinical is known."""
        return bool(self.trends or self.recordings) or self.alert.value is not None

    @property
    def recording(self) -> Recording | None:
        """The newest continuous ECG recording; without one, the newest stored 12-lead."""
        known = [latest.value for latest in self.recordings.values() if latest.value]
        return max(known, key=lambda one: (one.purpose == "rhythm", one.sequence), default=None)
