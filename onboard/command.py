"""``forerun onboard``: the agent of one vehicle and the crew's tablet page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from onboard.service import serve
from onboard.settings import Settings
from streams.config import example, load
from streams.errors import ForerunError
from streams.service import run, set_up_logs


def command(arguments: list[str]) -> int:
    """Run the subcommand; return its exit status.

    Args:
        arguments: What stands behind ``forerun onboard``.
    """
    parser = argparse.ArgumentParser(prog="forerun onboard", description=__doc__)
    parser.add_argument("--config", type=Path, metavar="FILE", help="the vehicle's settings")
    parser.add_argument(
        "--example", action="store_true", help="print a commented settings file and end"
    )
    options = parser.parse_args(arguments)
    if options.example:
        sys.stdout.write(example("onboard", "onboard.toml"))
        return 0
    if options.config is None:
        parser.error("--config FILE is needed (--example prints one)")
    try:
        settings = load(options.config, Settings)
        set_up_logs(settings.name)
        return run(lambda: serve(settings))
    except ForerunError as error:
        sys.stderr.write(f"forerun onboard: {error}\n")
        return 1
