"""Reads recorded traces of mobile networks; what a recording does not say is assumed, and said.

Three kinds are known by their content:

CICV5G (Zhang et al. 2025, 10.5281/zenodo.17475688)
    One row per message of a vehicle that a server echoed: when it was sent and when the echo
    came. Half of the round trip is the delay of either direction. While messages were on their
    way and none came back for ``STALL_S``, the link was cut and held them: they did come. A
    message's time in such a stall is not its delay too. Where none was sent, the logger paused,
    and the conditions before hold on.
UCC 5G (Raca et al., MMSys 2020, 10.1145/3339825.3394938)
    One row a second, more when the cell changes: these repeat a value of before, so the last
    row of a second counts. DL_bitrate (kbit/s) is the capacity from the city, and of that the
    share ``UPLINK_SHARE`` the capacity to it. UL_bitrate is not used: in a download it is the
    acknowledgements. A second with 0 kbit/s is a cut both ways. Half of the shortest ping is
    the delay; the rest of a ping is the download's own queue, which the box makes itself.
Mahimahi (Netravali et al., USENIX ATC 2015; recorded by Winstein et al., NSDI 2013)
    Two files, ``.up`` and ``.down``: one line for each packet of 1500 bytes that passes, with
    its millisecond. They become a rate per 20 ms; 20 ms without any are a cut.
"""

from __future__ import annotations

import csv
import datetime
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.network_conditions import LARGEST_PACKET, Conditions, Cut, Link, NetworkBoxError
from bench.network_traces import Step, Trace

QUEUE_BYTES = 500_000
"""Of every recorded link: about 1 s at the rates of 2 to 5 Mbit/s that are usual in them."""

STALL_S = 0.25
"""CICV5G: ten times what its round trips usually take; shorter ones stay delays."""

UPLINK_SHARE = 0.25
"""UCC 5G: the usual pattern of band n78, DDDSU, has one slot of uplink to three or four of
downlink."""

UCC5G_DELAY_MS = 25.0
"""UCC 5G without any ping: a round trip of 50 ms is usual for LTE and 5G."""

MAHIMAHI_DELAY_MS = 20.0
"""What the recordings' authors add to either direction (Winstein et al., NSDI 2013)."""

_BIN_MS = 20
_IDLE_SHARE = 0.1
_CICV5G_HEADER = ["pub_time(ms)", "sub_time(ms)", "delay(ms)"]
_UCC5G_COLUMNS = {"Timestamp", "State", "DL_bitrate", "PINGMIN"}


class TraceError(NetworkBoxError):
    """A file is no recorded trace that is known, or is damaged; names file and line."""

    reason = "trace"


def recorded_traces(folder: Path) -> list[Path]:
    """Return what ``read_trace`` can read in the folders ``net_*`` of a folder, by name.

    Of a Mahimahi pair only the ``.up`` is named.
    """
    files = (path for path in sorted(folder.glob("net_*/*")) if path.is_file())
    return [path for path in files if path.suffix != ".down" and _kind(path) is not None]


def read_trace(path: Path) -> Trace:
    """Read a recorded trace of any kind that is known.

    Args:
        path: The file; of a Mahimahi pair either, or their name without the ending.

    Raises:
        TraceError: It cannot be read, is of no known kind, or is damaged.
    """
    match _kind(path):
        case "cicv5g":
            return _read_cicv5g(path)
        case "ucc5g":
            return _read_ucc5g(path)
        case "mahimahi":
            return _read_mahimahi(path)
    raise TraceError(f"{path}: no trace that is known (CICV5G, UCC 5G, or a Mahimahi pair)")


def _kind(path: Path) -> str | None:
    if path.suffix in {".up", ".down"} or _with_ending(path, ".up").is_file():
        return "mahimahi"
    first = next(iter(_lines(path)), "")
    if first.split()[:3] == _CICV5G_HEADER:
        return "cicv5g"
    if set(first.split(",")) >= _UCC5G_COLUMNS:
        return "ucc5g"
    return None


def _read_cicv5g(path: Path) -> Trace:
    messages = _messages(path)
    fastest = min(came - sent for sent, came in messages)
    stalls = _stalls(messages, fastest)
    delays = [
        (sent, came - sent - sum(_overlap(stall, (sent, came)) for stall in stalls))
        for sent, came in messages
        if not any(begin <= sent < end for begin, end in stalls)
    ]
    # Either the link is cut (None) or has a delay; the delay of before holds after a stall.
    events: list[tuple[float, float | None, bool]] = [(0.0, fastest, False)]
    events += [(sent, round_trip, False) for sent, round_trip in delays]
    events += [(begin, None, True) for begin, _ in stalls]
    events += [(end, None, False) for _, end in stalls]
    steps: list[Step] = []
    round_trip = fastest
    for at_s, new, cut in sorted(events, key=lambda event: event[0]):
        round_trip = round_trip if new is None else new
        one_way = Conditions(
            delay_ms=round(500 * round_trip, 3),
            queue_ms=None,
            queue_bytes=QUEUE_BYTES,
            cut=Cut.HELD if cut else None,
        )
        _append(steps, at_s, Link.alike(one_way))
    end_s = max([messages[-1][0], *(end for _, end in stalls)])
    assumptions = (
        "Either direction takes half of the round trip.",
        "The rate is not limited: small messages do not show it.",
        "Nothing is lost: every message that was recorded came.",
        f"A stall of more than {STALL_S:g} s cuts both directions and holds the packets.",
    )
    return Trace(path.name, "cicv5g", tuple(steps), end_s, assumptions)


def _messages(path: Path) -> list[tuple[float, float]]:
    """Return when each message was sent and when its echo came, s from the first."""
    messages: list[tuple[float, float]] = []
    start = None
    for number, line in enumerate(_lines(path), 1):
        if number == 1 or not line.strip():
            continue
        try:
            sent, came, delay = (float(column) for column in line.split()[:3])
        except ValueError:
            raise TraceError(f"{path}:{number}: not three numbers in front") from None
        if not (0 <= delay < 1e7 and abs(came - sent - delay) <= 1):
            raise TraceError(f"{path}:{number}: the delay is not the time from pub to sub")
        start = sent if start is None else start
        message = (sent - start) / 1000, (came - start) / 1000
        if messages and message[0] < messages[-1][0]:
            raise TraceError(f"{path}:{number}: sent before the message of the line before")
        messages.append(message)
    if not messages:
        raise TraceError(f"{path}: no message")
    return messages


def _stalls(messages: list[tuple[float, float]], fastest: float) -> list[tuple[float, float]]:
    """Return (begin, end) of the times in which messages were on their way and none came."""
    stalls = []
    latest = messages[0][0]
    for sent, came in messages:
        begin, end = max(latest, sent), came - fastest
        if end - begin > STALL_S:
            stalls.append((begin, end))
        latest = max(latest, came)
    return stalls


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> float:
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))


def _read_ucc5g(path: Path) -> Trace:
    rows = _rows(path)
    # In a download every second has traffic. Where an application asked for it now and then,
    # a second without a request says nothing of the link.
    limited = sum(row["State"] == "I" for _, row in rows) > _IDLE_SHARE * len(rows)
    pings = [float(row["PINGMIN"]) for _, row in rows if row["PINGMIN"] != "-"]
    ping_ms = statistics.median(pings) if pings else 2 * UCC5G_DELAY_MS
    steps: list[Step] = []
    for index, (at_s, row) in enumerate(rows):
        if row["PINGMIN"] != "-":
            ping_ms = float(row["PINGMIN"])
        is_last_of_second = index + 1 == len(rows) or rows[index + 1][0] > at_s
        if is_last_of_second and not (limited and row["State"] == "I"):
            link = _ucc5g_link(float(row["DL_bitrate"]), ping_ms / 2)
            _append(steps, at_s if steps else 0.0, link)
    if not steps:
        raise TraceError(f"{path}: no second with traffic")
    assumptions = [
        f"The uplink has {UPLINK_SHARE:g} of the downlink's rate, and is cut when that is 0.",
        "Nothing is lost but what finds the queue full.",
        "Packets are held in the seconds without throughput.",
    ]
    if not pings:
        assumptions.append(f"Either direction takes {UCC5G_DELAY_MS:g} ms.")
    if limited:
        assumptions.append(
            "The rate is what an application asked for, so the link could do as much or more; "
            "in seconds in which nothing was asked for it is as before."
        )
    return Trace(path.name, "ucc5g", tuple(steps), rows[-1][0] + 1.0, tuple(assumptions))


def _ucc5g_link(rate_kbps: float, delay_ms: float) -> Link:
    if rate_kbps == 0:
        return Link.alike(_rated(None, delay_ms))
    return Link(up=_rated(UPLINK_SHARE * rate_kbps, delay_ms), down=_rated(rate_kbps, delay_ms))


def _rows(path: Path) -> list[tuple[float, Mapping[str, str]]]:
    """Return the rows, each with its time in s from the first."""
    rows: list[tuple[float, Mapping[str, str]]] = []
    start = None
    for number, row in enumerate(csv.DictReader(_lines(path)), 2):
        try:
            time = datetime.datetime.strptime(row["Timestamp"], "%Y.%m.%d_%H.%M.%S")
            start = time if start is None else start
            at_s = (time - start).total_seconds()
            fits = float(row["DL_bitrate"]) >= 0
            fits = fits and (row["PINGMIN"] == "-" or 0 <= float(row["PINGMIN"]) < 1e6)
        except (TypeError, ValueError):
            raise TraceError(f"{path}:{number}: no time, rate or ping where one must be") from None
        if not fits or (rows and at_s < rows[-1][0]):
            raise TraceError(f"{path}:{number}: a negative rate, or earlier than the line before")
        rows.append((at_s, row))
    if not rows:
        raise TraceError(f"{path}: no row")
    return rows


def _read_mahimahi(path: Path) -> Trace:
    up, down = (_passing(_with_ending(path, ending)) for ending in (".up", ".down"))
    bins = min(up[-1], down[-1]) // _BIN_MS
    if bins == 0:
        raise TraceError(f"{path}: shorter than {_BIN_MS} ms")
    up_bins, down_bins = (Counter(ms // _BIN_MS for ms in times) for times in (up, down))
    steps: list[Step] = []
    for index in range(bins):
        link = Link(_opportunities(up_bins[index]), _opportunities(down_bins[index]))
        _append(steps, index * _BIN_MS / 1000, link)
    assumptions = (
        f"Either direction takes {MAHIMAHI_DELAY_MS:g} ms.",
        "Nothing is lost but what finds the queue full.",
    )
    name = _with_ending(path, "").name
    return Trace(name, "mahimahi", tuple(steps), bins * _BIN_MS / 1000, assumptions)


def _passing(path: Path) -> list[int]:
    times: list[int] = []
    for number, line in enumerate(_lines(path), 1):
        if not line.strip().isdecimal() or (times and int(line) < times[-1]):
            raise TraceError(f"{path}:{number}: no millisecond, or before the line before")
        times.append(int(line))
    if not times:
        raise TraceError(f"{path}: no packet")
    return times


def _opportunities(packets: int) -> Conditions:
    rate_kbps = packets * LARGEST_PACKET * 8 / _BIN_MS
    return _rated(rate_kbps or None, MAHIMAHI_DELAY_MS)


def _rated(rate_kbps: float | None, delay_ms: float) -> Conditions:
    """Return the conditions at a rate; without one nothing passes."""
    return Conditions(
        delay_ms=delay_ms,
        rate_kbps=rate_kbps,
        queue_ms=None,
        queue_bytes=QUEUE_BYTES,
        cut=Cut.HELD if rate_kbps is None else None,
    )


def _append(steps: list[Step], at_s: float, link: Link) -> None:
    """Add a step where it changes something; of two at the same time the later holds."""
    if steps and steps[-1].at_s == at_s:
        steps.pop()
    if not steps or steps[-1].link != link:
        steps.append(Step(at_s, link))


def _with_ending(path: Path, ending: str) -> Path:
    stem = path.with_suffix("") if path.suffix in {".up", ".down"} else path
    return stem.with_name(stem.name + ending)


def _lines(path: Path) -> Iterable[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise TraceError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError:
        raise TraceError(f"{path}: not text") from None
