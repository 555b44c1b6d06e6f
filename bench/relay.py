"""`forerun bench relay`: what forwarding costs, against decoding and encoding again.

1, 4 and 16 streams of 640x480 at 25 frames a second and 1 Mbit/s of VP8, each with one viewer,
through our relay and through aiortc's MediaRelay, and from the sources straight to the viewers.
Relay, sources and viewers are processes of their own; the CPU is that of the relay's process
alone, user and system time. The video is coded once, before; sources send it in a loop, and
viewers do not decode.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import msgpack
import psutil
from av.video.codeccontext import VideoCodecContext

from bench.frame import BenchError, Column, Measurement, Outcome, Promise, Session
from bench.relay_workers import BITRATE_BPS, FPS
from onboard.camera import fit_picture
from onboard.drawn_picture import DrawnPicture
from streams.child_process import tied

WIDTH, HEIGHT = 640, 480
FRAMES = 4 * FPS
STREAMS = (1, 4, 16)
MEDIA_RELAY_STREAMS = (1, 4)
"""What MediaRelay is asked to carry: 16 would need four cores and more."""

CPU_BOUND_PERCENT = 3.0
SHARE_BOUND = 0.1
LATENCY_BOUND_MS = 15.0

_SETTLE_S = 1.0
_MEASURE_S = 2.5
_ANSWER_TIMEOUT_S = 60.0
_CARRIED = 0.95
_OWN_VIDEO = Path(__file__).resolve().parents[2] / "shared" / "data" / "video"

COLUMNS = (
    Column("cpu_percent_per_stream", "CPU %/stream", 2),
    Column("cpu_percent", "CPU %", 1),
    Column("fps", "frames/s", 1),
    Column("mbit_per_s", "Mbit/s", 2),
    Column("p50_ms", "p50 ms", 2),
    Column("p95_ms", "p95 ms", 2),
    Column("added_p50_ms", "added p50 ms", 2),
)


class Process:
    """One worker process, led by lines of JSON."""

    def __init__(self, role: str, *arguments: str) -> None:
        self._role = role
        self._popen = subprocess.Popen(
            tied([sys.executable, "-m", "bench.relay_workers", role, *arguments], signal.SIGKILL),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._process = psutil.Process(self._popen.pid)
        self.port = self._hear().get("port")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._popen.stdin is not None:
            self._popen.stdin.close()
        try:
            self._popen.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        if self._popen.stdout is not None:
            self._popen.stdout.close()

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    def tell(self, do: str, **details: Any) -> dict[str, Any]:
        """Give a command and return its answer.

        Raises:
            BenchError: The process ended or did not answer in time.
        """
        assert self._popen.stdin is not None
        self._popen.stdin.write(json.dumps({"do": do, **details}) + "\n")
        self._popen.stdin.flush()
        return self._hear()

    def _hear(self) -> dict[str, Any]:
        assert self._popen.stdout is not None
        watchdog = threading.Timer(_ANSWER_TIMEOUT_S, self._popen.kill)
        watchdog.start()
        try:
            line = self._popen.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            raise BenchError(f"the process {self._role!r} ended; its messages stand above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        times = self._process.cpu_times()
        return float(times.user + times.system)


class Rig:
    """All processes of the benchmark."""

    def __init__(self, stack: ExitStack, frames: Path) -> None:
        self.relay = stack.enter_context(Process("relay"))
        self.media_relay = stack.enter_context(Process("media-relay"))
        self.viewers = stack.enter_context(Process("viewers"))
        self.sources = stack.enter_context(Process("sources", str(frames)))

    def through(self, relay: Process, streams: int) -> Mapping[str, float]:
        """Measure streams through a relay."""
        self.sources.tell("publish", url=relay.url, count=streams)
        self.viewers.tell("view", url=relay.url, count=streams)
        try:
            return self._measure(relay, streams)
        finally:
            for process in (self.viewers, self.sources, relay):
                process.tell("clear")

    def directly(self, streams: int) -> Mapping[str, float]:
        """Measure streams from the sources straight to the viewers."""
        self.sources.tell("publish", url=self.viewers.url, count=streams)
        try:
            return self._measure(None, streams)
        finally:
            for process in (self.viewers, self.sources):
                process.tell("clear")

    def _measure(self, relay: Process | None, streams: int) -> Mapping[str, float]:
        time.sleep(_SETTLE_S)
        self.viewers.tell("begin")
        cpu_before = relay.cpu_seconds() if relay is not None else 0.0
        time.sleep(_MEASURE_S)
        cpu_s = relay.cpu_seconds() - cpu_before if relay is not None else 0.0
        found = self.viewers.tell("end")
        if not found["frames"]:
            raise BenchError("no frame arrived at any viewer")
        figures = {
            "streams": float(streams),
            "fps": found["frames"] / found["seconds"] / streams,
            "fewest_fps": found["fewest_fps"],
            "mbit_per_s": found["mbit_per_s"] / streams,
            "packets_per_s": found["packets"] / found["seconds"],
            "p50_ms": found["p50_ms"],
            "p95_ms": found["p95_ms"],
            "p99_ms": found["p99_ms"],
        }
        if relay is not None:
            # By delivered frames, so that a relay that drops them does not look cheap.
            figures["cpu_percent_per_stream"] = 100 * cpu_s / (found["frames"] / FPS)
            figures["cpu_percent"] = 100 * cpu_s / found["seconds"]
        return figures


def run(session: Session) -> Outcome:
    """Measure both relays and the direct path."""
    video, coded = _code_video(session)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path = Path(folder) / "frames"
        path.write_bytes(msgpack.packb(coded))
        rig = Rig(stack, path)
        cases: dict[str, Any] = {}
        for count in STREAMS:
            cases[f"direct, {count}"] = lambda count=count: rig.directly(count)
            cases[f"Forerun relay, {count}"] = lambda count=count: rig.through(rig.relay, count)
        for count in MEDIA_RELAY_STREAMS:
            cases[f"aiortc MediaRelay, {count}"] = lambda count=count: rig.through(
                rig.media_relay, count
            )
        found = session.measure("relay", cases)
    return _conclude(found, video)


def _conclude(found: dict[str, dict[str, float]], video: str) -> Outcome:
    for name, figures in found.items():
        if name.startswith("Forerun"):
            direct = found[f"direct, {int(figures['streams'])}"]
            figures["added_p50_ms"] = figures["p50_ms"] - direct["p50_ms"]
            figures["added_p95_ms"] = figures["p95_ms"] - direct["p95_ms"]
        elif name.startswith("aiortc"):
            # It codes anew, so the times that the sources wrote are gone.
            for key in ("p50_ms", "p95_ms", "p99_ms"):
                figures[key] = float("nan")
    carried = [
        figures
        for name, figures in found.items()
        if name.startswith("aiortc") and figures["fps"] >= _CARRIED * FPS
    ]
    peer = max(carried, key=lambda figures: figures["streams"], default=None)
    most = found[f"Forerun relay, {STREAMS[-1]}"]
    peer_cost = peer["cpu_percent_per_stream"] if peer is not None else float("nan")
    peer_streams = f"{peer['streams']:.0f}" if peer is not None else "no"
    promises = (
        Promise(
            "CPU per stream at 16 streams, % of a core",
            most["cpu_percent_per_stream"],
            "below",
            CPU_BOUND_PERCENT,
        ),
        Promise(
            f"of what MediaRelay needs per stream (at {peer_streams} streams)",
            most["cpu_percent_per_stream"] / peer_cost,
            "at most",
            SHARE_BOUND,
        ),
        Promise(
            "latency added at 16 streams, p50, ms",
            most["added_p50_ms"],
            "at most",
            LATENCY_BOUND_MS,
        ),
        Promise(
            "frames/s at the slowest viewer of 16", most["fewest_fps"], "at least", _CARRIED * FPS
        ),
    )
    return Outcome(
        title=f"Relay: {WIDTH}x{HEIGHT} at {FPS} frames/s, VP8, one viewer a stream; {video}",
        columns=COLUMNS,
        measurements=[Measurement(name, _without_nan(row)) for name, row in found.items()],
        promises=promises,
        notes=(
            "CPU: user and system time of the relay's process in % of a core; per stream: by "
            f"delivered frames, {FPS} of them a second are one stream. Rates are per stream.",
            "MediaRelay decodes and codes again at 1 Mbit/s; it is compared at the largest count "
            f"at which it delivers {_CARRIED:.0%} of the frames.",
            "Latency: from the source's handing over of a frame to its last packet at the viewer; "
            "added: less the same without a relay.",
        ),
        packages=("aiortc", "aioice", "pylibsrtp", "av", "aiohttp"),
    )


def _without_nan(row: Mapping[str, float]) -> dict[str, float | None]:
    return {key: None if value != value else value for key, value in row.items()}  # noqa: PLR0124


def _code_video(session: Session) -> tuple[str, Sequence[bytes]]:
    """Code four seconds as aiortc would; return what was coded, and the frames."""
    path = _find_video(session.data)
    name = path.name if path is not None else "drawn picture"
    encoder = av.CodecContext.create("libvpx", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.bit_rate, encoder.time_base = BITRATE_BPS, Fraction(1, FPS)
    rate = str(BITRATE_BPS)
    encoder.gop_size = 3000
    encoder.options = {
        "cpu-used": "-6",
        "deadline": "realtime",
        "lag-in-frames": "0",
        "minrate": rate,
        "maxrate": rate,
        "bufsize": rate,
    }
    coded = []
    task = session.progress.add_task("coding the video", total=FRAMES)
    for index, frame in zip(range(FRAMES), _pictures(path), strict=False):
        frame.pts, frame.time_base = index, Fraction(1, FPS)
        coded.append(b"".join(bytes(packet) for packet in encoder.encode(frame)))
        session.progress.advance(task)
    if not coded:
        raise BenchError(f"no picture in {path}")
    return f"{name}, {8 * sum(map(len, coded)) / len(coded) * FPS / 1e6:.2f} Mbit/s", coded


def _find_video(folder: Path | None) -> Path | None:
    if folder is None and not _OWN_VIDEO.is_dir():
        return None
    place = folder or _OWN_VIDEO
    found = sorted(p for p in place.glob("*") if p.suffix in (".mp4", ".mkv", ".webm", ".avi"))
    if not found:
        raise BenchError(f"no video (mp4, mkv, webm, avi) in {place}")
    return found[0]


def _pictures(path: Path | None) -> Iterator[av.VideoFrame]:
    if path is None:
        drawn = DrawnPicture(WIDTH, HEIGHT)
        for index in range(FRAMES):
            yield av.VideoFrame.from_ndarray(drawn.draw(index / FPS), format="rgb24").reformat(
                format="yuv420p"
            )
        return
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield fit_picture(frame, WIDTH, HEIGHT)
