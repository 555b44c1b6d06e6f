"""The agent of one vehicle: its parts, and what holds them together.

    sensors ──readings──▶ intake ──▶ recorder, outbox ──▶ link ──▶ hub
                             └─────▶ live ECG, position           │
    tablet ──actions──▶ agent ──facts──▶ outbox                   │
                          ▲            logbook ◀──case facts──────┘
                          └─effects─ situation ◀─facts─┘

Nothing here waits for a link: a vehicle that starts without one records, serves its tablet and
catches up later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog

from onboard.actions import Action, Camera, Record, case_of, decide, is_repeated
from onboard.clock_watch import ClockWatch
from onboard.disk_watch import DiskWatch, free_bytes
from onboard.ecg_path import EcgPath
from onboard.errors import RefusedActionError
from onboard.incoming import Incoming
from onboard.intake import Intake
from onboard.ladder import Rung, rungs_for
from onboard.link import Link, Uplink
from onboard.link_chronicle import LinkChronicle
from onboard.live_frames import LiveShape
from onboard.logbook import KINDS, Logbook
from onboard.media import CabinCamera, LiveEcg, cancel
from onboard.outgoing import Outgoing
from onboard.positions import TRACK_S, Positions
from onboard.quality import QualityControl
from onboard.record_pace import RecordLimit
from onboard.recorder import Recorder
from onboard.reserve import Reserve
from onboard.run import Effect
from onboard.sensor_watch import SensorStatus, SensorWatch, as_fact
from onboard.sensors import Sensor, SensorSettings, open_sensor
from onboard.settings import Settings
from onboard.situation import Binding, Fact, Situation
from onboard.upkeep import Upkeep
from onboard.video_keeping import VideoKeeping
from onboard.vital_signs import VitalSigns
from streams.clock import Clock, OffsetEstimate
from streams.health import Check
from streams.messages import Arrival, Envelope, QualityStep, Refusal, Track
from streams.outbox import Draft, Outbox

DAY_NS = 24 * 3600 * 1_000_000_000
FAREWELL_S = 2.0
"""Longest time for the last facts of an agent that is told to end."""

PROBLEMS = 20
"""Refusals that are remembered for the tablet."""

log = structlog.get_logger(__name__)

Changed = Callable[[str], None]
"""Called with the name of the part of the page that changed."""


class Agent:
    """The parts of one vehicle; ``run`` keeps them going."""

    def __init__(
        self,
        settings: Settings,
        uplink: Uplink,
        clock: Clock,
        *,
        drill: bool = False,
        live_ecg: LiveEcg,
        camera: Callable[[Callable[[Draft], None]], CabinCamera] | None = None,
        opener: Callable[[SensorSettings, Clock], Sensor] = open_sensor,
    ) -> None:
        """Open the storage and put the parts together; nothing runs yet.

        Args:
            settings: All settings.
            uplink: The transport, entered by its owner.
            clock: This machine's clocks.
            drill: Whether all of it is an exercise.
            live_ecg: Sends live frames.
            camera: Makes the cabin camera around what makes its facts; None without one.
            opener: Opens a sensor from its table and the clock by which it stamps.

        Raises:
            StorageError: Outbox, logbook or recordings cannot be opened.
        """
        folder = settings.folder
        self.settings, self.clock = settings, clock
        self.changed: Changed = lambda _part: None
        self.arrivals: dict[str, Arrival] = {}
        self.refusals: dict[str, Refusal] = {}
        self.offset = OffsetEstimate()
        self.reserve = Reserve(folder)
        self.reserve.give_up_if_full(free_bytes(folder))
        self.outbox = Outbox(folder / "outbox.sqlite", settings.name, clock, self.offset)
        self.logbook = Logbook(folder / "logbook.sqlite")
        self.outgoing = Outgoing(self.outbox, self.logbook, drill=drill)
        self.situation = Situation(settings.name)
        self.positions, self.vital_signs = Positions(), VitalSigns()
        self.live_ecg = live_ecg
        self.camera = camera(self.outgoing.make_or_hold) if camera else None
        self.recorder = Recorder(folder / "ecg")
        self.ecg = EcgPath(self.recorder, self.outgoing, self._bound, live_ecg.send)
        self.disk = DiskWatch(
            folder, settings.storage.keep_free_mib, self.outgoing.held, self.ecg, clock
        )
        self.video = VideoKeeping(
            folder / "video", settings.camera, settings.storage, situation=self.situation,
            camera_wanted=lambda: self.camera is not None and self.camera.view.wanted,
            free_bytes=self.disk.free_bytes, make=self.outgoing.make_or_hold, wall_ns=clock.wall_ns,
        )  # fmt: skip
        self.intake = Intake(
            outgoing=self.outgoing, ecg=self.ecg, positions=self.positions,
            vital_signs=self.vital_signs, binding=self._bound, clock=clock,
            most_unsent=settings.unsent_replay_facts,
        )  # fmt: skip
        self.sensors = SensorWatch(
            settings.sensor, open_sensor=opener, take=self.intake.take,
            stopped=self._sensor_stopped, noted=self._sensor_noted, clock=clock,
        )  # fmt: skip
        self.link = Link(
            uplink, address=(settings.region, settings.name), outbox=self.outbox,
            outgoing=self.outgoing, incoming=Incoming(self.logbook, self._take),
            offset=self.offset, clock=clock,
        )  # fmt: skip
        self.clock_watch = ClockWatch(folder / "clock.json", self.offset, clock)
        self.chronicle = LinkChronicle(
            self.link,
            clock,
            self.clock_watch,
            make=self.outgoing.make_or_hold,
            binding=self._bound,
            made=lambda: self.outgoing.made,
        )
        self.quality = self._quality_control()
        self._acting = asyncio.Lock()
        self._ending: Binding | None = None
        self._group: asyncio.TaskGroup
        self._media: dict[str, asyncio.Task[None]] = {}
        self._connect()

    def _connect(self) -> None:
        self.outgoing.listen(self._made)
        self.intake.changed = self._tell
        self.link.changed = lambda: self.changed("link")
        self.link.delivered = self._delivered
        self.link.refused = self._refused
        self.link.arrival = self._arrival
        if self.camera:
            self.camera.changed = lambda: self.changed("camera")
            self.camera.tap = self.video.recorder.offer
        self.video.changed = lambda: self.changed("camera")
        self.quality.changed = lambda: self.changed("quality")
        self.disk.changed = lambda: self.changed("disk")

    def _quality_control(self) -> QualityControl:
        camera = self.camera
        table = camera.table if camera else None
        rungs = rungs_for(table.most_bps, table.fps, sound=table.sound) if table else None
        return QualityControl(
            rungs or rungs_for(0, 0, sound=False), self.live_ecg, obey=self._obey,
            limit_record=self._limit_record,
            size=lambda: camera.size if camera else (0, 0),
            oldest_s=lambda: self.outgoing.oldest_s(self.clock.wall_ns()),
            ecg_load=lambda: self.ecg.load,
            make=self._quality_stepped, wall_ns=self.clock.wall_ns,
        )  # fmt: skip

    def close(self) -> None:
        """Close the storage."""
        self.ecg.close()
        self.outbox.close()
        self.logbook.close()

    # --- what runs ---------------------------------------------------------------------------

    def recover(self) -> None:
        """Go on where an earlier life of this process ended, however it ended.

        Raises:
            StorageError: The disk fails.
        """
        self.clock_watch.recall()
        self.outgoing.recover(self.link.hub_ns())
        for fact in self.logbook.facts():
            self.situation.take(fact)
        recordings = self.ecg.recover()
        log.info(
            "recovered", state=self.situation.state, case=self.situation.current,
            recordings=recordings, waiting=self.outgoing.backlog().total,
        )  # fmt: skip

    async def run(self, ready: asyncio.Event | None = None) -> None:
        """Run all parts until cancelled; call ``recover`` before."""
        name = f"onboard[{self.settings.name}]"
        upkeep = Upkeep(
            ecg=self.ecg, outgoing=self.outgoing, disk=self.disk, reserve=self.reserve,
            clock=self.clock, looked=self._look,
        )  # fmt: skip
        async with asyncio.TaskGroup() as group:
            self._group = group
            for part, work in (
                ("link", self.link.run()),
                ("position", self._send_positions()),
                ("track", self._make_tracks()),
                ("tending", upkeep.tend()),
                ("video", self.video.run()),
                ("cleaning", upkeep.clean(self.logbook, self.recorder, self._old)),
            ):
                group.create_task(work, name=f"{name}.{part}")
            self._start_sensors(self._sensors_of_agent())
            if self.situation.state == "running":
                self._begin()
            if ready:
                ready.set()

    async def _send_positions(self) -> None:
        while True:
            position = self.positions.take_unsent()
            if position is not None:
                case = self.situation.binding.case
                origin = self.positions.origin
                await self.link.send_freshest(Draft("position", position, origin, case))
                self.changed("position")
            await asyncio.sleep(1)

    async def _make_tracks(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + TRACK_S
        while True:
            await asyncio.sleep(TRACK_S / 10)
            if loop.time() >= due or self.positions.track_is_full:
                due = loop.time() + TRACK_S
                self._make_track()

    def _make_track(self) -> None:
        """Make a fact of the positions so far; they belong to the present binding."""
        track, origin = self.positions.take_track()
        if not track:
            return
        run, body = self._bound(), Track(positions=track)
        self.outgoing.make_or_hold(Draft("track", body, origin, run.case, run.patient))

    def _look(self) -> None:
        self.chronicle.look()
        self.changed("link")

    def _old(self) -> tuple[int, list[str]]:
        """Return the hub's time before which things are old, and the cases that stay."""
        current = [self.situation.current] if self.situation.current else []
        before_ns = self.link.hub_ns() - self.settings.keep_days * DAY_NS
        return before_ns, [*current, *self.situation.queue]

    # --- what the crew does ------------------------------------------------------------------

    async def perform(self, action: Action) -> dict[str, Any]:
        """Do what the crew asks for; return what was made.

        It is done to its end also if who asked for it is gone meanwhile, and an action whose id
        was done before is not done again.

        Raises:
            ImpossibleEventError: The run's state does not take it.
            RefusedActionError: It makes no sense.
            StorageError: The disk is full or fails; nothing was made.
        """
        name = f"onboard[{self.settings.name}].action"
        work = _outcome(self._perform, action)
        try:
            acting = self._group.create_task(work, name=name)
        except RuntimeError:  # the group takes no more tasks
            work.close()
            raise RefusedActionError("the vehicle's agent is ending: nothing was done") from None
        outcome = await asyncio.shield(acting)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _perform(self, action: Action) -> dict[str, Any]:
        async with self._acting:
            known = self.outgoing.find(action.id) if action.id else None
            if is_repeated(action, known):
                return self._done(action, [known.envelope] if known else [], already=True)
            wall_ns = self.clock.wall_ns()
            facts = decide(action, self.situation, wall_ns, self.link.offset_ns)
            if isinstance(action, Record):
                self.video.check_allowed()
            if isinstance(action, Camera):
                await self._let_camera(wanted=action.on)
            kinds = {kind for kind, _ in facts}
            if kinds & {"run_started", "run_ended"}:
                self._make_track()
            run = Binding(case_of(action, self.situation), self._bound().patient)
            made = self.outgoing.make(
                [
                    Draft(kind, body, "live", run.case, run.patient, id=action.id)
                    for kind, body in facts
                ]
            )
            # Only now: a run whose end cannot be written goes on as it is.
            if "run_ended" in kinds:
                await self._finish(run)
            if "run_started" in kinds:
                self._begin()
            self.video.follow()
        for part in ("case", "run"):
            self.changed(part)
        return self._done(action, made, already=False)

    def _done(self, action: Action, made: list[Envelope], *, already: bool) -> dict[str, Any]:
        return {
            "done": msgspec.to_builtins(action)["action"],
            "facts": [{"id": one.id, "kind": one.kind} for one in made],
            "state": self.situation.state,
            "already": already,
        }

    def _begin(self) -> None:
        """Start what runs with the run."""
        self.chronicle.begin_run()
        name = f"onboard[{self.settings.name}]"
        self._start_sensors(table.name for table in self.settings.sensor)
        if self.settings.hub is not None:
            for part, work in (("ecg", self.live_ecg.run()), ("quality", self.quality.run())):
                self._media[part] = self._group.create_task(work, name=f"{name}.{part}")
        if self.camera and self.camera.view.wanted:
            self._start_camera()

    async def _finish(self, run: Binding) -> None:
        """Stop what runs with the run; the sensors close their recordings.

        Args:
            run: To whom it belonged: what its parts say at their end is said of it.
        """
        self._ending = run
        try:
            await self._stop_parts(run)
        finally:
            self._ending = None

    async def _stop_parts(self, run: Binding) -> None:
        lasting = set(self._sensors_of_agent())
        with_run = [table.name for table in self.settings.sensor if table.name not in lasting]
        await self.sensors.stop(with_run)
        for name in list(self._media):
            await cancel(self._media.pop(name))
        self.ecg.live_shape = LiveShape()
        if self.camera:
            self.camera.end(run)
        self.chronicle.end_run(run)

    async def leave(self) -> None:
        """Close the recordings, and give what was made a moment to arrive; then ``run`` may end.

        What does not arrive waits in the outbox for the next start.
        """
        await self.sensors.stop([table.name for table in self.settings.sensor])
        self._make_track()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                while self.link.state.connected and self.outgoing.backlog().total:
                    self.outgoing.freed.clear()
                    await self.outgoing.freed.wait()

    async def _let_camera(self, *, wanted: bool) -> None:
        if self.camera is None:
            return
        self.camera.let(self._bound(), wanted=wanted)
        if not wanted:
            await cancel(self._media.pop("camera", None))
        elif "camera" not in self._media:
            self._start_camera()

    def _start_camera(self) -> None:
        assert self.camera is not None
        name = f"onboard[{self.settings.name}].camera"
        running = self.camera.run(self._bound())
        self._media["camera"] = self._group.create_task(running, name=name)

    def _obey(self, rung: Rung, pace_bps: float) -> None:
        self.ecg.live_shape = LiveShape(rung.ecg_every, rung.ecg_joined, rung.ecg_held)
        if self.camera is not None:
            self.camera.obey(rung, pace_bps)

    def _limit_record(self, limit: RecordLimit) -> None:
        self.ecg.record_bytes = limit.block_bytes
        sender = self.link.sender
        sender.plan.windows["record"] = max(1, limit.on_the_way)
        if limit.largest_bytes != sender.plan.largest_record:
            sender.plan.largest_record = limit.largest_bytes
            sender.wake()
        sender.hold([] if limit.on_the_way else ["record"])

    def _quality_stepped(self, step: QualityStep) -> None:
        self.outgoing.make_or_hold(Draft("quality_step", step, "live", self._bound().case))

    def _sensors_of_agent(self) -> list[str]:
        if self.settings.start == "agent":
            return [table.name for table in self.settings.sensor]
        return list(self.settings.always)

    def _start_sensors(self, names: Any) -> None:
        self.sensors.start(names, self._group, self.settings.name)

    # --- what happens ------------------------------------------------------------------------

    def _tell(self, part: str) -> None:
        self.changed(part)  # the tablet may come later than the parts

    def _bound(self) -> Binding:
        return self.situation.binding

    def _made(self, envelope: Envelope) -> None:
        if envelope.kind in KINDS:
            at_hub_ns = envelope.source_ns + (envelope.offset_ns or 0)
            self._take(Fact(envelope, own=True, at_hub_ns=at_hub_ns))

    def _take(self, fact: Fact) -> None:
        """Take a fact that is stored, own or the hub's."""
        effects: tuple[Effect, ...] = self.situation.take(fact)
        if "take_case" in effects:
            self.vital_signs.clear()
            log.info("case taken", case=self.situation.current)
        for part in ("case", "run", "vitals"):
            self.changed(part)

    def _delivered(self, ids: set[str], at_hub_ns: int) -> None:
        self.situation.delivered(ids, at_hub_ns)
        self.changed("case")

    def _refused(self, refusals: list[Refusal]) -> None:
        for refusal in refusals:
            self.refusals[refusal.id] = refusal
        while len(self.refusals) > PROBLEMS:
            del self.refusals[next(iter(self.refusals))]
        self.changed("case")

    def _arrival(self, case: str, arrival: Arrival) -> None:
        known = self.arrivals.get(case)
        if known is None or arrival.position_ns >= known.position_ns:
            self.arrivals = {case: arrival}
        self.changed("arrival")

    def _sensor_noted(self, status: SensorStatus) -> None:
        log.info("sensor", sensor=status.name, state=status.state, reason=status.reason)
        binding, origin = self._ending or self._bound(), status.origin or "live"
        fact = as_fact(status)
        self.outgoing.make_or_hold(
            Draft("sensor_state", fact, origin, binding.case, binding.patient)
        )
        self.changed("sensors")

    def _sensor_stopped(self, name: str) -> None:
        self.ecg.stop(name)
        self.changed("ecg")

    # --- how it is ---------------------------------------------------------------------------

    def checks(self) -> dict[str, Check]:
        """Return the state of each part, for ``/healthz``.

        Having no link is no fault of a vehicle; being refused is.
        """
        link = self.link.state
        words = "connected" if link.connected else "no connection; facts wait"
        failed = [one.name for one in self.sensors.status if one.state == "failed"]
        return {
            "link": Check(ok=link.refused is None, text=link.refused or words),
            "sensors": Check(
                ok=not failed, text=f"failed: {', '.join(failed)}" if failed else "no failure"
            ),
            "outbox": Check(ok=True, text=f"{self.outgoing.backlog().total} facts wait"),
            "disk": self.disk.check(),
            "video": self.video.check(),
        }


async def _outcome(
    work: Callable[[Action], Awaitable[dict[str, Any]]], action: Action
) -> dict[str, Any] | Exception:
    """Return what an action made or why it failed: that is told to who asked, and ends no other."""
    try:
        return await work(action)
    except Exception as error:
        return error
