"""The hub's settings, as ``dispatch.toml`` documents them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from dispatch.address_search import PlaceSettings
from dispatch.arrival import Travel
from dispatch.district import DistrictSettings
from dispatch.guidance.settings import GuidanceSettings
from dispatch.incident_rules import IncidentSettings
from dispatch.location.districts import District
from dispatch.neighbours import NeighbourSettings, check_neighbours
from dispatch.partner_settings import PartnerSettings
from dispatch.relay import RelaySettings
from dispatch.road_files import RoadSettings
from dispatch.speech.settings import SpeechSettings
from dispatch.text_channel_rtc import ChannelLimits
from dispatch.text_settings import HelpSettings, TextSettings
from dispatch.units import HospitalSettings, UnitSettings
from streams import page_server
from streams.errors import ConfigError
from streams.messages import Name
from streams.page_server import Port, Tls
from streams.webrtc import IceServer, PeerSettings

Positive = Annotated[float, msgspec.Meta(gt=0)]


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Listen(page_server.Listen, frozen=True, kw_only=True):
    """Where pages, API and WHIP/WHEP are served."""

    port: Port = 8440


class BrokerSettings(_Table, frozen=True, kw_only=True):
    """The broker."""

    url: str


class Ice(_Table, frozen=True, kw_only=True):
    """A STUN or TURN server."""

    url: str
    username: str = ""
    credential: str = ""


class Media(_Table, frozen=True, kw_only=True):
    """The media relay."""

    addresses: tuple[str, ...] = ()
    max_sources: Annotated[int, msgspec.Meta(ge=1)] = 64
    max_viewers: Annotated[int, msgspec.Meta(ge=1)] = 256
    max_bitrate_bps: Annotated[int, msgspec.Meta(ge=50_000)] = 1_500_000
    ice_servers: tuple[Ice, ...] = ()


class Calls(_Table, frozen=True, kw_only=True):
    """Calls and the seats that answer them."""

    country: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")] = "CN"
    seat_grace_s: Positive = 10.0
    overflow_s: Annotated[float, msgspec.Meta(ge=0)] = 10.0
    usual_per_hour: Positive = 60.0
    aml_key: str = ""
    held: str = ""
    location_servers: tuple[str, ...] = ()


class Sms(_Table, frozen=True, kw_only=True):
    """The gateway by which text messages leave."""

    gateway: str = ""
    token: str = ""
    text: Annotated[str, msgspec.Meta(pattern=r"\{link\}")] = (
        "Emergency service / 急救中心: show us where you are / 请告知位置 {link}"
    )
    base: str = ""


class TravelSettings(_Table, frozen=True, kw_only=True):
    """How fast units get through the town where no roads are known, and how long they stay."""

    speed_kmh: Positive = 40.0
    detour: Annotated[float, msgspec.Meta(ge=1)] = 1.3
    on_scene_minutes: Annotated[float, msgspec.Meta(ge=0)] = 15.0
    handover_minutes: Annotated[float, msgspec.Meta(ge=0)] = 20.0


class MapSettings(_Table, frozen=True, kw_only=True):
    """The console's map; it works without tiles."""

    tiles: str = ""
    attribution: str = ""


class Settings(_Table, frozen=True, kw_only=True):
    """All settings of a hub."""

    name: Name = "hub"
    region: Name
    state: str
    credential: str
    roster: str
    authority: str = ""
    journal: str = ""
    broker: BrokerSettings
    tls: Tls = Tls()
    listen: Listen = Listen()
    media: Media = Media()
    calls: Calls = Calls()
    sms: Sms = Sms()
    text: TextSettings = TextSettings()
    help: HelpSettings = HelpSettings()
    places: PlaceSettings = PlaceSettings()
    travel: TravelSettings = TravelSettings()
    roads: RoadSettings = RoadSettings()
    district: DistrictSettings = DistrictSettings()
    incidents: IncidentSettings = IncidentSettings()
    guidance: GuidanceSettings = GuidanceSettings()
    speech: SpeechSettings = SpeechSettings()
    map: MapSettings = MapSettings()
    units: Annotated[tuple[UnitSettings, ...], msgspec.Meta(min_length=1)]
    hospitals: Annotated[tuple[HospitalSettings, ...], msgspec.Meta(min_length=1)]
    neighbours: tuple[NeighbourSettings, ...] = ()
    partners: tuple[PartnerSettings, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ConfigError: A name occurs twice, a neighbour is no other district, or there is no
                certificate.
        """
        names = [self.name, *(u.name for u in self.units), *(h.name for h in self.hospitals)]
        names += [partner.name for partner in self.partners]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(f"names must differ: {', '.join(twice)} is there twice")
        check_neighbours(self.neighbours, self.region, self.name)
        if not self.authority and not self.tls.certificate:
            raise ConfigError("without `authority`, [tls] wants `certificate` and `key`")

    @property
    def journal_url(self) -> str:
        """Database URL of the journal."""
        return self.journal or f"sqlite:///{Path(self.state).resolve() / 'journal.sqlite'}"

    def travel_times(self) -> Travel:
        """Return the travel settings in SI units, and the roads, whose file is read.

        Raises:
            ConfigError: The file of the roads is missing, or is none.
        """
        return Travel(
            speed_mps=self.travel.speed_kmh / 3.6,
            detour=self.travel.detour,
            on_scene_s=self.travel.on_scene_minutes * 60,
            handover_s=self.travel.handover_minutes * 60,
            roads=self.roads.open(Path(self.state)),
        )

    def districts(self) -> tuple[District, ...]:
        """Return the borders that are known: this district's first, then its neighbours'."""
        ours = District(self.region, (self.district.border,) if self.district.border else ())
        others = [District(n.label or n.region, (n.border,)) for n in self.neighbours if n.border]
        return (ours, *others) if ours.rings else ()

    def peer(self) -> PeerSettings:
        """Return where WebRTC peers of the hub listen, and whom they ask."""
        servers = tuple(IceServer(s.url, s.username, s.credential) for s in self.media.ice_servers)
        return PeerSettings(addresses=self.media.addresses, ice_servers=servers)

    def text_channels(self) -> ChannelLimits:
        """Return what the door for data channels allows."""
        return ChannelLimits(
            peer=self.peer(), most=self.text.channels, most_of_caller=self.text.channels_per_caller
        )

    def relay(self) -> RelaySettings:
        """Return the media relay's settings."""
        return RelaySettings(
            peer=self.peer(),
            max_sources=self.media.max_sources,
            max_viewers=self.media.max_viewers,
            max_bitrate_bps=self.media.max_bitrate_bps,
        )
