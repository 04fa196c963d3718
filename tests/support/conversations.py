"""Conversations for tests: made by hand from spans, and of recorded programs."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agentmark_server import decoding, grouping, otlp
from agentmark_server.conventions.messages import Message, Messages, Part, Text, ToolCall, ToolResult
from agentmark_server.conversation import Conversation, Recorded, Step, Turn, chained, recorded, turns
from agentmark_server.conversation import Part as Shown
from agentmark_server.model import Kind, ReceivedSpan, Role, Span, SpanStatus, SpanView, Usage
from support import spans
from support.spans import MS, START

LIMIT = 1 << 26


# By hand.


def system(text: str) -> Message:
    return Message("system", [Text(text)])


def user(*said: str | Part) -> Message:
    return Message("user", [Text(part) if isinstance(part, str) else part for part in said])


def assistant(*said: str | Part) -> Message:
    return Message("assistant", [Text(part) if isinstance(part, str) else part for part in said])


def asks(name: str, arguments: Any = None, identity: str | None = None) -> ToolCall:
    return ToolCall(identity, name, arguments)


def gives(content: Any, identity: str | None = None, name: str | None = None) -> Message:
    return Message("tool", [ToolResult(identity, name, content)])


def span(
    name: str,
    parent: str | None = None,
    *,
    at: tuple[float, float | None] = (0, 100),
    given: Sequence[Message] = (),
    answer: Sequence[Message] = (),
    tokens: tuple[int | None, int | None] = (None, None),
    cost: int | None = None,
    status: SpanStatus = "unset",
    status_message: str | None = None,
    trace: str = "trace",
    number: int = 1,
    **facts: Any,
) -> Recorded:
    """A plain span; `at` is its start and end in ms, without an end it runs. `cost` is in 1e-12 USD.

    Spans of one name have different ids where their `number` differs; a child's parent is the first.
    """
    start, end = at
    return Recorded(
        Span(
            trace_id=spans.trace_id(trace),
            span_id=spans.span_id(f"{trace}/{name}" + f"/{number}" * (number > 1)),
            parent_id=spans.span_id(f"{trace}/{parent}") if parent else b"",
            name=name,
            start=START + int(start * MS),
            end=0 if end is None else START + int(end * MS),
            status=status,
            usage=Usage(*tokens, cost=cost),
            **facts,
        ),
        Messages(list(given), list(answer)),
        status_message,
    )


def call(name: str, parent: str | None = None, **options: Any) -> Recorded:
    """A request to a model."""
    return span(name, parent, **({"kind": Kind.LLM, "role": Role.CALL, "tokens": (10, 5), "model": "m"} | options))


def agent(name: str, parent: str | None = None, **options: Any) -> Recorded:
    return span(name, parent, **({"kind": Kind.AGENT, "role": Role.ROLL_UP, "agent": name} | options))


def tool(
    name: str,
    parent: str | None = None,
    *,
    identity: str | None = None,
    arguments: Any = None,
    result: Any = None,
    **options: Any,
) -> Recorded:
    """A span of a tool; of its name what stands before a `#` is the tool's."""
    tool_name = name.split("#", maxsplit=1)[0]
    answer = [] if result is None else [gives(result, identity, tool_name)]
    given = [assistant(asks(tool_name, arguments, identity))]
    return span(name, parent, **({"kind": Kind.TOOL, "given": given, "answer": answer} | options))


def turns_of(*of_trace: Recorded, **options: Any) -> list[Turn]:
    """The turns of one trace."""
    return turns(of_trace, grouping.group([one.span for one in of_trace]).counted, **options)


def conversation(*of_session: Recorded) -> Conversation:
    """The conversation of the spans of any number of traces."""
    traces = defaultdict(list)
    for one in of_session:
        traces[one.span.trace_id].append(one)
    return chained(turns_of(*trace) for trace in traces.values())


def words(parts: Iterable[Shown]) -> str:
    """What parts say, on one line."""
    return " / ".join(str(getattr(part, "content", None) or getattr(part, "url", "")) for part in parts)


def outline(steps: Iterable[Step]) -> list[Any]:
    """Steps at a glance: `user: ...`, `assistant: ...`, `tool NAME(ARGUMENTS) -> RESULT`; threads as lists."""
    found: list[Any] = []
    for step in steps:
        if step.kind == "message":
            found.append(f"{step.role}: {words(step.parts)}".strip())
        elif step.kind == "thread":
            found.append("thread")
        else:
            given = "" if step.arguments is None else step.arguments
            found.append(f"{step.kind} {step.name}({given})" + (f" -> {step.result}" if step.result else ""))
        found += [outline(thread.steps) for thread in step.threads]
    return found


def dialogue(of: Iterable[Turn]) -> list[tuple[str, str]]:
    """What the user said and got, turn by turn."""
    return [(words(turn.user), words(turn.answer)) for turn in of]


# Of recorded programs.


def decoded(file: Mapping[str, Any]) -> list[list[ReceivedSpan]]:
    """The spans of a recorded program by trace: of each the version that ends last."""
    reader = decoding.SpanReader()
    latest: dict[tuple[bytes, bytes], ReceivedSpan] = {}
    for signal, key in ((decoding.TRACES, "requests"), (decoding.LOGS, "logs")):
        for request in file.get(key, []):
            body = decoding.Body(json.dumps(request).encode(), decoding.JSON)
            for one in decoding.read(body, LIMIT, reader, signal)[0]:
                before = latest.get((one.span.trace_id, one.span.span_id))
                if before is None or before.span.end <= one.span.end:
                    latest[one.span.trace_id, one.span.span_id] = one
    traces = defaultdict(list)
    for one in latest.values():
        traces[one.span.trace_id].append(one)
    return list(traces.values())


def owners(traces: Iterable[Sequence[ReceivedSpan]]) -> set[str | None]:
    """The sessions that own a span; None where spans have none."""
    return {owner for trace in traces for owner in grouping.group([one.span for one in trace]).owners.values()}


def session(traces: Iterable[Sequence[ReceivedSpan]], session_id: str | None) -> Conversation:
    """The conversation of the spans that a session owns, or that none does."""
    return chained(_turns_owned(trace, session_id) for trace in traces)


def _turns_owned(trace: Sequence[ReceivedSpan], session_id: str | None) -> list[Turn]:
    grouped = grouping.group([one.span for one in trace])
    owned = [one for one in trace if grouped.owners.get(one.span.span_id) == session_id]
    read = recorded((grouped.joined.get(one.span.span_id, one.span), _view(one)) for one in owned)
    return turns(read, grouped.counted)


def _view(received: ReceivedSpan) -> SpanView:
    view = otlp.view(otlp.RawSpan(received.origin, received.raw))
    assert isinstance(view, SpanView)
    return view
