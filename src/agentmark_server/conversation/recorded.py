"""The spans of a trace with what they say: log records' contents with those of the spans that they belong to."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from agentmark_server.conventions.messages import History, Messages, messages
from agentmark_server.model import Role, Span, SpanView

_EXCEPTION: Final = "exception"
"""https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-spans/"""


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """A span, what it was given and answered, and what it says of its failure."""

    span: Span
    said: Messages
    status_message: str | None = None


def recorded(spans: Iterable[tuple[Span, SpanView]]) -> list[Recorded]:
    """The spans of one trace, read; log records (`Role.EVENT`) are joined to their spans, and left out.

    The facts of a span are those that grouping joined with its records' (`Grouped.joined`). A record whose span is
    not there says nothing yet. A span that is there several times is read once.
    """
    once = {span.span_id: (span, view) for span, view in spans}
    records: dict[bytes, list[SpanView]] = {}
    others: list[tuple[Span, SpanView]] = []
    for span, view in sorted(once.values(), key=lambda pair: (pair[0].start, pair[0].span_id)):
        if span.role is Role.EVENT:
            records.setdefault(span.parent_id, []).append(view)
        else:
            others.append((span, view))
    history = History()
    return [_read(span, view, records.get(span.span_id, []), history) for span, view in others]


def _read(span: Span, view: SpanView, records: list[SpanView], history: History) -> Recorded:
    events = [*view.events, *(told for record in records for told in _told(record))]
    return Recorded(
        span, messages(view.attributes, events, span_name=view.name, history=history), _status_message(view)
    )


def _told(record: SpanView) -> Iterator[tuple[str, dict[str, Any]]]:
    """A record as an event of its span: its body came as an event of its own, else its attributes say it."""
    if len(record.events):
        yield from record.events
    else:
        yield record.name, {key: record.attributes[key] for key in record.attributes}


def _status_message(view: SpanView) -> str | None:
    """What the status says, else what the exception said that was recorded last."""
    if view.status != "error":
        return None
    if view.status_message.strip():
        return view.status_message
    said = [body.get("exception.message") for name, body in view.events if name == _EXCEPTION]
    return next((str(one) for one in reversed(said) if one), None)
