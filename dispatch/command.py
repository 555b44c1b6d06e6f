"""`forerun dispatch`: run the hub."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dispatch.server import run
from dispatch.settings import Settings
from streams import service
from streams.config import example, load


def command(arguments: list[str]) -> int:
    """Run the hub until it is told to end; return the exit status.

    Raises:
        ForerunError: It cannot start, or a part of it failed for good.
    """
    options = _parser().parse_args(arguments)
    if options.example:
        sys.stdout.write(example("dispatch", "dispatch.toml"))
        return 0
    settings = load(options.config, Settings)
    service.set_up_logs(settings.name, level=options.log_level)
    return service.run(lambda: run(settings))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="forerun dispatch",
        description="The hub: cases, units, console, media relay, hand-over to hospitals.",
    )
    parser.add_argument(
        "--config", type=Path, default=Path("dispatch.toml"), metavar="FILE",
        help="settings (default: dispatch.toml)",
    )  # fmt: skip
    parser.add_argument("--example", action="store_true", help="print a commented example, end")
    parser.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], default="info"
    )
    return parser
