"""The spans of a trace as a tree, written down line by line."""

from collections.abc import Iterable

from agentmark_server.grouping import parents
from agentmark_server.model import Role, Span


def in_tree_order(spans: Iterable[Span]) -> dict[bytes, int]:
    """The depth of every span by its id, each before those below it and those of one parent in order of time.

    The root comes first, at depth 0. A span whose parent has not come stands at depth 0 behind it, and so does the
    earliest of a cycle of parents. Log records are no spans and left out.
    """
    above = parents(span for span in spans if span.role is not Role.EVENT)
    below: dict[bytes | None, list[bytes]] = {}
    for span_id, parent_id in above.items():
        below.setdefault(parent_id, []).append(span_id)
    waiting = below.get(None, [])[::-1]
    depths: dict[bytes, int] = {}
    while waiting:  # no recursion: programs make trees deeper than Python's stack
        span_id = waiting.pop()
        parent_id = above[span_id]
        depths[span_id] = 0 if parent_id is None else depths[parent_id] + 1
        waiting += reversed(below.get(span_id, ()))
    return depths
