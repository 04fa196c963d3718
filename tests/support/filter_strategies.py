"""Random filters about given sessions and spans, which often find some of them and seldom all."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from hypothesis import strategies as st

from agentmark_server.filters import (
    METADATA,
    SESSION,
    SPAN,
    And,
    AnySpan,
    Comparison,
    Exists,
    Field,
    Filter,
    Not,
    Operator,
    Or,
    Subject,
    Type,
    Value,
)
from support.filter_oracle import Fields, values_of

_LONGEST: Final = 40
"""Characters of a text to compare with: a filter has a limit."""
_INT64: Final = 2**63
_YEAR_2000: Final = 946_684_800 * 10**9
_KEYS: Final = ["", "env", 'any "key"', "größe"]
"""Keys of metadata, whoever has them."""
_TEXT: Final = st.text(max_size=5)


def filters(
    sessions: Sequence[Fields] = (),
    spans: Sequence[Fields] = (),
    *,
    session_fields: Collection[str] = (*SESSION.fields, METADATA.name),
    span_fields: Collection[str] = (*SPAN.fields, METADATA.name),
) -> st.SearchStrategy[Filter]:
    """Trees whose values are those of the sessions and spans, or near them, or any.

    Sessions and spans are dicts as `support.filter_oracle` takes them, and may lack fields. Only the named fields
    are asked for, spans not at all where `span_fields` is empty.
    """
    leaves = _leaves(SESSION, session_fields, sessions)
    if not span_fields:
        return _trees(leaves, 6)
    any_span = st.builds(AnySpan, _trees(_leaves(SPAN, span_fields, spans), 3))
    return _trees(_one_of([leaves, leaves, any_span]), 6)


def _trees(leaves: st.SearchStrategy[Filter], most: int) -> st.SearchStrategy[Filter]:
    return st.recursive(leaves, _joined, max_leaves=most)


def _joined(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.builds(Not, inner) | st.builds(And, several) | st.builds(Or, several)


def _leaves(subject: Subject, names: Collection[str], things: Sequence[Fields]) -> st.SearchStrategy[Filter]:
    fields = [subject.fields[name] for name in names if name != METADATA.name]
    if METADATA.name in names:
        keys = {key for thing in things for key in thing.get(METADATA.name, {})}
        fields += [Field(METADATA.name, METADATA.type, key=key) for key in [*sorted(keys), *_KEYS]]
    return _one_of([_about(field, things) for field in fields])


def _one_of(strategies: Sequence[st.SearchStrategy[Filter]]) -> st.SearchStrategy[Filter]:
    """Each as likely as the others: `st.one_of` flattens what it is given, and one among many fields is seldom."""
    return st.integers(0, len(strategies) - 1).flatmap(lambda place: strategies[place])


def _about(field: Field, things: Sequence[Fields]) -> st.SearchStrategy[Filter]:
    operators = st.sampled_from([each for each in Operator if each in field.type.operators])
    comparison = st.builds(Comparison, st.just(field), operators, _values(field, things))
    return _one_of([*[comparison] * 5, st.just(Exists(field))])


def _values(field: Field, things: Sequence[Fields]) -> st.SearchStrategy[Value]:
    known = [value for thing in things for value in _held(field, thing)]
    if field.type is Type.WORD:
        return st.sampled_from(field.words)
    if field.type in {Type.TEXT, Type.TEXTS}:
        return _known_or(known, _TEXT).flatmap(_near_text)
    if field.type is Type.TIME:
        times = st.integers(-_INT64, _INT64 - 1) | st.integers(_YEAR_2000, 2 * _YEAR_2000)
        return _near(known, times)
    return _near(known, st.integers(-2, 2000) | st.floats(allow_nan=False, allow_infinity=False))


def _held(field: Field, thing: Fields) -> list[Any]:
    return values_of(field, thing) if field.name in thing else []


def _known_or(known: Sequence[Any], anyhow: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from(known) | anyhow if known else anyhow


def _near(known: Sequence[Any], anyhow: st.SearchStrategy[Any]) -> st.SearchStrategy[Value]:
    """A value that things have, the one below or above it, or any."""
    return st.builds(lambda value, by: _number(value + by), _known_or(known, anyhow), st.sampled_from([0, 1, -1]))


def _number(value: Any) -> int | float:
    """As the tree holds it: an int where it is one, and fits."""
    return int(value) if -_INT64 <= value < _INT64 and value == int(value) else float(value)


_CASES: Final[list[Callable[[str], str]]] = [str, str.swapcase, str.upper, str.casefold]


def _near_text(text: str) -> st.SearchStrategy[str]:
    """A text, or a part of it, as it is or in another case."""
    ends = st.integers(0, len(text))
    part = st.builds(lambda a, b: text[min(a, b) : max(a, b)], ends, ends) | st.just(text)
    return st.builds(lambda change, piece: change(piece)[:_LONGEST], st.sampled_from(_CASES), part)
