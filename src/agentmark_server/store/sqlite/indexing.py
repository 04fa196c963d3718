"""The index of words: chunks wait in a queue, and are brought into it some at a time, beside all else.

The rows of the index and what it still has to do change in the same transactions, so that a crash loses neither.
"""

import logging
import time
from collections.abc import Iterable
from threading import Lock
from typing import Final

import apsw
import msgspec
import zstandard

from agentmark_server.model import Origin
from agentmark_server.packing import unpacked_contents
from agentmark_server.store import SpanReader
from agentmark_server.store.sqlite.chunks import NUMBER_BITS, ids_of
from agentmark_server.store.sqlite.database import Database
from agentmark_server.store.sqlite.statements import SQL, one, rows
from agentmark_server.words import words_in

_CHUNKS: Final = 50
"""Indexed in one transaction at most."""
_WORDS: Final = 5000
"""Written in one transaction, or few more: some milliseconds."""
_SHARE: Final = 9
"""While others work, it waits so many times as long as it works."""
_WAIT: Final = 0.001

_log = logging.getLogger(__name__)


class _Document(msgspec.Struct, frozen=True):
    id: int
    words: str


class _Indexed(msgspec.Struct, frozen=True):
    """What a chunk becomes: documents, with ids from `first` up to before `end`."""

    chunk: int
    first: int
    end: int
    documents: list[_Document]


class Index:
    """Brings words into the index; one thread at a time."""

    def __init__(self, database: Database, reader: SpanReader) -> None:
        self._database = database
        self._reader = reader
        self._lock = Lock()

    def step(self) -> bool:
        """Index some of what has waited longest; False when nothing waits."""
        with self._lock:
            with self._database.reading() as connection:
                waiting = rows(connection, "waiting_chunks", _CHUNKS)
                last = one(connection, "last_waiting")
            if not waiting:
                return False
            places, indexed = self._indexed(waiting)
            with self._database.writing() as connection:
                _put(connection, indexed, last)
                connection.executemany(SQL["unqueue"], [(place,) for place in places])
            return True

    def _indexed(self, waiting: list[tuple[int, int]]) -> tuple[list[int], list[_Indexed]]:
        """So many of the chunks as one transaction should write, with their places in the queue."""
        places: list[int] = []
        indexed: dict[int, _Indexed] = {}
        count = 0
        for place, chunk in waiting:
            if count > _WORDS:
                break
            places.append(place)
            read = None if chunk in indexed else self._read(chunk)
            if read:
                indexed[chunk] = read
                count += sum(one.words.count(" ") for one in read.documents)
        return places, list(indexed.values())

    def _read(self, chunk: int) -> _Indexed | None:
        """A chunk's words: together, or span by span where its trace has several owners. None: it is gone."""
        trace = chunk >> NUMBER_BITS
        with self._database.reading() as connection:
            found = one(connection, "chunk", chunk)
            if not found:
                return None
            _, origins, _, contents = found
            numbers = msgspec.msgpack.decode(origins, type=list[int])
            known = {number: _origin(connection, number) for number in set(numbers)}
            current = {ids_of(trace)[0] + number for number, _ in rows(connection, "owners_of_spans", trace)}
            shared = one(connection, "count_parts", *ids_of(trace)) > 1
        found_words = {
            chunk + place: self._words(known[number], raw)
            for place, (number, raw) in enumerate(zip(numbers, unpacked_contents(contents), strict=True))
            if chunk + place in current
        }
        if shared:
            documents = [_Document(span << 1 | 1, _joined(words)) for span, words in found_words.items() if words]
        else:
            together = set[str]().union(*found_words.values())
            documents = [_Document(chunk << 1, _joined(together))] if together else []
        return _Indexed(chunk, chunk << 1, (chunk + len(numbers)) << 1, documents)

    def _words(self, origin: Origin, raw: bytes) -> set[str]:
        began = time.monotonic()
        try:
            return set[str]().union(*map(words_in, self._reader.texts(origin, raw)))
        except Exception:  # noqa: BLE001  # one span must not keep all others from being found
            _log.exception("a span cannot be read for its words")
            return set()
        finally:
            self._give_way(time.monotonic() - began)

    def _give_way(self, worked: float) -> None:
        """Let others go first: Python runs one thread at a time."""
        until = time.monotonic() + _SHARE * worked
        while self._database.busy and time.monotonic() < until:
            time.sleep(_WAIT)


def _origin(connection: apsw.Connection, number: int) -> Origin:
    return msgspec.msgpack.decode(one(connection, "origin", number), type=Origin)


def _joined(words: set[str]) -> str:
    return " ".join(sorted(words))


def _put(connection: apsw.Connection, indexed: Iterable[_Indexed], last: int) -> None:
    """Put documents in the place of those before; `last` is the place of the last chunk that waited before."""
    changed = {chunk for (chunk,) in rows(connection, "queued_after", last)}
    # In the order of their ids: https://sqlite.org/fts5.html keeps what comes in another in more pieces.
    for each in sorted(indexed, key=lambda one: one.first):
        if each.chunk in changed or not one(connection, "chunk_head", each.chunk):
            continue  # it waits again, or is gone
        _take_out(connection, each.first, each.end)
        for document in each.documents:
            one(connection, "add_words", document.id, document.words)
            one(connection, "add_document", document.id, zstandard.compress(document.words.encode()))


def _take_out(connection: apsw.Connection, first: int, end: int) -> None:
    for document, words in rows(connection, "documents_between", first, end):
        one(connection, "delete_words", document, zstandard.decompress(words).decode())
    one(connection, "delete_documents", first, end)
    one(connection, "delete_stale_documents", first, end)


def take_out_trace(connection: apsw.Connection, trace: int) -> None:
    """Delete the words of a trace from the index."""
    first, end = ids_of(trace)
    _take_out(connection, first << 1, end << 1)


def outdate_trace(connection: apsw.Connection, trace: int) -> None:
    """What was indexed of a trace holds no more, for it has several owners now."""
    first, end = ids_of(trace)
    one(connection, "mark_outdated", first << 1, end << 1)
    one(connection, "queue_trace", first, end)


def outdate_spans(connection: apsw.Connection, trace: int, numbers: Iterable[int]) -> None:
    """What was indexed of some spans of a trace, by number, holds no more, for other versions replace them."""
    spans = [ids_of(trace)[0] + number for number in numbers]
    for chunk in {one(connection, "chunk_head_of_span", span) for span in spans}:
        one(connection, "mark_outdated", chunk << 1, (chunk << 1) + 1)
        one(connection, "queue_chunk", chunk)
    for span in spans:
        one(connection, "mark_outdated", span << 1 | 1, (span << 1 | 1) + 1)


def index_anew(connection: apsw.Connection) -> None:
    """Empty the indexes and the sessions, which are derived anew, and have all chunks indexed again."""
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    try:
        connection.execute(SQL["clear_index"])
    finally:
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 1)
    connection.execute(SQL["queue_everything"])


def lag(connection: apsw.Connection) -> int | None:
    """For how long the oldest of the chunks that are not indexed has waited (ns); None when none waits."""
    since = one(connection, "waiting_since")
    return None if since is None else max(0, time.time_ns() - since * 10**6)
