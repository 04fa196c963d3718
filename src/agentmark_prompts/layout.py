"""Lines and indentation: how tags are set must not show in what the model reads.

A tag that has its line for itself leaves none behind, and lines between such tags move left to the tags' own
indentation. So a prompt may be indented by its tags, and its messages are not.
"""

import re
from collections.abc import Sequence
from typing import Final

from agentmark_prompts.nodes import ForEach, If, Node, Say, Text, Use

_BLANK: Final = re.compile(r"[ \t]*")
_INDENTED: Final = re.compile(r"^([ \t]*)\S", re.MULTILINE)


def line_start(text: str, at: int) -> int | None:
    """Where the line of `at` begins, if nothing but blanks stands before `at` in it."""
    start = text.rfind("\n", 0, at) + 1
    return start if not text[start:at].strip(" \t") else None


def line_end(text: str, at: int) -> int | None:
    """Where the next line begins, if nothing but blanks stands behind `at` in its line."""
    blank = _BLANK.match(text, at)
    end = blank.end() if blank else at
    return min(end + 1, len(text)) if text[end : end + 1] in {"\n", ""} else None


def indent_at(text: str, at: int) -> str:
    """The indentation of the line of `at`."""
    blank = _BLANK.match(text, text.rfind("\n", 0, at) + 1)
    return blank[0] if blank else ""


def least_indent(text: str) -> int:
    """How far the line that is indented least is indented; 0 without lines."""
    return min((len(found[1]) for found in _INDENTED.finditer(text)), default=0)


def shift(nodes: Sequence[Node], count: int) -> None:
    """Move all lines in `nodes` to the left by `count` blanks, or as many as they have."""
    if count <= 0:
        return
    indentation = re.compile(rf"^[ \t]{{1,{count}}}", re.MULTILINE)
    for node in nodes:
        _shift(node, count, indentation)


def _shift(node: Node, count: int, indentation: re.Pattern[str]) -> None:
    if isinstance(node, Text):
        head, end, tail = node.text.partition("\n")
        moved = indentation.sub("", head) if node.at_line_start else head
        node.text = moved + end + indentation.sub("", tail)
    elif isinstance(node, If):
        for _, content in node.branches:
            shift(content.nodes, count)
    elif isinstance(node, ForEach):
        shift(node.content.nodes, count)
    elif isinstance(node, Say | Use):
        shift(node.nodes, count)


def cut_start(nodes: Sequence[Node], count: int) -> None:
    """Drop the first `count` characters, of text that ended a tag's line."""
    if count and nodes and isinstance(nodes[0], Text):
        nodes[0].text = nodes[0].text[count:]
        nodes[0].at_line_start = True


def cut_end(nodes: Sequence[Node], count: int) -> None:
    """Drop the last `count` characters, of text that indents a tag."""
    if count and nodes and isinstance(nodes[-1], Text):
        nodes[-1].text = nodes[-1].text[:-count]


def joined(nodes: Sequence[Node]) -> list[Node]:
    """The nodes, with neighbours that are text made one, and text of nothing left out."""
    found: list[Node] = []
    for node in nodes:
        if isinstance(node, Text) and found and isinstance(last := found[-1], Text):
            found[-1] = Text(last.text + node.text, node.place if last.text.isspace() else last.place)
        elif not isinstance(node, Text) or node.text:
            found.append(node)
        _join_within(node)
    return found


def _join_within(node: Node) -> None:
    if isinstance(node, If):
        for _, content in node.branches:
            content.nodes = joined(content.nodes)
    elif isinstance(node, ForEach):
        node.content.nodes = joined(node.content.nodes)
    elif isinstance(node, Say | Use):
        node.nodes = joined(node.nodes)


def trim(nodes: Sequence[Node]) -> None:
    """Drop blanks and line ends at both ends."""
    if nodes and isinstance(nodes[0], Text):
        nodes[0].text = nodes[0].text.lstrip()
    if nodes and isinstance(nodes[-1], Text):
        nodes[-1].text = nodes[-1].text.rstrip()
