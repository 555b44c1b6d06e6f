"""The process of an engine: started, asked whether it lives, started again, never waited for.

A crash or a hang of an engine ends here: who uses it sees another state and no exception.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import structlog

from dispatch.speech import wire
from dispatch.speech.engine import EngineState, Reason
from streams.child_process import tied

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what may take.

    Attributes:
        start_s: Until a new process is ready; the first time a model is joined and checked.
        ping_s: Between two questions whether it lives.
        silent_s: Without any answer it counts as hung.
        stuck_s: At one piece of work it counts as hung.
        late_s: A final text that waits for longer makes the engine overloaded.
        again_s: Until a process that ended is started again; doubles up to ``again_most_s``.
        again_most_s: See there.
        steady_s: A process that lived for so long is started again at once.
        end_s: Until a process that was killed is gone.
    """

    start_s: float = 120.0
    ping_s: float = 1.0
    silent_s: float = 10.0
    stuck_s: float = 30.0
    late_s: float = 2.5
    again_s: float = 1.0
    again_most_s: float = 30.0
    steady_s: float = 60.0
    end_s: float = 5.0


MOST_UNSENT_BYTES = 256 * 2**10
"""Sound that the process has not taken yet: 8 s of one voice. More is dropped, by the caller."""

MOST_LINE = 400
LINES_KEPT = 5


class _GoneError(Exception):
    """The process has ended, or is as good as ended."""

    def __init__(self, why: Reason, detail: str, *, for_good: bool = False) -> None:
        super().__init__(detail)
        self.why: Reason = why
        self.detail = detail
        self.for_good = for_good


class EngineProcess:
    """One engine in a process of its own.

    Attributes:
        restarts: How often it was started again.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        on_answer: Callable[[wire.Answer], None],
        on_ready: Callable[[], None],
        on_gone: Callable[[], None],
        patience: Patience | None = None,
        off: EngineState | None = None,
    ) -> None:
        """Prepare it.

        Args:
            name: For logs and the names of tasks.
            command: Program and arguments.
            on_answer: Takes what it says, but ``Ready``, ``Cannot`` and ``Pong``.
            on_ready: Called when a new process takes work.
            on_gone: Called when one takes none any more: what it had is lost.
            patience: How long what may take.
            off: The state to stay in: it is never started.
        """
        self._name = name
        self._command = list(command)
        self._on_answer = on_answer
        self._on_ready = on_ready
        self._on_gone = on_gone
        self._patience = patience or Patience()
        self._off = off
        self._state = off or EngineState("starting")
        self._news = asyncio.Event()
        self._input: asyncio.StreamWriter | None = None
        self._heard_at = 0.0
        self._last_lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._task: asyncio.Task[None] | None = None
        self.pid: int | None = None
        self.restarts = 0

    async def __aenter__(self) -> Self:
        """Start it, without waiting until it is ready."""
        if self._off is None:
            self._task = asyncio.create_task(self._run_safely(), name=f"speech[{self._name}]")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def state(self) -> EngineState:
        """Whether it takes work."""
        return self._state

    async def changed(self) -> EngineState:
        """Wait for the next change of the state and return it."""
        await self._news.wait()
        return self._state

    def send(self, request: wire.Request) -> bool:
        """Hand over a request without waiting; false where it was dropped."""
        if self._input is None or not self._state.usable or self._input.is_closing():
            return False
        if self._input.transport.get_write_buffer_size() > MOST_UNSENT_BYTES:
            return False
        self._input.write(wire.frame(request))
        return True

    async def _run_safely(self) -> None:
        """Run it; a mistake of ours costs the speech, and not the calls that go on as text."""
        try:
            await self._run()
        except Exception as error:
            log.exception("speech_failed", engine=self._name)
            self._set(EngineState("off", "crashed", f"a mistake of the software: {error!r}"))

    async def _run(self) -> None:
        wait_s = self._patience.again_s
        while True:
            began = time.monotonic()
            try:
                await self._live()
            except* _GoneError as group:
                gone = next(error for error in _leaves(group) if isinstance(error, _GoneError))
            if gone.for_good:
                self._set(EngineState("off", gone.why, gone.detail))
                log.warning("speech_off", engine=self._name, why=gone.why, detail=gone.detail)
                return
            if time.monotonic() - began > self._patience.steady_s:
                wait_s = self._patience.again_s
            self._set(EngineState("starting", gone.why, gone.detail))
            log.warning(
                "speech_engine_ended", engine=self._name, why=gone.why, detail=gone.detail,
                again_in_s=wait_s, said=list(self._last_lines),
            )  # fmt: skip
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, self._patience.again_most_s)
            self.restarts += 1

    async def _live(self) -> None:
        """Run one process until it ends.

        Raises:
            ExceptionGroup: Of one ``_GoneError``.
        """
        self._last_lines.clear()
        process = await self._start()
        self.pid = process.pid
        self._heard_at = time.monotonic()
        assert process.stdin and process.stdout and process.stderr
        try:
            async with asyncio.TaskGroup() as group:
                name = f"speech[{self._name}]"
                group.create_task(self._read(process.stdout), name=f"{name}.answers")
                group.create_task(self._note(process.stderr), name=f"{name}.errors")
                group.create_task(self._watch(process.stdin), name=f"{name}.watch")
        finally:
            await self._bury(process)

    async def _start(self) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        command = [str(part) for part in tied(self._command, signal.SIGKILL)]
        try:
            return await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
            )
        except OSError as error:
            gone = _GoneError("crashed", f"it cannot be started: {error.strerror}")
            raise ExceptionGroup("speech", [gone]) from error

    async def _bury(self, process: asyncio.subprocess.Process) -> None:
        self._input = None
        self.pid = None
        if self._state.usable:
            self._set(EngineState("starting", "crashed", "it ended"))
            self._on_gone()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience.end_s):
                await process.communicate()

    async def _read(self, source: asyncio.StreamReader) -> None:
        while True:
            try:
                head = await source.readexactly(wire.HEAD_BYTES)
                answer = wire.answer_of(await source.readexactly(wire.length_of(head)))
            except asyncio.IncompleteReadError:
                raise _GoneError("crashed", "it ended") from None
            except wire.WireError as error:
                raise _GoneError("crashed", str(error)) from error
            self._heard_at = time.monotonic()
            self._take(answer)

    def _take(self, answer: wire.Answer) -> None:
        match answer:
            case wire.Ready(engine, languages):
                self._set(EngineState("ready", languages=languages, engine=engine))
                log.info("speech_on", engine=self._name, model=engine, languages=languages)
                self._on_ready()
            case wire.Cannot(why, detail):
                raise _GoneError(why, detail, for_good=True)
            case wire.Pong(_, late_s, busy_s):
                self._judge(late_s, busy_s)
            case _:
                self._on_answer(answer)

    def _judge(self, late_s: float, busy_s: float) -> None:
        if busy_s > self._patience.stuck_s:
            raise _GoneError("hung", f"it is at one piece of work for {busy_s:.0f} s")
        if self._state.condition == "ready" and late_s > self._patience.late_s:
            detail = f"texts come more than {self._patience.late_s:g} s late"
            self._set(replace(self._state, condition="overloaded", reason="late", detail=detail))
        elif self._state.condition == "overloaded" and late_s < self._patience.late_s / 2:
            self._set(replace(self._state, condition="ready", reason="", detail=""))

    async def _watch(self, target: asyncio.StreamWriter) -> None:
        """Ask whether it lives, and notice when it does not answer."""
        self._input = target
        number = 0
        until = time.monotonic() + self._patience.start_s
        while not self._state.usable:
            await asyncio.sleep(min(self._patience.ping_s, 0.1))
            if time.monotonic() > until:
                raise _GoneError("hung", f"not ready after {self._patience.start_s:g} s")
        self._heard_at = time.monotonic()
        while True:
            number += 1
            self.send(wire.Ping(number))
            await asyncio.sleep(self._patience.ping_s)
            silent_s = time.monotonic() - self._heard_at
            if silent_s > self._patience.silent_s:
                raise _GoneError("hung", f"no answer for {silent_s:.0f} s")

    async def _note(self, source: asyncio.StreamReader) -> None:
        while chunk := await source.read(4096):
            for line in chunk.decode(errors="replace").splitlines():
                if line.strip():
                    self._last_lines.append(line[:MOST_LINE])
                    log.debug("speech_engine_says", engine=self._name, line=line[:MOST_LINE])

    def _set(self, state: EngineState) -> None:
        if state == self._state:
            return
        self._state = state
        news, self._news = self._news, asyncio.Event()
        news.set()


def python_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of ours in a Python of its own."""
    return [sys.executable, "-m", module, *arguments]


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves
