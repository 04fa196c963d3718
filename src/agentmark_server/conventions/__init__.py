"""Attributes of any ecosystem to the model: tables of rules, one dialect a file, and one walk over them.

Programs write the same few sets of keys again and again, so what is to be read of a set of keys is planned once
(`_plan`) and followed for every span that has it.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from agentmark_server.conventions import agentmark, genai, general, openinference, previews, vendors
from agentmark_server.conventions.rules import (
    CONTEXT,
    FRAMEWORK_KEY,
    KEY,
    METADATA,
    SPREAD,
    Prefixes,
    Rule,
    Table,
    text,
)
from agentmark_server.model import (
    LOG_EVENT,
    Attributes,
    Context,
    Kind,
    Resource,
    Role,
    SessionKey,
    Span,
    SpanView,
    Usage,
    Value,
)

_SPAN: Final[Table] = {**general.SPAN, **genai.SPAN, **openinference.SPAN, **vendors.SPAN, **agentmark.SPAN}
_PREFIXES: Final[Prefixes] = {**vendors.PREFIXES, **agentmark.PREFIXES}
_STARTS: Final = tuple(_PREFIXES)
_RESOURCES: Final[Table] = {**general.RESOURCES, **vendors.RESOURCES}

_INDEXED: Final = (
    ("input", "user", "llm.input_messages.", ".message.role", ".message.content"),
    ("output", "assistant", "llm.output_messages.", ".message.role", ".message.content"),
    ("input", "user", "gen_ai.prompt.", ".role", ".content"),
    ("output", "assistant", "gen_ai.completion.", ".role", ".content"),
)
"""Messages of which each has attributes of its own, with a number in their names."""
_PLANNED_KEYS: Final = 256
"""A span with more keys is read all the same, but its plan is not remembered."""

_PENDING: Final = "logfire.span_type"
_PENDING_PARENT: Final = "logfire.pending_parent_id"

Fields = dict[str, Any]


class _Plan(msgspec.Struct, frozen=True, eq=False):
    """What to read of a span with certain keys. One plan equals itself alone: it stands for its keys."""

    keys: tuple[str, ...]
    """Of what the span itself says: for each field the best key."""
    rules: tuple[Rule, ...]
    others: tuple[tuple[str, Rule], ...]
    """Keys to ask where the best says nothing; the better first."""
    context_keys: tuple[str, ...]
    """Of its surroundings; the best first, with metadata of single attributes at the end."""
    context_rules: tuple[Rule, ...]
    metadata_names: tuple[str, ...]
    indexed: tuple[tuple[str, str, tuple[str, ...]], ...]
    """Fields that the messages of single attributes fill: the field, the role, and by turns the keys of role and
    content, the newest first."""


def normalise(view: SpanView) -> Span:
    """What a span says, in the model's words. It depends on the span alone."""
    attributes = view.attributes
    if _PENDING in attributes and attributes[_PENDING] == "pending_span" and view.parent_id:
        view = _announced(view)
    plan = _planned(tuple(attributes), view.scope_name)
    found = _read(plan, attributes)
    if view.events and not ("input" in found and "output" in found):
        found = previews.of_events(view.events) | found
    kind, role = found.get("kind") or _guessed(found)
    if LOG_EVENT in attributes:
        role = Role.EVENT
    return Span(
        trace_id=view.trace_id,
        span_id=view.span_id,
        parent_id=view.parent_id,
        name=view.name,
        start=view.start,
        end=view.end,
        status=view.status,
        kind=kind,
        role=role,
        usage=_usage(found),
        provider=found.get("provider"),
        model=found.get("model"),
        response_id=found.get("response_id"),
        agent=found.get("agent"),
        trace_name=found.get("trace_name"),
        input=found.get("input"),
        output=found.get("output"),
        context=_context(plan, view),
    )


def _announced(view: SpanView) -> SpanView:
    """The span that a pending span of Logfire announces, as still running: its parent is that span.

    Logfire sends a span that starts at once, as a child of itself without a duration.
    """
    try:
        parent = bytes.fromhex(str(view.attributes[_PENDING_PARENT]))
    except (KeyError, ValueError):
        parent = b""
    known = len(parent) == len(view.span_id) and any(parent)
    return msgspec.structs.replace(view, span_id=view.parent_id, parent_id=parent if known else b"", end=0)


def _planned(keys: tuple[str, ...], scope: str) -> _Plan:
    return _remembered_plan(keys, scope) if len(keys) <= _PLANNED_KEYS else _plan(keys, scope)


def _plan(keys: tuple[str, ...], scope: str) -> _Plan:
    by_framework = scope.startswith(general.SESSION_BY_FRAMEWORK)
    known = [(key, _rule(key, by_framework)) for key in keys if key in _SPAN]
    known.sort(key=lambda pair: (pair[1].rank, pair[0]))
    own = [(key, rule) for key, rule in known if rule.field not in CONTEXT]
    best = {rule.field: key for key, rule in reversed(own) if rule.field != SPREAD}
    context = [(key, rule) for key, rule in known if rule.field in CONTEXT]
    metadata = sorted(_metadata_names(keys))
    return _Plan(
        keys=tuple(best.values()),
        rules=tuple(_rule(key, by_framework) for key in best.values()),
        others=tuple((key, rule) for key, rule in own if best.get(rule.field) != key),
        context_keys=tuple([key for key, _ in context] + [key for key, _ in metadata]),
        context_rules=tuple(rule for _, rule in context),
        metadata_names=tuple(name for _, name in metadata),
        indexed=tuple(_indexed(frozenset(keys))),
    )


_remembered_plan = lru_cache(maxsize=2048)(_plan)


def _rule(key: str, by_framework: bool) -> Rule:
    """The rule of a key, which means less where a framework's scope sets it."""
    rule = _SPAN[key]
    return Rule(FRAMEWORK_KEY, rule.read, rule.rank) if by_framework and key == "session.id" else rule


def _metadata_names(keys: Sequence[str]) -> Iterator[tuple[str, str]]:
    for key in keys:
        if key.startswith(_STARTS) and key not in _SPAN:
            prefix = next(start for start in _STARTS if key.startswith(start))
            yield key, key.removeprefix(prefix)


def _indexed(keys: frozenset[str]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """The messages of single attributes among `keys`."""
    for field, role, prefix, role_end, content_end in _INDEXED:
        numbers = {
            int(number)
            for key in keys
            if key.startswith(prefix) and (number := key.removeprefix(prefix).split(".")[0]).isdecimal()
        }
        pairs = [(f"{prefix}{n}{role_end}", f"{prefix}{n}{content_end}") for n in sorted(numbers, reverse=True)]
        present = tuple(key for pair in pairs if keys.issuperset(pair) for key in pair)
        if present:
            yield field, role, present


def _read(plan: _Plan, attributes: Attributes) -> Fields:
    """The value of every field of the span itself, by the best attribute that says anything."""
    found: Fields = {}
    for rule, value in zip(plan.rules, attributes.values_of(plan.keys), strict=True):
        said = rule.read(value)
        if said is not None:
            found[rule.field] = said
    for key, rule in plan.others:
        if rule.field not in found:
            said = rule.read(attributes[key])
            if said is not None:
                found = said | found if rule.field == SPREAD else found | {rule.field: said}
    for field, role, keys in plan.indexed:
        if field not in found:
            values = attributes.values_of(keys)
            said = previews.newest_of_indexed(role, zip(values[::2], values[1::2], strict=True))
            if said:
                found[field] = said
    return found


def _guessed(found: Fields) -> tuple[Kind, Role]:
    """What a span that does not say its kind is: something with a model and tokens has to do with a model."""
    if "model" in found and ("input_tokens" in found or "output_tokens" in found):
        return Kind.LLM, Role.UNKNOWN
    return Kind.FUNCTION, Role.UNKNOWN


def _usage(found: Fields) -> Usage:
    cost = found.get("cost")
    if cost is None and ("input_cost" in found or "output_cost" in found):
        cost = found.get("input_cost", 0) + found.get("output_cost", 0)
    return Usage(
        found.get("input_tokens"),
        found.get("output_tokens"),
        found.get("cached_tokens"),
        found.get("cache_write_tokens"),
        found.get("reasoning_tokens"),
        cost,
        cost is not None,
    )


def _context(plan: _Plan, view: SpanView) -> Context:
    values = view.attributes.values_of(plan.context_keys)
    try:
        return _remembered_context(plan, values, view.resource, view.scope_name)
    except TypeError:  # a list among the values, which cannot be remembered by
        return _read_context(plan, values, view.resource, view.scope_name)


def _read_context(plan: _Plan, values: tuple[Value, ...], resource: Resource, scope: str) -> Context:
    """The surroundings that values of `plan.context_keys` tell of."""
    found = dict(_read_resource(resource))
    keys = [found[FRAMEWORK_KEY]] if FRAMEWORK_KEY in found else []
    metadata: dict[str, Value] = {}
    own: Fields = {}
    said = list(zip(plan.context_keys, plan.context_rules, values, strict=False))
    for key, rule, value in said:
        if rule.field == METADATA:
            metadata = rule.read(value) or {}
            said += _said_in_metadata(metadata)
        else:
            _add(own, keys, key, rule, value)
    single = dict(zip(plan.metadata_names, values[len(plan.context_rules) :], strict=True))
    found |= own
    return Context(
        keys=tuple(sorted(keys)),
        session_name=found.get("session_name"),
        user_id=found.get("user_id"),
        tags=found.get("tags", ()),
        metadata=_texts(metadata | single),
        service=found.get("service"),
        environment=found.get("environment"),
        release=found.get("release"),
        scope=scope,
    )


_remembered_context = lru_cache(maxsize=8192)(_read_context)


def _said_in_metadata(metadata: Mapping[str, Value]) -> list[tuple[str, Rule, Value]]:
    rules = openinference.IN_METADATA
    return [(f"metadata.{name}", rules[name], value) for name, value in metadata.items() if name in rules]


def _add(found: Fields, keys: list[SessionKey], key: str, rule: Rule, value: Value) -> None:
    said = rule.read(value)
    if said is None:
        return
    if rule.field in {KEY, FRAMEWORK_KEY}:
        keys.append(SessionKey(rule.rank, said, key, application=rule.field == KEY))
    else:
        found.setdefault(rule.field, said)


def _texts(metadata: Mapping[str, Value]) -> tuple[tuple[str, str], ...]:
    said = ((str(name), text(value)) for name, value in metadata.items())
    return tuple(sorted((name, value) for name, value in said if value is not None))


@lru_cache(maxsize=256)
def _read_resource(resource: Resource) -> Fields:
    found: Fields = {}
    known = sorted((_RESOURCES[key].rank, key) for key in resource.attributes if key in _RESOURCES)
    for rank, key in known:
        rule = _RESOURCES[key]
        value = rule.read(resource.attributes[key])
        if value is not None and rule.field not in found:
            is_key = rule.field == FRAMEWORK_KEY
            found[rule.field] = SessionKey(rank, value, key, application=False) if is_key else value
    return found
