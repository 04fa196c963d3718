"""Finding sessions by text: by a part of their id or name, and by the words of their messages."""

import json
from collections.abc import Collection, Iterable
from typing import Final

import apsw

from agentmark_server.store.sqlite.chunks import NUMBER_BITS
from agentmark_server.store.sqlite.database import searchable
from agentmark_server.store.sqlite.statements import rows
from agentmark_server.words import words_asked

_GRAM: Final = 3

_MOST: Final = 20_000
"""Sessions that are named one by one; of more, each is compared when it is come to."""


def named(connection: apsw.Connection, terms: Iterable[str]) -> set[int] | None:
    """The sessions with one of the terms in their id or name, in any case; None: too many to name."""
    found: set[int] = set()
    for term in map(searchable, terms):
        if len(term) < _GRAM or len(found) > _MOST:
            return None
        # Only those that have each three characters of the term are compared.
        grams = {term[place : place + _GRAM] for place in range(len(term) - _GRAM + 1)}
        match = " AND ".join(map(_quoted, sorted(grams)))
        found.update(session for (session,) in rows(connection, "sessions_named", match, term, term, _MOST + 1))
    return None if len(found) > _MOST else found


def compared(terms: Iterable[str]) -> tuple[str, list[str]]:
    """A condition on a row of `session_text`, that one of the terms is a part of it, with its bindings."""
    parts = [part for term in map(searchable, terms) for part in (term, term)]
    return " OR ".join(["instr(session_id, ?) > 0 OR instr(name, ?) > 0"] * (len(parts) // 2)), parts


def saying(connection: apsw.Connection, texts: Iterable[str]) -> set[int] | None:
    """The sessions with all words of one of the texts in their messages; None: one has no words, so all fit."""
    asked = [words_asked(text) for text in texts]
    return set[int]().union(*(_sessions_with(connection, words) for words in asked)) if all(asked) else None


def _quoted(text: str) -> str:
    """Text as FTS5 takes it for a string: https://sqlite.org/fts5.html#full_text_query_syntax."""
    return '"' + text.replace('"', '""') + '"'


def _sessions_with(connection: apsw.Connection, words: Collection[str]) -> set[int]:
    """The sessions that have all of the words: those with the rarest, then of these those with the others."""
    hits = sorted((_documents_with(connection, word) for word in words), key=len)
    traces = {document >> NUMBER_BITS + 1 for document in hits[0]}
    found = _owners(connection, hits[0], _pairs(rows(connection, "owners_of_traces", _list(traces))))
    for others in hits[1:]:
        if not found:
            break
        owned = _pairs(rows(connection, "traces_of_sessions", _list(found)))
        found &= _owners(connection, others, owned)
    return found


def _documents_with(connection: apsw.Connection, word: str) -> list[int]:
    return [document for (document,) in rows(connection, "documents_with", _quoted(word))]


def _list(numbers: Iterable[int]) -> str:
    return json.dumps(list(numbers))


def _pairs(found: Iterable[tuple[int, int]]) -> dict[int, set[int]]:
    """The owners of each trace."""
    owners: dict[int, set[int]] = {}
    for trace, session in found:
        owners.setdefault(trace, set()).add(session)
    return owners


def _owners(connection: apsw.Connection, documents: Iterable[int], owners: dict[int, set[int]]) -> set[int]:
    """The sessions that own documents, of those that are among the owners of their traces."""
    found: set[int] = set()
    single: dict[int, set[int]] = {}
    """Of traces with several owners the numbers of spans."""
    for document in documents:
        trace = document >> NUMBER_BITS + 1
        if trace in owners:
            if document & 1:
                single.setdefault(trace, set()).add(document >> 1 & (1 << NUMBER_BITS) - 1)
            else:
                found |= owners[trace]
    for trace, numbers in single.items():
        spans = rows(connection, "owners_of_spans", trace)
        found.update(session for number, session in spans if number in numbers)
    return found
