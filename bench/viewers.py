"""Who looks at a board while nobody is there: headless Chromium, or the stand-in without one."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.processes import Child
from bench.running_city import Played, RunningCity

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--ignore-certificate-errors", "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required", "--window-size=1920,1080",
    # Keeps a headless browser open; the port is the system's choice, on loopback only.
    "--remote-debugging-port=0",
)  # fmt: skip


def find_browser() -> Path | None:
    """Return a Chromium of this machine, if there is one."""
    found = (shutil.which(name) for name in NAMES)
    return next((Path(path) for path in found if path), None)


def describe_viewer(browser: Path | None) -> str:
    """Return what looked, in words for the report."""
    if browser is None:
        return "python stand-in: received and decoded, not drawn (no Chromium on this machine)"
    answer = subprocess.run([browser, "--version"], capture_output=True, text=True, check=False)
    return f"{answer.stdout.strip()}, headless: received, decoded and drawn"


def watch(city: RunningCity, played: Played, browser: Path | None) -> Child:
    """Let a viewer look at one patient's page until the city ends."""
    if browser is None:
        command = [
            sys.executable, "-m", "bench.board_viewer", city.urls[played.hospital],
            city.stage.token(played.hospital),
            str(city.stage.broker / "authority" / "ca.pem"), played.case,
        ]  # fmt: skip
    else:
        profile = tempfile.mkdtemp(prefix="browser-", dir=city.stage.folder)
        page = city.page(played.hospital, f"#/case/{played.case}")
        command = [str(browser), *FLAGS, f"--user-data-dir={profile}", page]
    return city.processes.start("viewer", command)
