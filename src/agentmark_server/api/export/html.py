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

from agentmark_server.api.export.source import Source
from agentmark_server.api.schemas import SessionSchema, TraceSchema


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


def page(source: Source) -> Iterator[bytes]:
    """The page, in pieces."""
    session = source.session
    yield _filled("head", title=session.name or session.id, facts=_facts(_of_session(session))).encode()
    for trace in source.traces():
        shape = TraceSchema.of(trace)
        yield _filled("trace", name=shape.name, status=shape.status, facts=_facts(_of_trace(shape))).encode()
        for span in source.spans(trace):
            yield _span(span).encode()
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


def _span(span: dict[str, Any]) -> _Markup:
    facts = {
        "Span": span["id"],
        "Parent": span["parent_id"],
        "Started": span["start"],
        "Model": span["model"],
        "Input tokens": span["input_tokens"],
        "Output tokens": span["output_tokens"],
        "Cost": _money(span["cost"]),
        "Status": span["status_message"],
    }
    return _filled(
        "span",
        name=span["name"],
        kind=span["kind"],
        status=span["status"],
        duration=_milliseconds(span["duration_ms"]),
        facts=_facts(facts),
        messages=_messages(span["messages"]),
        attributes=_pretty({"attributes": span["attributes"], "events": span["events"]}),
    )


def _messages(messages: dict[str, Any]) -> _Markup:
    said = [*messages["input"], *messages["output"]]
    return _Markup("".join(_filled("message", role=one["role"], text=_text(one["parts"])) for one in said))


def _text(parts: list[dict[str, Any]]) -> str:
    return "\n".join(part["content"] if part["type"] == "text" else _pretty(part) for part in parts)


def _pretty(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _money(usd: float | None) -> str | None:
    return None if usd is None else f"${usd:.6f}"


def _milliseconds(duration: float | None) -> str | None:
    return None if duration is None else f"{duration:,.0f} ms"
