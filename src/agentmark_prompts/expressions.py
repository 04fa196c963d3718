"""What stands between `{` and `}`: a small part of JavaScript's expressions, parsed to a tree that only computes.

    expression = operand { operator operand }          the operators of `_LEVELS`, weakest first
    operand    = ( "!" | "-" | "+" ) operand | primary { "." name | "?." name | "[" expression "]" }
    primary    = number | string | "true" | "false" | "null" | "undefined" | name
               | filter "(" [ expression { "," expression } ] ")" | "(" expression ")"
               | "[" [ expression { "," expression } ] "]" | "{" [ key ":" expression { "," ... } ] "}"

A tree reads the names in its scope and calls filters; there is nothing else that it could reach.
"""

import difflib
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from agentmark_prompts.budget import Budget
from agentmark_prompts.errors import TemplateError
from agentmark_prompts.filters import FILTERS, Filter
from agentmark_prompts.source import Place, Source
from agentmark_prompts.values import MISSING, Value, as_number, kind_name, number, same, text, truth

MAX_DEPTH: Final = 50
"""How deeply expressions, and tags, may be nested."""
MAX_OPERATORS: Final = 250
"""How many operators one expression may have. Both bound the recursion, here and when it is computed."""

_LEVELS: Final = (
    ("||",),
    ("&&",),
    ("===", "!==", "==", "!="),
    ("<=", ">=", "<", ">"),
    ("+", "-"),
    ("*", "/", "%"),
)
_STRENGTH: Final = {operator: strength for strength, level in enumerate(_LEVELS) for operator in level}
_BLANK: Final = re.compile(r"(?:\s|/\*.*?\*/)*", re.DOTALL)
_NUMBER: Final = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NAME: Final = re.compile(r"(?:[^\W\d]|\$)[\w$]*")
_STRING: Final = re.compile(r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'""")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_OPERATOR: Final = re.compile(r"\|\||&&|[=!]==?|[<>]=?|[-+*/%]")
_CONSTANTS: Final[Mapping[str, Value]] = {"true": True, "false": False, "null": None, "undefined": MISSING}


@dataclass(slots=True)
class Scope:
    """The names that an expression sees, and what it may still use up."""

    names: Mapping[str, Value]
    budget: Budget


@dataclass(frozen=True, eq=False, slots=True)
class Expression(ABC):
    """A tree; `place` is where it starts, or its operator."""

    place: Place

    @abstractmethod
    def evaluate(self, scope: Scope) -> Value:
        """Compute it; raises `TemplateError`, or an error without a place, to which `value` gives one."""

    def value(self, scope: Scope) -> Value:
        """Compute it; whatever goes wrong is a `TemplateError`."""
        try:
            return self.evaluate(scope)
        except (ArithmeticError, RecursionError, TypeError, ValueError) as error:
            raise TemplateError(str(error), self.place) from error


@dataclass(frozen=True, eq=False, slots=True)
class Constant(Expression):
    """A literal."""

    literal: Value

    def evaluate(self, scope: Scope) -> Value:  # noqa: ARG002 - one signature for all
        return self.literal


@dataclass(frozen=True, eq=False, slots=True)
class Name(Expression):
    """`props`, or a name of a loop around it, and what `keys` lead to from there."""

    name: str
    keys: tuple[str, ...] = ()

    def evaluate(self, scope: Scope) -> Value:
        value = scope.names[self.name]
        for key in self.keys:
            value = value.get(key, MISSING) if isinstance(value, dict) else _item(value, key)
        return value


@dataclass(frozen=True, eq=False, slots=True)
class Member(Expression):
    """`of.key`: a dict's value, or a length; nothing of Python's objects."""

    of: Expression
    key: str

    def evaluate(self, scope: Scope) -> Value:
        of = self.of.evaluate(scope)
        return of.get(self.key, MISSING) if isinstance(of, dict) else _item(of, self.key)


@dataclass(frozen=True, eq=False, slots=True)
class Item(Expression):
    """`of[key]`: a dict's value, a list's item, or a character."""

    of: Expression
    key: Expression

    def evaluate(self, scope: Scope) -> Value:
        of, key = self.of.evaluate(scope), self.key.evaluate(scope)
        if isinstance(of, dict):
            return of.get(key, MISSING) if isinstance(key, str) else MISSING
        return _item(of, key)


def _item(of: Value, key: Value) -> Value:
    if not isinstance(of, (list, str)):  # not `|`, which makes a union each time
        return MISSING
    if key == "length":
        return len(of)
    if isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(of):
        return of[key]
    return MISSING


@dataclass(frozen=True, eq=False, slots=True)
class Call(Expression):
    """A filter, applied."""

    name: str
    filter: Filter
    arguments: tuple[Expression, ...]

    def evaluate(self, scope: Scope) -> Value:
        arguments = [argument.evaluate(scope) for argument in self.arguments]
        try:
            return self.filter.call(arguments, scope.budget)
        except (ArithmeticError, TypeError, ValueError) as error:
            msg = f"{self.name}(): {error}"
            raise TemplateError(msg, self.place) from error


@dataclass(frozen=True, eq=False, slots=True)
class Array(Expression):
    """A list."""

    items: tuple[Expression, ...]

    def evaluate(self, scope: Scope) -> Value:
        return [item.evaluate(scope) for item in self.items]


@dataclass(frozen=True, eq=False, slots=True)
class Object(Expression):
    """A dict."""

    items: tuple[tuple[str, Expression], ...]

    def evaluate(self, scope: Scope) -> Value:
        return {key: item.evaluate(scope) for key, item in self.items}


@dataclass(frozen=True, eq=False, slots=True)
class Not(Expression):
    """`!operand`."""

    operand: Expression

    def evaluate(self, scope: Scope) -> Value:
        return not truth(self.operand.evaluate(scope))


@dataclass(frozen=True, eq=False, slots=True)
class Sign(Expression):
    """`-operand` or `+operand`."""

    operand: Expression
    factor: int

    def evaluate(self, scope: Scope) -> Value:
        return number(self.factor * _operand("-" if self.factor < 0 else "+", self.operand.evaluate(scope)))


@dataclass(frozen=True, eq=False, slots=True)
class Binary(Expression):
    """`left operator right`."""

    operation: "_Operation"
    left: Expression
    right: Expression

    def evaluate(self, scope: Scope) -> Value:
        try:
            return self.operation(self.left.evaluate(scope), self.right.evaluate(scope), scope.budget)
        except (ArithmeticError, TypeError, ValueError) as error:
            raise TemplateError(str(error), self.place) from error


@dataclass(frozen=True, eq=False, slots=True)
class Logic(Expression):
    """`left && right` or `left || right`: one of the two, as in JavaScript; the right may be left out."""

    left: Expression
    right: Expression
    both: bool

    def evaluate(self, scope: Scope) -> Value:
        left = self.left.evaluate(scope)
        return self.right.evaluate(scope) if truth(left) == self.both else left


def _operand(operator: str, value: Value) -> float:
    """A number to compute with: computing with text or nothing is a mistake that JavaScript hides as NaN."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        msg = f"{operator} needs numbers: this is {kind_name(value)}"
        raise TypeError(msg)
    return value


def _add(left: Value, right: Value, budget: Budget) -> Value:
    if not isinstance(left, str) and not isinstance(right, str):
        return number(_operand("+", left) + _operand("+", right))
    for value in (left, right):
        if value is MISSING or isinstance(value, list | dict):
            msg = f"+ needs numbers or text: this is {kind_name(value)}"
            raise TypeError(msg)
    joined = text(left, budget) + text(right, budget)
    budget.spend(len(joined))
    return joined


def _subtract(left: Value, right: Value, _budget: Budget) -> Value:
    return number(_operand("-", left) - _operand("-", right))


def _multiply(left: Value, right: Value, _budget: Budget) -> Value:
    return number(_operand("*", left) * _operand("*", right))


def _divide(left: Value, right: Value, _budget: Budget) -> Value:
    return number(_operand("/", left) / _operand("/", right))


def _remainder(left: Value, right: Value, _budget: Budget) -> Value:
    dividend, divisor = _operand("%", left), _operand("%", right)
    if isinstance(dividend, int) and isinstance(divisor, int):
        return int(math.fmod(dividend, divisor)) if divisor else dividend % divisor
    return number(math.fmod(dividend, divisor))


def _ordered(compare: Callable[[float, float], bool]) -> "_Operation":
    """An ordering: of two texts by their characters, else of numbers, and of text that reads as one."""

    def operation(left: Value, right: Value, _budget: Budget) -> Value:
        if isinstance(left, str) and isinstance(right, str):
            return compare((left > right) - (left < right), 0)
        return compare(as_number(left), as_number(right))

    return operation


_Operation = Callable[[Value, Value, Budget], Value]
_BINARY: Final[Mapping[str, _Operation]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "%": _remainder,
    "==": lambda left, right, _: same(left, right, strict=False),
    "!=": lambda left, right, _: not same(left, right, strict=False),
    "===": lambda left, right, _: same(left, right, strict=True),
    "!==": lambda left, right, _: not same(left, right, strict=True),
    "<": _ordered(lambda left, right: left < right),
    "<=": _ordered(lambda left, right: left <= right),
    ">": _ordered(lambda left, right: left > right),
    ">=": _ordered(lambda left, right: left >= right),
}


class ExpressionParser:
    """Parses one expression of `source`, from the offset `at`, which it moves on behind the expression.

    Every problem is a `TemplateError` at its place.
    """

    def __init__(self, source: Source, at: int, names: Collection[str]) -> None:
        self.source, self.at, self._names = source, at, names
        self._depth = self._operators = 0

    def expression(self, weakest: int = 0) -> Expression:
        """Parse operands and the operators between them that bind at least as strongly as `weakest`."""
        left = self._operand()
        while (operator := self._operator()) and (strength := _STRENGTH[operator]) >= weakest:
            place = self._operator_place()
            self.at += len(operator)
            right = self.expression(strength + 1)
            if operator in _BINARY:
                left = Binary(place, _BINARY[operator], left, right)
            else:
                left = Logic(place, left, right, operator == "&&")
        return left

    def blank(self) -> None:
        """Go on to the next thing that means something."""
        end = _BLANK.match(self.source.text, self.at)
        self.at = end.end() if end else self.at

    def take(self, token: str) -> bool:
        """Go behind `token` if it is next."""
        self.blank()
        found = self.source.text.startswith(token, self.at)
        self.at += len(token) if found else 0
        return found

    def expect(self, token: str, after: str) -> None:
        """Go behind `token`, which must be next."""
        if not self.take(token):
            self.fail(f"{token} is missing after {after}")

    def name(self) -> str | None:
        """Go behind a name if one is next."""
        self.blank()
        found = _NAME.match(self.source.text, self.at)
        self.at = found.end() if found else self.at
        return found[0] if found else None

    def fail(self, message: str) -> NoReturn:
        """Report a problem here."""
        raise TemplateError(message, self.source.at(self.at))

    def _operator(self) -> str | None:
        self.blank()
        found = _OPERATOR.match(self.source.text, self.at)
        return found[0] if found else None

    def _operator_place(self) -> Place:
        self._operators += 1
        if self._operators > MAX_OPERATORS:
            self.fail(f"this expression has more than {MAX_OPERATORS} operators")
        return self.source.at(self.at)

    def _operand(self) -> Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self.fail(f"this expression is nested more than {MAX_DEPTH} deep")
        self.blank()
        place = self.source.at(self.at)
        if self.take("!"):
            operand: Expression = Not(place, self._operand())
        elif self.take("-"):
            operand = Sign(place, self._operand(), -1)
        elif self.take("+"):
            operand = Sign(place, self._operand(), 1)
        else:
            operand = self._members(self._primary(place))
        self._depth -= 1
        return operand

    def _members(self, of: Expression) -> Expression:
        while True:
            self.blank()
            place = self.source.at(self.at)
            if self.take("?.") or self.take("."):
                self._operator_place()
                name = self.name() or self.fail("a name is missing after the dot")
                of = self._member(place, of, name)
            elif self.take("["):
                self._operator_place()
                of = Item(place, of, self.expression())
                self.expect("]", "the key")
            elif isinstance(of, Member | Name) and self.take("("):
                msg = "values have no methods: use a filter"
                raise TemplateError(msg, place)
            else:
                return of

    def _member(self, place: Place, of: Expression, key: str) -> Expression:
        return Name(of.place, of.name, (*of.keys, key)) if isinstance(of, Name) else Member(place, of, key)

    def _primary(self, place: Place) -> Expression:
        if found := _NUMBER.match(self.source.text, self.at):
            self.at = found.end()
            return Constant(place, number(float(found[0])))
        if found := _STRING.match(self.source.text, self.at):
            self.at = found.end()
            return Constant(place, _unescaped(found[0][1:-1]))
        if name := self.name():
            return self._named(name, place)
        if self.take("("):
            inner = self.expression()
            self.expect(")", "the expression")
            return inner
        if self.take("["):
            return Array(place, self._list("]"))
        if self.take("{"):
            return self._object(place)
        return self.fail(_unexpected(self.source.text[self.at : self.at + 1]))

    def _named(self, name: str, place: Place) -> Expression:
        if name in _CONSTANTS:
            return Constant(place, _CONSTANTS[name])
        if self.take("("):
            return self._call(name, place)
        if name not in self._names:
            raise TemplateError(unknown("name", name, [*self._names, *_CONSTANTS], f"props.{name}"), place)
        return Name(place, name)

    def _call(self, name: str, place: Place) -> Expression:
        if name not in FILTERS:
            raise TemplateError(unknown("filter", name, FILTERS), place)
        known, arguments = FILTERS[name], self._list(")")
        if not known.least <= len(arguments) <= known.most:
            takes = f"{known.least}" if known.least == known.most else f"{known.least} to {known.most}"
            msg = f"{name}() takes {takes} arguments, not {len(arguments)}"
            raise TemplateError(msg, place)
        return Call(place, name, known, arguments)

    def _list(self, end: str) -> tuple[Expression, ...]:
        items: list[Expression] = []
        while not self.take(end):
            items.append(self.expression())
            if not self.take(","):
                self.expect(end, "the last of them")
                break
        return tuple(items)

    def _object(self, place: Place) -> Expression:
        items: list[tuple[str, Expression]] = []
        while not self.take("}"):
            key = self._key()
            self.expect(":", "the key")
            items.append((key, self.expression()))
            if not self.take(","):
                self.expect("}", "the last value")
                break
        return Object(place, tuple(items))

    def _key(self) -> str:
        self.blank()
        if found := _STRING.match(self.source.text, self.at):
            self.at = found.end()
            return _unescaped(found[0][1:-1])
        return self.name() or self.fail("a key is missing: a name or text in quotes")


def _unescaped(literal: str) -> str:
    if "\\" not in literal:
        return literal
    # Two halves of a character, as JavaScript writes it, become one; a half alone the replacement character.
    return _ESCAPE.sub(_escape, literal).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _escape(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else _ESCAPED.get(found[3], found[3])


def _unexpected(character: str) -> str:
    if not character:
        return "the file ends within an expression: a } is missing"
    if character in "\"'":
        return f"text that begins with {character} has no end in its line"
    return f"{character!r} does not belong here: an expression was expected"


def unknown(kind: str, name: str, known: Collection[str], otherwise: str = "") -> str:
    """Say that a name is not known, and which one was probably meant."""
    close = difflib.get_close_matches(name, known, 1)
    meant = close[0] if close else otherwise
    hint = f"did you mean {meant}?" if meant else f"there are {', '.join(sorted(known))}"
    return f"there is no {kind} {name:.60}: {hint}"
