"""A session as one page that needs no other file and no network, and in which nothing runs.

Whatever the session holds goes into the page as text, escaped. For now it shows traces and spans in order, with
what each was given and answered.
"""

import re
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from string import Template
from typing import Any, Final

import msgspec

from agentmark_server.api.export.spans import Contents, contents_of, duration_ms, encoded, time_of
from agentmark_server.api.schemas import SessionSchema, TraceSchema
from agentmark_server.conventions.messages import Message, Text
from agentmark_server.model import ReceivedSpan
from agentmark_server.store import OwnedSpans


def _load() -> dict[str, Template]:
    source = (files(__package__) / "session.html").read_text(encoding="utf-8")
    blocks = re.split(r"^<!-- name: (\w+) -->\n", source, flags=re.MULTILINE)[1:]
    return {name: Template(body) for name, body in zip(blocks[::2], blocks[1::2], strict=True)}


_BLOCKS: Final = _load()


class _Markup(str):
    """Text that is markup already: all else is escaped."""

    __slots__ = ()


def _filled(block: str, **values: object) -> _Markup:
    """A block of the template with values in it, each escaped unless a block itself."""
    shown = {
        name: value if isinstance(value, _Markup) else escape(_visible(value)) for name, value in values.items()
    }
    return _Markup(_BLOCKS[block].substitute(shown))


def _visible(value: object) -> str:
    """Text without what HTML cannot hold."""
    text = "" if value is None else str(value)
    return "".join(c if c in "\n\t" or c.isprintable() or ord(c) > 0x9F else "\ufffd" for c in text)  # noqa: PLR2004


def page(session: SessionSchema, traces: Iterator[OwnedSpans]) -> Iterator[bytes]:
    """The page, in pieces."""
    yield _filled("head", title=session.name or session.id, facts=_facts(_of_session(session))).encode()
    for owned in traces:
        trace = TraceSchema.of(owned.trace)
        yield _filled("trace", name=trace.name, status=trace.status, facts=_facts(_of_trace(trace))).encode()
        for received in sorted(owned.spans, key=lambda one: (one.span.start, one.span.span_id)):
            yield _span(received).encode()
        yield _filled("trace_end").encode()
    yield _filled("foot").encode()


def _facts(facts: dict[str, Any]) -> _Markup:
    shown = {label: value for label, value in facts.items() if value not in (None, "", [])}
    return _Markup("".join(_filled("fact", label=label, value=value) for label, value in shown.items()))


def _of_session(session: SessionSchema) -> dict[str, Any]:
    return {
        "Session": session.id,
        "Users": ", ".join(session.user_ids),
        "Started": session.start,
        "Ended": session.end,
        "Traces": session.trace_count,
        "Spans": session.span_count,
        "Errors": session.error_count or None,
        "Tokens": session.total_tokens,
        "Cost": _money(session.total_cost),
        "Models": ", ".join(session.models),
        "Tags": ", ".join(session.tags),
        "Metadata": ", ".join(f"{key}={value}" for key, value in session.metadata.items()),
    }


def _of_trace(trace: TraceSchema) -> dict[str, Any]:
    return {
        "Trace": trace.id,
        "Started": trace.start,
        "Duration": _milliseconds(trace.duration_ms),
        "Tokens": trace.total_tokens,
        "Cost": _money(trace.total_cost),
    }


def _span(received: ReceivedSpan) -> _Markup:
    span, contents = received.span, contents_of(received)
    facts = {
        "Span": span.span_id.hex(),
        "Parent": span.parent_id.hex(),
        "Started": time_of(span.start),
        "Model": span.model,
        "Input tokens": span.usage.input_tokens,
        "Output tokens": span.usage.output_tokens,
        "Status": contents.status_message,
    }
    return _filled(
        "span",
        name=span.name,
        kind=span.kind,
        status=span.status,
        duration=_milliseconds(duration_ms(span)),
        facts=_facts(facts),
        messages=_messages(contents),
        attributes=_attributes(contents),
    )


def _messages(contents: Contents) -> _Markup:
    said = [*contents.messages.input, *contents.messages.output]
    return _Markup("".join(_filled("message", role=one.role, text=_text(one)) for one in said))


def _text(message: Message) -> str:
    return "\n".join(part.content if isinstance(part, Text) else _pretty(part) for part in message.parts)


def _attributes(contents: Contents) -> str:
    return _pretty({"attributes": contents.attributes, "events": contents.events})


def _pretty(value: object) -> str:
    return msgspec.json.format(encoded(value), indent=2).decode()


def _money(usd: float | None) -> str | None:
    return None if usd is None else f"${usd:.6f}"


def _milliseconds(duration: float | None) -> str | None:
    return None if duration is None else f"{duration:,.0f} ms"
