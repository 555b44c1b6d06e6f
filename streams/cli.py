"""The command `forerun`: finds the subcommand among the installed packages and runs it.

Each package registers its own subcommand in the entry-point group `forerun.commands`; only the
one that runs is imported. `SUMMARIES` says what each is in a line, so that `forerun --help` need
not import any; a test holds it against the registered names.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import sys
from collections.abc import Callable

from streams.errors import ForerunError

GROUP = "forerun.commands"
SUMMARIES = {
    "demo": "a city on this machine: vehicles, hub, hospitals, and the pages to look at",
    "broker": "the message broker (NATS with JetStream and MQTT), with rights and certificates",
    "onboard": "the agent in a vehicle: sensors, recording, uplink, the crew's tablet page",
    "dispatch": "the hub: calls, units, media relay, hand-over of a case to its hospital",
    "hospital": "the gateway of a receiving hospital, with the arrival board",
    "export": "write a case as WFDB, timeline and media to a folder",
    "bench": "measure, compare and check what is promised",
}

Command = Callable[[list[str]], int]


def main(arguments: list[str] | None = None) -> int:
    """Runs `forerun NAME ...`.

    Args:
        arguments: Without the program's name; those of the process by default.

    Returns:
        The exit status: the subcommand's own; 1 for an error of ours, told in one line; 2 for a
        wrong name; 130 after Ctrl-C.
    """
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in {"-h", "--help", "help"}:
        print(usage())  # noqa: T201 -- the command's answer
        return 0
    if name in {"-V", "--version", "version"}:
        print(f"forerun {importlib.metadata.version('forerun')}")  # noqa: T201
        return 0
    found = {entry.name: entry for entry in importlib.metadata.entry_points(group=GROUP)}
    if name not in found:
        _say(unknown(name, list(found)))
        return 2
    try:
        command: Command = found[name].load()
        return command(rest)
    except ForerunError as error:
        _say(f"forerun {name}: {_one_line(error)}")
        return 1
    except KeyboardInterrupt:
        return 130


def usage() -> str:
    """Returns what `forerun --help` prints; imports no subcommand."""
    names = sorted({entry.name for entry in importlib.metadata.entry_points(group=GROUP)})
    ordered = [name for name in SUMMARIES if name in names]
    ordered += [name for name in names if name not in SUMMARIES]
    width = max(map(len, ordered), default=0)
    lines = [f"  {name:<{width}}  {SUMMARIES.get(name, '')}".rstrip() for name in ordered]
    return "\n".join(
        [
            "usage: forerun NAME [options]      forerun NAME --help      forerun --version",
            "",
            "The patient's data arrives before the patient. Not a medical device.",
            "",
            *lines,
        ]
    )


def unknown(name: str, names: list[str]) -> str:
    """Returns what is said to a name that is no subcommand, with the nearest ones."""
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(sorted(names))}"
    return f"forerun: no command {name!r}; {hint}"


def _one_line(error: ForerunError) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 -- the command's answer


if __name__ == "__main__":
    sys.exit(main())
