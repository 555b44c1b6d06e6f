"""Settings of a vehicle's agent, read from one TOML file (``onboard.toml`` is the example)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from onboard.sensors import SensorSettings
from streams.messages import Latitude, Longitude, Name, ShortText
from streams.page_server import Listen, Tls

Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]


class Broker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the broker is reached: MQTT over TLS, or over a WebSocket on port 443."""

    host: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8883
    websocket: bool = False


class UplinkTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of several ways to the broker and the hub; in the order of preference.

    Attributes:
        name: For people, such as the operator's.
        interface: Network interface, such as ``wwan0``.
        address: Address of this machine, where the routing goes by it.
        facts: ``failover`` sends facts over it only while it is in use; ``both`` sends a copy
            of each besides.
    """

    name: Name
    interface: Annotated[str, msgspec.Meta(max_length=15)] = ""
    address: Annotated[str, msgspec.Meta(max_length=45)] = ""
    facts: Literal["both", "failover"] = "failover"

    def __post_init__(self) -> None:
        """Refuse an uplink that could be any."""
        if not (self.interface or self.address):
            raise ValueError(f"uplink {self.name!r}: state its interface, its address, or both")


class CameraTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cabin camera.

    Attributes:
        name: Of the stream, ``cabin``.
        source: File, ``/dev/video0``, ``rtsp://…`` or ``synthetic``.
        origin: Of its pictures; a drawn picture is always synthetic.
        width: Of the published picture, pixels.
        height: Of the published picture, pixels.
        fps: The most pictures a second.
        sound: Whether sound is published.
        time_code: Whether the time is drawn into the picture, to measure the delay.
        codec: VP8, or H264 at more CPU.
        most_bps: The most that video may take of the link, bits per second.
        record: Whether video may be kept on board; the crew decides for each case.
        record_fps: Of what is kept, pictures a second.
        record_bps: Of what is kept, bits per second.
    """

    name: Name = "cabin"
    source: str
    origin: Literal["live", "replay", "synthetic"] = "live"
    width: Annotated[int, msgspec.Meta(ge=128, le=1920)] = 640
    height: Annotated[int, msgspec.Meta(ge=72, le=1080)] = 480
    fps: Annotated[float, msgspec.Meta(ge=1, le=60)] = 25.0
    sound: bool = True
    time_code: bool = False
    codec: Literal["VP8", "H264"] = "VP8"
    most_bps: Annotated[int, msgspec.Meta(ge=100_000, le=20_000_000)] = 1_500_000
    record: bool = False
    record_fps: Annotated[float, msgspec.Meta(ge=1, le=30)] = 10.0
    record_bps: Annotated[int, msgspec.Meta(ge=50_000, le=20_000_000)] = 400_000


class Media(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """WebRTC: which of this machine's addresses are offered; empty means all but loopback."""

    addresses: tuple[str, ...] = ()


class Storage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The disk of the state directory.

    Attributes:
        keep_free_mib: Room that is kept for facts and ECG, MiB: with less free the disk is low,
            and kept video goes.
        video_most_mib: The most that kept video may take, MiB.
        video_keep_hours: Kept video older than this goes.
    """

    keep_free_mib: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 256
    video_most_mib: Annotated[int, msgspec.Meta(ge=1, le=100_000_000)] = 4096
    video_keep_hours: Annotated[int, msgspec.Meta(ge=1, le=87_600)] = 72


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a hospital is, for the map of a vehicle without a link."""

    hospital: Name
    label: ShortText
    latitude_deg: Latitude
    longitude_deg: Longitude


class BayTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A hospital's gateway as it is reached from its bay, for a hand-over past the hub.

    Attributes:
        hospital: Its name, as in topics.
        label: Its name for people.
        url: Its address in the bay's own network, ``https://…``; empty where there is none.
    """

    hospital: Name
    label: ShortText
    url: Annotated[str, msgspec.Meta(pattern=r"^(https://\S{1,200})?$")] = ""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings; see ``onboard.toml`` for what each is for.

    Attributes:
        name: The unit, as in topics and credentials.
        label: Its call sign, for people.
        region: The region (district).
        state: Directory for outbox, logbook, recordings and ``ready.json``.
        hub: Address of the hub's media, ``https://…``; None sends no live ECG and no video.
        credential: File with this unit's own credential.
        authority: The CA certificate that this vehicle trusts.
        roster: Directory of the roster, which says which seats may open the tablet's page.
        listen: Where the tablet's page is served.
        broker: How the broker is reached.
        uplink: The uplinks, the preferred first; none leaves the way to the system.
        tls: The page server's certificate, and under which names it is reached.
        start: Whether sensors start with the run or with the agent.
        always: Sensors that start with the agent whatever ``start`` says, such as the GPS.
        unsent_replay_facts: A replay at speed 0 waits while more facts than this wait.
        keep_days: Cases and recordings older than this are removed.
        storage: The disk of the state directory.
        map_tiles: URL template of map tiles; empty shows a map without streets.
        camera: The cabin camera; None for a vehicle without.
        media: WebRTC's addresses.
        places: Where the hospitals are.
        bay: Hospitals at whose bay a case can be handed over without the hub.
        sensor: The sensors.
    """

    name: Name
    label: ShortText = ""
    region: Name
    state: str
    hub: Annotated[str, msgspec.Meta(pattern=r"^https?://[^/]")] | None = None
    credential: str
    authority: str
    roster: str
    listen: Listen = Listen()
    broker: Broker
    uplink: tuple[UplinkTable, ...] = ()
    tls: Tls = Tls()
    start: Literal["run", "agent"] = "run"
    always: tuple[Name, ...] = ()
    unsent_replay_facts: Annotated[int, msgspec.Meta(ge=10, le=100_000)] = 200
    keep_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 30
    storage: Storage = Storage()
    map_tiles: str = ""
    camera: CameraTable | None = None
    media: Media = Media()
    places: tuple[Place, ...] = ()
    bay: tuple[BayTable, ...] = ()
    sensor: tuple[SensorSettings, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be told apart, and what is not there or said twice."""
        uplinks = [table.name for table in self.uplink]
        if len(set(uplinks)) < len(uplinks):
            raise ValueError("two uplinks have one name; give each its own")
        if self.uplink and self.media.addresses:
            raise ValueError("media.addresses: with [[uplink]] tables media use the uplink in use")
        names = [table.name for table in self.sensor]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two sensors are called {twice[0]!r}; give each its own name")
        unknown = sorted(set(self.always) - set(names))
        if unknown:
            raise ValueError(f"always: there is no sensor called {unknown[0]!r}")

    @property
    def folder(self) -> Path:
        """The state directory."""
        return Path(self.state)

    @property
    def title(self) -> str:
        """The unit's name for people."""
        return self.label or self.name
