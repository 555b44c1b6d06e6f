"""A case is handed over at the bay, past the hub: let in, checked, stored, shown, answered.

    code on the board ─▶ session ─▶ facts ─▶ bay store (synced) ─▶ board ─▶ answer
    QR codes read at a seat ──────────▲

The facts are the vehicle's own, byte for byte, with the ids that they have everywhere: when the
hub's copies come, ``inbound`` puts them in these ones' place.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import structlog

from hospital_gateway.bay_pairing import Pairing, Pairings
from hospital_gateway.bay_store import PLACE, BayFact, BayStore, Session
from hospital_gateway.errors import BayRefusedError, PairingError
from streams import topics
from streams.bay_code import BayContent
from streams.bay_messages import (
    VERSION,
    BayHandover,
    CarriedFact,
    Closing,
    Opened,
    Opening,
    Portion,
    Progress,
    digest_after,
)
from streams.chain import Refused
from streams.clock import Clock
from streams.codec import any_body, decode, open_body
from streams.delivery import examine
from streams.errors import ForerunError, MalformedError
from streams.health import REFUSED, STORED

GOOD_FOR_NS = 2 * 3600 * 10**9
"""How long a session may go on: a vehicle does not stand at the bay for longer."""

MOST_SESSIONS = 16
"""Sessions that may be under way at once."""

SHOWN_NS = 12 * 3600 * 10**9
"""How long the board's list tells of a hand-over."""

DAY_NS = 24 * 3600 * 10**9
KEPT_NS = 30 * DAY_NS
"""How long the ids of what the hub has confirmed are kept, so that a repeat is known."""

log = structlog.get_logger(__name__)


def check_fact(
    carried: CarriedFact, *, region: str, session: Session, drill: bool, received_ns: int
) -> BayFact:
    """Return a fact of a hand-over that is what it says.

    Nothing is trusted for having come from a vehicle that was let in: each fact is examined as
    if it had come by the broker.

    Raises:
        ForerunError: It is not; the text says what is wrong.
    """
    envelope = decode(carried.data)
    kind = envelope.kind
    if not topics.find(kind).is_fact or kind == "case_fact":
        raise MalformedError(f"a {kind} is no fact of a case")
    if envelope.case != session.case:
        raise MalformedError(f"fact of case {envelope.case} in the hand-over of {session.case}")
    if envelope.drill != drill:
        raise MalformedError("an exercise and the real thing do not share a board")
    if envelope.source == session.unit:
        topic = topics.path("unit", region, session.unit, kind, drill=drill)
        found = examine(topic, carried.data, received_ns, "unit")
        if isinstance(found, Refused):
            raise MalformedError(found.text)
        corrected_ns = found.arrived.corrected_ns
        if envelope.offset_ns is None:
            corrected_ns = max(0, envelope.source_ns + session.shift_ns)
        place = 0
    else:  # of the hub, or of others by way of the hub, which gave it its place
        any_body(envelope)
        if not 0 < carried.case_sequence < PLACE:
            raise MalformedError(f"{kind} of {envelope.source} without a place in the case")
        corrected_ns, place = carried.corrected_ns, carried.case_sequence
    return BayFact(
        id=envelope.id, case=session.case, kind=kind, case_sequence=place,
        corrected_ns=corrected_ns, received_ns=received_ns, data=carried.data,
    )  # fmt: skip


class BayDesk:
    """All hand-overs at one hospital's bay."""

    def __init__(
        self,
        *,
        hospital: tuple[str, str],
        region: str,
        drill: bool,
        store: BayStore,
        clock: Clock,
        hub_now_ns: Callable[[], int],
        show: Callable[[str, Collection[str]], Awaitable[None]],
        tell: Callable[[dict[str, Any]], None],
    ) -> None:
        """Prepare.

        Args:
            hospital: Its name, and that for people.
            region: Its region.
            drill: Whether this gateway is one for exercises.
            store: Where facts are kept.
            clock: This machine's clocks.
            hub_now_ns: The hub's clock, as far as it is known here.
            show: Has a case read onto the board again; is told the ids of what is new.
            tell: Tells the open pages how it goes.
        """
        self.pairings = Pairings()
        self._hospital, self._region, self._drill = hospital, region, drill
        self._store = store
        self._clock, self._hub_now_ns = clock, hub_now_ns
        self._show, self._tell = show, tell

    # --- at the board ------------------------------------------------------------------------

    def make_code(self, who: str) -> Pairing:
        """Make the code that a seat reads to the crew."""
        return self.pairings.make(who, self._clock.monotonic_ns())

    async def read_code(self, content: BayContent, who: str) -> Session:
        """Take a hand-over that a seat read as QR codes.

        Raises:
            BayRefusedError: It is not for this hospital's board.
            StorageError: The disk is full or fails; nothing was stored.
        """
        self._check(content.region, drill=content.drill)
        now_ns = self._hub_now_ns()
        session = Session(
            name=_name(), secret=secrets.token_hex(32), way="qr", unit=content.unit,
            label=content.label, case=content.case, who=who, opened_ns=now_ns,
            shift_ns=now_ns - content.wall_ns, expected=content.all_facts,
        )  # fmt: skip
        self._store.open(session)
        session = replace(await self._take(session, content.carried), closed_ns=now_ns)
        await self._keep(session, [])
        log.info("handed over by QR code", case=session.case, unit=session.unit,
                 facts=session.stored, refused=session.refused)  # fmt: skip
        return session

    def state(self) -> dict[str, Any]:
        """Return the last hand-overs, for the board; no code stands in it."""
        since_ns = self._hub_now_ns() - SHOWN_NS
        return {
            "type": "bay",
            "sessions": [
                {
                    "name": one.name, "way": one.way, "unit": one.unit, "label": one.label,
                    "case": one.case, "at_ms": one.opened_ns // 10**6, "stored": one.stored,
                    "expected": one.expected, "refused": one.refused, "reason": one.reason,
                    "closed": one.closed_ns is not None,
                }
                for one in self._store.recent(since_ns)[:8]
            ],
        }  # fmt: skip

    # --- from the vehicle --------------------------------------------------------------------

    def open(self, opening: Opening) -> Opened:
        """Let a vehicle in that knows the code; a repeat finds its session again.

        Raises:
            PairingError: It does not know the code.
            BayRefusedError: It is not for this hospital's board.
            StorageError: The disk is full or fails.
        """
        secret = _hashed(opening.session)
        pairing = self.pairings.use(opening.code, secret, self._clock.monotonic_ns())
        self._check(opening.region, drill=opening.drill)
        if opening.version != VERSION:
            raise BayRefusedError(f"this vehicle speaks version {opening.version}, not {VERSION}")
        session = self._store.find(secret)
        if session is None:
            self._check_room()
            now_ns = self._hub_now_ns()
            session = Session(
                name=_name(), secret=secret, way="network", unit=opening.unit,
                label=opening.label, case=opening.case, who=pairing.who, opened_ns=now_ns,
                shift_ns=now_ns - opening.wall_ns, expected=opening.facts,
            )  # fmt: skip
            self._store.open(session)
            log.info("hand-over at the bay begins", unit=session.unit, case=session.case,
                     facts=session.expected, let_in_by=session.who)  # fmt: skip
        self._tell(self.state())
        name, label = self._hospital
        return Opened(name=session.name, hospital=name, label=label)

    def progress(self, secret: str) -> Progress:
        """Return how far a session is.

        Raises:
            PairingError: There is none of this secret, or it is too old.
        """
        return self._session(secret).progress()

    async def take(self, secret: str, portion: Portion) -> Progress:
        """Take a piece; when this returns it is on the disk and on the board.

        A piece that was taken before, or part of it, changes nothing.

        Raises:
            PairingError: No such session.
            BayRefusedError: Something before it is missing.
            StorageError: The disk is full or fails; nothing of it was stored.
        """
        session = self._session(secret)
        if session.closed_ns is not None:
            return session.progress()
        if portion.first > session.stored:
            raise BayRefusedError(f"go on with fact {session.stored}, not with {portion.first}")
        fresh = portion.facts[session.stored - portion.first :]
        session = await self._take(replace(session, expected=portion.expected), fresh)
        return session.progress()

    async def close(self, secret: str, closing: Closing) -> Progress:
        """End a session: the vehicle and this gateway agree on what was handed over.

        Raises:
            PairingError: No such session.
            BayRefusedError: They do not.
            StorageError: The disk is full or fails.
        """
        session = self._session(secret)
        if session.closed_ns is not None:
            return session.progress()
        if (session.stored, session.digest) != (session.expected, closing.digest):
            raise BayRefusedError(
                f"{session.stored} of {session.expected} facts are here, and not the same ones"
            )
        body = open_body(decode(closing.handover), BayHandover)
        if body.hospital != self._hospital[0] or body.session != session.name:
            raise BayRefusedError("the last word is about another hand-over")
        fact = self._checked(session, CarriedFact(0, 0, closing.handover), self._hub_now_ns())
        session = replace(session, closed_ns=self._hub_now_ns())
        await self._keep(session, [fact])
        log.info("handed over at the bay", case=session.case, unit=session.unit,
                 facts=session.stored, refused=session.refused)  # fmt: skip
        return session.progress()

    # --- both --------------------------------------------------------------------------------

    async def _take(self, session: Session, carried: Sequence[CarriedFact]) -> Session:
        """Store facts; return how far the session is afterwards. What is no fact is counted."""
        received_ns = self._hub_now_ns()
        facts, digest = [], session.digest
        refused, reason = session.refused, session.reason
        for one in carried:
            digest = digest_after(digest, one.data)
            try:
                facts.append(self._checked(session, one, received_ns))
            except ForerunError as error:
                REFUSED.labels("bay", error.reason).inc()
                log.warning("fact of a hand-over refused", case=session.case, error=str(error))
                refused, reason = refused + 1, reason or str(error)[:200]
        session = replace(
            session, stored=session.stored + len(carried), digest=digest, refused=refused,
            reason=reason,
        )  # fmt: skip
        await self._keep(session, facts)
        return session

    def _checked(self, session: Session, carried: CarriedFact, received_ns: int) -> BayFact:
        return check_fact(
            carried, region=self._region, session=session, drill=self._drill,
            received_ns=received_ns,
        )  # fmt: skip

    async def _keep(self, session: Session, facts: Sequence[BayFact]) -> None:
        new = self._store.take(session, facts)
        STORED.labels("bay").inc(new)
        await self._show(session.case, [fact.id for fact in facts])
        self._tell(self.state())

    def _session(self, secret: str) -> Session:
        session = self._store.find(_hashed(secret))
        if session is None or self._hub_now_ns() - session.opened_ns > GOOD_FOR_NS:
            raise PairingError("this hand-over is not known here any more: ask for a new code")
        return session

    def _check(self, region: str, *, drill: bool) -> None:
        if region != self._region:
            raise BayRefusedError(f"this hospital is of region {self._region}, not of {region}")
        if drill != self._drill:
            raise BayRefusedError("an exercise and the real thing do not share a board")

    def _check_room(self) -> None:
        since_ns = self._hub_now_ns() - GOOD_FOR_NS
        if sum(one.closed_ns is None for one in self._store.recent(since_ns)) >= MOST_SESSIONS:
            raise BayRefusedError("too many hand-overs are under way")

    def forget(self) -> None:
        """Forget hand-overs of long ago that the hub has confirmed."""
        self._store.forget(self._hub_now_ns() - KEPT_NS)


def tell_difference(case: str, id_: str) -> None:
    """Say loudly that a fact from the bay is not what the hub has under its id."""
    REFUSED.labels("bay", "differs").inc()
    log.error("a fact handed over at the bay differs from the hub's: the hub's counts",
              case=case, id=id_)  # fmt: skip


def _name() -> str:
    return "".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(5))


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
