"""The table of topics: everything that travels, once.

Broker rights, JetStream subjects, staleness, urgency, size limits, the recorder and the load
test are derived from ``TOPICS``; no topic string is written anywhere else. ``LIVE`` data goes
below ``ems/`` (units), ``er/`` (hospitals) and ``dx/`` (from one district's hub to another's),
exercises below the same with ``drill-`` before it: other topics, other streams, other rights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streams import (
    bay_messages,
    call_messages,
    caller_video_messages,
    district_messages,
    guidance_messages,
    hospital_messages,
    incident_messages,
    link_messages,
    messages,
    partner_messages,
    text_messages,
    video_messages,
)
from streams.errors import TopicError, UnknownKindError
from streams.identity import check_name
from streams.messages import Body, Lane

Party = Literal["unit", "hub", "hospital"]
Scope = Literal["unit", "hospital", "district"]
Retention = Literal["record", "track", "none"]

KIB = 1024


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the table.

    Attributes:
        kind: Last token of the topic, and the envelope's ``kind``.
        body: What the body decodes to.
        makers: Who may publish it.
        scopes: Below whose name it stands: the unit's, the hospital's, the neighbour's that it is
            for.
        lane: Which lane of the outbox numbers and sends it; ``stream`` has no outbox.
        rate_hz: How often it comes; None for events. Alive means heard within 10 periods.
        limit_bytes: The most that is taken, envelope included.
        retention: Class of keeping: ``record`` for the patient's record, ``track`` for
            positions, ``none`` for what is never stored.
        expiry_s: After this age it is no longer worth showing as current; None for never.
        case_only: Whether it means nothing without a case.
    """

    kind: str
    body: type[Body]
    makers: frozenset[Party]
    scopes: frozenset[Scope]
    lane: Lane
    rate_hz: float | None = None
    limit_bytes: int = 16 * KIB
    retention: Retention = "record"
    expiry_s: float | None = None
    case_only: bool = False

    @property
    def is_fact(self) -> bool:
        """Whether it goes through the outbox and the journal."""
        return self.lane != "stream"

    @property
    def qos(self) -> int:
        """MQTT quality of service: facts 1, streams 0."""
        return 1 if self.is_fact else 0

    @property
    def overflow(self) -> Literal["deliver", "latest"]:
        """What a full queue does: facts wait in the outbox, of streams the oldest is dropped."""
        return "deliver" if self.is_fact else "latest"

    @property
    def stale_after_s(self) -> float | None:
        """Age from which a page shows it as stale: ten periods, or the expiry."""
        return self.expiry_s if self.rate_hz is None else 10 / self.rate_hz


def _row(
    kind: str,
    body: type[Body],
    makers: str,
    lane: Lane,
    *,
    scopes: str = "unit",
    rate_hz: float | None = None,
    limit_bytes: int = 16 * KIB,
    retention: Retention = "record",
    expiry_s: float | None = None,
    case_only: bool = False,
) -> Topic:
    return Topic(
        kind=kind,
        body=body,
        makers=frozenset(makers.split()),  # type: ignore[arg-type]
        scopes=frozenset(scopes.split()),  # type: ignore[arg-type]
        lane=lane,
        rate_hz=rate_hz,
        limit_bytes=limit_bytes,
        retention=retention,
        expiry_s=expiry_s,
        case_only=case_only,
    )


_ROWS = (
    # Made in the vehicle.
    _row("run_started", messages.RunStarted, "unit", "urgent", case_only=True),
    _row("run_ended", messages.RunEnded, "unit", "urgent", case_only=True),
    _row("milestone", messages.Milestone, "unit", "urgent", case_only=True),
    _row("pre_alert", messages.PreAlert, "unit", "urgent", case_only=True),
    _row("bay_handover", bay_messages.BayHandover, "unit", "urgent", case_only=True),
    _row("vitals", messages.Vitals, "unit", "vitals", rate_hz=0.2),
    _row("device_event", messages.DeviceEvent, "unit", "facts"),
    _row("sensor_state", messages.SensorState, "unit", "facts"),
    _row("media_state", messages.MediaState, "unit", "facts"),
    _row("video_recording", video_messages.VideoRecording, "unit", "facts", case_only=True),
    _row("video_deleted", video_messages.VideoDeleted, "unit", "facts", case_only=True),
    _row("quality_step", messages.QualityStep, "unit", "facts"),
    _row("link_outage", link_messages.LinkOutage, "unit", "facts"),
    _row("run_report", link_messages.RunReport, "unit", "facts", case_only=True),
    _row("clock_state", link_messages.ClockState, "unit", "facts"),
    _row("ecg_started", messages.EcgStarted, "unit", "facts"),
    _row("ecg_ended", messages.EcgEnded, "unit", "record"),
    _row("ecg_record", messages.EcgRecord, "unit", "record", limit_bytes=512 * KIB),
    _row("track", messages.Track, "unit", "record", retention="track", limit_bytes=256 * KIB),
    _row(
        "position", messages.Position, "unit hub", "stream",
        scopes="unit hospital", rate_hz=1.0, retention="none",
    ),
    _row(
        "ecg_live", messages.EcgLive, "unit hub", "stream",
        scopes="unit hospital", rate_hz=10.0, retention="none", limit_bytes=64 * KIB,
    ),
    # Made at the hub; a case's facts go on as case_fact.
    _row("case_opened", messages.CaseOpened, "hub", "urgent", case_only=True),
    _row("case_amended", messages.CaseAmended, "hub", "urgent", case_only=True),
    _row("case_note", messages.CaseNote, "hub unit hospital", "facts",
         scopes="unit hospital", case_only=True),
    _row("case_linked", call_messages.CaseLinked, "hub", "urgent", case_only=True),
    _row("call_step", call_messages.CallStep, "hub", "urgent", case_only=True),
    _row("caller_message", call_messages.CallerMessage, "hub", "facts", case_only=True),
    _row("guidance_step", guidance_messages.GuidanceStep, "hub", "urgent", case_only=True),
    _row("guidance_mark", guidance_messages.GuidanceMark, "hub", "urgent", case_only=True),
    _row("text_turn", text_messages.TextTurn, "hub", "urgent", limit_bytes=48 * KIB,
         case_only=True),
    _row("text_channel", text_messages.TextChannel, "hub", "facts", case_only=True),
    _row("text_spoken", text_messages.TextSpoken, "hub", "facts", limit_bytes=48 * KIB,
         case_only=True),
    _row("caller_profile", text_messages.CallerProfile, "hub", "urgent", case_only=True),
    _row("caller_video", caller_video_messages.CallerVideo, "hub", "urgent", case_only=True),
    _row("surge", call_messages.Surge, "hub", "facts"),
    _row("caller_position", call_messages.CallerPosition, "hub", "facts"),
    _row("location_refused", call_messages.LocationRefused, "hub", "facts"),
    _row("partner_told", partner_messages.PartnerTold, "hub", "facts", limit_bytes=128 * KIB,
         case_only=True),
    _row("partner_answered", partner_messages.PartnerAnswered, "hub", "urgent", case_only=True),
    _row("incident_declared", incident_messages.IncidentDeclared, "hub", "urgent", case_only=True),
    _row("patient_tagged", incident_messages.PatientTagged, "hub", "urgent", case_only=True),
    _row("patient_moved", incident_messages.PatientMoved, "hub", "urgent", case_only=True),
    _row("incident_closed", incident_messages.IncidentClosed, "hub", "urgent", case_only=True),
    _row("case_shared", district_messages.CaseShared, "hub", "urgent", case_only=True),
    _row("case_unshared", district_messages.CaseUnshared, "hub", "urgent", case_only=True),
    _row("unit_asked", district_messages.UnitAsked, "hub", "urgent", case_only=True),
    _row("unit_unasked", district_messages.UnitUnasked, "hub", "urgent", case_only=True),
    _row("unit_answered", district_messages.UnitAnswered, "hub", "urgent", case_only=True),
    _row("unit_lent", district_messages.UnitLent, "hub", "urgent"),
    _row("case_closed", messages.CaseClosed, "hub", "urgent", case_only=True),
    _row("unit_assigned", messages.UnitAssigned, "hub", "urgent", case_only=True),
    _row("unit_released", messages.UnitReleased, "hub", "urgent", case_only=True),
    _row("hospital_chosen", messages.HospitalChosen, "hub", "urgent", case_only=True),
    _row("hospital_stood_down", messages.HospitalStoodDown, "hub", "urgent",
         scopes="hospital", case_only=True),
    _row("arrival", messages.Arrival, "hub", "stream", scopes="unit hospital",
         rate_hz=0.5, retention="none", case_only=True),
    # case_fact goes in the lane of the fact it carries, so an old ECG never delays an alert.
    _row("case_fact", messages.CaseFact, "hub", "facts",
         scopes="unit hospital", limit_bytes=600 * KIB, case_only=True),
    # Made at the hospital.
    _row("acknowledged", messages.Acknowledged, "hospital", "urgent",
         scopes="hospital", case_only=True),
    _row("hospital_state", hospital_messages.HospitalState, "hospital", "urgent",
         scopes="hospital", expiry_s=1800),
    # The protocol itself.
    _row("receipt_down", messages.Receipt, "hub", "stream",
         scopes="unit hospital", retention="none", limit_bytes=64 * KIB),
    _row("receipt_up", messages.Receipt, "unit hospital", "stream",
         scopes="unit hospital", retention="none", limit_bytes=64 * KIB),
    _row("outbox_down", link_messages.OutboxState, "hub", "stream",
         scopes="unit hospital", retention="none"),
    _row("outbox_up", link_messages.OutboxState, "unit hospital", "stream",
         scopes="unit hospital", retention="none"),
    _row("copy_lost", link_messages.CopyLost, "unit hospital", "facts",
         scopes="unit hospital"),
    _row("time_request", messages.TimeRequest, "unit hospital", "stream",
         scopes="unit hospital", retention="none", rate_hz=0.1),
    _row("time_reply", messages.TimeReply, "hub", "stream",
         scopes="unit hospital", retention="none", rate_hz=0.1),
    # From hub to hub of neighbouring districts. Like case_fact, a district_fact goes in the lane
    # of the fact it carries.
    _row("district_fact", district_messages.DistrictFact, "hub", "facts",
         scopes="district", limit_bytes=600 * KIB),
    _row("district_request", district_messages.DistrictRequest, "hub", "urgent",
         scopes="district", limit_bytes=32 * KIB),
    _row("district_answer", district_messages.DistrictAnswer, "hub", "urgent", scopes="district"),
    _row("unit_request", district_messages.UnitRequest, "hub", "urgent",
         scopes="district", limit_bytes=64 * KIB),
    _row("unit_request_ended", district_messages.UnitRequestEnded, "hub", "urgent",
         scopes="district"),
    _row("unit_reply", district_messages.UnitReply, "hub", "urgent",
         scopes="district", limit_bytes=32 * KIB),
    _row("district_state", district_messages.DistrictState, "hub", "stream",
         scopes="district", rate_hz=1.0, retention="none", limit_bytes=512 * KIB),
    _row("district_receipt", messages.Receipt, "hub", "stream",
         scopes="district", retention="none", limit_bytes=64 * KIB),
    _row("district_outbox", link_messages.OutboxState, "hub", "stream",
         scopes="district", retention="none"),
)  # fmt: skip

TOPICS: dict[str, Topic] = {row.kind: row for row in _ROWS}
"""Every row by its kind."""

LANES: tuple[Lane, ...] = ("urgent", "vitals", "facts", "record")
"""The outbox's lanes in the order in which they are sent."""

LARGEST_BYTES = max(row.limit_bytes for row in _ROWS)
"""No message of ours is larger; brokers and sockets are set to this."""

CARRIERS = frozenset({"case_fact", "district_fact"})
"""Kinds that carry another fact, in that one's lane."""

_ROOTS: dict[Scope, str] = {"unit": "ems", "hospital": "er", "district": "dx"}


@dataclass(frozen=True, slots=True)
class Address:
    """A topic taken apart.

    Attributes:
        scope: Whose name it stands below.
        region: The region (district); between districts the one that speaks.
        name: The unit or the hospital; between districts the region that is spoken to.
        topic: The row of the table.
        drill: Whether it belongs to an exercise.
    """

    scope: Scope
    region: str
    name: str
    topic: Topic
    drill: bool = False

    def __str__(self) -> str:
        """The topic as it is published, with ``/``."""
        return path(self.scope, self.region, self.name, self.topic.kind, drill=self.drill)


def root(scope: Scope, *, drill: bool = False) -> str:
    """First token of the topics of a scope."""
    return f"drill-{_ROOTS[scope]}" if drill else _ROOTS[scope]


def find(kind: str) -> Topic:
    """Return the row of ``kind``.

    Raises:
        UnknownKindError: The table has none.
    """
    try:
        return TOPICS[kind]
    except (KeyError, TypeError):
        raise UnknownKindError(kind) from None


def path(scope: Scope, region: str, name: str, kind: str, *, drill: bool = False) -> str:
    """Return a topic; ``+`` may stand for region, name or kind to make a pattern.

    Between districts ``region`` is whose hub speaks, and ``name`` the region whose hub reads.

    Raises:
        UnknownKindError: ``kind`` is not in the table.
        TopicError: ``kind`` does not belong to ``scope``.
        MalformedError: ``region`` or ``name`` cannot be a token.
    """
    for part in (region, name):
        if part != "+":
            check_name(part)
    if kind != "+" and scope not in find(kind).scopes:
        raise TopicError(kind, f"does not belong to a {scope}")
    return "/".join((root(scope, drill=drill), region, name, kind))


def parse(topic: str) -> Address:
    """Take a topic apart.

    Raises:
        TopicError: It has another shape, an unknown root, or a kind of the other scope.
        UnknownKindError: The table does not have its kind.
        MalformedError: A token cannot be a name.
    """
    tokens = topic.split("/")
    if len(tokens) != 4:
        raise TopicError(topic, "wants root/region/name/kind")
    first, region, name, kind = tokens
    drill = first.startswith("drill-")
    for scope, known in _ROOTS.items():
        if first.removeprefix("drill-") == known:
            row = find(kind)
            if scope not in row.scopes:
                raise TopicError(topic, f"kind {kind!r} does not belong to a {scope}")
            return Address(scope, check_name(region), check_name(name), row, drill)
    raise TopicError(topic, f"root {first!r} is unknown")


def kinds(maker: Party, scope: Scope, *, facts: bool | None = None) -> tuple[str, ...]:
    """Return the kinds that ``maker`` may publish below ``scope``, sorted.

    Args:
        maker: Who publishes.
        scope: Below whose name.
        facts: Only facts (True), only streams (False), or both (None).
    """
    return tuple(
        sorted(
            row.kind
            for row in _ROWS
            if maker in row.makers
            and scope in row.scopes
            and (facts is None or row.is_fact is facts)
        )
    )
