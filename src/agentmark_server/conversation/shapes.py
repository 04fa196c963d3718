"""What a conversation comes out as: turns, their steps, and threads beside them. JSON has the same names.

Times are RFC 3339, UTC; durations are in milliseconds, costs in US dollars. What is not known is null, never 0.
"""

from typing import Any, Literal

import msgspec

from agentmark_server.model import SpanStatus

StepKind = Literal["message", "tool", "agent", "retrieval", "embedding", "guardrail", "thread", "function"]
"""`thread` is what calls beside the main thread said: a title, a check, one document of many.

`function` is a plain span that failed; other plain spans are no steps.
"""
StepRole = Literal["user", "assistant"]


class Text(msgspec.Struct, tag="text", frozen=True, omit_defaults=True, gc=False):
    """`{"type": "text", "content"}`; cut, it has `truncated` and its whole `size` in characters, as all parts."""

    content: str
    truncated: bool = False
    size: int | None = None


class Reasoning(msgspec.Struct, tag="reasoning", frozen=True, omit_defaults=True, gc=False):
    """`{"type": "reasoning", "content"}`: what the model thought before it answered."""

    content: str
    truncated: bool = False
    size: int | None = None


class Image(msgspec.Struct, tag="image", frozen=True, omit_defaults=True, gc=False):
    """`{"type": "image", "url"}` or `{"type": "image", "media_type", "data"}`; too large, neither."""

    url: str | None = None
    media_type: str | None = None
    data: str | None = None
    truncated: bool = False
    size: int | None = None


class Other(msgspec.Struct, tag="other", frozen=True, omit_defaults=True, gc=False):
    """`{"type": "other", "content"}`: any JSON; cut, it is the beginning of the JSON's text."""

    content: Any
    truncated: bool = False
    size: int | None = None


Part = Text | Reasoning | Image | Other


class Step(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing that happened: somebody said something, a tool ran, an agent was asked.

    A message's tokens and cost are those of its call; those of any other step are of all that lies below it.
    """

    kind: StepKind
    role: StepRole | None = None
    """Of a message, who said it: the model, or (`user`) the program in words that are not the turn's own."""
    span_id: str | None
    """In hex; null for what only a message tells: a tool without a span, an answer of a call without one."""
    name: str
    """Of a tool its name, else the span's."""
    agent: str | None = None
    model: str | None = None
    status: SpanStatus = "unset"
    status_message: str | None = None
    start: str | None = None
    end: str | None = None
    """Null while it runs."""
    latency_ms: float | None = None
    parts: list[Part] = []
    """What a message says, without its calls of tools: each of those is a step."""
    tool_call_id: str | None = None
    arguments: Any = None
    """What a tool was called with, a retrieval, an embedding or a guardrail was given."""
    result: Any = None
    """What a tool, a retrieval or a guardrail gave back."""
    truncated: dict[str, int] = {}
    """`arguments` and `result`, where they were cut to the start of their JSON's text: its size in characters."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None
    threads: "list[Thread]" = []
    """What was said below this step."""


class Thread(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a model was asked and answered below a step or beside the main thread. All of it is in `steps`."""

    span_id: str | None
    """Of its first call."""
    name: str
    """The agent's, else that of its first call."""
    system: list[Part] = []
    steps: list[Step]


class Turn(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One user message and all that answers it."""

    trace_id: str
    index: int
    """Which turn of its trace it is, from 0."""
    name: str
    """The trace's."""
    user: list[Part]
    """What the user said; empty where nobody said anything, as in a batch job."""
    system: list[Part]
    """The instructions, where they are not those of the turn before."""
    steps: list[Step]
    answer: list[Part]
    """What the user got; empty where a call failed, was cut off, or its content was not recorded."""
    status: SpanStatus
    """`error` where its last call, or the trace's root, failed."""
    running: bool
    """Whether a span of it has not ended."""
    start: str | None
    end: str | None
    latency_ms: float | None
    gap_ms: float | None = None
    """Since the end of what came before in the session: the time of people. Null for the first turn."""
    call_count: int
    error_count: int
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    total_cost: float | None
    unpriced_calls: int
    unmetered_calls: int
    models: list[str]


class Conversation(msgspec.Struct, frozen=True):
    """A session as people had it."""

    turns: list[Turn]
