"""The rows, promises and notes of ``forerun bench outage``. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.frame import Column, Figure, Measurement, Promise
from bench.outage_backlog import Urgent
from bench.outage_faults import PlayedFault
from bench.outage_ledger import Tally, percentile
from bench.outage_narrow import STEPS_S, Narrow
from bench.outage_returns import KINDS, PEERS, Returns
from bench.outage_traces import Drive
from bench.outage_trial import LIVE, Account

COLUMNS = (
    Column("made", "facts"),
    Column("lost", "lost"),
    Column("duplicated", "twice"),
    Column("out_of_order", "disorder"),
    Column("samples_wrong", "ECG wrong"),
    Column("outage_s", "outage s", 1),
    Column("vitals_ms", "vitals ms"),
    Column("ecg_ms", "ECG ms"),
    Column("video_ms", "video ms"),
    Column("back_s", "back s"),
)

NOTES = (
    "Facts: of the vehicle and, for its case, of the hub, followed from the outbox to the ER's "
    "journal. ECG wrong: samples of all leads, missing at the ER, or other than in the "
    "vehicle's own recording or in the file that its monitor played.",
    "Outage: the longest time in which nothing passed to the city. Milliseconds: from the source "
    "to the board, p50/p95/p99. Back: vitals/live ECG/video, from "
    "the end of the cause (of a process that is killed: from the killing, it is started again "
    "after 0.5 s) until something made after it is at the board, or after a cut the newest "
    "vitals there were; vitals come once a second. The boards are Python's, but for the sleep.",
)

SHARES = (0.5, 0.95, 0.99)

_ZEROS = (
    ("lost", "facts lost"),
    ("waiting", "facts still in an outbox at the end"),
    ("duplicated", "facts duplicated"),
    ("out_of_order_hub", "facts out of order per source at the hub"),
    ("out_of_order_er", "facts out of order per source at the ER"),
    ("misrouted", "facts misrouted"),
    ("samples_missing", "ECG samples missing after catch-up"),
    ("samples_differing", "ECG samples differing after catch-up"),
)


def zeros(what: str, tallies: Sequence[Tally]) -> list[Promise]:
    """Return what must be nought over all of these, and that there was something at all."""
    total = [
        Promise(f"{what}: {words}", sum(getattr(one, key) for one in tallies), "exactly", 0)
        for key, words in _ZEROS
    ]
    fewest = min((one.made for one in tallies), default=0)
    return [Promise(f"{what}: fewest facts in a run", fewest, "at least", 1), *total]


def tally_figures(tally: Tally) -> dict[str, Figure]:
    """Return the figures of an account for a row."""
    return {
        "made": tally.made,
        "lost": tally.lost + tally.waiting,
        "duplicated": tally.duplicated,
        "out_of_order": tally.out_of_order_hub + tally.out_of_order_er,
        "samples_wrong": tally.samples_missing + tally.samples_differing,
    }


def delay_figures(delays: Mapping[str, Sequence[float]]) -> dict[str, Figure]:
    """Return p50, p95 and p99 (ms) of each kind of thing; None where nothing came."""
    return {
        f"{what}_p{share}_ms": _finite(percentile(found, share / 100))
        for what, found in sorted(delays.items())
        for share in (50, 95, 99)
    }


def live_figures(
    delays: Mapping[str, Sequence[float]], back_s: Mapping[str, float | None]
) -> dict[str, Figure]:
    """Return latencies and returns of what is live: one cell each for the table, and all."""
    words: dict[str, Figure] = {
        f"{what}_ms": "/".join(f"{percentile(delays[what], share):.0f}" for share in SHARES)
        for what in LIVE
        if delays.get(what)
    }
    back = "/".join(_seconds(back_s[what]) for what in LIVE) if back_s else None
    each: dict[str, Figure] = {f"{what}_back_s": seconds for what, seconds in back_s.items()}
    return {**words, "back_s": back, **each, **delay_figures(delays)}


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def tally_details(tally: Tally) -> dict[str, Any]:
    """Return an account for the JSON."""
    counts = {
        key: getattr(tally, key)
        for key in (
            "made", "lost", "waiting", "duplicated", "out_of_order_hub",
            "out_of_order_er", "misrouted",
            "samples", "samples_missing", "samples_differing",
        )
    }  # fmt: skip
    hub, er = delay_figures(tally.hub_ms), delay_figures(tally.er_ms)
    return {**counts, "stored_at_hub": hub, "stored_at_er": er}


def account_details(account: Account) -> dict[str, Any]:
    """Return what came of a trial for the JSON."""
    return {
        "back_s": account.back_s,
        "arrived": account.arrived,
        "problem": account.problem or None,
        **tally_details(account.tally),
    }


def fault_row(played: PlayedFault) -> Measurement:
    """Return the row of a fault."""
    figures = {**tally_figures(played.tally), **live_figures(played.delays_ms, played.back_s)}
    return Measurement(f"{played.fault.number} {played.title}", figures)


def fault_details(played: PlayedFault) -> dict[str, Any]:
    """Return a fault for the JSON."""
    return {
        "number": played.fault.number,
        "title": played.title,
        **account_details(played),
    }


def fault_promises(played: Sequence[PlayedFault]) -> list[Promise]:
    """Return what must hold over all faults."""
    not_back = sum(not one.is_back for one in played)
    return [
        *zeros("faults", [one.tally for one in played]),
        Promise("faults after which not all was live again", not_back, "exactly", 0),
    ]


def drive_row(drive: Drive) -> Measurement:
    """Return the row of a drive through a trace."""
    figures: dict[str, Figure] = {
        **tally_figures(drive.tally),
        "outage_s": round(drive.outage_s, 1),
        **live_figures(drive.delays_ms, drive.back_s),
    }
    return Measurement(short_name(drive.trace.name), figures)


def short_name(name: str, most: int = 26) -> str:
    """Return the name of a trace for the table: without ending and stretch, the middle left out."""
    name = name.partition(" [")[0]
    name = name.removesuffix(".txt").removesuffix(".csv")
    if len(name) <= most:
        return name
    return f"{name[: most // 2 - 1]}…{name[-(most - most // 2) :]}"


def drive_details(drive: Drive) -> dict[str, Any]:
    """Return a drive for the JSON."""
    return {
        "trace": drive.trace.name,
        "kind": drive.trace.kind,
        "seconds": drive.trace.duration_s,
        "assumptions": list(drive.trace.assumptions),
        "longest_outage_s": round(drive.outage_s, 2),
        "longest_silence_of_vitals_s": round(drive.silence_s, 2),
        "latency_ms": delay_figures(drive.delays_ms),
        **account_details(drive),
    }


def drive_promises(drives: Sequence[Drive]) -> list[Promise]:
    """Return what must hold over all drives."""
    not_driven = sum(bool(one.problem) for one in drives)
    not_back = sum(None in one.back_s.values() for one in drives)
    return [
        *zeros("traces", [one.tally for one in drives]),
        Promise("traces that could not be driven to their end", not_driven, "exactly", 0),
        Promise("traces after which not all was live again", not_back, "exactly", 0),
    ]


BOUNDS_S = {"vitals": 2.0, "ecg": 3.0, "video": 5.0}
"""Within which 95 of 100 returns must be back."""


def kind_words(kind: str, returns: Returns) -> str:
    """Return what a kind of return is called."""
    return f"cut of {returns.cut_s:g} s" if kind == "cut" else "change of address"


def returns_rows(returns: Returns) -> list[Measurement]:
    """Return a row per kind and percentile, ours and the peers'."""
    rows = []
    for kind in KINDS:
        count = len(returns.ours[kind]["vitals"])
        for share in (50, 95):
            for who, found in (("Forerun", returns.ours), ("plain aiomqtt, aiortc", returns.peers)):
                back = {w: _finite(percentile(found[kind][w], share / 100)) for w in LIVE}
                figures = live_figures({}, back)
                words = f"{kind_words(kind, returns)}, p{share} of {count}: {who}"
                rows.append(Measurement(words, figures))
    return rows


def returns_promises(returns: Returns) -> list[Promise]:
    """Return what must hold of the returns."""
    promises = [
        Promise(
            f"{what} back after a {kind_words(kind, returns)}, p95, s",
            percentile(returns.ours[kind][what], 0.95),
            "at most",
            BOUNDS_S[what],
        )
        for kind in KINDS
        for what in LIVE
    ]
    return [*promises, *zeros("returns", returns.tallies)]


def returns_details(returns: Returns) -> dict[str, Any]:
    """Return all returns for the JSON; None is "not back while it was watched"."""

    def listed(found: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[str, Any]:
        return {
            kind: {what: [_finite(value) for value in values] for what, values in one.items()}
            for kind, one in found.items()
        }

    return {
        "cut_s": returns.cut_s,
        "watched_s": returns.watched_s,
        "forerun": listed(returns.ours),
        "peers": listed(returns.peers),
        "peers_are": PEERS,
        "vehicles": [tally_details(one) for one in returns.tallies],
    }


def returns_note(returns: Returns) -> str:
    """Return how often a peer did not come back."""
    words = []
    for kind in KINDS:
        for what in LIVE:
            never = sum(not math.isfinite(value) for value in returns.peers[kind][what])
            total = len(returns.peers[kind][what])
            words.append(f"{PEERS[what]} ({what}) after a {kind_words(kind, returns)} {never}")
    return (
        f"Not back within {returns.watched_s:g} s, of {total} each: {'; '.join(words)}. "
        "A dash is a percentile that was not back."
    )


def _finite(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None


URGENT_S = 1.0
HOUR_MIN = 60.0


def urgent_rows(urgent: Urgent) -> list[Measurement]:
    """Return a row per width of the link."""
    rows = [
        Measurement(
            f"urgent fact with an hour waiting, {width}, p95 of {len(found)}",
            {"back_s": _seconds(_finite(percentile(found, 0.95)))},
        )
        for width, found in urgent.after_s.items()
    ]
    return [*rows, Measurement("the same vehicle's account", {**tally_figures(urgent.tally)})]


def urgent_promises(urgent: Urgent) -> list[Promise]:
    """Return what must hold of urgent facts."""
    promises = [
        Promise(
            f"urgent fact at the board, {width}, p95, s after the link is back",
            percentile(found, 0.95),
            "at most",
            URGENT_S,
        )
        for width, found in urgent.after_s.items()
    ]
    least = min(urgent.waiting_min, default=math.nan)
    waited = Promise("least ECG that waited meanwhile, min", least, "at least", HOUR_MIN)
    return [*promises, waited, *zeros("backlog", [urgent.tally])]


def urgent_details(urgent: Urgent) -> dict[str, Any]:
    """Return all repeats for the JSON."""
    return {
        "after_s": {w: [_finite(value) for value in v] for w, v in urgent.after_s.items()},
        "waiting_min": [round(value, 1) for value in urgent.waiting_min],
        "waiting_mib": round(urgent.waiting_mib, 2),
        **tally_details(urgent.tally),
    }


NARROW_BOUND_S, NARROWEST_BOUND_S = 1.0, 2.0
"""How old vital signs and facts may be at the board, p95; the second at 64 kbit/s."""

NARROWEST_KBPS = 64
ECG_FROM_KBPS = 250
"""Down to it the live ECG must keep its bound; below it comes as it can."""

FULL_WITHIN_S = 15.0


def narrow_rows(found: Sequence[Narrow]) -> list[Measurement]:
    """Return two rows per bit rate: ours and the peers'."""
    rows = []
    for one in found:
        ours = {**tally_figures(one.tally), **live_figures(one.delays_ms, {})}
        peers = {key: value for key, value in one.peer_ms.items() if key != "video"}
        rows += [
            Measurement(f"uplink of {one.rate_kbps} kbit/s: Forerun", ours),
            Measurement("the same: plain aiomqtt, aiortc", live_figures(peers, {})),
        ]
    return rows


def narrow_promises(found: Sequence[Narrow]) -> list[Promise]:
    """Return what must hold on narrow uplinks."""
    promises = []
    for one in found:
        link = f"at {one.rate_kbps} kbit/s, p95, s"
        bound_s = NARROWEST_BOUND_S if one.rate_kbps <= NARROWEST_KBPS else NARROW_BOUND_S
        for what, ages_ms in (("vitals", one.delays_ms.get("vitals", [])), ("facts", one.facts_ms)):
            age_s = percentile(ages_ms, 0.95) / 1000
            promises.append(Promise(f"{what} at the board {link}", age_s, "at most", bound_s))
        if one.rate_kbps >= ECG_FROM_KBPS:
            age_s = percentile(one.delays_ms.get("ecg", []), 0.95) / 1000
            name = f"live ECG at the board {link}"
            promises.append(Promise(name, age_s, "at most", NARROW_BOUND_S))
        full_s = math.inf if one.full_s is None else one.full_s
        promises += [
            Promise(
                f"full quality after {one.rate_kbps} kbit/s, s from the wide link",
                full_s, "at most", FULL_WITHIN_S,
            ),
            Promise(
                f"moves in one direction within {STEPS_S:g} s at {one.rate_kbps} kbit/s",
                one.most_steps, "at most", 1,
            ),
        ]  # fmt: skip
    return [*promises, *zeros("narrow uplinks", [one.tally for one in found])]


def narrow_note(found: Sequence[Narrow]) -> str:
    """Return how much of the picture was left, ours and the peers'."""
    words = [
        f"{one.rate_kbps} kbit/s {one.pictures_per_s(one.delays_ms):.1f} and "
        f"{one.pictures_per_s(one.peer_ms):.1f}"
        for one in found
    ]
    return f"Pictures a second meanwhile, Forerun and plain aiortc: {', '.join(words)}."


def narrow_details(found: Sequence[Narrow]) -> list[dict[str, Any]]:
    """Return all bit rates for the JSON."""
    return [
        {
            "rate_kbps": one.rate_kbps,
            "latency_ms": delay_figures(one.delays_ms),
            "facts_ms": delay_figures({"facts": one.facts_ms}),
            "peers_latency_ms": delay_figures(
                {key: value for key, value in one.peer_ms.items() if key != "video"}
            ),
            "pictures_per_s": round(one.pictures_per_s(one.delays_ms), 2),
            "peers_pictures_per_s": round(one.pictures_per_s(one.peer_ms), 2),
            "steps": [list(step) for step in one.steps],
            "full_again_s": one.full_s,
            **account_details(one),
        }
        for one in found
    ]
