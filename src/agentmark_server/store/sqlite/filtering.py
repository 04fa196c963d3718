"""Filters to SQL: what the package `agentmark_server.filters` says that a tree means, as a condition on sessions.

Nothing from outside stands in a text: it is bound. A condition is NULL where a value is absent: between AND and OR
that is as good as false, and below NOT it is made false.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, assert_never

from agentmark_server.filters import And, AnySpan, Comparison, Exists, Field, Filter, Not, Operator, Or, Value
from agentmark_server.model import RUNNING_AT_MOST, Role
from agentmark_server.packing import KINDS, ROLES, STATUSES
from agentmark_server.queries import Activity, LabelKind


class Sql(NamedTuple):
    """A condition or a value: its text, and what is bound to the marks in it."""

    text: str
    bindings: tuple[Any, ...] = ()


NUMBERS: Final = {
    "duration_ms": "wall",
    "active_ms": "active",
    "latency_ms": "latency",
    "total_cost": "total_cost",
    **{
        name: name
        for name in (
            *("trace_count", "span_count", "call_count", "error_count", "failed_trace_count", "input_tokens"),
            *("output_tokens", "cached_tokens", "reasoning_tokens", "total_tokens", "unpriced_calls"),
            *("unmetered_calls", "unaccounted_tokens"),
        )
    },
}
"""The columns of sessions that are numbers, by the names that users know them by."""
LABELS: Final = {
    "user_ids": LabelKind.USER,
    "models": LabelKind.MODEL,
    "agents": LabelKind.AGENT,
    "services": LabelKind.SERVICE,
    "environments": LabelKind.ENVIRONMENT,
    "releases": LabelKind.RELEASE,
    "tags": LabelKind.TAG,
    "metadata": LabelKind.METADATA,
}
"""What sessions have in the table of labels, by the names of fields."""

_SESSION: Final = {
    "id": "session.session_id",
    "name": "session.name",
    "start": "session.start",
    "end": 'session."end"',
    "outcome": "session.outcome",
    "input_preview": "(SELECT input FROM session_detail WHERE session_detail.session = session.id)",
    "output_preview": "(SELECT output FROM session_detail WHERE session_detail.session = session.id)",
    **{name: f"session.{column}" for name, column in NUMBERS.items()},
}


_SPAN: Final = {
    "id": "lower(hex(span.span_id))",
    "parent_id": "nullif(lower(hex(span.parent)), '')",
    "start": "span.began",
    "end": "span.ended",
    "duration_ms": "span.lasted",
    "input_tokens": "span.input_tokens",
    "output_tokens": "span.output_tokens",
    "cached_tokens": "span.cached_tokens",
    "reasoning_tokens": "span.reasoning_tokens",
    "total_tokens": """CASE WHEN span.input_tokens IS NOT NULL OR span.output_tokens IS NOT NULL
        THEN ifnull(span.input_tokens, 0) + ifnull(span.output_tokens, 0) END""",
    "cost": "span.cost",
}
_WORDS: Final[Mapping[str, Sequence[str]]] = {"kind": KINDS, "role": ROLES, "status": STATUSES}
"""The columns of spans that hold the place of a word in a list."""
_TERMS: Final = {
    "name": "span.name",
    "status_message": "span.status_message",
    "user_id": "span.user",
    "model": "span.model",
    "provider": "span.provider",
    "service_name": "span.service",
    "scope_name": "span.scope",
    "prompt_name": "span.prompt",
    "metadata": "span.metadata",
}
"""The columns of spans that hold the number of a term; of metadata that of a JSON object."""

_METADATA: Final = "text GLOB '{*'"
"""Leaves the terms that may be metadata, by the index of terms."""

_TESTS: Final = {
    Operator.EQUAL: "= ?",
    Operator.ABOVE: "> ?",
    Operator.AT_LEAST: ">= ?",
    Operator.BELOW: "< ?",
    Operator.AT_MOST: "<= ?",
}
_OPPOSITES: Final = {Operator.NOT_EQUAL: Operator.EQUAL, Operator.NOT_CONTAINS: Operator.CONTAINS}
"""These hold where there is a value, and none of the values passes the other test."""

Found = Callable[[Sql], str]
"""Runs a query of the numbers of sessions, and says as which table they can be asked for."""


def status_of(activity: Activity) -> Sql:
    """The status of a session: as `model.SessionStatus` names it."""
    return Sql(
        """CASE WHEN coalesce(abs(? - session.running_since) < ?, 0) OR coalesce(? - session."end" < ?, 0)
        THEN 'active' WHEN session.outcome IS NULL THEN 'idle' ELSE 'ended' END""",
        (activity.now, RUNNING_AT_MOST, activity.now, activity.idle),
    )


def compiled(app: int, tree: Filter, activity: Activity, found: Found) -> Sql:
    """A filter as a condition on rows of `session`. Spans are looked through at once, by `found`."""
    return _Sessions(app, activity, found).condition(tree)


def sessions_with_span(app: int, condition: Filter) -> Sql:
    """A query of the numbers of sessions that have a span for which the condition holds; some come repeatedly."""
    text, bindings = _Spans(app).condition(condition)
    events = ROLES.index(Role.EVENT)
    return Sql(f"SELECT session FROM span WHERE ({text}) AND role <> {events} AND session > 0", bindings)  # noqa: S608


class _Subject(ABC):
    """Compiles what a filter says of one kind of thing."""

    def condition(self, tree: Filter) -> Sql:
        match tree:
            case Comparison(field, operator, value):
                return self._compared(field, operator, value)
            case Exists(field):
                return self.exists(field)
            case Not(operand):
                text, bindings = self.condition(operand)
                return Sql(f"NOT coalesce(({text}), 0)", bindings)
            case And(operands):
                return self._joined(" AND ", operands)
            case Or(operands):
                return self._joined(" OR ", operands)
            case AnySpan(condition):
                return self.any_span(condition)
        assert_never(tree)

    def _joined(self, word: str, operands: Sequence[Filter]) -> Sql:
        conditions = [self.condition(operand) for operand in operands]
        text = word.join(f"({condition.text})" for condition in conditions)
        return Sql(text, tuple(value for condition in conditions for value in condition.bindings))

    def _compared(self, field: Field, operator: Operator, value: Value) -> Sql:
        if operator not in _OPPOSITES:
            return self.test(field, operator, value)
        exists, other = self.exists(field), self.test(field, _OPPOSITES[operator], value)
        text = f"({exists.text}) AND NOT coalesce(({other.text}), 0)"
        return Sql(text, exists.bindings + other.bindings)

    @abstractmethod
    def exists(self, field: Field) -> Sql:
        """Whether there is a value."""

    @abstractmethod
    def test(self, field: Field, operator: Operator, value: Value) -> Sql:
        """Whether a value passes; of several any."""

    @abstractmethod
    def any_span(self, condition: Filter) -> Sql:
        """Whether it holds for a span."""


class _Sessions(_Subject):
    """Conditions on rows of `session`."""

    def __init__(self, app: int, activity: Activity, found: Found) -> None:
        self._app = app
        self._activity = activity
        self._found = found

    def exists(self, field: Field) -> Sql:
        if field.name in LABELS:
            return self._labelled(field, Sql("1"))
        return Sql("1") if field.name == "status" else Sql(f"{_SESSION[field.name]} IS NOT NULL")

    def test(self, field: Field, operator: Operator, value: Value) -> Sql:
        if field.name in LABELS:
            return self._labelled(field, _tested(Sql("label.value"), operator, value))
        column = status_of(self._activity) if field.name == "status" else Sql(_SESSION[field.name])
        return _tested(column, operator, value)

    def _labelled(self, field: Field, value: Sql) -> Sql:
        """Labels have no index by session: those that pass are gathered first."""
        text = f"""SELECT label.session FROM session_label AS label
            WHERE label.app = ? AND label.kind = ? AND label.key = ? AND ({value.text})"""  # noqa: S608
        bindings = (self._app, int(LABELS[field.name]), field.key or "", *value.bindings)
        return Sql(f"session.id IN ({text})", bindings)

    def any_span(self, condition: Filter) -> Sql:
        return Sql(f"session.id IN {self._found(sessions_with_span(self._app, condition))}")


class _Spans(_Subject):
    """Conditions on rows of `span`. Texts are terms, so that few are compared for many spans."""

    def __init__(self, app: int) -> None:
        self._app = app

    def exists(self, field: Field) -> Sql:
        if field.name in _WORDS or field.name in {"trace_id", "session_id"}:
            return Sql("1")
        if field.key is not None:
            return self._by_term(field, Sql(f"{_METADATA} AND value_in(text, ?) IS NOT NULL", (field.key,)))
        return Sql(f"{_TERMS.get(field.name) or _SPAN[field.name]} IS NOT NULL")

    def test(self, field: Field, operator: Operator, value: Value) -> Sql:
        if field.name in _WORDS:
            return Sql(f"span.{field.name} = {_WORDS[field.name].index(str(value))}")
        if field.name == "trace_id":
            return self._by_row("span.trace", "trace", _tested(Sql("lower(hex(trace_id))"), operator, value))
        if field.name == "session_id":
            return self._by_row("span.session", "session", _tested(Sql("session_id"), operator, value))
        if field.key is not None:
            test = _tested(Sql("value_in(text, ?)", (field.key,)), operator, value)
            return self._by_term(field, Sql(f"{_METADATA} AND {test.text}", test.bindings))
        if field.name in _TERMS and operator is Operator.EQUAL:
            return Sql(f"{_TERMS[field.name]} = (SELECT id FROM term WHERE text = ?)", (value,))  # noqa: S608
        if field.name in _TERMS:
            return self._by_term(field, _tested(Sql("text"), operator, value))
        return _tested(Sql(_SPAN[field.name]), operator, value)

    def _by_term(self, field: Field, term: Sql) -> Sql:
        return Sql(f"{_TERMS[field.name]} IN (SELECT id FROM term WHERE {term.text})", term.bindings)  # noqa: S608

    def _by_row(self, column: str, table: str, row: Sql) -> Sql:
        text = f"{column} IN (SELECT id FROM {table} WHERE app = ? AND {row.text})"  # noqa: S608
        return Sql(text, (self._app, *row.bindings))

    def any_span(self, condition: Filter) -> Sql:
        raise NotImplementedError  # the grammar has no any(...) inside another


def _tested(column: Sql, operator: Operator, value: Value) -> Sql:
    if operator in _TESTS:
        return Sql(f"{column.text} {_TESTS[operator]}", (*column.bindings, value))
    folded = f"fold({column.text})"
    text = {
        Operator.CONTAINS: f"instr({folded}, ?) > 0",
        Operator.STARTS_WITH: f"instr({folded}, ?) = 1",
        Operator.ENDS_WITH: f"ends({folded}, ?)",
    }[operator]
    return Sql(text, (*column.bindings, str(value).casefold()))
