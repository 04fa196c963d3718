"""For adapters that run prompts: whether a run is recorded, and what all of its spans carry.

Programs use `trace()` and `session()`; here is what only an adapter knows, as the prompt's name and props.
"""

from collections.abc import Iterable, Mapping

from opentelemetry.context import Context, get_current, set_value
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from agentmark_sdk import attributes as names
from agentmark_sdk._context import Block, Scope, scope_of
from agentmark_sdk._setup import recorder
from agentmark_sdk._trace import SessionBlock, is_inside_trace
from agentmark_sdk._values import content, given

__all__ = ["current_session_id", "is_inside_trace", "prompt_run", "unrecorded"]


def prompt_run(
    *,
    prompt_name: str,
    props: Mapping[str, object] | None = None,
    trace_name: str | None = None,
    session_id: object = None,
    session_name: object = None,
    user_id: object = None,
    metadata: Mapping[str, object] | None = None,
    tags: Iterable[str] | None = None,
) -> Block[None]:
    """Let all spans that start in a `with` or `async with` block carry a prompt's name and props.

    Whose run it is counts as in `session()`. `trace_name` names the trace, unless a `trace()` around it did.
    Recording starts if it has not yet.
    """
    whose = Scope.of(session_id, session_name, user_id, metadata, tags)
    own = {
        names.PROMPT_NAME: given(prompt_name),
        names.PROPS: None if props is None else content(props),
        names.TRACE_NAME: given(trace_name),
    }
    said = {key: value for key, value in own.items() if value}
    return SessionBlock(Scope({**whose.attributes, **said}, whose.tags))


def current_session_id() -> str | None:
    """The session that spans which start here are in, by `trace()`, `session()` or `prompt_run()`."""
    found = scope_of(None).attributes.get(names.SESSION_ID)
    return None if found is None else str(found)


def unrecorded() -> Block[None]:
    """Let no span that starts in a `with` or `async with` block be recorded, by whichever library.

    They are children of one that was not sampled; so are those of services that are called from here.
    """
    return _Unrecorded()


class _Unrecorded(Block[None]):
    def _begin(self) -> tuple[Context, None]:
        recorder()
        ids = RandomIdGenerator()
        trace_id, span_id = ids.generate_trace_id(), ids.generate_span_id()
        parent = SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.DEFAULT))
        context = set_span_in_context(NonRecordingSpan(parent), get_current())
        # For instrumentations that ask; a sampler of the program's own might not look at the parent.
        return set_value("suppress_instrumentation", True, context), None

    def _end(self, entered: None, error: BaseException | None) -> None:
        pass
