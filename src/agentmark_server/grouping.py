"""The spans of one trace to what is derived from them: whose they are, and what they add up to.

Pure functions of the set of spans: neither order nor repetition matters. The rules are those of
docs/sessions.md, "Whose session a span is in" and "Counting once".
"""

from collections.abc import Iterable, Sequence

import msgspec

from agentmark_server.model import Kind, Labels, Role, Said, Span, SpanStatus, Totals


class Part(msgspec.Struct):
    """That share of a trace which one session owns, or no session. `name` and `status` are the trace's."""

    name: str
    status: SpanStatus
    totals: Totals
    labels: Labels


class Grouped(msgspec.Struct):
    """A trace, grouped: the owner of each span (by span id), and the share of each owner."""

    owners: dict[bytes, str | None]
    parts: dict[str | None, Part]


class _Node(msgspec.Struct, gc=False):
    """A span in its tree."""

    span: Span
    parent: "_Node | None" = None
    depth: int = 0
    nearest_key: str | None = None
    counts_below: bool = False
    """Whether a span below it counts its usage, so that its own would count it twice."""
    error_below: bool = False


def group(spans: Sequence[Span]) -> Grouped:
    """Derive one trace from all of its spans, each there once."""
    nodes = _top_down(spans)
    _keys_downwards(nodes)
    fallback = _fallback_key(nodes)
    owners = {node.span.span_id: node.nearest_key or fallback for node in nodes}
    counted = _counted_upwards(nodes)
    top = nodes[0].span
    parts: dict[str | None, Part] = {}
    for owner, members in _by_owner(nodes, owners).items():
        labels = _labels([node.span for node in members])
        totals = _totals(members, counted, labels, failed=top.status == "error")
        parts[owner] = Part(top.trace_name or _trace_name(nodes), top.status, totals, labels)
    return Grouped(owners, parts)


def _order(span: Span) -> tuple[int, bytes]:
    return span.start, span.span_id


def _top_down(spans: Sequence[Span]) -> list[_Node]:
    """All spans, each behind its parent; the trace's root first.

    The root is the earliest span without a parent, else the earliest whose parent has not come. In a cycle of
    parents the earliest span is taken for a top.
    """
    nodes = {span.span_id: _Node(span) for span in sorted(spans, key=_order)}
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
        top = next(iter(missing.values()))  # the earliest: `nodes` is sorted
        children[top.span.parent_id].remove(top)
        top.depth = 1
        for node in _reached([top], children):
            del missing[node.span.span_id]
            found.append(node)
    return found


def _keys_downwards(nodes: Sequence[_Node]) -> None:
    """A span belongs to the nearest application key on itself or an ancestor."""
    for node in nodes:
        key = node.span.context.application_key
        node.nearest_key = key.value if key else node.parent.nearest_key if node.parent else None


def _fallback_key(nodes: Sequence[_Node]) -> str | None:
    """The key of spans that have none above: the application's nearest the root, else the framework's."""
    for field in ("application_key", "framework_key"):
        keyed = [(node, key) for node in nodes if (key := getattr(node.span.context, field))]
        if keyed:
            nearest = min(keyed, key=lambda pair: (pair[0].depth, pair[1].rank, *_order(pair[0].span)))
            value: str = nearest[1].value
            return value
    return None


def _counted_upwards(nodes: Sequence[_Node]) -> set[bytes]:
    """The spans whose usage counts: every call, and any other only when nothing below it counts."""
    counted: set[bytes] = set()
    for node in reversed(nodes):
        span, parent = node.span, node.parent
        counts = span.role is Role.CALL or (span.usage.stated and not node.counts_below)
        if counts:
            counted.add(span.span_id)
        if parent:
            parent.counts_below |= counts or node.counts_below
            parent.error_below |= span.status == "error" or node.error_below
    return counted


def _by_owner(nodes: Sequence[_Node], owners: dict[bytes, str | None]) -> dict[str | None, list[_Node]]:
    members: dict[str | None, list[_Node]] = {}
    for node in nodes:
        members.setdefault(owners[node.span.span_id], []).append(node)
    return members


def _trace_name(nodes: Sequence[_Node]) -> str:
    """The name that was given to the trace, nearest its root; else the root's."""
    return next((node.span.trace_name for node in nodes if node.span.trace_name), nodes[0].span.name)


def _totals(members: Sequence[_Node], counted: set[bytes], labels: Labels, *, failed: bool) -> Totals:
    totals = Totals(trace_count=1, failed_trace_count=int(failed), span_count=len(members))
    if labels.start is not None and labels.end is not None:
        totals.timed_trace_count = 1
        totals.duration = max(0, labels.end - labels.start)
    for node in members:
        if node.span.status == "error" and not node.error_below:
            totals.error_count += 1
        if node.span.span_id in counted:
            _count(totals, node.span)
    return totals


def _count(totals: Totals, span: Span) -> None:
    usage = span.usage
    totals.call_count += 1
    totals.input_tokens += usage.input_tokens or 0
    totals.output_tokens += usage.output_tokens or 0
    totals.cached_tokens += usage.cached_tokens or 0
    totals.reasoning_tokens += usage.reasoning_tokens or 0
    if not usage.stated:
        totals.unmetered_calls += 1
    elif usage.cost is None:
        totals.unpriced_calls += 1
    else:
        totals.priced_calls += 1
        totals.cost += usage.cost


def _labels(spans: Sequence[Span]) -> Labels:
    contexts = {span.context for span in spans}
    starts = [start for span in spans if (start := span.counted_start) is not None]
    ends = [end for span in spans if (end := span.counted_end) is not None]
    return Labels(
        start=min(starts, default=None),
        end=max(ends, default=None),
        running_since=max((span.start for span in spans if span.end == 0), default=None),
        name=max(_said(spans, "session_name"), default=None),
        user=min(_said(spans, "user_id"), default=None),
        input=min((_at_start(s, s.input) for s in spans if s.input and s.kind is not Kind.TOOL), default=None),
        output=max((_at_end(s, s.output) for s in spans if s.output and s.kind is not Kind.TOOL), default=None),
        users=frozenset(c.user_id for c in contexts if c.user_id),
        models=frozenset(span.model for span in spans if span.model),
        agents=frozenset(span.agent for span in spans if span.agent),
        services=frozenset(c.service for c in contexts if c.service),
        environments=frozenset(c.environment for c in contexts if c.environment),
        releases=frozenset(c.release for c in contexts if c.release),
        tags=frozenset(tag for c in contexts for tag in c.tags),
        metadata=_metadata(spans),
    )


def _said(spans: Sequence[Span], field: str) -> list[Said]:
    return [_at_start(span, value) for span in spans if (value := getattr(span.context, field))]


def _at_start(span: Span, value: str) -> Said:
    return span.start, span.trace_id, span.span_id, value


def _at_end(span: Span, value: str) -> Said:
    return span.end, span.trace_id, span.span_id, value


def _metadata(spans: Sequence[Span]) -> dict[str, Said]:
    latest: dict[str, Said] = {}
    for span in spans:
        for key, value in span.context.metadata:
            said = _at_start(span, value)
            if key not in latest or latest[key] < said:
                latest[key] = said
    return latest
