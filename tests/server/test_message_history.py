"""Messages that are sent again, read with what was read before."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agentmark_server.conventions.messages import History, messages

_texts = st.sampled_from(["a", "b" * 400, "]", '"},', "\\", "ü🦊", ""])
_items: st.SearchStrategy[Any] = st.one_of(
    st.builds(lambda role, text: {"role": role, "content": text}, st.sampled_from(["user", "assistant"]), _texts),
    st.builds(lambda text: {"type": "text", "text": text}, _texts),
    st.builds(lambda text: {"role": "tool", "tool_call_id": "c", "content": text}, _texts),
    st.just({"x": 1}),
    st.just({"type": "tool_call", "id": "c", "name": "n", "arguments": {}}),
    st.sampled_from(["user", "hello", 1, None]),
)
_separators = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", ": ")])


@settings(max_examples=150, deadline=None)
@given(st.lists(_items, max_size=8), st.lists(st.integers(0, 8), max_size=6), _separators)
def test_history_changes_nothing(items: list[Any], ends: list[int], separators: tuple[str, str]) -> None:
    """Lists that grow, shrink or repeat give the same messages with what was read before as without."""
    history = History()
    start = [{"role": "user", "content": "x" * 1000}]
    for end in ends:
        for key in ("gen_ai.input.messages", "input.value"):
            attributes = {key: json.dumps([*start, *items[:end]], separators=separators)}
            assert messages(attributes, history=history) == messages(attributes)


def test_a_text_that_only_begins_alike_is_read_whole() -> None:
    """A list whose text begins with another's, in the middle of an item or broken, is no continuation of it."""
    history = History()
    first = json.dumps([{"role": "user", "content": "x" * 1000}])
    for text in (first, first[:-1] + ',{"role":]', first[:-1] + "x]", first[:-1] + ",1]", first[:-1] + ",]"):
        attributes = {"gen_ai.input.messages": text}
        assert messages(attributes, history=history) == messages(attributes)
