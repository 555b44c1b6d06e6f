"""Who may publish and view which media: units their own, hospitals those of their case."""

from __future__ import annotations

from aiohttp import web

from dispatch.cases import CaseBook
from dispatch.offers import Role
from dispatch.relay import Relay
from streams.clock import Clock
from streams.errors import CredentialError
from streams.health import REFUSED
from streams.journal import Journal
from streams.web import Verify, token_of

DECIDING = frozenset(
    {
        "unit_assigned", "unit_released", "run_ended",
        "hospital_chosen", "hospital_stood_down", "case_closed",
    }
)  # fmt: skip
"""Kinds of facts after which somebody may have lost the right to watch."""


class MediaRights:
    """Authorises WHIP and WHEP requests, and ends views whose right has gone.

    A *resource* is ``<unit>/<stream>``, such as ``unit-7/cabin``.
    """

    def __init__(
        self, book: CaseBook, relay: Relay, verify: Verify, journal: Journal, clock: Clock
    ) -> None:
        """Prepare; ``authorise`` goes to ``dispatch.whip_whep.add_relay_routes``."""
        self._book = book
        self._relay = relay
        self._verify = verify
        self._journal = journal
        self._clock = clock

    async def authorise(self, request: web.Request, resource: str, role: Role) -> str:
        """Return who a request is from (``unit/unit-7``, ``hospital/…``, ``seat/…``).

        Raises:
            CredentialError: No usable credential (401).
            HTTPForbidden: A unit for another's name, a hospital for a unit that is not on the
                way to it, a seat that would publish (403).
            StorageError: The audit log cannot be written, so nothing is shown.
        """
        try:
            holder = self._verify(token_of(request))
        except CredentialError as error:
            REFUSED.labels("media", error.reason).inc()
            raise
        unit = resource.partition("/")[0]
        reason = self._refusal(holder.role, holder.name, unit, role)
        if reason is not None:
            REFUSED.labels("media", "not_yours").inc()
            raise web.HTTPForbidden(text=f"{reason}\n")
        if role == "view" and request.method == "POST":
            case = self._book.of_unit(unit)
            await self._journal.note_read(
                f"{holder.role}/{holder.name}",
                f"media {resource}",
                case.id if case else None,
                self._clock.wall_ns(),
            )
        return f"{holder.role}/{holder.name}"

    def end_lost_views(self) -> int:
        """End the views of hospitals that have no right any more; return how many."""
        ended = 0
        for resource in self._relay.snapshot().resources.values():
            unit = resource.resource.partition("/")[0]
            for viewer in resource.viewers:
                role, _, name = viewer.identity.partition("/")
                if role != "hospital" or self._book.hospital_of_unit(unit) == name:
                    continue
                session = self._relay.find(resource.resource, viewer.session)
                if session is not None:
                    self._relay.end(session, "the case went elsewhere")
                    ended += 1
        return ended

    def _refusal(self, holder_role: str, name: str, unit: str, role: Role) -> str | None:
        """Return why not; None when it may."""
        if role == "publish":
            own = holder_role == "unit" and name == unit
            return None if own else f"{name} may not publish for {unit}"
        if holder_role == "seat":
            return None
        if holder_role == "hospital" and self._book.hospital_of_unit(unit) == name:
            return None
        return f"{unit} is not on its way to {name}"
