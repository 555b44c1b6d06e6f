"""The hub as one service: journal, outbox, broker, relay, pages, and the tasks between them.

``dispatch.server`` opens what it needs and runs it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from dispatch import guide_pages, incident_pages, partner_pages
from dispatch.actions import tell_errors
from dispatch.address_search import PlaceApi
from dispatch.advice import Advice
from dispatch.api import Api
from dispatch.broker_link import BrokerLink
from dispatch.call_api import OPEN as CALL_PATHS
from dispatch.call_api import CallApi
from dispatch.call_desk import CallDesk
from dispatch.caller_api import OPEN as CALLER_PATHS
from dispatch.caller_api import CallerApi
from dispatch.caller_bundle import static_folders
from dispatch.caller_link import LinkSeal
from dispatch.caller_place import Places
from dispatch.caller_video import CallerVideoDesk
from dispatch.caller_video_api import CallerVideoApi
from dispatch.case_record import CaseRecord
from dispatch.console import Console
from dispatch.district_desk import DistrictDesk
from dispatch.district_pages import DistrictPages
from dispatch.district_picture import picture
from dispatch.district_teller import DistrictTeller
from dispatch.districts import Districts
from dispatch.foreign_cases import Asked
from dispatch.forwarder import Forwarder
from dispatch.gap_asking import GapAsking
from dispatch.help_door import OPEN as HELP_PATHS
from dispatch.help_door import HelpDoor
from dispatch.hub_clock import check_clock
from dispatch.ingest import Ingest
from dispatch.live_streams import LiveStreams
from dispatch.location.geocoder import AddressSearch
from dispatch.location_api import LocationApi
from dispatch.location_client import LocationClient
from dispatch.media_rights import DECIDING, MediaRights
from dispatch.message_sender import MessageSender
from dispatch.partner_desk import OPEN as PARTNER_PATHS
from dispatch.partner_desk import PartnerDesk
from dispatch.partner_sender import PartnerSender
from dispatch.partner_settings import Partners
from dispatch.path_echo import PathEcho
from dispatch.relay import Relay
from dispatch.road_api import RoadApi
from dispatch.settings import Settings
from dispatch.speech.engine import Recogniser, Synthesiser
from dispatch.speech_desk import SpeechDesk
from dispatch.step_sound import StepSound
from dispatch.text_api import TextApi
from dispatch.text_channel_rtc import TextChannelApi, TextChannels
from dispatch.text_desk import TextDesk
from dispatch.text_rtp import RtpApi, RtpDoor
from dispatch.trouble import TroubleWatch
from dispatch.units import Fleet
from dispatch.whip_whep import add_relay_routes
from streams import health
from streams import web as pages
from streams.chain import Stored
from streams.clock import Clock
from streams.district_messages import DistrictAnswer
from streams.errors import TransportError
from streams.journal import Journal
from streams.outbox import Outbox
from streams.packed_files import packed_files
from streams.page_server import page_url
from streams.transport.nats import NatsTransport

OPEN_PATHS = ("/whip/", "/whep/", *CALL_PATHS, *CALLER_PATHS, *HELP_PATHS, *PARTNER_PATHS)
"""Where a credential of another kind counts, or a link; the handlers check for themselves."""

LIVE = "live"
ECG_CHANNEL = "ecg"
"""The relay's resource ``<unit>/live`` and its data channel, on which live ECG comes."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the hub is made of, opened."""

    settings: Settings
    journal: Journal
    outbox: Outbox
    transport: NatsTransport
    clock: Clock
    verify: pages.Verify
    search: AddressSearch
    hears: Recogniser
    speaks: Synthesiser


class Hub:
    """The running hub.

    Attributes:
        record: The cases, units and hospitals as the journal says.
        relay: The media relay.
        echo: Answers the vehicles' probes of their path.
        calls: Takes calls and where their callers are.
        texts: Takes what callers write, and tells them what seats say.
        speech: Listens to seats and speaks to them.
        text_channels: The data channels on which callers write.
        text_rtp: The text of calls that an exchange hands over as RTP.
        videos: Takes what callers say of their video.
        forwarder: What is on its way to units and hospitals.
        port: Where the pages are served; 0 before.
        link: The side of the broker; ``link.ready`` is set once facts can come.
        districts: What this hub and the neighbours' tell each other.
        desk: Does what seats here and at neighbours ask for.
    """

    def __init__(self, parts: Parts) -> None:
        """Put the parts together; nothing runs yet."""
        settings, clock = parts.settings, parts.clock
        self._parts = parts
        self.port = 0
        self._travel = settings.travel_times()
        self.relay = Relay(settings.relay(), on_message=self._take_message)
        self.echo = PathEcho(self.relay)
        self.record = CaseRecord(
            parts.journal,
            parts.outbox,
            Fleet(
                settings.units,
                settings.hospitals,
                settings.district.rules(),
                settings.incidents.rules(),
            ),
            clock,
            settings.calls.usual_per_hour,
        )
        partners = Partners(settings.partners, hub=settings.name, region=settings.region)
        self.record.fleet.partners = partners
        self.record.fleet.protocols = settings.guidance.library()
        self.record.fleet.aeds = settings.guidance.aed_list()
        self._partners = PartnerSender(self.record, partners, clock)
        self._answers = PartnerDesk(self.record, partners, parts.verify, clock)
        self.forwarder = Forwarder(
            parts.journal,
            parts.outbox,
            region=settings.region,
            publish=self._publish_kept,
            clock=clock,
            changed=self._case_changed,
        )
        self._seal = LinkSeal.of(Path(settings.state))
        self.rights = MediaRights(
            self.record.book,
            self.relay,
            verify=parts.verify,
            seal=self._seal,
            journal=parts.journal,
            clock=clock,
        )
        self.videos = CallerVideoDesk(self.record, self.relay, clock)
        self.videos.end_lost = self.rights.end_lost
        self.rights.viewed = self.videos.note_watched
        self.ingest = Ingest(
            self.record,
            parts.journal,
            parts.outbox,
            region=settings.region,
            publish=self._publish_kept,
            clock=clock,
        )
        self.gaps = GapAsking(parts.journal, self.record.fleet, self.ingest.send_receipt, clock)
        self.districts = Districts(
            settings.neighbours,
            region=settings.region,
            record=self.record,
            journal=parts.journal,
            outbox=parts.outbox,
            transport=parts.transport,
            clock=clock,
            picture=lambda: picture(self.record.fleet, self.record.book, clock.wall_ns()),
        )
        self.calls = CallDesk(
            self.record,
            parts.journal,
            clock,
            source=settings.name,
            country=settings.calls.country,
        )
        self.desk = DistrictDesk(
            self.record,
            parts.journal,
            parts.outbox,
            clock,
            districts=self.districts,
            calls=self.calls,
            region=settings.region,
            overflow_s=settings.calls.overflow_s,
            seat_grace_s=settings.calls.seat_grace_s,
        )
        self._teller = DistrictTeller(
            self.record, parts.journal, parts.outbox, self.districts, settings.region
        )
        self._locations = LocationClient(
            self.calls,
            clock,
            operator=settings.calls.held,
            servers=settings.calls.location_servers,
        )
        self._messages = MessageSender(
            self.record,
            self._seal,
            gateway=settings.sms.gateway,
            token=settings.sms.token,
            text=settings.sms.text,
            base=lambda: settings.sms.base or self.url,
        )
        self._help = HelpDoor(
            settings.help,
            self.calls,
            self.record.book,
            seal=self._seal,
            clock=clock,
            base=lambda: settings.sms.base or self.url,
        )
        self.texts = TextDesk(self.record, clock)
        self.text_channels = TextChannels(self.texts, settings.text_channels())
        self.text_rtp = RtpDoor(settings.text, self.record, self.texts)
        self.texts.more = self.videos.shown
        self.videos.tell = self.texts.tell
        self.speech = SpeechDesk(
            self.record, self.texts, self.desk.act, clock, hears=parts.hears, speaks=parts.speaks
        )
        self._places = Places(clock, settings.districts())
        self._advice = Advice(self.record, self._travel, clock)
        self._advice.neighbours = self.districts.neighbours.all
        abroad = DistrictPages(self.desk, self.districts.neighbours.all, self._places, clock)
        self.console = Console(
            self.record,
            parts.journal,
            self.desk,
            clock=clock,
            advice=self._advice,
            reached=self.forwarder.reached,
            media=self._live_media,
            about=self._about(),
            trouble=TroubleWatch(lambda: {**self.checks(), **self._help.checks()}),
            missing=self.gaps.for_page,
            calls=self.calls,
            places=self._places,
            abroad=abroad,
            texts=self.texts,
            seat_grace_s=settings.calls.seat_grace_s,
        )
        abroad.wake = self.console.wake
        self.districts.changed = abroad.district_changed
        self.districts.follow(self.desk.take)
        self.desk.seats = lambda: self.console.seats
        self.desk.told = self._tell_answer
        self.live = LiveStreams(
            self.record,
            parts.outbox,
            region=settings.region,
            publish=parts.transport.publish,
            clock=clock,
            travel=self._travel,
            take_receipt=self.forwarder.take_receipt,
            take_held=self.ingest.take_held,
            heard_again=self.forwarder.heard_again,
            unit_changed=self.console.unit_changed,
        )
        self.link = BrokerLink(
            parts.transport,
            name=settings.name,
            region=settings.region,
            hospitals=self.record.fleet.hospitals,
            ingest=self.ingest,
            live=self.live,
            forwarder=self.forwarder,
        )

    @property
    def url(self) -> str:
        """Where the console is."""
        return page_url(self._parts.settings, self.port)

    def link_for(self, case: str) -> str:
        """Return the address by which the caller of a case may tell where he is."""
        return self._messages.link(case)

    async def restore(self) -> None:
        """Build the views from the journal; from then on facts also reach pages and rights."""
        count = await self.record.restore()
        await self.forwarder.restore([case.id for case in self.record.book.recent()])
        self.record.follow(self.forwarder.take)
        self.record.follow(self.live.fact_stored)
        self.record.follow(self.console.fact_stored)
        self.record.retimed = self.console.case_changed
        self.record.follow(self._check_views)
        await self.calls.restore()
        await self.desk.restore()
        if self._parts.settings.neighbours:
            self._teller.restore()
            self.record.follow(self._teller.take)
        self._partners.restore()
        self.record.follow(self._partners.take)
        self.record.follow(self._messages.take)
        self.texts.restore()
        self.record.follow(self.texts.take)
        self.record.follow(self.text_rtp.take)
        self.record.follow(self.speech.take)
        self.record.follow(self.videos.take)
        log.info("journal read", facts_read=count, open=len(self.record.book.open()))

    async def work(self) -> None:
        """Run all tasks until cancelled; one that fails ends them all."""
        async with asyncio.TaskGroup() as group:
            self.link.start(group)
            self.districts.start(group)
            if self._parts.settings.neighbours:
                group.create_task(self._teller.run(), name="hub.district_teller")
                group.create_task(self.desk.run(), name="hub.district_desk")
            group.create_task(self.forwarder.run(group), name="hub.forwarder")
            group.create_task(self.live.send_ecg(), name="hub.ecg")
            group.create_task(self.console.run(), name="hub.console")
            group.create_task(self.gaps.run(), name="hub.gaps")
            group.create_task(self._locations.run(), name="hub.locations")
            group.create_task(self._partners.run(), name="hub.partners")
            group.create_task(self._messages.run(), name="hub.messages")
            group.create_task(self.texts.run(), name="hub.texts")
            group.create_task(self.speech.run(), name="hub.speech")
            group.create_task(self.text_channels.run(), name="hub.text_channels")
            group.create_task(self.text_rtp.run(), name="hub.text_rtp")
            group.create_task(self.videos.run(), name="hub.videos")

    def application(self) -> web.Application:
        """Return the web application: console, API, WHIP and WHEP, health."""
        parts = self._parts
        app = web.Application(
            middlewares=[
                pages.secure_headers,
                packed_files(static_folders()),
                pages.guard(parts.verify, ["seat"], OPEN_PATHS),
                pages.answer_errors,
                tell_errors,
            ],
            client_max_size=256 * 1024,
        )
        pages.add_pages(app, "dispatch", {"/": "index.html"})
        app.router.add_get("/ws", self.console.serve)
        app.router.add_get("/speech", self.speech.serve)
        Api(
            self.record,
            parts.journal,
            self.desk,
            clock=parts.clock,
            advice=self._advice,
            places=self._places,
            reached=self.forwarder.reached,
        ).add_routes(app)
        calls = CallApi(self.calls, parts.verify, self._locations)
        calls.add_routes(app)
        PlaceApi(self.record, parts.search).add_routes(app)
        callers = CallerApi(self.record, self.calls, self._seal, parts.clock)
        callers.add_routes(app)
        TextApi(self.texts, self.calls, calls, callers).add_routes(app)
        TextChannelApi(self.text_channels, callers).add_routes(app)
        RtpApi(self.text_rtp, calls).add_routes(app)
        self._help.add_routes(app)
        CallerVideoApi(self.videos, callers, parts.journal, parts.clock).add_routes(app)
        StepSound(callers, parts.speaks).add_routes(app)
        self._answers.add_routes(app)
        roads = self._travel.roads
        RoadApi(roads.graph if roads is not None else None, callers).add_routes(app)
        LocationApi(
            self.calls, calls, self._locations, parts.clock, parts.settings.calls.aml_key
        ).add_routes(app)
        add_relay_routes(app, self.relay, self.rights.authorise)
        health.add_routes(app, self.checks)
        return app

    def checks(self) -> dict[str, health.Check]:
        """Return the state of each part."""
        connected = self._parts.transport.connected
        stored = self.record.works and all(self.ingest.working.values())
        sources = sum(r.source is not None for r in self.relay.snapshot().resources.values())
        return {
            "broker": {"ok": connected, "text": "connected" if connected else "no connection"},
            "journal": {
                "ok": stored,
                "text": f"at fact {self.record.position}" if stored else "refuses to store",
            },
            "relay": {"ok": True, "text": f"sources: {sources}"},
            "clock": check_clock(self._parts.clock),
            "gaps": self.gaps.check(),
            "neighbours": self.districts.check(),
        }

    async def _publish_kept(self, topic: str, data: bytes) -> None:
        """Send facts and receipts, but not before the broker's streams stand.

        A broker whose store was wiped takes facts and loses them until then; and a vehicle takes
        a receipt as the word that it may send.
        """
        if not self.link.streams_stand:
            raise TransportError("the broker's streams are not made yet")
        await self._parts.transport.publish(topic, data)

    def _take_message(self, resource: str, label: str, data: bytes) -> None:
        unit, _, stream = resource.partition("/")
        if stream == LIVE and label == ECG_CHANNEL:
            self.live.take_ecg(unit, data)

    def _tell_answer(self, asked: Asked, answer: DistrictAnswer) -> None:
        told: dict[str, Any] = {"id": asked.request, "action": asked.action, "case": answer.case}
        told |= {"ok": answer.ok, "error": answer.error, "conflict": answer.conflict}
        self.console.tell_answer(asked.seat, told)

    def _case_changed(self, case: str) -> None:
        self.console.case_changed(case)

    def _check_views(self, fact: Stored) -> None:
        if fact.envelope.kind in DECIDING:
            self.rights.end_lost()

    def _live_media(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, resource in self.relay.snapshot().resources.items():
            unit, _, stream = name.partition("/")
            if resource.live and stream != LIVE:
                found.setdefault(unit, []).append(stream)
        return found

    def _about(self) -> dict[str, Any]:
        settings = self._parts.settings
        tiles = {"url": settings.map.tiles, "attribution": settings.map.attribution}
        partners = partner_pages.known(self.record.fleet.partners)
        roads = "/api/roads" if self._travel.roads is not None else ""
        return {
            "hub": settings.name,
            "region": settings.region,
            "tiles": tiles,
            "roads": roads,
            "partners": partners,
            "triage": incident_pages.tables(),
            "protocols": guide_pages.known(self.record.fleet.protocols),
        }
