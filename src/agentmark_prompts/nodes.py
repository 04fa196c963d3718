"""A parsed template: a tree that renders itself into messages."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from agentmark_prompts.budget import Budget, BudgetError
from agentmark_prompts.errors import TemplateError
from agentmark_prompts.expressions import Expression, Scope
from agentmark_prompts.source import Place
from agentmark_prompts.values import MISSING, Value, entries, text, truth

Role = Literal["system", "user", "assistant"]

MAX_COMPONENTS: Final = 50
"""How deeply components may be used within each other: bounds the recursion."""


@dataclass(frozen=True)
class Message:
    """What one of `<System>`, `<User>` and `<Assistant>` says."""

    role: Role
    content: str


class Output:
    """Collects the messages of one rendering. `said` is what the open message says so far; None: none is open."""

    __slots__ = ("_depth", "budget", "components", "messages", "said")

    def __init__(self, components: Mapping[str, "Sequence[Node]"]) -> None:
        self.messages: list[Message] = []
        self.components = components
        self.budget = Budget()
        self.said: list[str] | None = None
        self._depth = 0

    def render(self, nodes: "Sequence[Node]", scope: Scope) -> None:
        """Render one after the other."""
        self.budget.step(len(nodes))
        for node in nodes:
            node.render(self, scope)

    def write(self, said: str, place: Place) -> None:
        """Add text to the open message. Outside of messages it would reach nobody, and so is an error."""
        if self.said is not None:
            self.said.append(said)
        elif said and not said.isspace():
            msg = "this text is outside of <System>, <User> and <Assistant>, and would reach nobody"
            raise TemplateError(msg, place)

    def message(self, role: Role, nodes: "Sequence[Node]", scope: Scope, place: Place) -> None:
        """Render a message; one that says nothing is left out."""
        if self.said is not None:
            msg = f"<{role.capitalize()}> cannot stand within another message"
            raise TemplateError(msg, place)
        self.said = []
        self.render(nodes, scope)
        try:
            self.budget.spend(sum(map(len, self.said)))  # until here they are only referred to
        except BudgetError as error:
            raise TemplateError(str(error), place) from error
        content = "".join(self.said).strip()
        self.said = None
        if content:
            self.messages.append(Message(role, content))

    def enter(self, path: str, props: Mapping[str, Value], place: Place) -> None:
        """Render the component at `path`."""
        self._depth += 1
        if self._depth > MAX_COMPONENTS:
            msg = f"components are used more than {MAX_COMPONENTS} deep"
            raise TemplateError(msg, place)
        self.render(self.components[path], Scope({"props": props}, self.budget))
        self._depth -= 1


class Node(ABC):
    """A part of a template."""

    @abstractmethod
    def render(self, output: Output, scope: Scope) -> None:
        """Add what it says to the output; raises `TemplateError`."""


@dataclass(eq=False, slots=True)
class Text(Node):
    """Text as it stands. `at_line_start` says whether its first character is the first of a line."""

    text: str
    place: Place
    at_line_start: bool = False

    def render(self, output: Output, scope: Scope) -> None:  # noqa: ARG002 - one signature for all
        if output.said is None:
            output.write(self.text, self.place)
        else:
            output.said.append(self.text)  # most of what is ever rendered: a call less for each


@dataclass(frozen=True, eq=False, slots=True)
class Put(Node):
    """`{expression}`: its value, or a component's children. `place` is where it begins, `written` as it stands."""

    expression: Expression
    written: str
    place: Place

    def render(self, output: Output, scope: Scope) -> None:
        value = self.expression.value(scope)
        if isinstance(value, str) and output.said is not None:
            output.said.append(value)  # as above
        elif isinstance(value, Children):
            output.render(value.nodes, value.scope)
        elif value is MISSING:
            msg = f'{self.written:.100} is not given: give it, or write {{{self.written:.100} || ""}}'
            raise TemplateError(msg, self.place)
        else:
            output.write(self._text(value, output.budget), self.place)

    def _text(self, value: Value, budget: Budget) -> str:
        try:
            return text(value, budget)
        except (TypeError, ValueError) as error:
            raise TemplateError(str(error), self.place) from error


@dataclass(frozen=True, eq=False, slots=True)
class Children:
    """What stands between a component's tags: `{props.children}` in it renders them, in the scope around it."""

    nodes: "Sequence[Node]"
    scope: Scope


@dataclass(eq=False, slots=True)
class Content:
    """What stands between two tags. `is_lines`: it is whole lines, and so ends in a line's end."""

    nodes: list[Node]
    is_lines: bool = False

    def as_lines(self, indent: str, place: Place) -> None:
        """Let what stands within a line be a line: its tags have that line for themselves."""
        if not self.is_lines:
            self.nodes = [Text(indent, place, at_line_start=True), *self.nodes, Text("\n", place)]
            self.is_lines = True


@dataclass(frozen=True, eq=False, slots=True)
class If(Node):
    """`<If>`, `<ElseIf>`, `<Else>`: conditions (None: always) and what is shown for the first that holds."""

    branches: list[tuple[Expression | None, Content]]

    def render(self, output: Output, scope: Scope) -> None:
        for condition, content in self.branches:
            if condition is None or truth(condition.value(scope)):
                output.render(content.nodes, scope)
                return


@dataclass(frozen=True, eq=False, slots=True)
class ForEach(Node):
    """`<ForEach arr={array}>{(item, index) => ...}</ForEach>`."""

    array: Expression
    item: str
    index: str | None
    content: Content

    def render(self, output: Output, scope: Scope) -> None:
        try:
            names = dict(scope.names)  # one for all items: nothing that is rendered keeps it
            inside = Scope(names, scope.budget)
            for index, item in enumerate(entries(self.array.value(scope))):
                names[self.item] = item
                if self.index:
                    names[self.index] = index
                output.render(self.content.nodes, inside)
        except (BudgetError, TypeError) as error:
            raise TemplateError(str(error), self.array.place) from error


@dataclass(eq=False, slots=True)
class Say(Node):
    """`<System>`, `<User>` or `<Assistant>`."""

    role: Role
    nodes: "Sequence[Node]"
    place: Place

    def render(self, output: Output, scope: Scope) -> None:
        output.message(self.role, self.nodes, scope, self.place)


@dataclass(eq=False, slots=True)
class Use(Node):
    """A component's tag: the template at `path`, with these attributes as its props."""

    path: str
    attributes: Mapping[str, Expression]
    nodes: "Sequence[Node]"
    place: Place

    def render(self, output: Output, scope: Scope) -> None:
        props: dict[str, Value] = {name: value.value(scope) for name, value in self.attributes.items()}
        output.enter(self.path, props | {"children": Children(self.nodes, scope)}, self.place)


@dataclass(frozen=True, eq=False, slots=True)
class Template:
    """A parsed file: its nodes, where its front matter and its body begin, and what it imports."""

    nodes: "Sequence[Node]"
    imports: Mapping[str, Place] = field(default_factory=dict)
    """Paths of components, as the loader takes them, and where each is imported."""


def render(template: Template, components: Mapping[str, Template], props: Value, start: Place) -> list[Message]:
    """Render a template to its messages; `components` holds those that it reaches, by path.

    Raises `TemplateError`.
    """
    output = Output({path: component.nodes for path, component in components.items()})
    try:
        output.render(template.nodes, Scope({"props": props}, output.budget))
    except (BudgetError, RecursionError) as error:
        raise TemplateError(str(error), start) from error
    return output.messages
