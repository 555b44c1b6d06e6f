"""``forerun onboard``: the agent of one vehicle and the crew's tablet page."""

from __future__ import annotations

from onboard.service import serve
from onboard.settings import Settings
from streams import service
from streams.config import load


def command(arguments: list[str]) -> int:
    """Run the subcommand, see ``streams.service.command``; return its exit status."""
    return service.command(
        arguments,
        package="onboard",
        file="onboard.toml",
        about=__doc__,
        read=lambda path: load(path, Settings),
        serve=serve,
    )
