"""Who may publish and view which media.

A *resource* is ``<unit>/<stream>``, such as ``unit-7/cabin``, or that of a case's caller:
``caller-<case>/camera`` and ``caller-<case>/seat``.

Of a unit's: the unit itself publishes; seats view, and the hospital of its case. Of a caller's,
while the case is open, the caller consents and no seat stopped it: the caller's page publishes its
camera with the token of its link; seats view it, the crew that is assigned until its run ends, and
the chosen hospital from its first acknowledgement on. What a seat says is published by the seat
that took the word, and heard by the caller's page alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import web

from dispatch.caller_link import LinkSeal
from dispatch.cases import Case, CaseBook
from dispatch.offers import Role
from dispatch.relay import Relay
from streams.caller_video import CAMERA, VOICE, case_of_resource
from streams.clock import Clock
from streams.errors import CredentialError
from streams.health import REFUSED
from streams.journal import Journal
from streams.web import Holder, Verify, token_of

DECIDING = frozenset(
    {
        "unit_assigned", "unit_released", "run_ended", "caller_video",
        "hospital_chosen", "hospital_stood_down", "case_closed",
    }
)  # fmt: skip
"""Kinds of facts after which somebody may have lost the right to publish or to watch."""

CALLER = "caller"
"""The role of who holds the link of a case; no credential has it."""

Viewed = Callable[[Case, str, str], Awaitable[None]]
"""Told before a unit or a hospital is let in to a caller's camera: the case, the role, the name."""


@dataclass(frozen=True, slots=True)
class _Link:
    """Who holds the link of a case's caller."""

    name: str
    role: str = CALLER


class MediaRights:
    """Authorises WHIP and WHEP requests, and ends sessions whose right has gone."""

    def __init__(
        self,
        book: CaseBook,
        relay: Relay,
        *,
        verify: Verify,
        seal: LinkSeal,
        journal: Journal,
        clock: Clock,
    ) -> None:
        """Prepare; ``authorise`` goes to ``dispatch.whip_whep.add_relay_routes``.

        Attributes:
            viewed: Told of crews and hospitals that are let in to a caller's camera.
        """
        self.viewed: Viewed = _nobody_asks
        self._book = book
        self._relay = relay
        self._verify = verify
        self._seal = seal
        self._journal = journal
        self._clock = clock

    async def authorise(self, request: web.Request, resource: str, role: Role) -> str:
        """Return who a request is from (``unit/unit-7``, ``hospital/…``, ``seat/…``, ``caller/…``).

        Raises:
            CredentialError: No usable credential (401).
            HTTPForbidden: The resource is not theirs to publish or to view (403).
            StorageError: The audit log cannot be written, so nothing is shown.
        """
        try:
            holder = self._holder(token_of(request))
        except CredentialError as error:
            REFUSED.labels("media", error.reason).inc()
            raise
        reason = self._refusal(holder.role, holder.name, resource, role)
        if reason is not None:
            REFUSED.labels("media", "not_yours").inc()
            raise web.HTTPForbidden(text=f"{reason}\n")
        if role == "view" and request.method == "POST":
            await self._note(holder, resource)
        return f"{holder.role}/{holder.name}"

    def end_lost(self) -> int:
        """End the sessions that have no right any more; return how many."""
        ended = 0
        for resource in self._relay.snapshot().resources.values():
            name = resource.resource
            for viewer in resource.viewers:
                session = self._relay.find(name, viewer.session)
                if session is not None and not self._may(viewer.identity, name, "view"):
                    self._relay.end(session, "its right is gone")
                    ended += 1
            if resource.source is not None and not self._may(resource.source, name, "publish"):
                ended += self._relay.end_all(name, "publish", "its right is gone")
        return ended

    def _may(self, identity: str, resource: str, role: Role) -> bool:
        holder_role, _, name = identity.partition("/")
        return self._refusal(holder_role, name, resource, role) is None

    async def _note(self, holder: Holder, resource: str) -> None:
        """Write down who begins to watch."""
        of_caller = case_of_resource(resource)
        unit = resource.partition("/")[0]
        case = self._book.get(of_caller) if of_caller else self._book.of_unit(unit)
        who, at_ns = f"{holder.role}/{holder.name}", self._clock.wall_ns()
        await self._journal.note_read(who, f"media {resource}", case.id if case else None, at_ns)
        if case is not None and of_caller and holder.role in ("unit", "hospital"):
            await self.viewed(case, holder.role, holder.name)

    def _holder(self, token: str) -> Holder:
        with suppress(CredentialError):
            return _Link(self._seal.case(token))
        return self._verify(token)

    def _refusal(self, holder_role: str, name: str, resource: str, role: Role) -> str | None:
        """Return why not; None when it may."""
        of_caller = case_of_resource(resource)
        if of_caller is not None:
            return self._refusal_of_caller(holder_role, name, resource, role)
        unit = resource.partition("/")[0]
        if role == "publish":
            own = holder_role == "unit" and name == unit
            return None if own else f"{name} may not publish for {unit}"
        if holder_role == "seat":
            return None
        if holder_role == "hospital" and self._book.hospital_of_unit(unit) == name:
            return None
        return f"{unit} is not on its way to {name}"

    def _refusal_of_caller(
        self, holder_role: str, name: str, resource: str, role: Role
    ) -> str | None:
        case = self._book.get(case_of_resource(resource))
        if case is None or not case.is_open or not case.video.is_on:
            return "the caller shows no video, or no more"
        stream = resource.partition("/")[2]
        who = (holder_role, name)
        if (stream, role) == (CAMERA, "publish"):
            allowed = who == (CALLER, case.id)
        elif (stream, role) == (VOICE, "publish"):
            allowed = who == ("seat", case.video.voice)
        elif (stream, role) == (VOICE, "view"):
            allowed = who == (CALLER, case.id)
        else:
            allowed = stream == CAMERA and _may_watch(holder_role, name, case)
        return None if allowed else f"{name} has no part in the video of this caller"


def _may_watch(holder_role: str, name: str, case: Case) -> bool:
    """Whether somebody may watch a caller who consents.

    A hospital has no fact for accepting a patient: that a role of it saw the case, after it was
    chosen, is the word that it is there for it.
    """
    if holder_role == "unit":
        return case.unit == name and case.has_crew_under_way
    if holder_role == "hospital":
        chosen = case.hospital == name and not case.drill
        return chosen and any(
            seen.hospital == name and seen.case_sequence > case.hospital_sequence
            for seen in case.seen
        )
    return holder_role == "seat"


async def _nobody_asks(_case: Case, _role: str, _name: str) -> None:
    """Nobody wants to know."""
