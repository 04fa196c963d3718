"""Whatever a prompt says, rendering it ends, soon and within memory."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from agentmark_prompts import TemplateError

Messages = Callable[..., list[tuple[str, str]]]

LOOPS = "<>.</>"
for name in "abc":
    LOOPS = f"<ForEach arr={{props.a}}>{{({name}) => {LOOPS}}}</ForEach>"


def doubling(name: str, depth: int, body: str) -> dict[str, str]:
    """Components that each hand twice of what they got to the next one."""
    chain = {f"c{n}": f"import N from './c{n + 1}.mdx'\n<N x={{{body}}} />" for n in range(depth)}
    return chain | {f"c{depth}": name}


@pytest.mark.parametrize(
    ("content", "props", "components", "message"),
    [
        (LOOPS, {"a": list(range(1000))}, {}, "goes through more than 1,000,000 parts"),
        (
            "<ForEach arr={props.a}>{(a) => <>{props.text}</>}</ForEach>",
            {"a": list(range(100)), "text": "x" * 200_000},
            {},
            "makes more than 10,000,000 characters",
        ),
        ("{replace(props.text, 'x', props.text)}", {"text": "x" * 10_000}, {}, "more than 10,000,000 characters"),
        ("{join(props.a, props.text)}", {"a": [1] * 10_000, "text": "x" * 10_000}, {}, "10,000,000 characters"),
        ("<C x='x' />", {}, doubling("{props.x}", 40, "props.x + props.x"), "10,000,000 characters"),
        ("<C x={[1]} />", {}, doubling("{props.x}", 40, "[props.x, props.x]"), "10,000,000 characters"),
        ("<C x={[1]} />", {}, doubling("{dump(props.x)}", 40, "[props.x, props.x]"), "10,000,000 characters"),
        ("<C x={9} />", {}, doubling("{props.x}", 60, "props.x * props.x"), "used more than 50 deep"),
    ],
)
def test_a_rendering_stops_at_its_bounds(
    content: str, props: dict[str, Any], components: dict[str, str], message: str, messages: Messages
) -> None:
    """Loops, text, and what grows from component to component end in an error with a place."""
    start = "import C from './c0.mdx'\n" if components else ""
    tracemalloc.start()
    with pytest.raises(TemplateError, match=message) as caught:
        messages(f"{start}<User>{content}</User>", props, **components)
    assert caught.value.source_line
    assert tracemalloc.get_traced_memory()[1] < 200_000_000
    tracemalloc.stop()


def test_components_that_multiply_stop(messages: Messages) -> None:
    """Components that use each other twice would be 2^30 parts."""
    chain = {f"c{n}": f"import N from './c{n + 1}.mdx'\n<N /><N />" for n in range(30)}
    with pytest.raises(TemplateError, match="goes through more than 1,000,000 parts"):
        messages("import C from './c0.mdx'\n<User><C /></User>", None, **chain, c30=".")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{" + "(" * 5000 + "1" + ")" * 5000 + "}", "this expression is nested more than 50 deep"),
        ("{" + "!" * 5000 + "1}", "this expression is nested more than 50 deep"),
        ("{" + "[" * 5000 + "}", "this expression is nested more than 50 deep"),
        ("{1" + " + 1" * 5000 + "}", "this expression has more than 250 operators"),
        ("{props" + ".a" * 5000 + "}", "this expression has more than 250 operators"),
        ("<If condition={1}>" * 5000, "tags are nested more than 50 deep"),
        ("<ForEach arr={[1]}>{(a) => " * 200, "tags are nested more than 50 deep"),
        ("<>" * 5000, "tags are nested more than 50 deep"),
    ],
)
def test_nesting_has_bounds(content: str, message: str, messages: Messages) -> None:
    """What is nested too deeply is an error at its place, and no overflow."""
    with pytest.raises(TemplateError, match=message) as caught:
        messages(f"<User>{content}</User>")
    assert caught.value.line == 6


def test_as_deep_as_allowed_still_renders(messages: Messages) -> None:
    """At the bounds themselves everything works."""
    deep = "{" + "(" * 49 + "1" + ")" * 49 + "+ 1" * 249 + "}"
    tags = "<If condition={1}>" * 49 + deep + "</If>" * 49
    chain = {f"c{n}": f"import N from './c{n + 1}.mdx'\n<N />" for n in range(49)}
    body = f"import C from './c0.mdx'\n<User>{tags}<C /></User>"
    assert messages(body, None, **chain, c49=tags.replace("<User>", "")) == [("user", "250250")]


@pytest.mark.parametrize(
    "piece", ["{1}", "`", "`` ` ", "~~~~\n", "<", "\\{", "<If condition={1}>a</If>\n", "{/* */}\n", "import A\n"]
)
def test_large_files_are_parsed(piece: str, messages: Messages) -> None:
    """The time to parse grows with the size of a file, and not much faster: this would take hours."""
    messages(f"<User>\n{piece * (200_000 // len(piece))}\n</User>")


def test_what_is_too_large_is_not_parsed(messages: Messages) -> None:
    """A prompt reaches a bounded number of files."""
    chain = {f"c{n}": f"import N from './c{n + 1}.mdx'" for n in range(250)}
    with pytest.raises(TemplateError, match="a prompt reaches 200 files at most"):
        messages("import C from './c0.mdx'", None, **chain, c250="")
