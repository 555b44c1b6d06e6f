"""`forerun bench NAME`: run one benchmark, show its table, keep its figures."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from bench.frame import REGISTRY, BenchError, run_benchmark

HOLDS, BROKEN, CANNOT_RUN = 0, 1, 2

REPEATS = {"outage": 20, "dispatch": 3, "speech": 3, "caller": 20, "bridge": 4}
"""Where the promise is about more than a median of five, or one run is long."""

USUAL_REPEATS = 5
OWN_OPTIONS = {
    "outage": ("quick", "parts", "faults", "pictures"),
    "dispatch": ("calls", "units"),
    "surge": ("minutes", "per_hour"),
}
"""Options that only one benchmark knows."""


def command(arguments: list[str]) -> int:
    """Run the benchmark that `arguments` name.

    Returns:
        0 when every promise holds, 1 when one does not, 2 when the benchmark cannot run.
    """
    options = _parser().parse_args(arguments)
    notices = Console(stderr=True)
    if options.json and not options.json.parent.is_dir():
        # Said before minutes of measuring, not after them.
        words = f"forerun bench: there is no folder {options.json.parent}"
        notices.print(words, style="red", markup=False, soft_wrap=True)
        return CANNOT_RUN
    own = {
        key: value
        for keys in OWN_OPTIONS.values()
        for key in keys
        if (value := getattr(options, key)) and key in OWN_OPTIONS.get(options.name, ())
    }
    try:
        report = run_benchmark(
            options.name,
            data=options.data,
            repeats=options.repeats or REPEATS.get(options.name, USUAL_REPEATS),
            console=notices,
            options=own,
        )
    except BenchError as error:
        words = f"forerun bench {options.name}: {error}"
        notices.print(words, style="red", markup=False, soft_wrap=True)
        return CANNOT_RUN
    report.show(_output_console())
    if options.json:
        text = json.dumps(report.as_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        options.json.write_text(text + "\n", encoding="utf-8")
    return HOLDS if report.holds else BROKEN


def _output_console() -> Console:
    # A file or a pipe has no width of its own; 80 columns would fold every row of the table.
    return Console() if sys.stdout.isatty() else Console(width=140)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="forerun bench",
        description="Measure a part of Forerun against its peers, in the same run.",
        epilog="Exit status: 0 every promise holds, 1 one does not, 2 it could not run.",
    )
    parser.add_argument("name", choices=sorted(REGISTRY), metavar="NAME", help=", ".join(REGISTRY))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--data", type=Path, metavar="DIR", help="other input of the same kind")
    parser.add_argument(
        "--repeats",
        type=_positive,
        metavar="N",
        help="over N repeats (default 5; outage, caller 20; bridge 4; dispatch, speech 3)",
    )
    outage = parser.add_argument_group("outage only")
    add = outage.add_argument
    add("--quick", action="store_true", help="shorter faults and traces, fewer of them")
    add("--parts", metavar="LIST", help="of traces,faults,returns,urgent,narrow (default: all)")
    add("--faults", metavar="LIST", help="numbers of faults, such as 3,7; runs nothing else")
    add("--pictures", type=Path, metavar="DIR", help="a picture per trace into DIR")
    surge = parser.add_argument_group("surge only")
    surge.add_argument("--minutes", type=_positive, metavar="N", help="of the surge (default 10)")
    surge.add_argument(
        "--per-hour", type=_positive, metavar="N", help="calls of a usual hour (default 240)"
    )
    dispatch = parser.add_argument_group("dispatch only")
    dispatch.add_argument("--calls", type=_positive, metavar="N", help="calls (default 1000)")
    dispatch.add_argument("--units", type=_positive, metavar="N", help="units (default 86)")
    return parser
