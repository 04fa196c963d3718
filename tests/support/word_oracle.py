"""Which sessions `search` and `q` find, said in plain Python: docs/sessions.md, "Finding"."""

import unicodedata
from collections.abc import Iterable

UNSPACED = ("CJK UNIFIED", "HIRAGANA", "KATAKANA", "THAI")


def has_part(term: str, *texts: str | None) -> bool:
    """Whether a term is a part of one of the texts, in any case."""
    return any(_compared(term) in _compared(text) for text in texts if text is not None)


def _compared(text: str) -> str:
    return text.casefold().replace("\0", "\ufffd").replace("\x1f", "\ufffd")


def says(asked: str, texts: Iterable[str]) -> bool:
    """Whether all words of what is asked are in the texts."""
    said = [run for text in texts for run in runs(text)]
    return all(_is_said(run, said) for run in runs(asked))


def _is_said(asked: str, said: list[str]) -> bool:
    if not _unspaced(asked[0]):
        return asked in said
    parts = [asked[place : place + 2] for place in range(len(asked) - 1)] or [asked]
    return all(any(part in run for run in said) for part in parts)


def runs(text: str) -> list[str]:
    """Letters and digits in a row, of scripts with spaces or of those without."""
    found = [""]
    for character in _plain(text):
        inside = character.isalnum() or unicodedata.category(character)[0] == "M"
        if not inside or (found[-1] and _unspaced(found[-1][0]) != _unspaced(character)):
            found.append("")
        if inside:
            found[-1] += character
    return [run for run in found if run]


def _plain(text: str) -> str:
    bare = "".join(one for one in unicodedata.normalize("NFKD", text) if not "\u0300" <= one <= "\u036f")
    return unicodedata.normalize("NFKC", bare.casefold())


def _unspaced(character: str) -> bool:
    return unicodedata.name(character, "").startswith(UNSPACED)
