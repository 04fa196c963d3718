"""The grammar: from the text of a filter to its tree."""

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from agentmark_server.filters.errors import FilterError
from agentmark_server.filters.fields import METADATA, SESSION, SPAN, Field, Subject
from agentmark_server.filters.operators import Operator
from agentmark_server.filters.tokens import Token, tokens_of, unquoted
from agentmark_server.filters.tree import And, AnySpan, Exists, Filter, Not, Or
from agentmark_server.filters.values import comparison

MAX_DEPTH: Final = 32
"""How many of `not`, `any` and parentheses may stand inside each other."""
MAX_COMPARISONS: Final = 100
"""Comparisons of a filter, those with `exists` among them."""

_EXISTS: Final = "exists"
_DOES_NOT_EXIST: Final = "does not exist"
_SPELLED: Final[Mapping[str, list[str]]] = {name: name.split() for name in (*Operator, _EXISTS, _DOES_NOT_EXIST)}
_BARE_KEY: Final = re.compile(r"[\w.-]+")
_NAME: Final = re.compile(r"[^\W\d]")
"""How a field's name begins."""


def parse(text: str) -> Filter:
    """Read a filter. Raises FilterError, at the first thing that is wrong.

    Of `or`, `and` and `not` the latter binds more closely; keywords and words may be in any case.
    """
    return _Parser(tokens_of(text)).whole()


class _Scope(NamedTuple):
    """What the fields are of, and how deep inside `not`, `any` and parentheses."""

    subject: Subject
    depth: int = 0

    def inside(self, token: Token, subject: Subject | None = None) -> "_Scope":
        if self.depth == MAX_DEPTH:
            msg = f"more than {MAX_DEPTH} of not, any and parentheses stand inside each other: write it flatter"
            raise FilterError(msg, token.column)
        return _Scope(subject or self.subject, self.depth + 1)


class _Parser:
    """Goes through the tokens once. Each method reads what it is named after.

    either = all ("or" all)*
    all = operand ("and" operand)*
    operand = "not" operand | "(" either ")" | "any" "(" either ")" | field operator [value]
    """

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._place = 0
        self._comparisons = 0

    def whole(self) -> Filter:
        if len(self._tokens) == 1:
            msg = "the filter is empty: leave it out, or write a comparison like total_cost > 0.01"
            raise FilterError(msg, 1)
        read = self._either(_Scope(SESSION))
        if self._next.text == ")":
            msg = "this parenthesis closes none"
            raise FilterError(msg, self._next.column)
        if self._next.text:
            msg = f"expected and, or, or the end, not {self._next}"
            raise FilterError(msg, self._next.column)
        return read

    @property
    def _next(self) -> Token:
        return self._tokens[self._place]

    def _takes(self, words: list[str]) -> bool:
        """Whether these come next; then they are read."""
        end = self._place + len(words)
        found = [token.text.lower() for token in self._tokens[self._place : end]] == words
        self._place = end if found else self._place
        return found

    def _take(self) -> Token:
        token = self._next
        self._place += bool(token.text)  # there is nothing behind the end
        return token

    def _either(self, scope: _Scope) -> Filter:
        return self._joined("or", Or, self._all, scope)

    def _all(self, scope: _Scope) -> Filter:
        return self._joined("and", And, self._operand, scope)

    def _joined(
        self, word: str, node: type[And | Or], operand: Callable[[_Scope], Filter], scope: _Scope
    ) -> Filter:
        operands = [operand(scope)]
        while self._takes([word]):
            operands.append(operand(scope))
        return node(tuple(operands)) if len(operands) > 1 else operands[0]

    def _operand(self, scope: _Scope) -> Filter:
        begin = self._next
        if self._takes(["not"]):
            return Not(self._operand(scope.inside(begin)))
        if self._takes(["any"]):
            return self._any(begin, scope)
        if self._takes(["("]):
            return self._in_parentheses(begin, scope.inside(begin))
        return self._comparison(scope.subject)

    def _any(self, begin: Token, scope: _Scope) -> Filter:
        if scope.subject is SPAN:
            msg = "any(...) cannot stand inside another: it is about one span already"
            raise FilterError(msg, begin.column)
        opened = self._next
        if not self._takes(["("]):
            msg = f"expected a condition in parentheses, as in any(span.status = error), not {opened}"
            raise FilterError(msg, opened.column)
        return AnySpan(self._in_parentheses(opened, scope.inside(begin, SPAN)))

    def _in_parentheses(self, opened: Token, scope: _Scope) -> Filter:
        read = self._either(scope)
        if not self._takes([")"]):
            msg = f"expected and, or, or ) for the parenthesis in column {opened.column}, not {self._next}"
            raise FilterError(msg, self._next.column)
        return read

    def _comparison(self, subject: Subject) -> Filter:
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            msg = f"a filter has at most {MAX_COMPARISONS} comparisons, and this is one more"
            raise FilterError(msg, self._next.column)
        field = self._field(subject)
        operator = self._operator(field)
        if isinstance(operator, Operator):
            return comparison(field, operator, self._take())
        return Exists(field) if operator == _EXISTS else Not(Exists(field))

    def _field(self, subject: Subject) -> Field:
        token = self._take()
        if not _NAME.match(token.text):
            msg = f'expected a field, as in {subject.prefix}name = "a name", not {token}'
            raise FilterError(msg, token.column)
        if token.text.startswith(subject.metadata):
            return msgspec.structs.replace(METADATA, key=self._key(token, subject))
        field = subject.field(token.text)
        if field is None:
            raise FilterError(_unknown(token, subject), token.column)
        return field

    def _key(self, token: Token, subject: Subject) -> str:
        bare = token.text.removeprefix(subject.metadata)
        if not bare and self._next.is_string:
            return unquoted(self._take())
        if not _BARE_KEY.fullmatch(bare):
            msg = f'a key is of letters, digits, _, - and ., or stands in quotes: {subject.metadata}"any key"'
            raise FilterError(msg, token.column + len(subject.metadata))
        return bare

    def _operator(self, field: Field) -> str:
        """An operator that fits the field, or one of the two without a value."""
        begin = self._next
        operator = next((name for name, words in _SPELLED.items() if self._takes(words)), None)
        allowed = [*(each for each in Operator if each in field.type.operators), _EXISTS, _DOES_NOT_EXIST]
        if operator not in allowed:
            msg = f"expected an operator for {field.type} ({', '.join(allowed)}), not {operator or begin}"
            raise FilterError(msg, begin.column)
        return operator


def _unknown(token: Token, subject: Subject) -> str:
    if subject is SESSION and token.text.startswith(SPAN.prefix):
        return f"fields of spans stand inside any(...), as in any({token} exists)"
    if token.text.removeprefix(subject.prefix).startswith(METADATA.name):
        return f"metadata is asked for by its key: {subject.metadata}<key>"
    return f"there is no field {token}: {subject.suggestion(token.text)}"
