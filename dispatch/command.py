"""``forerun dispatch``: the hub: cases, units, console, media relay, hand-over to hospitals."""

from __future__ import annotations

from dispatch.server import run
from dispatch.settings import Settings
from streams import service
from streams.config import load


def command(arguments: list[str]) -> int:
    """Run the subcommand, see ``streams.service.command``; return its exit status."""
    return service.command(
        arguments,
        package="dispatch",
        file="dispatch.toml",
        about=__doc__,
        read=lambda path: load(path, Settings),
        serve=run,
    )
