"""The hand-over at the bay over the local network: the agent speaks to the hospital's gateway.

    code from the board ─▶ open ─▶ facts, piece by piece ─▶ the fact that says so ─▶ close

The gateway is checked by its certificate, the vehicle by the code that a person at the ER reads
to the crew. After a cut it goes on where the gateway says that it is; what is handed over twice
is known by its id. The facts stay in the outbox and go to the hub too, when there is a link.
"""

from __future__ import annotations

import asyncio
import io
import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import aiohttp
import msgspec
import structlog

from onboard.bay_facts import facts_of
from onboard.errors import BayError, BayUnreachableError
from onboard.logbook import Logbook
from onboard.outgoing import Outgoing
from onboard.settings import Settings
from onboard.situation import Situation
from streams.bay_messages import (
    PORTION_BYTES,
    PORTION_FACTS,
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
from streams.clock import Clock
from streams.codec import decode, encode
from streams.errors import StorageError
from streams.outbox import Draft, Outbox

ANSWER_S = 10.0
"""The longest wait for an answer of the gateway: it stores before it answers."""

RETRY_S = 1.0
GIVE_UP_S = 120.0
"""How long one step is tried again while the gateway cannot be reached."""

ROUNDS = 3
"""How often what a running run has made meanwhile is handed over as well."""

State = Literal["idle", "connecting", "sending", "waiting", "done", "failed"]
Answer = TypeVar("Answer", bound=msgspec.Struct)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BayView:
    """How far the hand-over is, for the tablet.

    Attributes:
        state: ``waiting``: the gateway does not answer, it is tried again.
        case: Of which case.
        address: Of the gateway.
        hospital: Its name for people, once it is known.
        session: The session's name, as it stands on the board too.
        stored: Facts that the gateway has on its disk.
        expected: Of how many.
        problem: Why it failed or waits.
    """

    state: State = "idle"
    case: str = ""
    address: str = ""
    hospital: str = ""
    session: str = ""
    stored: int = 0
    expected: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Order:
    case: str
    patient: str | None
    address: str
    code: str


class BayHandoverDesk:
    """Hands the case of the run over, when the crew asks for it. One at a time."""

    def __init__(
        self,
        settings: Settings,
        *,
        logbook: Logbook,
        outbox: Outbox,
        outgoing: Outgoing,
        situation: Situation,
        clock: Clock,
        trust: Callable[[], ssl.SSLContext],
    ) -> None:
        """Prepare; ``run`` does the work.

        Args:
            settings: Of this vehicle.
            logbook: The hub's facts, and the crew's.
            outbox: What the hub has not receipted.
            outgoing: Makes the fact that says that it was handed over.
            situation: The run.
            clock: This machine's clocks.
            trust: Gives the check of the gateway's certificate.
        """
        self.view = BayView()
        self.changed: Callable[[], None] = lambda: None
        self._settings, self._trust, self._clock = settings, trust, clock
        self._logbook, self._outbox, self._outgoing = logbook, outbox, outgoing
        self._situation = situation
        self._order: _Order | None = None
        self._wake = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    def start(self, address: str, code: str) -> None:
        """Begin to hand over the case of the run.

        Raises:
            BayError: There is none, or one is being handed over.
        """
        situation = self._situation
        if situation.current is None:
            raise BayError("there is no case to hand over")
        if self._order is not None:
            raise BayError("a hand-over is under way: wait for its end, or stop it")
        patient = situation.binding.patient
        self._order = _Order(situation.current, patient, address, code)
        self._show(BayView("connecting", situation.current, address))
        self._wake.set()

    def stop(self) -> None:
        """Give up the hand-over that is under way; what the gateway has it keeps."""
        if self._work is not None:
            self._work.cancel()
        elif self._order is None:
            self._show(BayView())

    async def run(self) -> None:
        """Do what is asked for, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._order is None:
                continue
            name = f"onboard[{self._settings.name}].bay"
            self._work = asyncio.create_task(self._hand_over(self._order), name=name)
            try:
                await asyncio.wait({self._work})
            finally:
                self._work.cancel()
                self._order = None
            self._settle(self._work)
            self._work = None

    def _settle(self, work: asyncio.Task[None]) -> None:
        if work.cancelled():
            self._show(replace(self.view, state="failed", problem="stopped"))
        elif error := work.exception():
            expected = isinstance(error, BayError | StorageError)
            log.error("hand-over at the bay failed", error=str(error), exc_info=not expected)
            text = str(error) if expected else f"a fault in this program: {error}"
            self._show(replace(self.view, state="failed", problem=text))

    async def _hand_over(self, order: _Order) -> None:
        secret = secrets.token_urlsafe(32)
        connector = aiohttp.TCPConnector(ssl=self._trust())
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        headers = {"Authorization": f"Bearer {secret}"}
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, headers=headers
        ) as http:
            facts = self._facts(order.case)
            opening = Opening(
                version=VERSION, code=order.code, session=secret, unit=self._settings.name,
                label=self._settings.title, region=self._settings.region, case=order.case,
                drill=self._outgoing.drill, facts=len(facts), wall_ns=self._clock.wall_ns(),
            )  # fmt: skip
            opened = await self._ask(http, order, "open", opening, Opened)
            self._show(replace(self.view, hospital=opened.label, session=opened.name))
            await self._send_all(http, order, facts)
            closing = self._close(order, opened, facts)
            progress = await self._ask(http, order, "close", closing, Progress)
        self._show_progress("done", progress)
        log.info("handed over at the bay", case=order.case, hospital=opened.hospital,
                 facts=progress.stored, refused=progress.refused)  # fmt: skip

    def _facts(self, case: str) -> list[CarriedFact]:
        return facts_of(self._logbook, self._outbox, case)

    async def _send_all(
        self, http: aiohttp.ClientSession, order: _Order, facts: list[CarriedFact]
    ) -> None:
        """Send all facts, and what is made meanwhile; ``facts`` grows by that."""
        known = {decode(fact.data).id for fact in facts}
        progress = await self._ask(http, order, "state", None, Progress)
        for _ in range(ROUNDS):
            while progress.stored < len(facts):
                portion = Portion(
                    first=progress.stored,
                    expected=len(facts),
                    facts=portion_of(facts, progress.stored),
                )
                progress = await self._ask(http, order, "facts", portion, Progress)
                self._show_progress("sending", progress)
            fresh = [one for one in self._facts(order.case) if decode(one.data).id not in known]
            known.update(decode(one.data).id for one in fresh)
            facts += fresh
            if not fresh:
                return

    def _close(self, order: _Order, opened: Opened, facts: list[CarriedFact]) -> Closing:
        """Make the fact that the case is handed over: from here on the hub will hear of it."""
        digest = ""
        for fact in facts:
            digest = digest_after(digest, fact.data)
        body = BayHandover(
            hospital=opened.hospital, at_ns=self._clock.wall_ns(), way="network",
            facts=len(facts), digest=digest, session=opened.name,
        )  # fmt: skip
        draft = Draft("bay_handover", body, case=order.case, patient=order.patient)
        (envelope,) = self._outgoing.make([draft])
        return Closing(digest=digest, handover=encode(envelope))

    async def _ask(
        self, http: aiohttp.ClientSession, order: _Order, what: str, body: msgspec.Struct | None,
        answer: type[Answer],
    ) -> Answer:  # fmt: skip
        """Ask the gateway, again and again while it cannot be reached.

        Raises:
            BayError: It refuses, or could not be reached for too long.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + GIVE_UP_S
        while True:
            try:
                return await self._ask_once(http, f"{order.address}/bay/{what}", body, answer)
            except (aiohttp.ClientError, TimeoutError, BayError) as error:
                if isinstance(error, BayError) and not error.retry:
                    raise
                why = str(error) or "no answer"
                if isinstance(error, aiohttp.ClientConnectorCertificateError):
                    raise BayError(f"this is no gateway of ours: {why}") from error
                if loop.time() > until:
                    raise BayError(f"{order.address} cannot be reached: {why}") from error
                log.info("gateway does not answer", address=order.address, error=why)
                self._show(replace(self.view, state="waiting", problem=why))
                await asyncio.sleep(RETRY_S)

    async def _ask_once(
        self, http: aiohttp.ClientSession, url: str, body: msgspec.Struct | None,
        answer: type[Answer],
    ) -> Answer:  # fmt: skip
        data = io.BytesIO(msgspec.msgpack.encode(body)) if body is not None else None
        async with http.request("GET" if data is None else "POST", url, data=data) as response:
            said = await response.read()
            if response.status != 200:
                raise _refusal(response.status, said)
        try:
            return msgspec.msgpack.decode(said, type=answer)
        except msgspec.MsgspecError as error:
            raise BayError(f"{url} does not speak this protocol: {error}") from error

    def _show_progress(self, state: State, progress: Progress) -> None:
        problem = f"{progress.refused} refused: {progress.reason}" if progress.refused else ""
        self._show(
            replace(
                self.view,
                state=state,
                stored=progress.stored,
                expected=progress.expected,
                problem=problem,
            )
        )

    def _show(self, view: BayView) -> None:
        self.view = view
        self.changed()


def portion_of(facts: list[CarriedFact], first: int) -> list[CarriedFact]:
    """Return the next facts to send from a number on: as many as one piece takes, at least one."""
    portion: list[CarriedFact] = []
    size = 0
    for fact in facts[first : first + PORTION_FACTS]:
        size += len(fact.data)
        if portion and size > PORTION_BYTES:
            break
        portion.append(fact)
    return portion


def _refusal(status: int, said: bytes) -> BayError:
    """Return what the gateway said as an error; one that is not its own words, by its number."""
    try:
        answer = msgspec.json.decode(said, type=dict[str, object])
    except msgspec.MsgspecError:
        answer = {}
    text = str(answer.get("error") or f"the gateway answers {status}")
    return BayUnreachableError(text) if status >= 500 else BayError(text)
