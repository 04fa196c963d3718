"""What is exported, read as it is asked for: a page of traces, a page of spans at a time."""

from collections.abc import Iterator
from typing import Any

from agentmark_server.api.schemas import SessionSchema
from agentmark_server.api.span_shapes import span_shape
from agentmark_server.model import ReceivedSpan, Score, Slice, Trace
from agentmark_server.queries import ScoreQuery
from agentmark_server.spans import SpanOrder, SpanQuery
from agentmark_server.store import Store

_PAGE = 100


class Source:
    """A session, and what it owns."""

    def __init__(self, store: Store, app: str, session: SessionSchema) -> None:
        self._store = store
        self._app = app
        self.session = session

    def traces(self) -> Iterator[Trace]:
        """Its traces in order of their start."""
        part: Slice | None = Slice(_PAGE)
        while part:
            page = self._store.list_session_traces(self._app, self.session.id, part)
            yield from page.items
            part = Slice(_PAGE, cursor=page.next_cursor) if page.next_cursor else None

    def spans(self, trace: Trace) -> Iterator[dict[str, Any]]:
        """The spans that it owns of a trace in order of their start, with what they hold, as the API has them."""
        query = SpanQuery((trace.id,), (self.session.id,), order=SpanOrder.START, ascending=True)
        part: Slice | None = Slice(_PAGE)
        while part:
            page = self._store.list_spans(self._app, query, part, contents=True)
            yield from map(span_shape, page.items)
            part = Slice(_PAGE, cursor=page.next_cursor) if page.next_cursor else None

    def scores(self) -> Iterator[Score]:
        """The scores of the session itself, the latest first."""
        query = ScoreQuery(resource_types=("session",), resource_ids=(self.session.id,))
        part: Slice | None = Slice(_PAGE)
        while part:
            page = self._store.list_scores(self._app, query, part)
            yield from page.items
            part = Slice(_PAGE, cursor=page.next_cursor) if page.next_cursor else None

    def received(self) -> Iterator[ReceivedSpan]:
        """All of its spans as they came, log records too."""
        for owned in self._store.read_session(self._app, self.session.id):
            yield from owned.spans
