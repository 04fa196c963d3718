"""`trace()` and `session()`: what a program says of its own work."""

import asyncio
import traceback
from collections.abc import Iterable, Mapping

from opentelemetry import trace as otel
from opentelemetry.context import Context, create_key, get_current, get_value, set_value
from opentelemetry.trace import Span, Status, StatusCode, format_span_id, format_trace_id, get_current_span

from agentmark_sdk import attributes as names
from agentmark_sdk._context import Block, Scope, within
from agentmark_sdk._setup import recorder
from agentmark_sdk._values import Attribute, attribute, content, given, text

_NAMED_TRACE = create_key("agentmark-named-trace")


def is_inside_trace() -> bool:
    """Whether this runs inside a `trace()`."""
    return get_value(_NAMED_TRACE) is not None


class TraceContext:
    """The span that a `trace()` or `ctx.span()` block records. No method of it raises."""

    def __init__(self, span: Span, context: Context) -> None:
        self._span = span
        self._context = context

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits; all zero while recording is off."""
        return format_trace_id(self._span.get_span_context().trace_id)

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits; all zero while recording is off."""
        return format_span_id(self._span.get_span_context().span_id)

    def set_attribute(self, key: str, value: object) -> None:
        """Set one attribute; None is left out, a value that no attribute can hold becomes JSON text."""
        self._set(key, None if value is None else attribute(value))

    def set_input(self, value: object) -> None:
        """Say what the work began with: text as it is, anything else as JSON text."""
        self._set(names.INPUT, content(value))

    def set_output(self, value: object) -> None:
        """Say what came out of the work: text as it is, anything else as JSON text."""
        self._set(names.OUTPUT, content(value))

    def add_event(self, name: str, attributes: Mapping[str, object] | None = None) -> None:
        """Note that something happened now."""
        self._span.add_event(given(name) or "event", _attributes(attributes))

    def span(self, name: str, *, attributes: Mapping[str, object] | None = None) -> Block["TraceContext"]:
        """Record a part of this work: a block like `trace()`'s, for a child span.

        The child is below the innermost open span of this trace; in a thread that knows nothing of the trace,
        below this span.
        """
        return _SpanBlock(name, own=_attributes(attributes), parent=self)

    def _set(self, key: str, value: Attribute | None) -> None:
        if value is not None:
            self._span.set_attribute(text(key), value)

    def _child_context(self) -> Context:
        here = get_current_span().get_span_context().trace_id == self._span.get_span_context().trace_id
        return get_current() if here else self._context


def trace(
    name: str,
    *,
    session_id: object = None,
    session_name: object = None,
    user_id: object = None,
    metadata: Mapping[str, object] | None = None,
    tags: Iterable[str] | None = None,
    prompt_name: object = None,
) -> Block[TraceContext]:
    """Record one piece of work, in a `with` or `async with` block that gives a `TraceContext`.

    Every span that starts inside, by any library, carries the session, user, metadata and tags. Inside
    another span this is its child, with what it does not say taken from the `trace()` or `session()` around
    it; else it begins a new trace. None and empty values count as not given, and ids need not be text. An
    exception is recorded and goes on unchanged; a cancellation is noted, and is no error.
    """
    scope = Scope.of(session_id, session_name, user_id, metadata, tags)
    prompt = given(prompt_name)
    own: dict[str, Attribute] = {names.PROMPT_NAME: prompt} if prompt else {}
    return _SpanBlock(name, own=own, scope=scope)


def session(
    *,
    session_id: object = None,
    session_name: object = None,
    user_id: object = None,
    tags: Iterable[str] | None = None,
    metadata: Mapping[str, object] | None = None,
) -> Block[None]:
    """Say whose work is done in a `with` or `async with` block, without recording a span.

    Blocks nest; what the inner one gives wins, metadata and tags add up. Another session id does not inherit
    the outer session's name.
    """
    return SessionBlock(Scope.of(session_id, session_name, user_id, metadata, tags))


class SessionBlock(Block[None]):
    """A block in which all spans carry a scope."""

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        self._scope = scope

    def _begin(self) -> tuple[Context, None]:
        recorder()
        return within(self._scope), None

    def _end(self, entered: None, error: BaseException | None) -> None:
        pass


class _SpanBlock(Block[TraceContext]):
    """Opens a span: of `trace()`, with a scope, or of `ctx.span()`, with a parent."""

    def __init__(
        self,
        name: str,
        *,
        own: Mapping[str, Attribute],
        scope: Scope | None = None,
        parent: TraceContext | None = None,
    ) -> None:
        super().__init__()
        self._name = given(name) or "trace"
        self._own, self._scope, self._parent = own, scope, parent

    def _begin(self) -> tuple[Context, TraceContext]:
        tracer = recorder().tracer
        context = self._parent._child_context() if self._parent else get_current()  # noqa: SLF001 - same module
        if self._scope:
            context = within(self._scope, context)
        span = tracer.start_span(self._name, context, attributes=self._own)
        context = otel.set_span_in_context(span, context)
        if self._scope:
            context = self._name_trace(span, context)
        return context, TraceContext(span, context)

    def _name_trace(self, span: Span, context: Context) -> Context:
        """Give the whole trace this block's name, unless a `trace()` further out did."""
        trace_id = span.get_span_context().trace_id
        if get_value(_NAMED_TRACE, context) == trace_id:
            return context
        span.set_attribute(names.TRACE_NAME, self._name)
        return set_value(_NAMED_TRACE, trace_id, context)

    def _end(self, entered: TraceContext, error: BaseException | None) -> None:
        span = entered._span  # noqa: SLF001 - same module
        try:
            if error is not None:
                _note(span, error)
        finally:
            span.end()


def _attributes(given_ones: Mapping[str, object] | None) -> dict[str, Attribute]:
    return {text(key): attribute(value) for key, value in (given_ones or {}).items() if value is not None}


def _note(span: Span, error: BaseException) -> None:
    """Record what left a block by exception.

    A generator that is closed and an exit with code 0 are ordinary ends. A cancelled task or an interrupt is
    how others end work that they no longer want, so it is an event and not a failure. All else is an error.
    """
    if isinstance(error, GeneratorExit) or (isinstance(error, SystemExit) and not error.code):
        return
    span.add_event("exception", _described(error))
    if not isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
        message = text(error)
        kind = type(error).__name__
        span.set_status(Status(StatusCode.ERROR, f"{kind}: {message}" if message else kind))


def _described(error: BaseException) -> dict[str, str]:
    """Describe an exception in OpenTelemetry's words; the SDK's own way breaks on a `__str__` that raises."""
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    try:
        stack = text("".join(traceback.format_exception(error)))
    except Exception:  # noqa: BLE001 - formatting runs code of the exception's
        stack = ""
    return {
        "exception.type": module + kind.__qualname__,
        "exception.message": text(error),
        "exception.stacktrace": stack,
        "exception.escaped": "True",
    }
