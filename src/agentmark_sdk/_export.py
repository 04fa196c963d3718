"""Sends ended spans in the background: counts what is lost, says so once, and never holds the program up."""

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Sequence

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from agentmark_sdk._http import REQUEST_SECONDS, Http, Reply, Target, root_cause

QUEUE_SPANS = 8192
BATCH_SPANS = 512
DELAY_SECONDS = 1.0
RETRY_SECONDS = (1.0, 2.0, 4.0)
EXIT_SECONDS = 5.0
QUIET_SECONDS = 600.0

_logger = logging.getLogger(__name__)
_sending = threading.local()


class _Losses:
    """Counts spans that no server has, and says so in one line, in ten minutes once at most."""

    def __init__(self, url: str) -> None:
        self._url = re.sub("//[^/]*@", "//", url)  # no password goes to a log
        self.restart()

    def restart(self) -> None:
        """Count from zero, with a lock of this process's own."""
        self._lock = threading.RLock()  # a signal handler may end a span while its thread is in here
        self._since_flush = self._unsaid = 0
        self._reason = ""
        self._quiet_until = 0.0

    def add(self, count: int, reason: str) -> None:
        """Count lost spans."""
        with self._lock:
            self._since_flush += count
            self._unsaid += count
            self._reason = reason

    def since_flush(self) -> int:
        """How many were lost since this was last asked."""
        with self._lock:
            count, self._since_flush = self._since_flush, 0
            return count

    def say(self) -> None:
        """Log what was lost, unless that was done lately."""
        with self._lock:
            count = self._unsaid
            if not count or time.monotonic() < self._quiet_until:
                return
            self._unsaid, self._quiet_until = 0, time.monotonic() + QUIET_SECONDS
        spans = "1 span" if count == 1 else f"{count} spans"
        _logger.warning("agentmark: %s could not be sent to %s %s", spans, self._url, self._reason)


def _not_ours(_record: logging.LogRecord) -> bool:
    """Let the stock exporter's log lines pass, but for those of our exporter: `_Losses` says it once."""
    return not getattr(_sending, "active", False)


class _Sender(SpanExporter):
    """The stock exporter, with retries that a program's end cuts short."""

    def __init__(self, target: Target, losses: _Losses, taken: Callable[[int], None]) -> None:
        self._target, self._losses, self._taken = target, losses, taken
        logging.getLogger(OTLPSpanExporter.__module__).addFilter(_not_ours)
        self.connect()

    def connect(self) -> None:
        """Start with connections of this process's own."""
        self._ending = threading.Event()
        self._deadline = float("inf")
        self._http = Http(self._target)
        self._stock = OTLPSpanExporter(
            endpoint=self._target.url,
            headers=dict(self._target.headers),
            timeout=int(REQUEST_SECONDS),
            compression=Compression.Gzip,
            session=self._http,
        )

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans, and count those that could not be sent; never raises."""
        self._taken(len(spans))
        _sending.active = True
        try:
            self._deliver(spans)
        finally:
            _sending.active = False
        if not self._ending.is_set():
            self._losses.say()
        return SpanExportResult.SUCCESS

    def end_within(self, seconds: float) -> None:
        """From now on wait for nothing but a server that answers, and for it no longer than this."""
        self._deadline = time.monotonic() + seconds
        self._ending.set()

    def shutdown(self) -> None:
        """Close the connections."""
        self._stock.shutdown()  # type: ignore[no-untyped-call]

    def _deliver(self, spans: Sequence[ReadableSpan]) -> None:
        reply = self._send(spans)
        if reply.divide and len(spans) > 1:  # one bad or huge span must not cost its neighbours
            half = len(spans) // 2
            self._deliver(spans[:half])
            self._deliver(spans[half:])
        elif not reply.taken:
            self._losses.add(len(spans), reply.reason)
        elif reply.rejected:
            self._losses.add(reply.rejected, reply.reason)

    def _send(self, spans: Sequence[ReadableSpan]) -> Reply:
        for pause in RETRY_SECONDS:
            reply = self._attempt(spans)
            if reply.retry_in is None or not self._wait(reply, max(pause, reply.retry_in)):
                return reply
        return self._attempt(spans)

    def _attempt(self, spans: Sequence[ReadableSpan]) -> Reply:
        left = self._deadline - time.monotonic()
        if left <= 0:
            return Reply("(the program ended first).")
        self._http.seconds = min(REQUEST_SECONDS, left)
        self._http.reply = None
        try:
            self._stock.export(spans)
        except Exception as error:  # noqa: BLE001 - releases differ in what they raise and what they return
            return self._http.reply or Reply(f"({root_cause(error)}).", divide=True)
        return self._http.reply or Reply("(they cannot be encoded).", divide=True)

    def _wait(self, reply: Reply, seconds: float) -> bool:
        """Wait before another attempt; False when there is no time, or no server, left to wait for."""
        if not self._ending.is_set():
            self._ending.wait(seconds)  # the end of the program cuts this short, for a last attempt
            return True
        if not reply.reached or time.monotonic() + seconds > self._deadline:
            return False
        time.sleep(seconds)
        return True


class Outbox(SpanProcessor):
    """Takes ended spans without waiting, and has them sent in batches.

    It holds at most QUEUE_SPANS spans; what ends while it is full is lost and counted. That of a forked child
    is empty.
    """

    def __init__(self, target: Target) -> None:
        self._losses = _Losses(target.url)
        self._sender = _Sender(target, self._losses, self._taken)
        self._closed = False
        self._start_count()
        if hasattr(os, "register_at_fork"):  # before the stock processor's own, which starts its thread anew
            os.register_at_fork(after_in_child=self._after_fork)
        # All is said here: OTEL_BSP_* is meant for the program's other exporters, and may hold anything.
        self._batch = BatchSpanProcessor(
            self._sender,
            max_queue_size=QUEUE_SPANS,
            schedule_delay_millis=DELAY_SECONDS * 1000,
            max_export_batch_size=BATCH_SPANS,
            export_timeout_millis=30_000,
        )

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span, or count it as lost."""
        context = span.get_span_context()
        sampled = context is not None and context.trace_flags.sampled
        if self._closed or not sampled or getattr(_sending, "active", False):
            return
        with self._lock:
            room = self._waiting < QUEUE_SPANS
            self._waiting += room
        if room:
            self._batch.on_end(span)
        else:
            self._losses.add(1, f"(more than {QUEUE_SPANS} were waiting).")

    def flush(self, seconds: float) -> bool:
        """Send what is waiting; True when all was taken in time, and none lost since the last flush."""
        helper = threading.Thread(target=self._batch.force_flush, name="agentmark-flush", daemon=True)
        try:
            helper.start()
        except RuntimeError:  # the interpreter is ending and starts no more threads
            self.shutdown()
        else:
            helper.join(max(seconds, 0))
        return not helper.is_alive() and not self._losses.since_flush()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """OpenTelemetry's name for `flush`."""
        return self.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Send what is waiting within EXIT_SECONDS, at once if no server is there, and take no more."""
        if self._closed:
            return
        self._closed = True
        self._sender.end_within(EXIT_SECONDS)
        self._batch.shutdown()  # type: ignore[no-untyped-call]
        self._losses.say()

    def _taken(self, count: int) -> None:
        with self._lock:
            self._waiting -= count

    def _start_count(self) -> None:
        self._lock = threading.RLock()  # as in _Losses
        self._waiting = 0

    def _after_fork(self) -> None:
        self._start_count()
        self._losses.restart()
        self._sender.connect()
