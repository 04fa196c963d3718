"""What a word is, for finding texts by the words in them: pure, and the same for what is kept and what is asked.

A word is a run of letters and digits, in any case, without accents. In scripts that write no spaces (Chinese,
Japanese, Thai, Lao, Burmese, Khmer) each pair of neighbouring characters is a word, and each character alone: any
part of a run is then found, by all of its pairs.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

LONGEST: Final = 64
"""Characters of a word that count: longer ones are mostly no words but data."""

_ASCII: Final = re.compile(r"[a-z0-9]+")
_ACCENTS: Final = re.compile("[\u0300-\u036f]+")
_UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_BEYOND_MARKS: Final = 0x20000


def words_in(text: str) -> set[str]:
    """The words to find a text by."""
    found: set[str] = set()
    for run, unspaced in _runs(text):
        found.add(run)
        if unspaced:
            found.update(run)
            found.update(_pairs(run))
    return found


def words_asked(text: str) -> set[str]:
    """The words that must all be in a text for it to be found."""
    found: set[str] = set()
    for run, unspaced in _runs(text):
        found.update(_pairs(run) if unspaced and len(run) > 1 else (run,))
    return found


def _pairs(run: str) -> Iterator[str]:
    return map(str.__add__, run, run[1:])


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    """Each run of letters and digits as it is compared, and whether its script writes no spaces."""
    if text.isascii():
        for run in _ASCII.findall(text.lower()):
            yield run[:LONGEST], False
        return
    for match in _any_script().finditer(_folded(text)):
        unspaced = match.lastindex == 1
        yield match[0] if unspaced else match[0][:LONGEST], unspaced


def _folded(text: str) -> str:
    """Without what does not tell words apart: case, accents, how a character is composed."""
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text)).casefold()
    return unicodedata.normalize("NFKC", plain)


@lru_cache(maxsize=1)
def _any_script() -> "re.Pattern[str]":
    """Runs of an unspaced script (group 1), or of any other; marks belong to the letter before them."""
    marks = "".join(chr(code) for code in range(_BEYOND_MARKS) if unicodedata.category(chr(code))[0] == "M")
    return re.compile(f"([{_UNSPACED}]+)|(?:(?![{_UNSPACED}])[^\\W_])(?:(?![{_UNSPACED}])(?:[^\\W_]|[{marks}]))*")
