"""What a caller is told to do, as sound for the caller's page.

    GET /here/{token}/step?step=…&language=zh   the current step, spoken (audio/mpeg)

The token is the right to it. A step that is not the current one any more is not spoken: late sound
would have somebody do what is over.
"""

from __future__ import annotations

import io

import av
import numpy as np
from aiohttp import web

from dispatch.caller_api import CallerApi
from dispatch.speech.engine import SPEAKING_RATE_HZ, Language, Synthesiser
from streams.health import REFUSED

BIT_RATE = 32_000
"""Of speech: half a minute is 120 kB, which a slow link carries faster than it is heard."""
KEPT = 64
"""Spoken steps that are remembered: several pages and calls ask for the same."""


class StepSound:
    """The handler; it remembers what it made."""

    def __init__(self, callers: CallerApi, speaks: Synthesiser) -> None:
        """Prepare; ``add_routes`` puts it into an application."""
        self._callers = callers
        self._speaks = speaks
        self._made: dict[tuple[str, Language], bytes] = {}

    def add_routes(self, app: web.Application) -> None:
        """Add the door to an application."""
        app.router.add_get("/here/{token}/step", self.step)

    async def step(self, request: web.Request) -> web.Response:
        """Answer with the current step as sound; 404 where it is another, 503 without a voice."""
        case = await self._callers.case_of(request)
        run = case.guide.current
        now = run.now if run is not None and case.is_open else None
        language: Language = "zh" if request.query.get("language") == "zh" else "en"
        if now is None or not now.step or now.step != request.query.get("step"):
            return web.json_response({"error": "that is not the current step"}, status=404)
        text = getattr(now.text, language)
        sound = self._made.get((text, language)) or await self._say(text, language)
        if sound is None:
            REFUSED.labels("here", "no_voice").inc()
            return web.json_response({"error": str(self._speaks.state)}, status=503)
        return web.Response(body=sound, content_type="audio/mpeg")

    async def _say(self, text: str, language: Language) -> bytes | None:
        if not self._speaks.state.usable:
            return None
        speaking = self._speaks.speak(text, language)
        blocks = [block async for block in speaking]
        if not blocks or not speaking.complete:
            return None
        sound = encoded(b"".join(blocks))
        self._made[text, language] = sound
        while len(self._made) > KEPT:
            del self._made[next(iter(self._made))]
        return sound


def encoded(pcm: bytes) -> bytes:
    """Return sound as MP3, which every browser plays.

    Args:
        pcm: Mono, signed 16 bits, at ``SPEAKING_RATE_HZ``.
    """
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=SPEAKING_RATE_HZ, layout="mono")
        stream.bit_rate = BIT_RATE
        frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, np.int16)[np.newaxis], "s16p", "mono")
        frame.sample_rate = SPEAKING_RATE_HZ
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return file.getvalue()
