"""``forerun export CASE --to DIR``: a case as files that other programs read.

* ``timeline.jsonl``: every fact, one JSON object a line, in the order of the journal;
* ``ecg-1.hea``, ``ecg-1.dat`` …: every waveform recording as a WFDB record, sample for sample;
* ``case.msgpack``: the facts byte for byte with their place in the hash chain (streamed
  MessagePack: ``[case_sequence, corrected_ns, received_ns, hash, fact]``), for ``verify``;
* ``ledger.json``: how late each kind of fact came, what is missing, what the link did
  (``streams.ledger``);
* ``summary.json``: what is there, what is missing, the head of the chain.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgpack
import msgspec

from streams.chain import Stored, verify
from streams.codec import any_body
from streams.errors import ConfigError, MessageError, StorageError
from streams.inbox import Line
from streams.journal import Journal
from streams.ledger import ledger_of
from streams.messages import EcgRecord
from streams.recordings import Recording, Recordings
from streams.waveform_record import WfdbError, write_wfdb

PAGE = 500
"""Facts read at a time."""


def command(arguments: list[str]) -> int:
    """Run ``forerun export``."""
    parser = argparse.ArgumentParser(
        prog="forerun export", description="Write a case as WFDB, timeline and chain to a folder."
    )
    parser.add_argument("case", metavar="CASE", help="id of the case; 'list' shows what is there")
    parser.add_argument("--to", type=Path, metavar="DIR", help="folder to write; made if missing")
    parser.add_argument(
        "--journal", required=True, metavar="FILE|URL",
        help="journal of the hub or gateway: its SQLite file or a database URL",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    return asyncio.run(_run(options.case, options.to, journal_url(options.journal)))


def journal_url(text: str) -> str:
    """Return the database URL of a journal named by file or URL.

    Raises:
        ConfigError: There is no such file.
    """
    if "://" in text:
        return text
    path = Path(text)
    path = path / "journal.sqlite" if path.is_dir() else path
    if not path.is_file():
        raise ConfigError(f"--journal {text}: there is no file {path}")
    return f"sqlite:///{path.resolve()}"


async def _run(case: str, to: Path | None, url: str) -> int:
    async with Journal(url) as journal:
        if case == "list":
            cases = await journal.cases()
            print("\n".join(cases) or "this journal holds no case")  # noqa: T201 -- the answer
            return 0
        if to is None:
            raise ConfigError("--to DIR says where to write; nothing was written")
        summary = await export_case(journal, case, to)
    print(_json(summary, indent=2))  # noqa: T201 -- the command's answer
    return 0


async def export_case(journal: Journal, case: str, to: Path) -> dict[str, Any]:
    """Write one case into ``to``; return the summary that is also written there.

    Raises:
        ConfigError: The journal does not have the case; the text names those it has.
        StorageError: The folder cannot be written, or the chain is broken.
    """
    facts = [fact async for page in pages(journal, case) for fact in page]
    if not facts:
        known = ", ".join((await journal.cases())[-5:]) or "none"
        raise ConfigError(f"case {case!r} is not in this journal; the last there: {known}")
    missing = journal.inbox.all_missing()
    for one in journal.lost if facts[0].stored_ns is None else []:  # numbers of a copy's carriers
        missing.setdefault(one.line, []).append((one.first, one.last))
    return await asyncio.to_thread(write_case, case, facts, to, missing)


def write_case(
    case: str,
    facts: Sequence[Stored],
    to: Path,
    missing: dict[Line, list[tuple[int, int]]] | None = None,
) -> dict[str, Any]:
    """Write the facts of one case into ``to``; return the summary that is also written there.

    Args:
        case: The case.
        facts: Its facts in the order of the journal.
        to: The folder.
        missing: What the journal lacks of each line.

    Raises:
        ConfigError: Another case is in the folder.
        StorageError: The folder cannot be written, or the chain is broken.
    """
    recordings = Recordings()
    recordings.add_all(facts)
    _check_other(case, to)
    try:
        to.mkdir(parents=True, exist_ok=True)
        with (to / "timeline.jsonl").open("w", encoding="utf-8") as timeline:
            for fact in facts:
                timeline.write(_json(timeline_entry(fact)) + "\n")
        with (to / "case.msgpack").open("wb") as raw:
            for fact in facts:
                raw.write(msgpack.packb(_chain_entry(fact)))
        ledger = ledger_of(
            case, facts, missing=missing, samples_missing=_samples_missing(recordings)
        )
        (to / "ledger.json").write_text(_json(ledger, indent=2) + "\n", encoding="utf-8")
        summary = _summary(case, facts, recordings, _write_recordings(recordings.all(), to))
        text = _json(summary, indent=2)
        (to / "summary.json").write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{to}: {error.strerror}; nothing more was written") from error
    return summary


def _check_other(case: str, to: Path) -> None:
    """Let no case be written over, or beside, another one's."""
    try:
        there = msgspec.json.decode((to / "summary.json").read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError):
        return
    if there.get("case") not in (None, case):
        raise ConfigError(f"{to} holds case {there['case']}; name another folder")


async def pages(journal: Journal, case: str | None = None) -> AsyncIterator[list[Stored]]:
    """Give a journal's facts in order, a bounded number at a time."""
    after = 0
    while page := await journal.facts(case=case, after=after, limit=PAGE):
        yield page
        after = page[-1].position


def timeline_entry(fact: Stored) -> dict[str, Any]:
    """Return a fact as JSON: who, when by which clock, what; waveform blocks by their size."""
    envelope = fact.envelope
    shown: Any
    try:
        body = any_body(envelope)
    except MessageError as error:  # stored by a release that took it; its bytes are in the chain
        body, shown = None, {"unreadable": str(error)}
    if body is None:
        pass
    elif isinstance(body, EcgRecord):
        size = sum(map(len, body.frames))
        shown = {"setup_id": body.setup_id, "frames": len(body.frames), "bytes": size}
    else:
        shown = msgspec.to_builtins(body)
    return {
        "case_sequence": fact.case_sequence,
        "kind": envelope.kind,
        "source": envelope.source,
        "made": utc(fact.corrected_ns),
        "made_by_source_clock": utc(envelope.source_ns),
        "clock_uncertainty_ms": None
        if envelope.uncertainty_ns is None
        else envelope.uncertainty_ns / 1e6,
        "stored": utc(fact.received_ns),
        "origin": envelope.origin,
        "drill": envelope.drill,
        "patient": envelope.patient,
        "id": envelope.id,
        "body": shown,
    }


def utc(time_ns: int) -> str:
    """Return nanoseconds since 1970 as ISO 8601 in UTC with microseconds and ``Z``."""
    moment = datetime.datetime.fromtimestamp(time_ns // 10**9, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns % 10**9 // 1000:06d}Z"


def _chain_entry(fact: Stored) -> list[Any]:
    return [fact.case_sequence, fact.corrected_ns, fact.received_ns, fact.hash, fact.data]


def _write_recordings(recordings: Sequence[Recording], to: Path) -> list[dict[str, Any]]:
    written = []
    for number, recording in enumerate(recordings, start=1):
        name = f"ecg-{number}"
        began = recording.began
        start = datetime.datetime.fromtimestamp(began.start_ns / 1e9, datetime.UTC)
        comments = [
            f"source: {recording.source}, device: {began.device}, purpose: {began.purpose}",
            f"origin: {recording.origin}, patient: {recording.patient or 'unassigned'}",
        ]
        gaps = recording.gaps()
        samples = recording.samples()
        problem = None
        try:
            if len(samples):
                write_wfdb(
                    to, name, recording.setup, samples, start=start, comments=comments, gaps=gaps
                )
        except WfdbError as error:  # one that the format cannot hold keeps no other from its file
            problem = str(error)
        written.append(
            {
                "record": name,
                "source": recording.source,
                "origin": recording.origin,
                "purpose": began.purpose,
                "leads": [lead.name for lead in recording.setup.leads],
                "sampling_frequency_hz": recording.setup.sampling_frequency_hz,
                "samples": len(samples),
                "recorded": recording.expected,
                "missing": gaps,
                "damaged_frames": recording.damaged,
                "not_written": problem,
            }
        )
    return written


def _samples_missing(recordings: Recordings) -> int:
    return sum(end - first for one in recordings.all() for first, end in one.gaps())


def _json(value: object, indent: int = 0) -> str:
    """Return JSON that every reader takes: a number that is none becomes null."""
    text = msgspec.json.encode(value)
    return (msgspec.json.format(text, indent=indent) if indent else text).decode()


def _summary(
    case: str, facts: Sequence[Stored], found: Recordings, recordings: list[dict[str, Any]]
) -> dict[str, Any]:
    ordered = sorted(facts, key=lambda fact: fact.case_sequence or 0)
    return {
        "case": case,
        "facts": len(facts),
        "chain_head": verify(iter(ordered)).hex(),
        "recordings": recordings,
        "blocks_without_description": found.undescribed,
        "unreadable_waveform_facts": found.unreadable,
    }
