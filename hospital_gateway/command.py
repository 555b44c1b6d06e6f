"""``forerun hospital``: the gateway and the arrival board of one receiving hospital."""

from __future__ import annotations

from hospital_gateway.gateway import serve
from hospital_gateway.settings import Settings
from streams import service
from streams.config import load


def command(arguments: list[str]) -> int:
    """Run the subcommand, see ``streams.service.command``; return its exit status."""
    return service.command(
        arguments,
        package="hospital_gateway",
        file="hospital.toml",
        about=__doc__,
        read=lambda path: load(path, Settings),
        serve=serve,
    )
