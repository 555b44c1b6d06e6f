"""Who may do what at the broker: derived from the table of topics, and from nothing else.

A right is a NATS subject; MQTT topic ``a/b`` is subject ``a.b`` there. A unit or a hospital may
publish what it makes below its own name and read what the hub makes there, kind by kind: there
is no right to a pattern such as ``ems/north/unit-7/+``. A hospital reads its facts only through
the one durable JetStream consumer that the hub made for it. A hub reads everything of its
region and publishes what hubs make. Regions are separate NATS accounts, so that the JetStream
rights of one region's hub end at the region. A neighbouring district publishes what hubs tell
their neighbours and reads what our hub tells it, kind by kind (``streams.broker_neighbours``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streams.credentials import Role
from streams.errors import CredentialError
from streams.topics import Party, Scope, kinds, root

Flow = Literal["from_units", "to_hospitals", "from_hospitals"]
"""A JetStream stream of facts: what is carried from whom to whom."""

FLOWS: tuple[Flow, ...] = ("from_units", "to_hospitals", "from_hospitals")

_SCOPES: tuple[Scope, ...] = ("unit", "hospital")

_DOORS: dict[Role, tuple[str, ...]] = {
    "unit": ("MQTT", "MQTT_WS"),
    "hospital": ("STANDARD", "WEBSOCKET"),
    "hub": ("STANDARD", "WEBSOCKET", "MQTT", "MQTT_WS"),
    "district": ("LEAFNODE",),
}
"""NATS' ``allowed_connection_types``: a unit needs no NATS protocol, so it has none."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What one credential may do at the broker.

    Attributes:
        publish: Subjects to which it may publish; ``*`` and ``>`` as in NATS.
        subscribe: Subjects to which it may subscribe.
        doors: By which protocols it may come in, NATS' words.
    """

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    doors: tuple[str, ...]

    def may_publish(self, topic: str) -> bool:
        """Whether ``topic`` (with ``/``) may be published to."""
        return any(_covers(right, subject(topic)) for right in self.publish)

    def may_subscribe(self, pattern: str) -> bool:
        """Whether ``pattern`` (with ``/`` and ``+``) may be subscribed to."""
        return any(_covers(right, subject(pattern)) for right in self.subscribe)


def subject(topic: str) -> str:
    """Return the NATS subject of an MQTT topic or pattern."""
    return ".".join("*" if part == "+" else part for part in topic.split("/"))


def topic(found: str) -> str:
    """Return the MQTT topic of a NATS subject."""
    return found.replace(".", "/")


def inbox_prefix(name: str) -> str:
    """Return where answers to ``name`` come; nobody else may read there."""
    return f"_INBOX_{name}"


def stream_name(flow: Flow, region: str, *, drill: bool = False) -> str:
    """Return the name of the JetStream stream of a flow."""
    return f"drill-{flow}-{region}" if drill else f"{flow}-{region}"


def flow_kinds(flow: Flow) -> tuple[str, ...]:
    """Return the fact kinds that a flow carries, sorted.

    A subject belongs to one JetStream stream at most. A kind that both the hub and hospitals
    make (``case_note``) is in ``from_hospitals``; the hub's own go on inside ``case_fact``.
    """
    if flow == "from_units":
        return kinds("unit", "unit", facts=True)
    from_hospitals = kinds("hospital", "hospital", facts=True)
    if flow == "from_hospitals":
        return from_hospitals
    return tuple(k for k in kinds("hub", "hospital", facts=True) if k not in from_hospitals)


def flow_subjects(
    flow: Flow, region: str, name: str = "*", *, drill: bool = False
) -> tuple[str, ...]:
    """Return the subjects of a flow, of all units or hospitals or of ``name`` alone."""
    scope: Scope = "unit" if flow == "from_units" else "hospital"
    return _subjects(scope, region, name, flow_kinds(flow), drill=drill)


def rights_of(role: Role, region: str, name: str, *, drill: bool = False) -> Rights:
    """Return the rights of a credential.

    Args:
        role: The credential's.
        region: The credential's.
        name: The credential's; of a district the neighbour's region.
        drill: The credential's.

    Raises:
        CredentialError: ``role`` has none: a seat comes in by the pages.
    """
    if role == "hub":
        return _hub(region, name)
    if role == "district":
        return Rights(
            publish=told(name, region), subscribe=told(region, name), doors=_DOORS["district"]
        )
    if role == "hospital":
        return _hospital(region, name, drill=drill)
    if role == "unit":
        return Rights(
            publish=_made_by("unit", "unit", region, name, drill=drill),
            subscribe=_made_by("hub", "unit", region, name, drill=drill),
            doors=_DOORS["unit"],
        )
    raise CredentialError(f"a {role} has no rights at the broker")


def told(region: str, to: str) -> tuple[str, ...]:
    """Return the subjects on which the hub of a district tells a neighbour; live, then drill."""
    return tuple(
        one
        for drill in (False, True)
        for one in _made_by("hub", "district", region, to, drill=drill)
    )


def _hospital(region: str, name: str, *, drill: bool) -> Rights:
    stream = stream_name("to_hospitals", region, drill=drill)
    live = kinds("hub", "hospital", facts=False)
    return Rights(
        publish=(
            *_made_by("hospital", "hospital", region, name, drill=drill),
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}",
            f"$JS.ACK.{stream}.{name}.>",
        ),
        subscribe=(
            *_subjects("hospital", region, name, live, drill=drill),
            f"{inbox_prefix(name)}.>",
        ),
        doors=_DOORS["hospital"],
    )


def _hub(region: str, name: str) -> Rights:
    trees = [(scope, drill) for scope in _SCOPES for drill in (False, True)]
    made = [_made_by("hub", scope, region, "*", drill=drill) for scope, drill in trees]
    return Rights(
        publish=(
            *(s for subjects in made for s in subjects),
            *told(region, "*"),
            "$JS.API.>",
            "$JS.ACK.>",
        ),
        subscribe=(
            *(f"{root(scope, drill=drill)}.{region}.>" for scope, drill in trees),
            *(f"{root('district', drill=drill)}.*.{region}.*" for drill in (False, True)),
            f"{inbox_prefix(name)}.>",
        ),
        doors=_DOORS["hub"],
    )


def _made_by(maker: Party, scope: Scope, region: str, name: str, *, drill: bool) -> tuple[str, ...]:
    return _subjects(scope, region, name, kinds(maker, scope), drill=drill)


def _subjects(
    scope: Scope, region: str, name: str, wanted: tuple[str, ...], *, drill: bool
) -> tuple[str, ...]:
    return tuple(f"{root(scope, drill=drill)}.{region}.{name}.{kind}" for kind in wanted)


def _covers(right: str, wanted: str) -> bool:
    """Whether every subject under ``wanted`` is under ``right`` too."""
    have, want = right.split("."), wanted.split(".")
    for index, part in enumerate(have):
        if part == ">":
            return len(want) > index
        if index >= len(want) or want[index] == ">" or part not in ("*", want[index]):
            return False
    return len(have) == len(want)
