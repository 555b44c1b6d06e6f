"""Messages to partners as CAP 1.2, and their answers out of it (OASIS, 1 July 2010). Pure.

A message is an ``alert`` of scope Private to one address, with the same content twice, in English
and in Chinese. An answer is an ``Ack``, ``Error`` or ``Update`` that refers to a message of ours.
CAP has no word for *en route* or *on scene*: it stands in ``code``, or in a ``parameter`` whose
``valueName`` is ``status``; without one an Ack means received and an Error refused.

Written strictly, in the order of the schema; read generously: by local names, by what is needed.
"""

from __future__ import annotations

import datetime
import xml.etree.ElementTree as Tree
from dataclasses import dataclass
from typing import Literal, get_args

from dispatch.errors import DispatchError
from dispatch.location.errors import LocationError
from dispatch.location.xml_tree import Element, read_xml
from dispatch.partner_message import SECOND_NS, Telling
from streams.partner_messages import Change, PartnerStatus, Purpose

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
MEDIA_TYPE = "application/cap+xml"

Language = Literal["en", "zh-CN"]
LANGUAGES: tuple[Language, ...] = ("en", "zh-CN")
STATUSES: tuple[PartnerStatus, ...] = get_args(PartnerStatus)

REFERENCES_READ = 20
"""Of an answer: the last ones; each is looked for in the journal."""

MESSAGE_TYPES: dict[Change, str] = {"alert": "Alert", "update": "Update", "cancel": "Cancel"}
ANSWERS: dict[str, PartnerStatus | None] = {"Ack": "received", "Error": "refused", "Update": None}
"""Types of an answer, and what each means where it does not say more."""


class CapError(DispatchError):
    """A partner's message is no answer.

    Attributes:
        field: The element that is to blame.
    """

    reason = "cap"
    status = 422

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field = field


@dataclass(frozen=True, slots=True)
class _Event:
    """How a purpose is said: CAP's category and severity (of the event, not of the patient)."""

    category: str
    severity: str
    words: dict[Language, str]


EVENTS: dict[Purpose, _Event] = {
    "traffic_accident": _Event(
        "Transport", "Severe", {"en": "Traffic accident", "zh-CN": "交通事故"}
    ),
    "violence": _Event("Security", "Severe", {"en": "Violence", "zh-CN": "暴力事件"}),
    "fire": _Event("Fire", "Severe", {"en": "Fire", "zh-CN": "火灾"}),
    "hazardous_material": _Event(
        "CBRNE", "Severe", {"en": "Hazardous material", "zh-CN": "危险品"}
    ),
    "trapped": _Event("Rescue", "Severe", {"en": "Person trapped", "zh-CN": "人员被困"}),
    "door_opening": _Event("Rescue", "Moderate", {"en": "Door to be opened", "zh-CN": "需要开门"}),
    "road_block": _Event(
        "Transport", "Moderate", {"en": "Road to be blocked", "zh-CN": "需要封路"}
    ),
    "other": _Event("Other", "Unknown", {"en": "Assistance needed", "zh-CN": "需要协助"}),
}

_WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "sender": "Emergency medical dispatch {region}", "cancelled": "No longer needed: {event}",
        "units": "Going there: {units}.", "no_units": "No ambulance is going there yet.",
        "number": "Caller, for a call-back: {number}.", "note": "Note: {note}",
        "no_address": "address not yet known", "at": "{event}: {address}",
    },
    "zh-CN": {
        "sender": "急救调度中心 {region}", "cancelled": "不再需要：{event}",
        "units": "前往车辆：{units}。", "no_units": "尚未派出救护车。",
        "number": "呼救人回拨电话：{number}。", "note": "备注：{note}",
        "no_address": "地址尚不清楚", "at": "{event}：{address}",
    },
}  # fmt: skip


def as_cap(told: Telling) -> str:
    """Return a message as CAP 1.2, in the order of section 3.2."""
    alert = Tree.Element("alert", {"xmlns": NAMESPACE})
    _add(alert, "identifier", told.identifier)
    _add(alert, "sender", told.sender)
    _add(alert, "sent", told.sent)
    _add(alert, "status", told.use)
    _add(alert, "msgType", MESSAGE_TYPES[told.change])
    _add(alert, "scope", "Private")
    _add(alert, "addresses", told.to)
    if told.change == "cancel" and told.note:
        _add(alert, "note", told.note)
    if told.references:
        _add(alert, "references", " ".join(",".join(one) for one in told.references))
    _add(alert, "incidents", told.incident)
    for language in LANGUAGES:
        _info(alert, told, language)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return head + Tree.tostring(alert, encoding="unicode")


def _info(alert: Tree.Element, told: Telling, language: Language) -> None:
    words, over = _WORDS[language], told.change == "cancel"
    events = [EVENTS[purpose] for purpose in told.purposes]
    names = [event.words[language] for event in events]
    address = told.address or words["no_address"]
    info = Tree.SubElement(alert, "info")
    _add(info, "language", language)
    for category in dict.fromkeys(event.category for event in events):
        _add(info, "category", category)
    _add(info, "event", names[0])
    if over:
        _add(info, "responseType", "AllClear")
    _add(info, "urgency", "Past" if over else "Immediate")
    _add(info, "severity", events[0].severity)
    _add(info, "certainty", "Observed" if told.seen else "Likely")
    for purpose in told.purposes:
        _pair(info, "eventCode", "purpose", purpose)
    _add(info, "senderName", words["sender"].format(region=told.region).strip())
    headline = words["at"].format(event=names[0], address=address)
    _add(info, "headline", words["cancelled"].format(event=headline) if over else headline)
    _add(info, "description", _description(told, language, names))
    if told.contact:
        _add(info, "contact", told.contact)
    for unit in told.units:
        _pair(info, "parameter", "unit", unit)
    if told.number:
        _pair(info, "parameter", "callBack", told.number)
    area = Tree.SubElement(info, "area")
    _add(area, "areaDesc", address)
    if told.place is not None:
        _add(area, "circle", circle(*told.place))


def _description(told: Telling, language: Language, names: list[str]) -> str:
    words = _WORDS[language]
    units = ", ".join(told.units)
    parts = ["; ".join(names) if language == "en" else "；".join(names)]
    parts[0] += "." if language == "en" else "。"
    if told.change != "cancel":
        parts.append(words["units"].format(units=units) if units else words["no_units"])
    if told.number:
        parts.append(words["number"].format(number=told.number))
    if told.note:
        parts.append(words["note"].format(note=told.note))
    return " ".join(parts) if language == "en" else "".join(parts)


def circle(latitude_deg: float, longitude_deg: float, radius_m: float | None) -> str:
    """Return ``lat,lon radius`` with the radius in km (section 3.2.4); 0 where it is not known."""
    return f"{latitude_deg:.6f},{longitude_deg:.6f} {(radius_m or 0.0) / 1000:.3f}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a partner says, in whichever form.

    Attributes:
        messages: Identifiers of the messages that it answers.
        status: None where it says nothing of it.
        at_ns: When, as it says; None where it does not.
        name: Its own name of the answer; empty where it gives none.
        use: ``Actual``, ``Exercise`` …; empty where it does not say.
    """

    messages: tuple[str, ...]
    status: PartnerStatus | None
    note: str = ""
    at_ns: int | None = None
    name: str = ""
    use: str = ""


def read_cap(document: bytes) -> Answer:
    """Read a partner's answer.

    Raises:
        CapError: It is no CAP, or no answer; names the element.
    """
    try:
        root, _ = read_xml(document)
        if root.name != "alert":
            raise CapError("alert", f"the document is a {root.name[:40]!r}")
        said = {name: _text(root, name) for name in ("identifier", "sender", "sent", "status")}
        kind = _text(root, "msgType")
        if kind not in ANSWERS:
            raise CapError("msgType", f"{kind[:40]!r} answers nothing: Ack, Error or Update do")
        references = _text(root, "references").split()[-REFERENCES_READ:]
        note = root.only("note")
        return Answer(
            messages=tuple(map(_identifier, references)),
            status=_status(root) or ANSWERS[kind],
            note=_note(root) if note is None else note.text[:4000],
            at_ns=read_time("sent", said["sent"]),
            name=f"{said['sender']},{said['identifier']}"[:200],
            use=said["status"],
        )
    except LocationError as error:
        raise CapError(error.field, error.text) from None


def read_time(field: str, text: str) -> int:
    """Return a time with its zone as ns since 1970.

    Raises:
        CapError: It is none, or has no zone.
    """
    try:
        at = datetime.datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise CapError(field, f"{text[:40]!r} has no time zone")
        at_ns = round(at.timestamp()) * SECOND_NS
    except (ValueError, OverflowError) as error:
        raise CapError(field, f"{text[:40]!r} is no time: {error}") from None
    if not 0 <= at_ns < 2**63:
        raise CapError(field, f"{text[:40]!r} is before 1970 or far ahead")
    return at_ns


def _status(root: Element) -> PartnerStatus | None:
    """Return how far the partner is, where one of its codes or parameters says so."""
    found = [code.text for code in root.all("code")]
    for parameter in root.within("parameter"):
        name, value = parameter.only("valueName"), parameter.only("value")
        if name is not None and value is not None and name.text.lower() == "status":
            if value.text.lower() not in STATUSES:
                raise CapError("parameter", f"status {value.text[:40]!r}: known are {STATUSES}")
            found.append(value.text)
    known = {one for one in STATUSES if one in [text.lower() for text in found]}
    if len(known) > 1:
        raise CapError("code", f"says two things: {', '.join(sorted(known))}")
    return known.pop() if known else None


def _note(root: Element) -> str:
    """Return the description of an answer that has no note, in the first language that it has."""
    found = next(iter(root.within("description")), None)
    return found.text[:4000] if found is not None else ""


def _text(root: Element, name: str) -> str:
    found = root.only(name)
    if found is None or not found.text:
        raise CapError(name, "is missing")
    return found.text


def _identifier(reference: str) -> str:
    """Return the identifier of ``sender,identifier,sent`` (section 3.2.1, ``references``)."""
    parts = reference.split(",")
    return (parts[1] if len(parts) > 1 else parts[0])[:200]


def _add(parent: Tree.Element, name: str, text: str) -> None:
    Tree.SubElement(parent, name).text = text


def _pair(parent: Tree.Element, name: str, key: str, value: str) -> None:
    pair = Tree.SubElement(parent, name)
    _add(pair, "valueName", key)
    _add(pair, "value", value)
