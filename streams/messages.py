"""The messages: one envelope around every fact and every stream frame, and their bodies.

Units stand in the field names. Times ending in ``_ns`` are nanoseconds since 1970-01-01 UTC,
except ``monotonic_ns``, which counts from an arbitrary start of the sending machine. Fields
are only ever added, at the end, with a default; none is renamed or used again.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from streams.ecg_block import EcgSetup

VERSION = 1
"""Envelope version that this release writes and reads."""

Origin = Literal["live", "replay", "synthetic"]
"""Where a value comes from: a patient now, a recording, or a model. Shown wherever it is."""

_REAL: tuple[Origin, ...] = ("live", "replay", "synthetic")


def least_real(*origins: Origin) -> Origin:
    """Return the origin of what is made of several: nothing synthetic passes for live."""
    return max(origins, key=_REAL.index, default="live")


Validity = Literal["valid", "questionable", "invalid", "unavailable"]
"""After IEEE 11073-10207, MeasurementValidity, cut down to what a page can show."""

Severity = Literal["red", "yellow", "green", "unknown"]
Sex = Literal["female", "male", "other", "unknown"]
Pathway = Literal[
    "stemi", "stroke", "trauma", "cardiac_arrest", "sepsis", "obstetric", "paediatric", "other"
]
Stage = Literal["en_route", "on_scene", "patient_contact", "departed", "arrived", "handed_over"]
Outcome = Literal[
    "handed_over", "refused", "not_found", "died", "treated", "cancelled", "duplicate"
]  # fmt: skip
Datum = Literal["wgs84"]
"""What travels is WGS-84 and nothing else; GCJ-02 and BD-09 are converted where they are read
(``streams.geodesy``): drawn as WGS-84 they would be wrong by up to 700 m."""
Lane = Literal["urgent", "vitals", "facts", "record", "stream"]

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Identifier = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$")]
Time = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Offset = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Ranges = Annotated[list[tuple[Count, Count]], msgspec.Meta(max_length=100)]
Text = Annotated[str, msgspec.Meta(max_length=4000)]
ShortText = Annotated[str, msgspec.Meta(max_length=200)]
Age = Annotated[int, msgspec.Meta(ge=0, le=130)]
Latitude = Annotated[float, msgspec.Meta(ge=-90, le=90)]
Longitude = Annotated[float, msgspec.Meta(ge=-180, le=180)]


class Envelope(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What every message carries, as a MessagePack array in this order.

    Attributes:
        version: Envelope version, ``VERSION``.
        kind: A kind of the table of topics; says what the body is.
        id: ULID given at the source; the same fact has the same id wherever it is.
        source: Who made it: ``unit-7``, ``hub``, ``first-hospital``.
        epoch: ULID of the source's outbox; a new disk is a new epoch, sequences start again.
        lane: The lane of the outbox that numbers it.
        sequence: 1, 2, 3 … without a gap per (source, epoch, destination, lane).
        source_ns: The source's wall clock when it was made, uncorrected (a steady one, which
            does not follow when the machine's is set; see ``streams.clock``).
        monotonic_ns: The source's monotonic clock at the same moment.
        offset_ns: What the source believed to add to its wall clock to get the hub's; None
            while unknown.
        uncertainty_ns: Half width of that belief; None while unknown.
        origin: live, replay or synthetic.
        body: The body, still encoded; ``codec.open_body`` decodes it by kind.
        case: The case it belongs to, if any.
        patient: The patient it is bound to; None is *unassigned*, never guessed.
        drill: True for exercises; drill topics have their own rights.
        boot: Names the life of the monotonic clock: of one source, times with the same name are
            comparable. Empty where that is not known.
    """

    version: int
    kind: str
    id: Identifier
    source: Name
    epoch: Identifier
    lane: Lane
    sequence: Count
    source_ns: Time
    monotonic_ns: Count
    offset_ns: Offset | None
    uncertainty_ns: Count | None
    origin: Origin
    body: msgspec.Raw
    case: Identifier | None = None
    patient: ShortText | None = None
    drill: bool = False
    boot: ShortText = ""


class Body(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all bodies; encoded as a map, so that fields can be added."""


class GivenPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Coordinates as their source gave them, before they were converted to WGS-84."""

    datum: Literal["gcj02", "bd09"]
    latitude_deg: Latitude
    longitude_deg: Longitude


class Position(Body, frozen=True, kw_only=True):
    """A position with what is needed to judge it (see RFC 7459 for radius and confidence).

    Attributes:
        radius_m: Radius of uncertainty at ``confidence``; None when the source says nothing.
        confidence: Probability that the true place is within the radius, 0 to 1.
        source: ``gnss``, ``gpsd``, ``dispatcher``, ``replay`` and the like.
        altitude_m: Above the ellipsoid.
        given: What the source said, where its datum is another one; else None.
    """

    latitude_deg: Latitude
    longitude_deg: Longitude
    measured_ns: Time
    source: ShortText
    datum: Datum = "wgs84"
    radius_m: Annotated[float, msgspec.Meta(ge=0)] | None = None
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    speed_mps: Annotated[float, msgspec.Meta(ge=0)] | None = None
    heading_deg: Annotated[float, msgspec.Meta(ge=0, lt=360.0001)] | None = None
    altitude_m: float | None = None
    given: GivenPlace | None = None


class Track(Body, frozen=True, kw_only=True):
    """Positions of a unit since the last track fact, oldest first: the record of the drive."""

    positions: Annotated[list[Position], msgspec.Meta(max_length=1000)]


class Numeric(Body, frozen=True, kw_only=True):
    """One measured number with what is needed to judge it; the unit is in the field's name.

    Attributes:
        value: None when validity is ``unavailable``; kept, but struck, when ``invalid``.
        measured_ns: The device's time of the value, corrected to the source's wall clock.
        reason: The device's word for anything but ``valid``.
    """

    value: float | None
    measured_ns: Time
    validity: Validity = "valid"
    reason: ShortText | None = None


class Vitals(Body, frozen=True, kw_only=True):
    """Vital signs measured together; what a device did not measure is absent."""

    device: ShortText
    heart_rate_per_min: Numeric | None = None
    pulse_rate_per_min: Numeric | None = None
    spo2_percent: Numeric | None = None
    respiratory_rate_per_min: Numeric | None = None
    nibp_systolic_mmhg: Numeric | None = None
    nibp_diastolic_mmhg: Numeric | None = None
    nibp_mean_mmhg: Numeric | None = None
    abp_systolic_mmhg: Numeric | None = None
    abp_diastolic_mmhg: Numeric | None = None
    abp_mean_mmhg: Numeric | None = None
    etco2_mmhg: Numeric | None = None
    temperature_celsius: Numeric | None = None


class EcgStarted(Body, frozen=True, kw_only=True):
    """A waveform recording begins; frames refer to it by ``setup.setup_id``.

    Attributes:
        start_ns: Wall clock of the source at sample 0.
        purpose: ``rhythm`` for the continuous record, ``twelve_lead`` for a stored 12-lead.
    """

    setup: EcgSetup
    start_ns: Time
    device: ShortText
    purpose: Literal["rhythm", "twelve_lead"] = "rhythm"


class EcgRecord(Body, frozen=True, kw_only=True):
    """A stretch of the gapless onboard recording: frames of ``ecg_block``, each on its own."""

    setup_id: ShortText
    frames: Annotated[list[bytes], msgspec.Meta(max_length=200)]


class EcgEnded(Body, frozen=True, kw_only=True):
    """The recording ended; ``samples`` per channel were written, so completeness is known."""

    setup_id: ShortText
    samples: Count


class EcgLive(Body, frozen=True, kw_only=True):
    """One live frame, sent at once and never again; the record has it too.

    Attributes:
        newest_ns: Wall clock of the source at the newest sample of the frame.
        every: The frame holds every n-th sample of the recording, no filter between: its
            sample k is number ``k * every`` there. The record holds all.
    """

    setup_id: ShortText
    frame: bytes
    newest_ns: Time
    every: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1


class DeviceEvent(Body, frozen=True, kw_only=True):
    """What a monitor logged: an alarm, a changed limit, a 12-lead taken.

    Attributes:
        at_ns: When, corrected to the source's wall clock.
        device_time: When by the device's own clock, as it wrote it, uncorrected; None where it
            has none. Such clocks are minutes off and know no time zone.
    """

    device: ShortText
    event: ShortText
    text: Text
    at_ns: Time
    parameters: dict[str, str] = {}
    device_time: ShortText | None = None


class SensorState(Body, frozen=True, kw_only=True):
    """A sensor of the vehicle started, ended or failed."""

    sensor: ShortText
    state: Literal["running", "ended", "failed"]
    reason: Text | None = None


class MediaState(Body, frozen=True, kw_only=True):
    """A camera's stream went on or off."""

    stream: Name
    state: Literal["on", "off"]
    reason: Text | None = None


class QualityStep(Body, frozen=True, kw_only=True):
    """What a vehicle sends of picture, sound and live waveform changed; why, with figures.

    Vital signs and facts are never reduced, and the waveform's record is always complete.

    Attributes:
        rung: Number in the vehicle's table; 0 is all that its camera gives.
        rungs: Rows of that table.
        change: ``start`` is the first choice of a run.
        reason: ``start``, ``room`` (a probe showed that the link carries more), ``delay`` (a
            queue stands), ``loss``, ``late`` (a vital sign waits for its receipt), ``capacity``
            (probes showed less than is needed), ``silence`` (no probe came back).
        picture: ``stills`` are single pictures, seconds apart.
        video_bps: Bit rate of the picture, bits per second.
        width: Of the picture, pixels; 0 without one.
        height: Of the picture, pixels; 0 without one.
        fps: The most pictures a second.
        ecg_every: Every n-th sample of the ECG goes out live.
        ecg_joined: Whether several live ECG frames go as one, some tenths of a second later.
        capacity_bps: What the link carried in the last probe.
        round_trip_ms: Of the last probe.
        least_round_trip_ms: The least of the last half minute.
        queue_ms: How long packets stood in the uplink's queue.
        loss: Share of probes lost, 0 to 1.
        oldest_ms: Age of the oldest vital sign or urgent fact without a receipt.
    """

    rung: Count
    rungs: Count
    change: Literal["start", "down", "up"]
    reason: ShortText
    picture: Literal["video", "stills", "off"]
    video_bps: Count
    width: Count
    height: Count
    fps: Annotated[float, msgspec.Meta(ge=0)]
    sound: bool
    ecg_every: Annotated[int, msgspec.Meta(ge=1)] = 1
    ecg_joined: bool = False
    capacity_bps: Annotated[float, msgspec.Meta(ge=0)] | None = None
    round_trip_ms: Annotated[float, msgspec.Meta(ge=0)] | None = None
    least_round_trip_ms: Annotated[float, msgspec.Meta(ge=0)] | None = None
    queue_ms: Annotated[float, msgspec.Meta(ge=0)] = 0
    loss: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0
    oldest_ms: Annotated[float, msgspec.Meta(ge=0)] = 0


class CaseOpened(Body, frozen=True, kw_only=True):
    """A case begins: the address first, then what is known."""

    address: Text
    complaint: Text
    alias: ShortText
    severity: Severity = "unknown"
    position: Position | None = None
    caller: ShortText | None = None
    age_years: Age | None = None
    sex: Sex = "unknown"


class CaseAmended(Body, frozen=True, kw_only=True):
    """What was learned about a case after it was opened; absent fields stay as they were.

    The address comes first and the unit is sent; everything else is asked and told later. What
    sources say of the caller's place goes to the crew unconfirmed, until a person confirms it.
    """

    address: Text | None = None
    complaint: Text | None = None
    severity: Severity | None = None
    position: Position | None = None
    caller: ShortText | None = None
    age_years: Age | None = None
    sex: Sex | None = None
    position_confirmed: bool = True


class CaseNote(Body, frozen=True, kw_only=True):
    """A sentence on the case's timeline; ``at_ns`` is when it was true."""

    text: Text
    at_ns: Time


class CaseClosed(Body, frozen=True, kw_only=True):
    """The case ended; ``outcome`` says how."""

    outcome: Outcome
    text: Text | None = None


class UnitAssigned(Body, frozen=True, kw_only=True):
    """A unit is sent to the case; ``released`` is the unit it replaces, ``name`` is for people.

    ``own``: nobody sent it, its crew began the case by itself. ``recommended``: the unit that was
    recommended in its place; ``reason`` says why it was not taken.
    """

    unit: Name
    reason: Text | None = None
    released: Name | None = None
    name: ShortText = ""
    own: bool = False
    recommended: Name | None = None


class UnitReleased(Body, frozen=True, kw_only=True):
    """A unit leaves the case before its end: it was taken for another one, or sent home."""

    unit: Name
    reason: Text | None = None


class HospitalChosen(Body, frozen=True, kw_only=True):
    """The receiving hospital; ``previous`` stands down and is told so."""

    hospital: Name
    name: ShortText
    reason: Text | None = None
    previous: Name | None = None


class HospitalStoodDown(Body, frozen=True, kw_only=True):
    """This hospital no longer receives the patient; nothing more of the case will come."""

    hospital: Name
    reason: Text | None = None


class RunStarted(Body, frozen=True, kw_only=True):
    """The crew begins a run."""

    crew: ShortText | None = None


class RunEnded(Body, frozen=True, kw_only=True):
    """The run ended."""

    reason: ShortText


class Milestone(Body, frozen=True, kw_only=True):
    """A stage of the run, stamped by the crew; a correction names the id it corrects."""

    stage: Stage
    at_ns: Time
    corrects: Identifier | None = None


class PreAlert(Body, frozen=True, kw_only=True):
    """The crew's word to the ER in three taps: pathway, age and sex, send."""

    pathway: Pathway
    severity: Severity
    age_years: Age | None = None
    age_is_estimate: bool = True
    sex: Sex = "unknown"
    text: Text | None = None


class Arrival(Body, frozen=True, kw_only=True):
    """The hub's estimate of when the unit is at the hospital.

    Attributes:
        at_ns: Estimated time of arrival.
        position_ns: Time of the unit's position that it rests on: its age is the ETA's age.
        distance_m: What is left to drive.
        method: How it was computed, in a word.
    """

    at_ns: Time
    position_ns: Time
    distance_m: Annotated[float, msgspec.Meta(ge=0)]
    method: ShortText


class Acknowledged(Body, frozen=True, kw_only=True):
    """Somebody at the hospital has seen the case, by role."""

    hospital: Name
    role: ShortText
    person: ShortText | None = None


class CaseFact(Body, frozen=True, kw_only=True):
    """A fact of a case's journal on its way to who is concerned, as it came.

    Attributes:
        case_sequence: Its place in the case's journal, from 1 without a gap.
        hash: The chain's value after this fact (see ``streams.journal``), 32 bytes.
        corrected_ns: When it was made, by the hub's clock.
        received_ns: When the hub stored it.
        fact: The encoded envelope, byte for byte.
    """

    case_sequence: Count
    hash: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    corrected_ns: Time
    received_ns: Time
    fact: bytes


class Refusal(Body, frozen=True, kw_only=True):
    """A message that the receiver did not take, and why; repeating it is useless."""

    id: ShortText
    reason: ShortText
    text: Text


class Receipt(Body, frozen=True, kw_only=True):
    """The application's own acknowledgement, sent after its commit.

    Attributes:
        epoch: The outbox that is answered.
        stored: Per lane the highest sequence up to which everything is stored.
        refused: Messages that were refused; they count as answered.
        ahead: Per lane what is stored beyond the first gap, as inclusive ranges, the lowest
            first; lanes without are left out. None from those who do not tell.
        asked: Per lane what is missing before something that came and is asked for again, as
            inclusive ranges: it is to be sent before anything else of the lane.
    """

    epoch: Identifier
    stored: dict[Lane, Count]
    refused: Annotated[list[Refusal], msgspec.Meta(max_length=100)] = []
    ahead: dict[Lane, Ranges] | None = None
    asked: dict[Lane, Ranges] = {}


class TimeRequest(Body, frozen=True, kw_only=True):
    """First half of a clock comparison (RFC 5905, section 8): t1 is the sender's wall clock."""

    t1_ns: Time


class TimeReply(Body, frozen=True, kw_only=True):
    """Second half: t2 and t3 are the hub's wall clock at receiving and at answering."""

    t1_ns: Time
    t2_ns: Time
    t3_ns: Time
