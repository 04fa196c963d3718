"""A tree written as a filter, in any of the ways in which people may write it.

Every choice is drawn from a `Random`: Hypothesis hands in one that it can shrink.
"""

import re
from datetime import UTC, datetime
from decimal import Context, Decimal
from random import Random
from typing import Final, assert_never

from agentmark_server.filters import (
    SESSION,
    SPAN,
    And,
    AnySpan,
    Comparison,
    Exists,
    Field,
    Filter,
    Not,
    Or,
    Subject,
    Type,
    Value,
)

_DIGITS: Final = {Type.MONEY: 12, Type.MILLISECONDS: 6, Type.NUMBER: 0}
"""How many places the decimal point moves from the tree's units to the written ones."""
_EXACT: Final = Context(prec=100)
_SEPARATE: Final = re.compile(r"[\s\"'()=<>!]")
_ESCAPES: Final = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", '"': '\\"', "'": "\\'"}


def text_of(tree: Filter, random: Random) -> str:
    """A filter that says what the tree says."""
    return _joined(_tree(tree, SESSION, random), random)


def _chance(random: Random, percent: int) -> bool:
    # Not `random.random()`: Hypothesis draws that from far fewer values, and shrinks to "no" this way.
    return random.randrange(100) >= 100 - percent


def _joined(tokens: list[str], random: Random) -> str:
    """Blanks stand where two words would run together, and here and there."""
    text = _blank(random, needed=False)
    for token in tokens:
        needed = bool(text) and not _SEPARATE.match(text[-1]) and not _SEPARATE.match(token)
        text += _blank(random, needed=needed) + token
    return text + _blank(random, needed=False)


def _blank(random: Random, *, needed: bool) -> str:
    return random.choice([" ", "\n", " \t "] if needed else ["", " "])


def _tree(tree: Filter, subject: Subject, random: Random) -> list[str]:
    match tree:
        case Comparison(field, operator, value):
            tokens = [*_field(field, subject, random), *_keyword(operator, random), _value(field, value, random)]
        case Exists(field):
            tokens = [*_field(field, subject, random), *_keyword("exists", random)]
        case Not(Exists(field)) if _chance(random, 50):
            tokens = [*_field(field, subject, random), *_keyword("does not exist", random)]
        case Not(operand):
            tokens = [*_keyword("not", random), *_operand(operand, subject, random)]
        case And(operands):
            tokens = _chain("and", operands, subject, random)
        case Or(operands):
            tokens = _chain("or", operands, subject, random)
        case AnySpan(condition):
            tokens = [*_keyword("any", random), "(", *_tree(condition, SPAN, random), ")"]
        case _:
            assert_never(tree)
    return ["(", *tokens, ")"] if _chance(random, 10) else tokens


def _chain(word: str, operands: tuple[Filter, ...], subject: Subject, random: Random) -> list[str]:
    tokens: list[str] = []
    for operand in operands:
        tokens += [*(_keyword(word, random) if tokens else []), *_operand(operand, subject, random)]
    return tokens


def _operand(tree: Filter, subject: Subject, random: Random) -> list[str]:
    tokens = _tree(tree, subject, random)
    return ["(", *tokens, ")"] if isinstance(tree, And | Or) else tokens


def _keyword(words: str, random: Random) -> list[str]:
    return [random.choice([word, word.upper(), word.title()]) for word in words.split()]


def _field(field: Field, subject: Subject, random: Random) -> list[str]:
    if field.key is None:
        names = [name for name, known in subject.fields.items() if known == field]
        return [subject.prefix + random.choice(names)]
    if re.fullmatch(r"[\w.-]+", field.key) and _chance(random, 50):
        return [subject.metadata + field.key]
    return [subject.metadata, _quoted(field.key, random)]


def _value(field: Field, value: Value, random: Random) -> str:
    if isinstance(value, str):
        plain = field.type is Type.WORD and _chance(random, 50)
        [word] = _keyword(value, random) if field.type is Type.WORD else [value]
        return word if plain else _quoted(word, random)
    return _quoted(_time(value), random) if field.type is Type.TIME else _number(field, value, random)


def _number(field: Field, value: float, random: Random) -> str:
    number = Decimal(repr(value)).scaleb(-_DIGITS[field.type], _EXACT)
    return random.choice([str(number), f"{number:f}" if abs(number.adjusted()) < 50 else str(number)])


def _time(value: float) -> str:
    seconds, nanoseconds = divmod(int(value), 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def _quoted(text: str, random: Random) -> str:
    quote = random.choice("\"'")
    escaped = random.choice([f"{quote}\\", "".join(_ESCAPES), text])
    return quote + "".join(_escape(one) if one in escaped else one for one in text) + quote


def _escape(character: str) -> str:
    code = character.encode("utf-16-be").hex()
    return _ESCAPES.get(character) or "".join(f"\\u{code[at : at + 4]}" for at in range(0, len(code), 4))
