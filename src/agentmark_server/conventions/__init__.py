"""Attributes of any ecosystem to the model: tables of rules, one dialect a file, and one walk over them.

Programs write the same few sets of keys again and again, so what is to be read of a set of keys is planned once
(`_planned`) and followed for every span that has it. What many spans say alike is read once for all that say it in
the same bytes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
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
    STATUS_MESSAGE,
    Attributes,
    Context,
    Kind,
    Preview,
    Resource,
    Role,
    SessionKey,
    Shape,
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
_REMEMBERED: Final = 8192
"""Plans, labels and surroundings remembered before all are dropped: bounds memory, not correctness."""
_REMEMBERED_BYTES: Final = 4096
"""What is said in more than that is read anew each time."""

_PENDING: Final = "logfire.span_type"
_PENDING_PARENT: Final = "logfire.pending_parent_id"

Fields = dict[str, Any]


Places = tuple[int, ...]
Read = tuple[tuple[int, Rule], ...]
"""Places of attributes, and how the value at each is read."""
Pick = Callable[[Sequence[bytes]], tuple[bytes, ...]]
"""Chooses certain attributes, as they came."""


class _Labels(msgspec.Struct, frozen=True, gc=False):
    """What many spans say alike: it is read once for all that say it in the same bytes."""

    kind: tuple[Kind, Role] | None
    provider: str | None
    model: str | None
    agent: str | None
    trace_name: str | None
    prompt_name: str | None


_LABELS: Final = frozenset(_Labels.__struct_fields__)


class _Plan(msgspec.Struct, frozen=True, eq=False):
    """What to read of a span with certain keys. One plan equals itself alone: it stands for its keys."""

    labels: Read
    pick_labels: Pick
    context: tuple[tuple[int, str, Rule], ...]
    """Of its surroundings, with the key; the best first."""
    metadata: tuple[tuple[int, str], ...]
    """Metadata in attributes of their own: place and name."""
    pick_context: Pick
    own: Read
    """What the span alone says: for each field the best key first, then those to ask where it says nothing."""
    said: Read
    """The same of what was asked and answered."""
    has_input: bool
    has_output: bool
    indexed: tuple[tuple[str, str, Places], ...]
    """Fields that the messages of single attributes fill: the field, the role, and by turns the places of role and
    content, the newest first."""
    pending: int | None
    """Where a span of Logfire says that it only announces another."""
    is_event: bool


# By what was said, whatever else the spans say: so spans of different kinds share their surroundings.
_known_labels: Final[dict[tuple[bytes, ...], _Labels]] = {}
_known_contexts: Final[dict[tuple[Resource, str, tuple[bytes, ...]], Context]] = {}


def normalise(view: SpanView) -> Span:
    """What a span says, in the model's words. It depends on the span alone."""
    attributes = view.attributes
    plan = _planned(attributes.shape, view.scope_name)
    if plan.pending is not None and view.parent_id and attributes.at(plan.pending) == "pending_span":
        view = _announced(view)
    labels = _labels(plan, attributes)
    found = _read(plan.own, attributes)
    in_events = not (plan.has_input and plan.has_output) and len(view.events) > 0
    kind, role = labels.kind or _guessed(labels, found)
    return Span(
        view.trace_id,
        view.span_id,
        view.parent_id,
        view.name,
        view.start,
        view.end,
        view.status,
        kind,
        Role.EVENT if plan.is_event else role,
        _usage(found) if found else _NO_USAGE,
        labels.provider,
        labels.model,
        found.get("response_id"),
        labels.agent,
        labels.trace_name,
        plan.has_input or in_events,
        plan.has_output or in_events,
        _context(plan, view),
        view.status_message[:STATUS_MESSAGE] or None,
        labels.prompt_name,
    )


def preview(view: SpanView) -> Preview:
    """The start of what was asked and of what was answered, as far as a span tells it."""
    attributes = view.attributes
    plan = _planned(attributes.shape, view.scope_name)
    found = _read(plan.said, attributes)
    for field, role, places in plan.indexed:
        if field not in found:
            values = [attributes.at(place) for place in places]
            said = previews.newest_of_indexed(role, zip(values[::2], values[1::2], strict=True))
            if said:
                found[field] = said
    if view.events and not ("input" in found and "output" in found):
        found = previews.of_events(view.events) | found
    return found.get("input"), found.get("output")


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


@lru_cache(maxsize=2048)
def _planned(shape: Shape, scope: str) -> _Plan:
    by_framework = scope.startswith(general.SESSION_BY_FRAMEWORK)
    places = shape.places
    known = sorted((rule.rank, key, rule) for key in places if (rule := _rule(key, by_framework)))
    context = tuple((places[key], key, rule) for _, key, rule in known if rule.field in CONTEXT)
    labels = tuple((places[key], rule) for _, key, rule in known if rule.field in _LABELS)
    own = [(places[key], rule) for _, key, rule in known if rule.field not in CONTEXT | _LABELS]
    said = tuple((place, rule) for place, rule in own if rule.field in {"input", "output", SPREAD})
    indexed = tuple(_indexed(frozenset(shape.keys)))
    fields = {rule.field for _, rule in said} | {field for field, *_ in indexed}
    metadata = tuple((places[key], name) for key, name in sorted(_metadata_names(shape.keys)))
    return _Plan(
        labels=labels,
        pick_labels=_picker([place for place, _ in labels]),
        context=context,
        metadata=metadata,
        pick_context=_picker([place for place, *_ in context] + [place for place, _ in metadata]),
        own=_best_first([(place, rule) for place, rule in own if rule.field not in {"input", "output"}]),
        said=_best_first(said),
        has_input=not fields.isdisjoint({"input", SPREAD}),
        has_output=not fields.isdisjoint({"output", SPREAD}),
        indexed=tuple((field, role, tuple([places[key] for key in keys])) for field, role, keys in indexed),
        pending=places.get(_PENDING),
        is_event=LOG_EVENT in places,
    )


def _picker(places: Sequence[int]) -> Pick:
    """Chooses what stands at places; `itemgetter` gives no tuple for less than two."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda pairs: tuple([pairs[place] for place in places])


def _best_first(own: Sequence[tuple[int, Rule]]) -> Read:
    """The best key of every field before all others; one that fills several fields comes after those of one."""
    best: dict[str, tuple[int, Rule]] = {}
    for place, rule in own:
        if rule.field != SPREAD:
            best.setdefault(rule.field, (place, rule))
    first = tuple(best.values())
    return first + tuple(pair for pair in own if pair not in first)


def _rule(key: str, by_framework: bool) -> Rule | None:
    """The rule of a key, which means less where a framework's scope sets it."""
    rule = _SPAN.get(key)
    return Rule(FRAMEWORK_KEY, rule.read, rule.rank) if rule and by_framework and key == "session.id" else rule


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


def _labels(plan: _Plan, attributes: Attributes) -> _Labels:
    encoded = plan.pick_labels(attributes.pairs)
    labels = _known_labels.get(encoded)
    if labels is None:
        found: Fields = dict.fromkeys(_Labels.__struct_fields__)
        for place, rule in plan.labels:
            if found[rule.field] is None:
                found[rule.field] = rule.read(attributes.at(place))
        labels = _Labels(**found)
        _remember(_known_labels, encoded, encoded, labels)
    return labels


def _remember(remembered: dict[Any, Any], key: object, encoded: tuple[bytes, ...], said: object) -> None:
    """Keep what was read of `encoded`, unless that is long."""
    if sum(map(len, encoded)) <= _REMEMBERED_BYTES:
        if len(remembered) >= _REMEMBERED:
            remembered.clear()
        remembered[key] = said


def _read(keys: Read, attributes: Attributes) -> Fields:
    """The value of every field that `keys` fill, by the best attribute that says anything."""
    found: Fields = {}
    for place, rule in keys:
        if rule.field not in found:
            said = rule.read(attributes.at(place))
            if said is not None:
                if rule.field == SPREAD:
                    found = said | found
                else:
                    found[rule.field] = said
    return found


def _guessed(labels: _Labels, found: Fields) -> tuple[Kind, Role]:
    """What a span that does not say its kind is: something with a model and tokens has to do with a model."""
    if labels.model and ("input_tokens" in found or "output_tokens" in found):
        return Kind.LLM, Role.UNKNOWN
    return Kind.FUNCTION, Role.UNKNOWN


_NO_USAGE: Final = Usage()


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
    encoded = plan.pick_context(view.attributes.pairs)
    key = view.resource, view.scope_name, encoded
    context = _known_contexts.get(key)
    if context is None:
        context = _read_context(plan, view)
        _remember(_known_contexts, key, encoded, context)
    return context


def _read_context(plan: _Plan, view: SpanView) -> Context:
    """The surroundings that a span and its resource tell of."""
    found = dict(_read_resource(view.resource))
    keys = [found[FRAMEWORK_KEY]] if FRAMEWORK_KEY in found else []
    metadata: dict[str, Value] = {}
    own: Fields = {}
    said = [(key, rule, view.attributes.at(place)) for place, key, rule in plan.context]
    for key, rule, value in said:
        if rule.field == METADATA:
            metadata = rule.read(value) or {}
            said += _said_in_metadata(metadata)
        else:
            _add(own, keys, key, rule, value)
    single = {name: view.attributes.at(place) for place, name in plan.metadata}
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
        scope=view.scope_name,
        outcome=found.get("outcome"),
    )


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
