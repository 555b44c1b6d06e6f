"""The last seconds of a recording, for a page that begins to look when nothing comes live.

A patient who was handed over at the bay has an ECG and no live stream: the page gets the newest
frames of the record, and says that they are not live.
"""

from __future__ import annotations

from collections.abc import Iterable

from hospital_gateway.bay_store import BayStore
from hospital_gateway.cards import milliseconds
from hospital_gateway.live import LiveFrame, build_frame
from streams.chain import Stored
from streams.codec import any_body
from streams.ecg_block import EcgBlockError, frame_span
from streams.errors import ForerunError
from streams.journal import Journal
from streams.messages import EcgRecord, EcgStarted

MOST_FRAMES = 60
"""6 s at 10 frames a second, and fewer than a page's queue takes at once."""

KINDS = ("ecg_started", "ecg_record")


async def ecg_tail(journal: Journal, bay: BayStore, case: str) -> list[bytes]:
    """Return the newest frames of a case's newest recording, oldest first, for a page.

    Only for cases that were handed over at the bay: of the others the page sees what is live.

    Raises:
        StorageError: The journal or the bay's file cannot be read.
    """
    if case not in bay.cases:
        return []
    facts = [*await journal.facts(case=case, kinds=KINDS, limit=None), *bay.facts(case, KINDS)]
    return frames_of(case, facts)


def frames_of(case: str, facts: Iterable[Stored]) -> list[bytes]:
    """Return the newest frames that facts of a case hold, oldest first; damaged ones are left out.

    Args:
        case: The case.
        facts: Its ``ecg_started`` and ``ecg_record`` facts, in any order.
    """
    began: tuple[int, EcgStarted] | None = None
    blocks: list[EcgRecord] = []
    for fact in facts:
        try:
            body = any_body(fact.envelope)
        except ForerunError:
            continue  # the record counts it
        if isinstance(body, EcgStarted):
            start_ns = max(0, body.start_ns + fact.corrected_ns - fact.envelope.source_ns)
            began = max(began or (0, body), (start_ns, body), key=lambda pair: pair[0])
        elif isinstance(body, EcgRecord):
            blocks.append(body)
    if began is None:
        return []
    start_ns, setup = began[0], began[1].setup
    spans: list[tuple[int, int, bytes]] = []
    for block in blocks:
        if block.setup_id == setup.setup_id:
            spans += [(*span, frame) for frame in block.frames if (span := _span(frame))]
    newest = sorted(spans, key=lambda one: one[0])[-MOST_FRAMES:]
    rate_hz = setup.sampling_frequency_hz
    frames = []
    for first, length, frame in newest:
        newest_ns = start_ns + round((first + length - 1) / rate_hz * 1e9)
        data = build_frame(case, milliseconds(newest_ns), setup.setup_id, frame)
        frames.append(LiveFrame(case, data))
    return [*(one.as_past() for one in frames[:-1]), *(one.as_recorded() for one in frames[-1:])]


def _span(frame: bytes) -> tuple[int, int] | None:
    try:
        return frame_span(frame)
    except EcgBlockError:
        return None
