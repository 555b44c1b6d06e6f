"""Health and metrics: what ``/healthz`` and ``/metrics`` of every service say.

Metric names follow the Prometheus conventions (base units, ``_total`` for counters).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

REFUSED = Counter(
    "forerun_refused_total", "Messages and requests refused, by reason", ["place", "reason"]
)
STORED = Counter("forerun_facts_stored_total", "Facts stored in the journal", ["kind"])
DUPLICATES = Counter("forerun_facts_duplicate_total", "Facts that came again and were not stored")
DROPPED = Counter(
    "forerun_dropped_total", "Stream messages dropped because the newest wins", ["place"]
)
WAITING = Gauge(
    "forerun_outbox_waiting", "Facts in the outbox without a receipt", ["destination", "lane"]
)
LATENCY = Histogram(
    "forerun_latency_seconds",
    "From the source's clock (corrected) to the place named",
    ["kind", "place"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 300),
)


class Check(TypedDict):
    """One part of a service: whether it works, and words for a person."""

    ok: bool
    text: str


Checks = Callable[[], dict[str, Check]]


def add_routes(app: web.Application, checks: Checks) -> None:
    """Serve ``/healthz`` (200 when every check is ok, else 503) and ``/metrics``.

    Args:
        app: The service's application.
        checks: Called at each request; returns the state of each part by name.
    """

    async def healthz(_: web.Request) -> web.Response:
        parts = checks()
        healthy = all(part["ok"] for part in parts.values())
        body = {"ok": healthy, "parts": parts}
        return web.json_response(body, status=200 if healthy else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/metrics", metrics)
