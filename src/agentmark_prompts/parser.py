"""The body of a prompt file: text, tags and expressions, parsed to a tree of nodes.

    body      = { import | node }
    import    = "import" Name "from" string [ ";" ]            on a line of its own, outside of all tags
    node      = text | comment | "{" expression "}" | element
    element   = "<>" { node } "</>"
              | "<" Name { attribute } ( "/>" | ">" { node } "</" Name ">" )
    attribute = name [ "=" ( string | "{" expression "}" ) ]
    comment   = "{/*" ... "*/}"
    each      = "{" ( name | "(" name [ "," name ] ")" ) "=>" ( element | "(" element ")" | expression ) "}"

`<ForEach>` holds one `each`, `<Raw>` text alone. Names of tags begin with a capital: `<examples>` is text. Text is
also what stands in Markdown's code (between backticks, or between lines of them), and `{`, `}` and `<` after a
backslash, which is left out.
"""

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, get_args

from agentmark_prompts.errors import TemplateError
from agentmark_prompts.expressions import MAX_DEPTH, Constant, Expression, ExpressionParser, unknown
from agentmark_prompts.layout import (
    cut_end,
    cut_start,
    indent_at,
    joined,
    least_indent,
    line_end,
    line_start,
    shift,
    trim,
)
from agentmark_prompts.nodes import Content, ForEach, If, Node, Put, Role, Say, Template, Text, Use
from agentmark_prompts.source import Place, Source

COMPONENT_SUFFIX: Final = ".mdx"

_ROLES: Final[Mapping[str, Role]] = {role.capitalize(): role for role in get_args(Role)}
_TAGS: Final = ("If", "ElseIf", "Else", "ForEach", "Raw", *_ROLES)

_IMPORT: Final = re.compile(
    r"[ \t]*import[ \t]+(?P<name>[A-Z]\w*)[ \t]+from[ \t]+(?P<quote>[\"'])(?P<path>[^\"'\n]*)(?P=quote)[ \t]*;?"
)
_SPECIAL: Final = re.compile(r"\\[{}<]|[{`]|<(?=[A-Z>/])|~~~|^[ \t]*import\b", re.MULTILINE)
"""What may end a piece of text."""
_ESCAPED: Final = re.compile(r"\\([{}<])")
_COMMENT: Final = re.compile(r"\{\s*/\*")
_TAG: Final = re.compile(r"<([A-Z]\w*|(?=>))")
_CLOSING: Final = re.compile(r"</([A-Z]\w*)?\s*>")
_RAW_END: Final = re.compile(r"</Raw\s*>")
_OTHERWISE: Final = re.compile(r"\s*<(?=(?:ElseIf|Else)\b)")
_ATTRIBUTE: Final = re.compile(r"[A-Za-z_][\w-]*")
_QUOTED: Final = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_FENCE: Final = re.compile(r"(?:(`{3,})[^`\n]*|(~{3,})[^\n]*)\n")
_TICKS: Final = re.compile(r"`+|~+")


@dataclass(frozen=True)
class _Tag:
    """An opening tag, from `start` to `end`."""

    name: str
    attributes: Mapping[str, Expression]
    start: int
    end: int
    empty: bool
    """Whether it closes itself."""


def parse(source: Source, start: int = 0) -> Template:
    """Parse a file's body, which begins at the offset `start`.

    Raises `TemplateError`. Components are not read: the template names those that it imports.
    """
    parser = _Parser(source, start)
    try:
        nodes = parser.body()
    except RecursionError as error:
        msg = "this is nested too deeply"
        raise TemplateError(msg, source.at(parser.at)) from error
    return Template(nodes, parser.imports)


class _Parser:
    def __init__(self, source: Source, start: int) -> None:
        self.source, self.at = source, start
        self.imports: dict[str, Place] = {}
        self._text = source.text
        self._components: dict[str, str] = {}
        self._names: tuple[str, ...] = ("props",)
        self._open: list[_Tag] = []

    def body(self) -> Sequence[Node]:
        start = self.at
        nodes = self._nodes()
        if self.at < len(self._text):
            self._fail("this closes a tag, and none is open here")
        shift(nodes, least_indent(self._text[start:]))
        trim(nodes)
        return joined(nodes)

    # ---- text, and what interrupts it

    def _nodes(self) -> list[Node]:
        """Parse up to a closing tag or the end of the file."""
        nodes: list[Node] = []
        while self.at < len(self._text) and not _CLOSING.match(self._text, self.at):
            if self._text[self.at] == "{":
                self._braces(nodes)
            elif _TAG.match(self._text, self.at):
                self._element(nodes)
            elif not (self._import() or self._escaped(nodes) or self._code(nodes)):
                self._plain(nodes)
        return nodes

    def _plain(self, nodes: list[Node]) -> None:
        found = _SPECIAL.search(self._text, self.at + 1)
        self._take_text(nodes, found.start() if found else len(self._text))

    def _take_text(self, nodes: list[Node], end: int) -> None:
        """Add what stands before `end` as text, and go there."""
        said = self._text[self.at : end]
        place = self.source.at(self.at + len(said) - len(said.lstrip()))
        nodes.append(Text(said, place, at_line_start=self.at == 0 or self._text[self.at - 1] == "\n"))
        self.at = end

    def _escaped(self, nodes: list[Node]) -> bool:
        found = _ESCAPED.match(self._text, self.at)
        if found:
            nodes.append(Text(found[1], self.source.at(self.at)))
            self.at = found.end()
        return bool(found)

    def _code(self, nodes: list[Node]) -> bool:
        """Take Markdown's code as text; marks that nothing closes are text themselves."""
        ticks = _TICKS.match(self._text, self.at)
        if not ticks:
            return False
        self._take_text(nodes, self._fence_end() or self._span_end(ticks[0]) or ticks.end())
        return True

    def _fence_end(self) -> int | None:
        fence = _FENCE.match(self._text, self.at)
        if not fence or line_start(self._text, self.at) is None:
            return None
        mark = fence[1] or fence[2]
        closing = re.compile(rf"^[ \t]*{mark}{mark[0]}*[ \t]*$", re.MULTILINE)
        found = closing.search(self._text, fence.end())
        return found.end() if found else None

    def _span_end(self, ticks: str) -> int | None:
        """Where code within a line ends: behind as many backticks as begin it."""
        line = self._text.find("\n", self.at)
        end = line if line >= 0 else len(self._text)
        at = self.at + len(ticks)
        while ticks[0] == "`" and (at := self._text.find(ticks, at, end)) >= 0:
            run = _TICKS.match(self._text, at)
            if run and len(run[0]) == len(ticks):
                return run.end()
            at = run.end() if run else end
        return None

    def _import(self) -> bool:
        found = _IMPORT.match(self._text, self.at)
        if self._open or not found or line_start(self._text, self.at) is None:
            return False
        end = line_end(self._text, found.end())
        if end is None:
            self._fail("an import has its line for itself", found.end())
        name, place = found["name"], self.source.at(found.start("name"))
        if name in _TAGS or name in self._components:
            msg = f"<{name}> is a tag already: import the component under another name"
            raise TemplateError(msg, place)
        path = self._resolved(found["path"], found.start("path"))
        self._components[name] = path
        self.imports.setdefault(path, self.source.at(found.start("path")))
        self.at = end
        return True

    def _resolved(self, written: str, at: int) -> str:
        """The path of a component as the loader takes it: paths in a file are relative to that file."""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(self.source.path), written))
        if not written.endswith(COMPONENT_SUFFIX):
            self._fail(f"a component is a file that ends in {COMPONENT_SUFFIX}", at)
        if posixpath.isabs(written) or path.startswith("../") or "\\" in written or "\0" in written:
            self._fail("a component lies in the folder of prompts, or below: begin with ./ or ../", at)
        return path

    # ---- expressions

    def _braces(self, nodes: list[Node]) -> None:
        if self._comment(nodes):
            return
        start = self.at
        expression = self._expression()
        nodes.append(self._put(expression, start + 1, self.at - 1))

    def _put(self, expression: Expression, start: int, end: int) -> Put:
        written = self._text[start:end]
        place = self.source.at(start + len(written) - len(written.lstrip()))
        return Put(expression, written.strip(), place)

    def _expression(self) -> Expression:
        """Parse `{expression}`."""
        parser = ExpressionParser(self.source, self.at + 1, self._names)
        expression = parser.expression()
        if not parser.take("}"):
            if parser.take("=>"):
                self._fail("a function stands in <ForEach> only", parser.at - 2)
            parser.fail("} is missing after the expression (for a brace that is text, write \\{)")
        self.at = parser.at
        return expression

    def _comment(self, nodes: list[Node]) -> bool:
        if not _COMMENT.match(self._text, self.at):
            return False
        parser = ExpressionParser(self.source, self.at + 1, ())
        parser.blank()
        if self._text.startswith("/*", parser.at):
            self._fail("this comment has no end: */ is missing")
        if not parser.take("}"):
            return False  # an expression that begins with a comment
        start, self.at = self.at, parser.at
        self._leave_no_line(nodes, start)
        return True

    def _leave_no_line(self, nodes: list[Node], start: int) -> bool:
        """If what stands between `start` and here has its lines for itself, drop what is left of them."""
        first, end = line_start(self._text, start), line_end(self._text, self.at)
        if first is None or end is None:
            return False
        cut_end(nodes, start - first)
        self.at = end
        return True

    # ---- tags

    def _element(self, nodes: list[Node], indent: str | None = None) -> bool:
        """Parse an element, whose lines move to `indent` (its own, if None); say whether it is whole lines."""
        tag = self._opening()
        indent = indent_at(self._text, tag.start) if indent is None else indent
        self._open.append(tag)
        if len(self._open) > MAX_DEPTH:
            self._fail(f"tags are nested more than {MAX_DEPTH} deep", tag.start)
        is_lines = self._built(tag, indent, nodes)
        self._open.pop()
        return is_lines

    def _built(self, tag: _Tag, indent: str, nodes: list[Node]) -> bool:
        place = self.source.at(tag.start)
        if tag.name in _ROLES:
            self._attributes(tag)
            nodes.append(Say(_ROLES[tag.name], self._content(tag, "").nodes, place))
        elif tag.name == "If":
            return self._if(tag, indent, nodes)
        elif tag.name == "ForEach":
            return self._for_each(tag, indent, nodes)
        elif tag.name in {"", "Raw"}:
            return self._group(tag, indent, nodes)
        elif tag.name in self._components:
            nodes.append(Use(self._components[tag.name], tag.attributes, self._children(tag), place))
        else:
            self._unknown(tag)
        return False

    def _unknown(self, tag: _Tag) -> NoReturn:
        if tag.name in {"ElseIf", "Else"}:
            self._fail(f"<{tag.name}> follows the end of an <If> or <ElseIf>", tag.start)
        said = unknown("tag", tag.name, [*_TAGS, *self._components], f"to import it, or text: \\<{tag.name}>")
        self._fail(said, tag.start)

    def _opening(self) -> _Tag:
        start = self.at
        found = _TAG.match(self._text, start)
        name = found[1] if found else ""
        self.at = found.end() if found else start
        attributes: dict[str, Expression] = {}
        while (end := self._tag_end(name, start)) is None:
            key, value = self._attribute(name)
            if key in attributes:
                self._fail(f"{key} is given twice")
            attributes[key] = value
        return _Tag(name, attributes, start, self.at, end == "/>")

    def _tag_end(self, name: str, start: int) -> str | None:
        self._blank()
        for end in ("/>", ">"):
            if self._text.startswith(end, self.at):
                self.at += len(end)
                return end
        if self.at >= len(self._text):
            self._fail(f"<{name}> has no end: > is missing", start)
        return None

    def _attribute(self, tag: str) -> tuple[str, Expression]:
        found = _ATTRIBUTE.match(self._text, self.at)
        if not found:
            self._fail(f"an attribute of <{tag}>, or its end, was expected")
        place = self.source.at(self.at)
        self.at = found.end()
        self._blank()
        if not self._text.startswith("=", self.at):
            return found[0], Constant(place, True)
        self.at += 1
        self._blank()
        return found[0], self._attribute_value(found[0])

    def _attribute_value(self, name: str) -> Expression:
        if self._text.startswith("{", self.at):
            return self._expression()
        quoted = _QUOTED.match(self._text, self.at)
        if not quoted:
            self._fail(f'the value of {name} was expected: "text" or {{an expression}}')
        place = self.source.at(self.at)
        self.at = quoted.end()
        return Constant(place, quoted[1] if quoted[1] is not None else quoted[2])

    def _attributes(self, tag: _Tag, *names: str) -> list[Expression]:
        """The values of a built-in tag's attributes, of which it has exactly these."""
        for name, value in tag.attributes.items():
            if name not in names:
                takes = f"takes {', '.join(names)} only" if names else "takes no attributes"
                msg = f"<{tag.name}> {takes}, not {name}"
                raise TemplateError(msg, value.place)
        for name in names:
            if name not in tag.attributes:
                self._fail(f"<{tag.name}> needs {name}={{...}}", tag.start)
        return [tag.attributes[name] for name in names]

    def _content(self, tag: _Tag, indent: str) -> Content:
        """Parse what stands between `tag` and its end; whole lines of it move to `indent`."""
        if tag.empty:
            return Content([])
        nodes = self._raw(tag) if tag.name == "Raw" else self._nodes()
        closing = self.at
        self._close(tag)
        first, last = line_end(self._text, tag.end), line_start(self._text, closing)
        is_lines = first is not None and last is not None and first <= last
        if is_lines and first is not None and last is not None:
            cut_start(nodes, first - tag.end)
            cut_end(nodes, closing - last)
        below = first if is_lines else self._text.find("\n", tag.end, closing) + 1 or closing
        shift(nodes, least_indent(self._text[below : last if is_lines else closing]) - len(indent))
        return Content(nodes, is_lines)

    def _close(self, tag: _Tag) -> None:
        found = _CLOSING.match(self._text, self.at)
        if not found:
            self._fail(f"<{tag.name}> is not closed: </{tag.name}> is missing", tag.start)
        if (found[1] or "") != tag.name:
            opened = self.source.at(tag.start).line
            self._fail(f"</{tag.name}> was expected, for <{tag.name}> of line {opened}")
        self.at = found.end()

    def _raw(self, tag: _Tag) -> list[Node]:
        end = _RAW_END.search(self._text, self.at)
        nodes: list[Node] = []
        self._take_text(nodes, end.start() if end else len(self._text))
        if not end:
            self._fail("<Raw> is not closed: </Raw> is missing", tag.start)
        return nodes

    def _group(self, tag: _Tag, indent: str, nodes: list[Node]) -> bool:
        """`<>` and `<Raw>`: nothing but what stands in them."""
        self._attributes(tag)
        content = self._content(tag, indent)
        if self._leave_no_line(nodes, tag.start):
            content.as_lines(indent, self.source.at(tag.start))
        nodes += content.nodes
        return content.is_lines

    def _children(self, tag: _Tag) -> list[Node]:
        """What a component is given: without the line end before its closing tag, which has one of its own."""
        content = self._content(tag, "")
        if content.is_lines:
            cut_end(content.nodes, 1)
        return content.nodes

    def _if(self, tag: _Tag, indent: str, nodes: list[Node]) -> bool:
        [condition] = self._attributes(tag, "condition")
        branches: list[tuple[Expression | None, Content]] = [(condition, self._content(tag, indent))]
        while branches[-1][0] and (found := _OTHERWISE.match(self._text, self.at)):
            self.at = found.end() - 1
            other = self._opening()
            wanted = ("condition",) if other.name == "ElseIf" else ()
            holds = self._attributes(other, *wanted)
            branches.append((holds[0] if holds else None, self._content(other, indent)))
        is_lines = self._leave_no_line(nodes, tag.start)
        if is_lines:
            for _, content in branches:
                content.as_lines(indent, self.source.at(tag.start))
        nodes.append(If(branches))
        return is_lines

    def _for_each(self, tag: _Tag, indent: str, nodes: list[Node]) -> bool:
        [array] = self._attributes(tag, "arr")
        if tag.empty:
            self._fail("<ForEach> needs a function: {(item) => ...}", tag.start)
        self._between()
        start, outside = self.at, self._names
        item, index = self._parameters()
        self._names = (*outside, item, index) if index else (*outside, item)
        content = self._each(indent)
        self._names = outside
        if not content.is_lines and line_start(self._text, start) is not None and line_end(self._text, self.at):
            content.as_lines(indent, self.source.at(start))
        self._between()
        if self.at < len(self._text) and not _CLOSING.match(self._text, self.at):
            self._fail("<ForEach> holds one function and nothing else")
        self._close(tag)
        nodes.append(ForEach(array, item, index, content))
        return content.is_lines and self._leave_no_line(nodes[:-1], tag.start)

    def _between(self) -> None:
        """Skip blanks and comments around the function of `<ForEach>`."""
        self._blank()
        while self._comment([]):
            self._blank()

    def _parameters(self) -> tuple[str, str | None]:
        """Parse `{(item, index) =>`."""
        parser = ExpressionParser(self.source, self.at, ())
        if not parser.take("{"):
            parser.fail("<ForEach> holds a function and nothing else: {(item) => ...}")
        in_parentheses = parser.take("(")
        item = parser.name() or parser.fail("a name for the item is missing")
        index = None
        if in_parentheses and parser.take(","):
            index = parser.name() or parser.fail("a name for the index is missing")
        if in_parentheses:
            parser.expect(")", "the names")
        parser.expect("=>", "the names")
        if item == index:
            parser.fail(f"{item} cannot be the item and the index")
        self.at = parser.at
        return item, index

    def _each(self, indent: str) -> Content:
        """Parse the body of a function, and the brace that closes it."""
        parser = ExpressionParser(self.source, self.at, self._names)
        parser.blank()
        self.at = parser.at
        in_parentheses = re.compile(r"\(\s*(?=<)").match(self._text, self.at)
        self.at = in_parentheses.end() if in_parentheses else self.at
        nodes: list[Node] = []
        is_lines = False
        if self._text.startswith("<", self.at):
            if not _TAG.match(self._text, self.at):
                self._fail("an element that begins with a capital was expected, or <>")
            is_lines = self._element(nodes, indent)
        else:
            parser.at = start = self.at
            nodes.append(self._put(parser.expression(), start, parser.at))
            self.at = parser.at
        parser.at = self.at
        if in_parentheses:
            parser.expect(")", "the element")
        parser.expect("}", "the function")
        self.at = parser.at
        return Content(nodes, is_lines)

    def _blank(self) -> None:
        while self.at < len(self._text) and self._text[self.at].isspace():
            self.at += 1

    def _fail(self, message: str, at: int | None = None) -> NoReturn:
        raise TemplateError(message, self.source.at(self.at if at is None else at))
