"""The file: opening it, bringing its schema to today's, one owner at a time, and connections to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from queue import LifoQueue
from threading import Lock
from typing import Final

import apsw

from agentmark_server.store import StoreError

READERS: Final = 8
"""Connections for reading: more questions at a time than this wait for each other."""

_UNWRITABLE: Final = (apsw.FullError, apsw.IOError, apsw.ReadOnlyError, apsw.CantOpenError, apsw.BusyError)
"""What may pass when there is room again: not the fault of what is written."""


class Database:
    """One SQLite file in WAL mode: one connection that writes, several that read beside it.

    In WAL mode readers see the last commit and never wait; `synchronous=FULL` syncs the log at every commit
    (https://sqlite.org/wal.html, https://sqlite.org/pragma.html#pragma_synchronous).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._owner = _own(path)
        try:
            self._writer = self._connect()
            _migrate(self._writer, path)
        except (apsw.NotADBError, apsw.CantOpenError, apsw.IOError, apsw.ReadOnlyError) as error:
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
        connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        return connection

    @contextmanager
    def writing(self) -> Iterator[apsw.Connection]:
        """A transaction that writes: durable when the block ends, undone when it raises."""
        with self._write_lock:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException as error:
                if not self._writer.get_autocommit():
                    self._writer.execute("ROLLBACK")
                if isinstance(error, _UNWRITABLE):
                    msg = f"the database {self._path} cannot be written: {error}"
                    raise StoreError(msg) from error
                raise

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """A transaction that reads one state of the whole file, however long it takes."""
        connection = self._readers.get() or self._reader()
        try:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("COMMIT")
        finally:
            self._readers.put(connection)

    def _reader(self) -> apsw.Connection:
        connection = self._connect()
        connection.execute("PRAGMA query_only = ON")
        connection.create_scalar_function("fold", _fold, 1, deterministic=True)
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


def _own(path: Path) -> apsw.Connection:
    """Hold the file for this process: an exclusive lock beside it, which ends with the process."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = apsw.Connection(str(path) + "-owner")
    except (OSError, apsw.CantOpenError) as error:
        msg = f"the database {path} cannot be opened ({error}): choose another file with --db"
        raise StoreError(msg) from error
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except apsw.BusyError as error:
        lock.close()
        msg = f"the database {path} is in use by another agentmark server: stop that, or choose another with --db"
        raise StoreError(msg) from error
    return lock


def migrations() -> list[str]:
    """The scripts that make the schema, each from what the one before left: the n-th makes version n."""
    scripts = (item for item in (files(__package__) / "migrations").iterdir() if item.name.endswith(".sql"))
    return [item.read_text(encoding="utf-8") for item in sorted(scripts, key=lambda item: item.name)]


def _migrate(connection: apsw.Connection, path: Path) -> None:
    scripts = migrations()
    version = connection.pragma("user_version")
    if version > len(scripts):
        msg = (
            f"{path} was written by a newer agentmark (schema {version}, this one knows {len(scripts)}): upgrade "
            "agentmark, or choose another file with --db"
        )
        raise StoreError(msg)
    for number, script in enumerate(scripts[version:], start=version + 1):
        with connection:
            connection.execute(script)
            connection.pragma("user_version", number)
