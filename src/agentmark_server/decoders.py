"""Where bodies are decoded: in a thread, and under load in processes of their own beside the one that writes.

Python runs one thread at a time, so that decoding in a thread takes its time from the writer. The processes are
started when requests begin to wait for each other, and end with their parent: their standard input ends.
"""

import asyncio
import contextlib
import gc
import os
import signal
import struct
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from agentmark_server import otlp
from agentmark_server.decoding import LOGS, TRACES, Batch, Body, Signal, SpanReader, decode
from agentmark_server.pricing import Prices

_MOST_PROCESSES: Final = 3
_LENGTH: Final = struct.Struct("!Q")
_PIPE_BYTES: Final = 1 << 20
_BUFFER_BYTES: Final = 1 << 24
_SIGNALS: Final = {"traces": TRACES, "logs": LOGS}
_NAMES: Final = {id(one): name for name, one in _SIGNALS.items()}


class _Work(msgspec.Struct):
    """A body on its way to the process."""

    body: Body
    limit: int
    signal: str


class _Done(msgspec.Struct):
    """What the process made of it: a batch, or the name and the text of an error."""

    batch: Batch | None = None
    error: tuple[str, str] | None = None


_ERRORS: Final = {error.__name__: error for error in (otlp.UnreadableError, otlp.TooLargeError)}


class Decoders:
    """Decodes bodies off the event loop."""

    def __init__(self, reader: SpanReader, prices: Path | None, limit: int) -> None:
        self._reader = reader
        self._prices = prices
        self._limit = limit
        # One thread: several would only wait for each other, and for the writer, to run.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="agentmark-decoder")
        self._busy = 0
        self._processes: list[_DecoderProcess] = []
        self._starting: list[asyncio.Task[None]] = []

    def is_busy(self) -> bool:
        """Whether a request is being decoded."""
        return self._busy > 0

    async def decode(self, body: Body, signal: Signal) -> Batch:
        """A body to shares. Raises otlp.UnreadableError, otlp.TooLargeError."""
        self._busy += 1
        try:
            if self._busy > len(self._starting) + 1 <= _processes():
                self._starting.append(asyncio.create_task(self._start()))
            if self._processes:
                with contextlib.suppress(_ProcessEndedError):
                    return await self._in_process(_Work(body, self._limit, _NAMES[id(signal)]))
            return await self._in_thread(body, signal)
        finally:
            self._busy -= 1

    async def _in_process(self, work: _Work) -> Batch:
        process = min(self._processes, key=lambda one: one.waiting)
        try:
            return await process.decode(work)
        except _ProcessEndedError:
            if process in self._processes:
                self._processes.remove(process)
            raise

    async def _in_thread(self, body: Body, signal: Signal) -> Batch:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, decode, body, self._limit, self._reader, signal)

    async def _start(self) -> None:
        """Start a process; without one, the thread goes on alone."""
        with contextlib.suppress(OSError, _ProcessEndedError):
            process = await _DecoderProcess.start(self._prices)
            # It has imported what it needs once it answers.
            await process.decode(_Work(Body(b"{}", "application/json"), self._limit, "traces"))
            self._processes.append(process)

    async def stop(self) -> None:
        """End the processes."""
        for starting in self._starting:
            await starting
        for process in self._processes:
            await process.stop()
        self._thread.shutdown()


def _processes() -> int:
    """How many processes decode at most: with more cores the writer is what bounds the server."""
    return min(os.cpu_count() or 1, _MOST_PROCESSES)


class _ProcessEndedError(Exception):
    """The process is no more, and what it was given is not decoded."""


class _DecoderProcess:
    """A process that decodes what it reads, one after the other, and writes what comes of it in the same order."""

    def __init__(self, process: Process, stdin: StreamWriter, stdout: StreamReader) -> None:
        self._process, self._stdin, self._stdout = process, stdin, stdout
        self._waiting: deque[asyncio.Future[_Done]] = deque()
        self._writing = asyncio.Lock()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, prices: Path | None) -> "_DecoderProcess":
        command = [sys.executable, "-m", __name__, *([str(prices.resolve())] if prices else [])]
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=_BUFFER_BYTES)
        if process.stdin is None or process.stdout is None:  # they are pipes: for the type checker
            raise _ProcessEndedError
        _widen(process.stdin.get_extra_info("pipe"))
        return cls(process, process.stdin, process.stdout)

    @property
    def waiting(self) -> int:
        """How many requests wait for it."""
        return len(self._waiting)

    async def decode(self, work: _Work) -> Batch:
        frame = msgspec.msgpack.encode(work)
        done: asyncio.Future[_Done] = asyncio.get_running_loop().create_future()
        async with self._writing:
            if self._reading.done():
                raise _ProcessEndedError
            self._waiting.append(done)
            with contextlib.suppress(ConnectionError):  # then the reader tells
                self._stdin.writelines((_LENGTH.pack(len(frame)), frame))
                await self._stdin.drain()
        answer = await done
        if answer.batch is not None:
            return answer.batch
        name, text = answer.error or ("", "")
        raise _ERRORS.get(name, RuntimeError)(text)

    async def _read(self) -> None:
        """Give each answer to the one who waits for it, and at the end tell all the others that there is none."""
        try:
            while True:
                [length] = _LENGTH.unpack(await self._stdout.readexactly(_LENGTH.size))
                answer = _answers.decode(await self._stdout.readexactly(length))
                waiting = self._waiting.popleft()
                if not waiting.done():  # its request may be gone
                    waiting.set_result(answer)
        except (asyncio.IncompleteReadError, ConnectionError, msgspec.MsgspecError):
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_exception(_ProcessEndedError())

    async def stop(self) -> None:
        self._stdin.close()
        await self._process.wait()
        await self._reading


def _widen(pipe: Any) -> None:
    """Let a pipe hold a whole request, where the system can: every piece of it costs both sides a call."""
    if sys.platform == "linux":
        import fcntl  # noqa: PLC0415  # not everywhere there is one

        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


_answers: Final = msgspec.msgpack.Decoder(_Done)
_works: Final = msgspec.msgpack.Decoder(_Work)


def _run(reader: SpanReader, stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Answer until the parent closes the pipe, or is no more."""
    while len(head := stdin.read(_LENGTH.size)) == _LENGTH.size:
        work = _works.decode(stdin.read(_LENGTH.unpack(head)[0]))
        frame = msgspec.msgpack.encode(_done(work, reader))
        stdout.write(_LENGTH.pack(len(frame)))
        stdout.write(frame)
        stdout.flush()


def _done(work: _Work, reader: SpanReader) -> _Done:
    try:
        return _Done(batch=decode(work.body, work.limit, reader, _SIGNALS[work.signal]))
    except Exception as error:  # noqa: BLE001  # whatever it is, the request's own handler shall hear it
        return _Done(error=(type(error).__name__, str(error)))


def collect_rarely() -> None:
    """Spans are no cycles: the collector would walk over them again and again, and find nothing."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which still needs answers
    collect_rarely()
    _widen(sys.stdout)
    prices = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    _run(SpanReader(Prices(prices)), sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    _main()
