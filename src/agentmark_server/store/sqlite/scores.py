"""Scores: what somebody or something thinks of sessions, traces and spans."""

from typing import Final

import apsw
import msgspec

from agentmark_server.model import Page, Score, Slice
from agentmark_server.queries import ScoreQuery
from agentmark_server.store.sqlite.questions import Integer, Where, cursor_of, opened
from agentmark_server.store.sqlite.statements import Row, one

_COLUMNS: Final = "score_id, resource_type, resource_id, trace_id, name, score, label, reason, source, created_at"


def put_score(connection: apsw.Connection, app: int, score: Score) -> None:
    """Keep a score; one of the same id is replaced, but for its time."""
    one(connection, "put_score", app, *msgspec.structs.astuple(score))


def get_score(connection: apsw.Connection, app: int | None, score_id: str) -> Score | None:
    """One score, or None."""
    row = one(connection, "get_score", app, score_id)
    return Score(*row) if row else None


def delete_score(connection: apsw.Connection, app: int | None, score_id: str) -> bool:
    """Delete a score; say whether it was there."""
    return one(connection, "delete_score", app, score_id) is not None


def list_scores(connection: apsw.Connection, app: int | None, query: ScoreQuery, part: Slice) -> Page[Score]:
    """Scores that fit, in order of their time; ties by id."""
    where = _where(app, query)
    counting = f"SELECT count(*) FROM score WHERE {where}"  # noqa: S608  # texts of ours, no values
    total: int = connection.execute(counting, where.bindings).get
    beyond, direction = (">", "ASC") if query.ascending else ("<", "DESC")
    if part.cursor is not None:
        at, score_id = opened(part.cursor, tuple[Integer, str])
        where.add(f"created_at {beyond} ? OR (created_at = ? AND score_id > ?)", at, at, score_id)
    sql = f"""SELECT {_COLUMNS} FROM score WHERE {where}
        ORDER BY created_at {direction}, score_id LIMIT ? OFFSET ?"""  # noqa: S608  # texts of ours, no values
    found: list[Row] = connection.execute(sql, [*where.bindings, part.limit + 1, part.offset]).fetchall()
    scores = [Score(*row) for row in found[: part.limit]]
    more = len(found) > part.limit
    return Page(scores, total, cursor_of(scores[-1].created_at, scores[-1].id) if more else None)


def _where(app: int | None, query: ScoreQuery) -> Where:
    where = Where("app IS ?", app)
    any_of = {
        "resource_type": query.resource_types,
        "resource_id": query.resource_ids,
        "trace_id": query.trace_ids,
        "name": query.names,
        "source": query.sources,
    }
    for column, values in any_of.items():
        if values:
            where.add(f"{column} IN ({', '.join('?' * len(values))})", *values)
    bounds = {
        "score >= ?": query.least,
        "score <= ?": query.most,
        "created_at >= ?": query.since,
        "created_at <= ?": query.until,
    }
    for condition, value in bounds.items():
        if value is not None:
            where.add(condition, value)
    return where
