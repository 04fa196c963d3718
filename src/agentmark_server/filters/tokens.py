"""The words, strings and symbols of a filter's text."""

import re
from typing import Final, NamedTuple

from agentmark_server.filters.errors import FilterError

MAX_LENGTH: Final = 4000
"""Characters of a filter."""
_SHOWN: Final = 60
"""Characters of a token that messages show."""

_TOKEN: Final = re.compile(
    r"""(?P<blank>\s+)
    | (?P<token>
        "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*'  # strings, quotes and all
      | [()]
      | [=<>!~&|]+                             # one symbol, known or not
      | [^\s"'()=<>!~&|]+                      # a word: whatever people would write without quotes
    )
    | (?P<open>["'])""",
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """A piece of the text, and the column in which it begins; the last of all is empty."""

    text: str
    column: int

    @property
    def is_string(self) -> bool:
        """Whether it stands in quotes."""
        return self.text.startswith(('"', "'"))

    def __str__(self) -> str:
        """As messages show it: on one line."""
        shown = repr(self.text)[1:-1] if self.text else "the end"
        return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


def tokens_of(text: str) -> list[Token]:
    """Cut a filter into tokens. Raises FilterError when it is too long, or a quote is not closed."""
    if len(text) > MAX_LENGTH:
        msg = f"a filter has at most {MAX_LENGTH:,} characters, and this one {len(text):,}"
        raise FilterError(msg, MAX_LENGTH + 1)
    pieces = [match for match in _TOKEN.finditer(text) if match.lastgroup != "blank"]
    for match in pieces:
        if match.lastgroup == "open":
            msg = f"a string begins with this {match[0]} and never ends: close it, or write \\{match[0]} inside"
            raise FilterError(msg, match.start() + 1)
    return [*(Token(match[0], match.start() + 1) for match in pieces), Token("", len(text) + 1)]


_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED: Final = {'"': '"', "'": "'", "\\": "\\", "n": "\n", "t": "\t"}


def unquoted(token: Token) -> str:
    """The text that a string stands for. Raises FilterError for an unknown escape or half a character."""
    text = _ESCAPE.sub(lambda match: _character(match, token.column), token.text[1:-1])
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        msg = "this string holds half of a surrogate pair: write both halves, or the character itself"
        raise FilterError(msg, token.column) from None


def _character(escape: re.Match[str], column: int) -> str:
    code, character = escape.groups()
    if code:
        return chr(int(code, 16))
    if character not in _ESCAPED:
        msg = "there is no such escape: write one of \\\" \\' \\\\ \\n \\t \\uXXXX, or \\\\ for a backslash"
        raise FilterError(msg, column + 1 + escape.start())
    return _ESCAPED[character]
