"""What the methods of a trace's context do with the values they are given."""

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import pytest

from agentmark_sdk import trace

Spans = Callable[[], dict[str, Any]]


@dataclasses.dataclass
class Point:
    """A value that JSON knows nothing of."""

    x: int
    y: object


class Model:
    """Looks like a pydantic model."""

    def model_dump(self, *, mode: str) -> dict[str, str]:
        return {"mode": mode}


class Silent:
    """Cannot be shown in any way."""

    def __repr__(self) -> str:
        raise RuntimeError


def cycle() -> list[object]:
    """Give a list that contains itself."""
    values: list[object] = [1]
    values.append(values)
    return values


def deep() -> list[object]:
    """Give a list nested deeper than Python follows."""
    values: list[object] = []
    for _ in range(100_000):
        values = [values]
    return values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Hello, Grüße 👋\n\x00", "Hello, Grüße 👋\n\x00"),
        ("", ""),
        ("cut \ud83d", "cut ?"),
        (None, "null"),
        (17, "17"),
        ({"ä": [1, 2.5, None, True]}, '{"ä": [1, 2.5, null, true]}'),
        (Point(1, {"z"}), '{"x": 1, "y": ["z"]}'),
        ([Model()], '[{"mode": "json"}]'),
        ({"when": Model}, f'{{"when": "{Model}"}}'),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        (math.nan, "nan"),
        (cycle(), "[1, [...]]"),
        ({"k": "\ud800"}, '{"k": "?"}'),
        (Silent(), '"<Silent>"'),
    ],
)
def test_input_and_output_are_text_or_json(value: object, expected: str, recorded: Spans) -> None:
    """Text is kept, anything else is JSON, and what JSON cannot say is shown as Python shows it."""
    with trace("job") as ctx:
        ctx.set_input(value)
        ctx.set_output(value)
    attributes = recorded()["job"].attributes
    assert (attributes["agentmark.input"], attributes["agentmark.output"]) == (expected, expected)


@pytest.mark.parametrize(
    "make", [deep, MagicMock, lambda: [Silent()], lambda: {Silent(): 1}, lambda: b"\xff", object]
)
def test_nothing_makes_set_output_raise(make: Callable[[], object], recorded: Spans) -> None:
    """Whatever a program hands over as content, some text arrives and nothing is raised."""
    with trace("job") as ctx:
        ctx.set_output(make())
    assert recorded()["job"].attributes["agentmark.output"]


def test_a_huge_text_arrives_whole(recorded: Spans) -> None:
    """The SDK cuts nothing: ten million characters arrive as they are."""
    text = "ä" * 10_000_000
    with trace("job") as ctx:
        ctx.set_output(text)
    assert recorded()["job"].attributes["agentmark.output"] == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        (True, True),
        (2**63 - 1, 2**63 - 1),
        (2**63, "9223372036854775808"),
        (1.5, 1.5),
        (["a", "b"], ["a", "b"]),
        ((1, 2), [1, 2]),
        ([], []),
        ([1, "a"], '[1, "a"]'),
        ([1, 2**70], f"[1, {2**70}]"),
        (["\ud800"], '["?"]'),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_an_attribute_is_what_the_wire_can_carry(value: object, expected: object, recorded: Spans) -> None:
    """Scalars and lists of one type stay what they are; anything else becomes JSON text."""
    with trace("job") as ctx:
        ctx.set_attribute("key", value)
        ctx.set_attribute("none", None)
        ctx.add_event("happened", {"key": value, "none": None})
    span = recorded()["job"]
    assert span.attributes["key"] == expected
    assert "none" not in span.attributes
    assert span.events == [("happened", {"key": expected})]


def test_names_and_keys_that_no_encoding_takes_arrive_mended(recorded: Spans) -> None:
    """A broken character in a name or key costs that character and not the batch."""
    with trace("job \ud800", metadata={"k\ud800": "v"}, tags=["t\ud800"]) as ctx:
        ctx.set_attribute("a\ud800", 1)
        ctx.add_event("e\ud800")
    span = recorded()["job ?"]
    assert span.attributes["a?"] == 1
    assert span.attributes["agentmark.metadata.k?"] == "v"
    assert json.loads(span.attributes["agentmark.tags"]) == ["t?"]
    assert [name for name, _ in span.events] == ["e?"]


def test_a_span_with_hundreds_of_attributes_keeps_its_session(recorded: Spans) -> None:
    """A call that lists a long conversation in its attributes does not push out its session."""
    with trace("job", session_id="s") as ctx:
        for n in range(500):
            ctx.set_attribute(f"gen_ai.prompt.{n}.content", "text")
    assert recorded()["job"].attributes["agentmark.session_id"] == "s"
