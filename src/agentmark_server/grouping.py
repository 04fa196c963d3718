"""The spans of one trace to what is derived from them: whose they are, and what they add up to.

Pure functions of the set of spans: neither order nor repetition matters. The rules are those of
docs/sessions.md, "Whose session a span is in" and "Counting once".
"""

from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from typing import Final

import msgspec

from agentmark_server.intervals import Intervals, union
from agentmark_server.model import EARLIEST, LATEST, Kind, Labels, Role, Said, Span, SpanStatus, Totals
from agentmark_server.moments import Moment, Tally, minute_of, moment_of

_LEVELS_BETWEEN_COPIES: Final = 64
_CALLS_BETWEEN_COPIES: Final = 16
"""How far a copy is looked for: bounds the work for traces made to be slow."""
_WORK: Final = frozenset((Kind.LLM, Kind.EMBEDDING, Kind.TOOL, Kind.RETRIEVAL))
_CLOCK_STEP: Final = 10**6
"""Some programs' clocks go in steps of a millisecond."""


class Part(msgspec.Struct, array_like=True, gc=False):
    """That share of a trace which one session owns, or no session. `name` and `status` are the trace's."""

    name: str
    status: SpanStatus
    totals: Totals
    labels: Labels
    busy: Intervals = ()
    """When calls, tools and retrievals were under way."""
    tallies: list[tuple[Moment, Tally]] = []
    """What it adds to the numbers of each moment."""
    minutes: list[int] = []
    """The minutes in which spans of it start."""


class Grouped(msgspec.Struct):
    """A trace, grouped."""

    owners: dict[bytes, str | None]
    """The session that owns each span, by span id."""
    counted: frozenset[bytes]
    """Spans whose usage counts."""
    joined: dict[bytes, Span]
    """Spans that log records say more of, with that."""
    parts: dict[str | None, Part]
    """The share of each owner."""
    failed: frozenset[bytes] = frozenset()
    """Spans that count as errors: those that failed, with none below them that did."""
    costs: dict[bytes, int] = {}
    """What counts of calls that were recorded several times, in 1e-12 USD: a copy may state the cost."""


class _Node(msgspec.Struct, gc=False, eq=False):
    """A span in its tree."""

    span: Span
    parent: "_Node | None" = None
    depth: int = 0
    nearest_key: str | None = None
    mirrored_by: "list[_Node] | None" = None
    """Copies of this call, below it, that a gateway recorded: the outermost first."""
    mirror_of: "_Node | None" = None
    counts: bool = False
    counts_below: bool = False
    """Whether a span below it counts its usage, so that its own would count it twice."""
    accounted: int = 0
    """Tokens of what counts at and below it, and of what roll-ups there state beyond that."""
    unaccounted: int = 0
    error_below: bool = False

    @property
    def failed(self) -> bool:
        """Whether it counts as an error."""
        return self.span.status == "error" and not self.error_below


Say = Callable[[bytes, "Side"], str | None]
"""What the span of an id tells of one side."""


class Side(IntEnum):
    """Which of the two texts of a `model.Preview`."""

    INPUT = 0
    OUTPUT = 1


def _silent(_: bytes, __: Side) -> None:
    """What no span tells, where nobody asks."""


def group(spans: Iterable[Span], say: Say = _silent) -> Grouped:
    """Derive one trace from all of its spans, each there once. Without a span there are no parts.

    `say` is asked for few spans: the first that tell of an input, the last that tell of an output.
    """
    in_time = sorted(spans, key=_order)
    events = [span for span in in_time if span.role is Role.EVENT]
    joined = _joined(in_time, events) if events else {}
    if events:
        in_time = [joined.get(span.span_id, span) for span in in_time if span.role is not Role.EVENT]
    if not in_time:
        return Grouped({}, frozenset(), {}, {})
    nodes = _top_down(in_time)
    _keys_downwards(nodes)
    fallback = _fallback_key(nodes)
    owners = {node.span.span_id: node.nearest_key or fallback for node in nodes}
    owners |= {event.span_id: owners.get(event.parent_id) for event in events}
    _find_mirrors(nodes)
    _count_upwards(nodes)
    name, status = _trace_name(nodes), nodes[0].span.status
    parts: dict[str | None, Part] = {}
    by_owner = _by_owner(nodes, owners)
    for owner, members in by_owner.items():
        own = in_time if len(by_owner) == 1 else [span for span in in_time if owners[span.span_id] == owner]
        labels = _labels(own, owner, _with_events(say, events) if events else say)
        totals = _totals(members, labels, failed=status == "error")
        parts[owner] = Part(name, status, totals, labels, _busy(own, labels), *_in_time(members))
    return Grouped(
        owners,
        frozenset([node.span.span_id for node in nodes if node.counts]),
        joined,
        parts,
        frozenset([node.span.span_id for node in nodes if node.failed]),
        {node.span.span_id: cost for node in nodes if node.mirrored_by and (cost := _cost(node)) is not None},
    )


def _joined(spans: Sequence[Span], events: Sequence[Span]) -> dict[bytes, Span]:
    """The spans that log records belong to, with what those tell; a record whose span has not come waits."""
    known = {span.span_id: span for span in spans if span.role is not Role.EVENT}
    joined: dict[bytes, Span] = {}
    for event in reversed(events):
        span = joined.get(event.parent_id) or known.get(event.parent_id)
        if span:
            joined[span.span_id] = _with_event(span, event)
    return joined


def _with_event(span: Span, event: Span) -> Span:
    """What a span says itself stays; the latest record that says more adds it."""
    keys = tuple(sorted({*span.context.keys, *event.context.keys}))
    context = msgspec.structs.replace(
        span.context, keys=keys, user_id=span.context.user_id or event.context.user_id
    )
    return msgspec.structs.replace(
        span,
        usage=span.usage if span.usage.stated else event.usage,
        model=span.model or event.model,
        has_input=span.has_input or event.has_input,
        has_output=span.has_output or event.has_output,
        context=context,
    )


def _with_events(say: Say, events: Sequence[Span]) -> Say:
    """What a span says itself, and what it leaves open from the latest record that says it."""
    ids: dict[bytes, list[bytes]] = {}
    for event in reversed(events):
        ids.setdefault(event.parent_id, []).append(event.span_id)

    def heard(span_id: bytes, side: Side) -> str | None:
        told = (say(id_, side) for id_ in (span_id, *ids.get(span_id, ())))
        return next((said for said in told if said), None)

    return heard


def _order(span: Span) -> tuple[int, bytes]:
    return span.start, span.span_id


def _top_down(spans: Sequence[Span]) -> list[_Node]:
    """All spans, which come in order of time, each behind its parent; the trace's root first.

    The root is the earliest span without a parent, else the earliest whose parent has not come. In a cycle of
    parents the earliest span is taken for a top.
    """
    nodes = {span.span_id: _Node(span) for span in spans}
    children: dict[bytes, list[_Node]] = {}
    tops: list[_Node] = []
    for node in nodes.values():
        parent_id = node.span.parent_id
        if parent_id in nodes and parent_id != node.span.span_id:
            children.setdefault(parent_id, []).append(node)
        else:
            # A span whose parent has not come lies at least one below the root.
            node.depth = 1 if parent_id else 0
            tops.append(node)
    tops.sort(key=lambda node: node.depth)
    ordered = list(_reached(tops, children))
    if len(ordered) < len(nodes):
        ordered += _reached_from_cycles(nodes, children, ordered)
    return ordered


def parents(spans: Iterable[Span]) -> dict[bytes, bytes | None]:
    """Of every span the one above it in the trace's tree, by span ids; None for those at the top, the root first.

    Every span stands behind the one above it, and those of one parent in order of time.
    """
    nodes = _top_down(sorted(spans, key=_order))
    return {node.span.span_id: node.parent.span.span_id if node.parent else None for node in nodes}


def _reached(tops: Iterable[_Node], children: dict[bytes, list[_Node]]) -> Iterable[_Node]:
    waiting = list(tops)
    for node in waiting:  # grows while it is walked: breadth first
        yield node
        for child in children.pop(node.span.span_id, ()):
            child.parent, child.depth = node, node.depth + 1
            waiting.append(child)


def _reached_from_cycles(
    nodes: dict[bytes, _Node], children: dict[bytes, list[_Node]], ordered: Sequence[_Node]
) -> list[_Node]:
    missing = {node.span.span_id: node for node in nodes.values()}
    for node in ordered:
        del missing[node.span.span_id]
    found: list[_Node] = []
    while missing:
        top = min(_cycle_above(next(iter(missing.values())), nodes), key=lambda node: _order(node.span))
        children[top.span.parent_id].remove(top)
        top.depth = 1
        for node in _reached([top], children):
            del missing[node.span.span_id]
            found.append(node)
    return found


def _cycle_above(node: _Node, nodes: dict[bytes, _Node]) -> list[_Node]:
    """The cycle of parents that one comes to on the way up."""
    path: dict[bytes, _Node] = {}
    while node.span.span_id not in path:
        path[node.span.span_id] = node
        node = nodes[node.span.parent_id]
    on_the_way = list(path.values())
    return on_the_way[on_the_way.index(node) :]


def _keys_downwards(nodes: Sequence[_Node]) -> None:
    """A span belongs to the nearest application key on itself or an ancestor."""
    for node in nodes:
        key = node.span.context.key(application=True)
        if key:
            node.nearest_key = key.value
        elif node.parent:
            node.nearest_key = node.parent.nearest_key


def _fallback_key(nodes: Sequence[_Node]) -> str | None:
    """The key of spans that have none above: the application's nearest the root, else the framework's."""
    if all(node.nearest_key for node in nodes):
        return None  # nobody needs it
    for application in (True, False):
        keyed = [(node, key) for node in nodes if (key := node.span.context.key(application=application))]
        if keyed:
            return min(keyed, key=lambda pair: (pair[0].depth, pair[1].rank, *_order(pair[0].span)))[1].value
    return None


def _find_mirrors(nodes: Sequence[_Node]) -> None:
    """Find the calls that were recorded twice: by a client and by a gateway, or by two instrumentations.

    A copy lies below a call, or beside it when another instrumentation wrote it, inside its time, with the same
    model, response id and tokens. Alone a response id proves nothing: some servers give the same one again and
    again. Where one of the two does not state it, a copy has nothing between itself and the call.
    """
    all_calls = [node for node in nodes if node.span.role is Role.CALL]
    beside: dict[tuple[int, object], list[_Node]] = {}
    for node in sorted(all_calls, key=_outer_first) if len(all_calls) > 1 else ():
        calls = beside.setdefault((id(node.parent), node.span.model), [])
        outer = _original_above(node) or _original_beside(node, calls)
        if outer:
            node.mirror_of = outer.mirror_of or outer
            node.mirror_of.mirrored_by = [*(node.mirror_of.mirrored_by or ()), node]
        calls.append(node)


def _outer_first(node: _Node) -> tuple[int, int, int, bytes]:
    return node.depth, node.span.start, -node.span.end, node.span.span_id


def _original_above(node: _Node) -> _Node | None:
    above, levels = node.parent, 0
    while above and levels < _LEVELS_BETWEEN_COPIES:
        if above.span.role is Role.CALL and _is_copy(node.span, above.span, near=levels == 0):
            return above
        above, levels = above.parent, levels + 1
    return None


def _original_beside(node: _Node, calls: Sequence[_Node]) -> _Node | None:
    scope = node.span.context.scope
    others = (call for call in reversed(calls[-_CALLS_BETWEEN_COPIES:]) if call.span.context.scope != scope)
    return next((call for call in others if _is_copy(node.span, call.span, near=True, beside=True)), None)


def _is_copy(inner: Span, outer: Span, *, near: bool, beside: bool = False) -> bool:
    if not _within(inner, outer) or (inner.model and outer.model and inner.model != outer.model):
        return False
    same_tokens = _tokens(inner) == _tokens(outer)
    if inner.response_id and outer.response_id:
        # Of one stream two instrumentations may count differently.
        return inner.response_id == outer.response_id and (beside or same_tokens)
    return near and same_tokens


def _tokens(span: Span) -> tuple[int | None, int | None]:
    return span.usage.input_tokens, span.usage.output_tokens


def _within(inner: Span, outer: Span) -> bool:
    return outer.start - _CLOCK_STEP <= inner.start and inner.end <= outer.end + _CLOCK_STEP


def _count_upwards(nodes: Sequence[_Node]) -> None:
    """Every call counts, and any other span with usage only when nothing below it counts."""
    for node in reversed(nodes):
        span, usage = node.span, node.span.usage
        stated = (usage.input_tokens or 0) + (usage.output_tokens or 0)
        if span.role is Role.CALL:
            node.counts = node.mirror_of is None
        else:
            node.counts = usage.stated and not node.counts_below
            if node.counts_below:
                node.unaccounted = max(0, stated - node.accounted)
        node.accounted += stated if node.counts else node.unaccounted
        parent = node.parent
        if parent:
            parent.accounted += node.accounted
            parent.counts_below |= node.counts or node.counts_below
            parent.error_below |= span.status == "error" or node.error_below


def _by_owner(nodes: Sequence[_Node], owners: dict[bytes, str | None]) -> dict[str | None, list[_Node]]:
    members: dict[str | None, list[_Node]] = {owner: [] for owner in owners.values()}
    for node in nodes:
        members[owners[node.span.span_id]].append(node)
    return {owner: owned for owner, owned in members.items() if owned}


def _trace_name(nodes: Sequence[_Node]) -> str:
    """The name that was given to the trace, nearest its root; else the root's."""
    return next((node.span.trace_name for node in nodes if node.span.trace_name), nodes[0].span.name)


def _totals(members: Sequence[_Node], labels: Labels, *, failed: bool) -> Totals:
    totals = Totals(trace_count=1, failed_trace_count=int(failed), span_count=len(members))
    if labels.start is not None and labels.end is not None:
        totals.timed_trace_count = 1
        totals.duration = max(0, labels.end - labels.start)
    for node in members:
        totals.unaccounted_tokens += node.unaccounted
        totals.error_count += node.failed
        if node.counts:
            _count(totals, node)
    return totals


def _count(totals: Totals, node: _Node) -> None:
    usage = node.span.usage
    cost = _cost(node)
    totals.call_count += 1
    totals.input_tokens += usage.input_tokens or 0
    totals.output_tokens += usage.output_tokens or 0
    totals.cached_tokens += usage.cached_tokens or 0
    totals.reasoning_tokens += usage.reasoning_tokens or 0
    if cost is not None:
        totals.priced_calls += 1
        totals.cost += cost
    elif usage.stated:
        totals.unpriced_calls += 1
    else:
        totals.unmetered_calls += 1


def _in_time(members: Sequence[_Node]) -> tuple[list[tuple[Moment, Tally]], list[int]]:
    """What happened in which moments, and in which minutes spans start; those of broken clocks are left out."""
    tallies: dict[Moment, Tally] = {}
    minutes: set[int] = set()
    for node in members:
        minute = minute_of(node.span.start)
        if minute is None:
            continue
        minutes.add(minute)
        failed = node.span.status == "error" and not node.error_below
        if node.counts or failed:
            moment = moment_of(node.span, minute)
            tally = tallies[moment] = tallies.get(moment) or Tally()
            tally.errors += failed
            if node.counts:
                tally.add_call(node.span, _cost(node))
    return list(tallies.items()), sorted(minutes)


def _cost(node: _Node) -> int | None:
    """The first cost that the call or a copy of it states, from outside in; else the call's by price."""
    usages = [node.span.usage, *(mirror.span.usage for mirror in node.mirrored_by or ())]
    return next((usage for usage in usages if usage.cost_stated), usages[0]).cost


def _labels(spans: Sequence[Span], owner: str | None, say: Say) -> Labels:
    """What the spans of one owner, in order of time, say."""
    # Spans of a trace mostly share their surroundings: the first and the last span of each will do.
    last = {id(span.context): span for span in spans}
    first = {id(span.context): span for span in reversed(spans)} if len(last) > 1 else {0: spans[0]}
    contexts = [span.context for span in first.values()]
    known = [span for span in spans if EARLIEST <= span.start < LATEST]
    ends = [span.counted_end for span in spans if EARLIEST <= span.end < LATEST]
    return Labels(
        start=known[0].start if known else None,
        end=max(ends, default=None),
        running_since=max([span.start for span in known if span.end == 0], default=None),
        name=max([_at_start(s, name) for s in last.values() if (name := s.context.session_name)], default=None),
        outcome=max([_at_start(s, said) for s in last.values() if (said := s.context.outcome)], default=None),
        user=min([_at_start(s, user) for s in first.values() if (user := s.context.user_id)], default=None),
        input=_first_input(spans, say),
        output=_last_output(spans, say),
        users=frozenset([c.user_id for c in contexts if c.user_id]),
        models=frozenset([span.model for span in spans if span.model]),
        agents=frozenset([span.agent for span in spans if span.agent]),
        services=frozenset([c.service for c in contexts if c.service]),
        environments=frozenset([c.environment for c in contexts if c.environment]),
        releases=frozenset([c.release for c in contexts if c.release]),
        tags=frozenset([tag for c in contexts for tag in c.tags]),
        metadata=_metadata(last.values()),
        other_keys=frozenset([key.value for c in contexts for key in c.keys if key.value != owner]),
    )


def _first_input(spans: Sequence[Span], say: Say) -> Said | None:
    """What was asked first; what a tool is given nobody asked."""
    for span in spans:
        if span.has_input and span.kind is not Kind.TOOL:
            said = say(span.span_id, Side.INPUT)
            if said:
                return _at_start(span, said)
    return None


def _last_output(spans: Sequence[Span], say: Say) -> Said | None:
    """What was answered last."""
    talk = [span for span in spans if span.has_output and span.kind is not Kind.TOOL]
    for span in sorted(talk, key=lambda span: (span.end, span.span_id), reverse=True):
        said = say(span.span_id, Side.OUTPUT)
        if said:
            return span.end, span.trace_id, span.span_id, said
    return None


def _busy(spans: Sequence[Span], labels: Labels) -> Intervals:
    """When the spans that do the work ran; where none does, from the start to the end of all."""
    known = [
        (span.start, span.counted_end)
        for span in spans
        if (span.role is Role.CALL or span.kind in _WORK)
        and EARLIEST <= span.start < LATEST
        and EARLIEST <= span.end < LATEST
    ]
    if not known and labels.start is not None and labels.end is not None:
        known = [(labels.start, max(labels.start, labels.end))]
    return union(known)


def _at_start(span: Span, value: str) -> Said:
    return span.start, span.trace_id, span.span_id, value


def _metadata(spans: Iterable[Span]) -> dict[str, Said]:
    latest: dict[str, Said] = {}
    for span in spans:
        for key, value in span.context.metadata:
            said = _at_start(span, value)
            if key not in latest or latest[key] < said:
                latest[key] = said
    return latest
