"""The file: opening it, bringing its schema to today's, one owner at a time, and connections to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from queue import LifoQueue
from threading import Lock
from typing import Final

import apsw
import msgspec

from agentmark_server.store import StoreError
from agentmark_server.store.sqlite.gaps import overwrite_gaps

READERS: Final = 8
"""Connections for reading: more questions at a time than this wait for each other."""

_PATIENCE_MS: Final = 50
"""How long readers are waited for when the log is emptied: so long nobody can write."""

_UNWRITABLE: Final = (apsw.FullError, apsw.IOError, apsw.ReadOnlyError, apsw.CantOpenError, apsw.BusyError)
"""What may pass when there is room again: not the fault of what is written."""


_objects: Final = msgspec.json.Decoder(dict[str, str])

_APPLICATION: Final = 0x41474D4B
"""`application_id` of our files, "AGMK", as the first migration sets it."""


class Database:
    """One SQLite file in WAL mode: one connection that writes, several that read beside it.

    In WAL mode readers see the last commit and never wait; `synchronous=FULL` syncs the log at every commit
    (https://sqlite.org/wal.html, https://sqlite.org/pragma.html#pragma_synchronous).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._owner = _own(path)
        try:
            _check_file(path)
            self._writer = self._connect()
            _migrate(self._writer)
        except (apsw.NotADBError, *_UNWRITABLE) as error:
            self._owner.close()
            msg = f"{path} cannot be used as a database ({error}): move it away, or choose another with --db"
            raise StoreError(msg) from error
        except BaseException:
            self._owner.close()
            raise
        self._write_lock = Lock()
        self._readers: LifoQueue[apsw.Connection | None] = LifoQueue()
        for _ in range(READERS):
            self._readers.put(None)

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(str(self._path))
        connection.set_busy_timeout(10_000)
        # One by one, for execution pauses at the row that a pragma gives; syncing first, to hold in the switch.
        connection.pragma("synchronous", "FULL")
        connection.pragma("journal_mode", "WAL")
        # What is deleted is overwritten.
        connection.pragma("secure_delete", True)
        connection.create_scalar_function("searchable", _searchable, 2, deterministic=True)
        return connection

    @contextmanager
    def writing(self, undone: Callable[[], None] = lambda: None) -> Iterator[apsw.Connection]:
        """A transaction that writes: durable when the block ends, undone when it raises or cannot be committed.

        Then `undone` is called before the next write begins.
        """
        with self._write_lock:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException as error:
                if not self._writer.get_autocommit():
                    self._writer.execute("ROLLBACK")
                undone()
                if isinstance(error, _UNWRITABLE):
                    msg = f"the database {self._path} cannot be written: {error}"
                    raise StoreError(msg) from error
                raise

    def clean(self, first: int, count: int) -> int | None:
        """Empty the log and overwrite what deleted rows left in pages, as `overwrite_gaps` does.

        The same page is next where readers keep the log from being emptied.
        """
        with self._write_lock, self._failing():
            if not self._log_emptied():
                return first
            following = overwrite_gaps(self._path, first, count)
            # What the connection remembers of the pages is what they were.
            self._writer.execute("PRAGMA shrink_memory").fetchall()
            return following

    def _log_emptied(self) -> bool:
        self._writer.set_busy_timeout(_PATIENCE_MS)
        try:
            busy, *_ = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0]
        finally:
            self._writer.set_busy_timeout(10_000)
        return not busy

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except _UNWRITABLE as error:
            msg = f"the database {self._path} cannot be written: {error}"
            raise StoreError(msg) from error

    @property
    def busy(self) -> bool:
        """Whether somebody writes, or reads."""
        return self._write_lock.locked() or self._readers.qsize() < READERS

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """A transaction that reads one state of the whole file, however long it takes.

        Tables that it makes for itself, in `temp`, go with it.
        """
        connection = self._readers.get() or self._reader()
        try:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")
        finally:
            self._readers.put(connection)

    def _reader(self) -> apsw.Connection:
        connection = self._connect()
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.create_scalar_function("fold", _fold, 1, deterministic=True)
        connection.create_scalar_function("ends", _ends, 2, deterministic=True)
        connection.create_scalar_function("value_in", _value_in, 2, deterministic=True)
        return connection

    def close(self) -> None:
        """Close every connection; waits for questions and writes under way."""
        for _ in range(READERS):
            reader = self._readers.get()
            if reader:
                reader.close()
        with self._write_lock:
            self._writer.close()
            self._owner.close()


def _fold(*texts: object) -> str | None:
    """Text for comparison in any case, beyond ASCII too, which SQLite's LIKE is not."""
    [text] = texts
    return text.casefold() if isinstance(text, str) else None


def _ends(*texts: object) -> bool | None:
    """Whether a text ends with another."""
    text, ending = texts
    return text.endswith(ending) if isinstance(text, str) and isinstance(ending, str) else None


def _value_in(*texts: object) -> str | None:
    """The text under a key of a JSON object of texts; None for what is none, and without that key."""
    encoded, key = texts
    try:
        return _objects.decode(encoded).get(key) if isinstance(encoded, str) and isinstance(key, str) else None
    except msgspec.DecodeError:
        return None


_SEARCHABLE: Final = 1000
"""Characters of a name that are searched."""
_BETWEEN: Final = "\x1f"
_NOT_SEARCHED: Final = str.maketrans({"\0": "\ufffd", _BETWEEN: "\ufffd"})


def searchable(text: str) -> str:
    """Text as `search` compares it: in any case.

    NUL, at which SQLite's index ends texts, and what stands between texts count as U+FFFD.
    """
    return text.casefold().translate(_NOT_SEARCHED)


def _searchable(*texts: object) -> str:
    return _BETWEEN.join(searchable(text[:_SEARCHABLE]) for text in texts if isinstance(text, str))


def _own(path: Path) -> apsw.Connection:
    """Hold the file for this process: an exclusive lock beside it, which ends with the process."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # By its real name, so that a link to a file that is in use is refused too.
        lock = apsw.Connection(str(path.resolve()) + "-owner")
    except (OSError, apsw.CantOpenError) as error:
        msg = f"the database {path} cannot be opened ({error}): choose another file with --db"
        raise StoreError(msg) from error
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except (apsw.FullError, apsw.IOError, apsw.ReadOnlyError) as error:
        lock.close()
        msg = f"the database {path} cannot be opened ({error}): make room, or choose another file with --db"
        raise StoreError(msg) from error
    except apsw.BusyError as error:
        lock.close()
        msg = f"the database {path} is in use by another agentmark server: stop that, or choose another with --db"
        raise StoreError(msg) from error
    return lock


def migrations() -> list[str]:
    """The scripts that make the schema, each from what the one before left: the n-th makes version n."""
    scripts = (item for item in (files(__package__) / "migrations").iterdir() if item.name.endswith(".sql"))
    return [item.read_text(encoding="utf-8") for item in sorted(scripts, key=lambda item: item.name)]


def _check_file(path: Path) -> None:
    """Refuse a file of another program or of a later time, before anything in it is touched."""
    connection = apsw.Connection(str(path))
    try:
        version, application = connection.pragma("user_version"), connection.pragma("application_id")
        used = connection.execute("SELECT count(*) FROM sqlite_master").get
    finally:
        connection.close()
    if used and application != _APPLICATION:
        msg = f"{path} is a database of another program: choose another file with --db"
        raise StoreError(msg)
    known = len(migrations())
    if version > known:
        msg = (
            f"{path} was written by a newer agentmark (schema {version}, this one knows {known}): "
            "upgrade agentmark, or choose another file with --db"
        )
        raise StoreError(msg)


def _migrate(connection: apsw.Connection) -> None:
    scripts = migrations()
    version = connection.pragma("user_version")
    for number, script in enumerate(scripts[version:], start=version + 1):
        with connection:
            connection.execute(script)
            connection.pragma("user_version", number)
