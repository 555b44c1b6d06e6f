"""``forerun hospital``: the gateway and the arrival board of one receiving hospital."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hospital_gateway.gateway import serve
from hospital_gateway.settings import Settings
from streams.config import example, load
from streams.errors import ForerunError
from streams.service import run, set_up_logs


def command(arguments: list[str]) -> int:
    """Run the subcommand; return its exit status.

    Args:
        arguments: What stands behind ``forerun hospital``.
    """
    parser = argparse.ArgumentParser(prog="forerun hospital", description=__doc__)
    parser.add_argument("--config", type=Path, metavar="FILE", help="the gateway's settings")
    parser.add_argument(
        "--example", action="store_true", help="print a commented settings file and end"
    )
    options = parser.parse_args(arguments)
    if options.example:
        sys.stdout.write(example("hospital_gateway", "hospital.toml"))
        return 0
    if options.config is None:
        parser.error("--config FILE is needed (--example prints one)")
    try:
        settings = load(options.config, Settings)
        set_up_logs(settings.name)
        return run(lambda: serve(settings))
    except ForerunError as error:
        sys.stderr.write(f"forerun hospital: {error}\n")
        return 1
