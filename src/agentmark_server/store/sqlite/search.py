"""Finding sessions by text: by a part of their id or name, and by the words of their messages."""

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import apsw

from agentmark_server.store.sqlite.chunks import NUMBER_BITS
from agentmark_server.store.sqlite.database import searchable
from agentmark_server.store.sqlite.statements import one, rows
from agentmark_server.words import words_asked

_TRACE: Final = NUMBER_BITS + 1
"""The bits of a document's id behind its trace."""
_NUMBER: Final = (1 << NUMBER_BITS) - 1
_GRAM: Final = 3

_FEW: Final = (1000, 8000)
"""So many sessions or less are few, at the first and at the second attempt."""
_MOST: Final = 20_000
"""Sessions that are named one by one; of more, each is compared when it is come to."""


def named(connection: apsw.Connection, app: int, terms: Iterable[str]) -> set[int] | None:
    """The sessions with one of the terms in their id or name, in any case; None: too many to name."""
    found: set[int] = set()
    for term in map(searchable, terms):
        found.update(_named(connection, app, term))
        if len(found) > _MOST:
            return None
    return found


def _named(connection: apsw.Connection, app: int, term: str) -> list[int]:
    """Some more than `_MOST` of them at most."""
    grams = {term[place : place + _GRAM] for place in range(len(term) - _GRAM + 1)}
    if grams:
        match = " AND ".join(map(_quoted, _telling(connection, sorted(grams))))
        some = rows(connection, "sessions_with_parts", match, app, term, _MOST + 1)
    else:
        some = rows(connection, "sessions_compared", app, term, _MOST + 1)
    return [session for (session,) in some]


def _telling(connection: apsw.Connection, grams: list[str]) -> list[str]:
    """Of the parts that a session must have, those that few have; all where all are frequent."""
    for most in _FEW:
        rare = [gram for gram in grams if one(connection, "count_sessions_with_part", _quoted(gram), most) < most]
        if rare:
            return rare
    return grams


def compared(app: int, terms: Sequence[str]) -> tuple[str, list[int | str]]:
    """A condition on a row of `session_text`, that one of the terms is a part of it, with its bindings."""
    either = " OR ".join(["instr(text, ?) > 0"] * len(terms))
    return f"app = ? AND ({either})", [app, *map(searchable, terms)]


def saying(connection: apsw.Connection, app: int, texts: Iterable[str]) -> set[int] | None:
    """The sessions with all words of one of the texts in their messages; None: one has no words, so all fit."""
    asked = [words_asked(text) for text in texts]
    if not all(asked):
        return None
    found = set[int]().union(*(_sessions_with(connection, words) for words in asked))
    return {session for (session,) in rows(connection, "sessions_of_app", _list(found), app)}


def _quoted(text: str) -> str:
    """Text as FTS5 takes it for a string: https://sqlite.org/fts5.html#full_text_query_syntax."""
    return '"' + text.replace('"', '""') + '"'


def _sessions_with(connection: apsw.Connection, words: Collection[str]) -> set[int]:
    """The sessions that have all of the words: those with the rarest, then of these those with the others."""
    hits = sorted((_documents_with(connection, word) for word in words), key=len)
    traces = {document >> _TRACE for document in hits[0]}
    found = _owners(connection, hits[0], dict(rows(connection, "owners_of_traces", _list(traces))))
    for others in hits[1:]:
        if found:
            owned: dict[int, int] = dict(rows(connection, "traces_of_sessions", _list(found)))
            found &= _owners(connection, others, owned)
    return found


def _documents_with(connection: apsw.Connection, word: str) -> list[int]:
    return [document for (document,) in rows(connection, "documents_with", _quoted(word))]


def _list(numbers: Iterable[int]) -> str:
    return json.dumps(list(numbers))


def _owners(connection: apsw.Connection, documents: Sequence[int], owners: dict[int, int]) -> set[int]:
    """The sessions that own documents, in the traces of which `owners` names one.

    A document of a chunk is in a trace with no other owner. Of a single span, the span says whose it is.
    """
    whole = {document >> _TRACE for document in documents if not document & 1}
    found = {owners[trace] for trace in whole & owners.keys()}
    single: dict[int, set[int]] = {}
    for document in documents:
        if document & 1 and document >> _TRACE in owners:
            single.setdefault(document >> _TRACE, set()).add(document >> 1 & _NUMBER)
    for trace, numbers in single.items():
        spans = rows(connection, "owners_of_spans", trace)
        found.update(session for number, session in spans if number in numbers)
    return found
