"""Opening a file: of an older schema, of a newer one, of something else, and one that another server has."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import apsw
import pytest

from agentmark_server.decoding import SpanReader
from agentmark_server.store import Store, StoreError, open_store
from agentmark_server.store.sqlite import database
from agentmark_server.store.sqlite.database import migrations
from conftest import clean_env
from support.spans import call, span
from support.stores import APP, answers, expected, plain, received

TODAY = len(migrations())
RELEASED = TODAY
"""The first schema that was released: nothing is held by an older one."""
KEPT = Path(__file__).parent.parent / "support"
"""Holds `schema_<n>.sql` for every older schema: what `inserts` gave of `SPANS` before the next was written."""

# What a kept schema holds: never change these.
SPANS = (
    span("a", "turn", session__id="a", agentmark__session_name="Weather", user__id="ann", end_ms=9, error=True),
    call("a", "call", "turn", gen_ai__usage__input_tokens=5, gen_ai__request__model="m", end_ms=8, error=True),
    call(
        "b", "call", "lost", gen_ai__usage__output_tokens=7, gen_ai__conversation__id="b", start_ms=0, end_ms=None
    ),
    span("b", "job", "call", session__id="a", agentmark__tags='["x"]', agentmark__metadata__plan="free"),
    span("c", "no session"),
)


@contextmanager
def opened(path: Path) -> Iterator[Store]:
    store = open_store(path, SpanReader())
    try:
        yield store
    finally:
        store.close()


def filled(path: Path) -> Path:
    with opened(path) as store:
        store.append(APP, received(*SPANS))
    return path


def check_whole(path: Path) -> None:
    """All data is there, and the store works: it takes more, and derives everything anew to the same."""
    more = span("d", "new", session__id="a", user__id="bob")
    with opened(path) as store:
        assert plain(store) == expected(*SPANS)
        store.append(APP, received(*SPANS, more))
        assert plain(store) == expected(*SPANS, more)
        before = answers(store)
        assert store.rebuild() == len(SPANS) + 1
        assert answers(store) == before


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        [version] = connection.execute("PRAGMA user_version").fetchone()
        return int(version)


def inserts(path: Path) -> str:
    """The data of a closed store as SQL."""
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(line for line in connection.iterdump() if line.startswith("INSERT"))


def of_version(version: int, path: Path) -> Path:
    """A file of a schema, with `SPANS` in it."""
    if version == TODAY:
        return filled(path)
    connection = apsw.Connection(str(path))
    for script in migrations()[:version]:
        connection.execute(script)
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        connection.execute(f'DELETE FROM "{table}"')  # noqa: S608  # what a script put in is in the data too
    connection.execute(kept(version))
    connection.pragma("user_version", version)
    connection.close()
    return path


def kept(version: int) -> str:
    return (KEPT / f"schema_{version}.sql").read_text(encoding="utf-8")


@pytest.mark.parametrize("version", range(RELEASED, TODAY + 1))
def test_older(tmp_path: Path, version: int) -> None:
    """A file of any schema up to today's is brought to today's, with its data."""
    path = of_version(version, tmp_path / "store.db")
    assert version_of(path) == version
    check_whole(path)
    assert version_of(path) == TODAY


@pytest.mark.parametrize("exists", [False, True])
def test_empty(tmp_path: Path, exists: bool) -> None:
    """An empty file, and one in a folder that is not there yet, become a store."""
    path = tmp_path / ("" if exists else "some/folders") / "store.db"
    if exists:
        path.touch()
    check_whole(filled(path))
    assert version_of(path) == TODAY


NEXT = "ALTER TABLE session ADD COLUMN more TEXT; CREATE TABLE more (a); INSERT INTO more VALUES (1);"
BROKEN = NEXT + "DROP TABLE more; DROP TABLE nobody;"


def test_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several schemas behind, a file is brought through each of them in turn, once."""
    path = filled(tmp_path / "store.db")
    scripts = [*migrations(), NEXT, "UPDATE more SET a = a + 1"]
    monkeypatch.setattr(database, "migrations", lambda: scripts)
    for _ in range(2):
        with opened(path) as store:
            assert plain(store) == expected(*SPANS)
    assert version_of(path) == TODAY + 2
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT a FROM more").fetchall() == [(2,)]


def test_migration_that_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that breaks in its middle leaves the schema before it, with the data, for a better program."""
    path = filled(tmp_path / "store.db")
    with monkeypatch.context() as patch:
        patch.setattr(database, "migrations", lambda: [*migrations(), BROKEN])
        with pytest.raises((StoreError, apsw.Error)):
            open_store(path, SpanReader())
    assert version_of(path) == TODAY
    check_whole(path)
    monkeypatch.setattr(database, "migrations", lambda: [*migrations(), NEXT])
    with opened(path):
        pass
    assert version_of(path) == TODAY + 1


def refusal(path: Path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(StoreError) as caught:
        open_store(path, SpanReader())
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_newer(tmp_path: Path, journal: str) -> None:
    """A file of a newer schema is refused, with what to do, and left byte for byte as it was."""
    path = filled(tmp_path / "store.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {TODAY + 1}")
        connection.execute(f"PRAGMA journal_mode = {journal}")
    before = path.read_bytes()
    for _ in range(2):
        assert "upgrade" in refusal(path)
        assert path.read_bytes() == before
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {TODAY}")
    check_whole(path)


NOISE = Random(5).randbytes(20_000)  # noqa: S311  # no secret
FOREIGN = {
    "text": b"no database\n" * 1000,
    "short": b"my notes",
    "noise": NOISE,
    "broken": b"SQLite format 3\0" + NOISE,
    "header": b"SQLite format 3\0",
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_no_database(tmp_path: Path, content: bytes) -> None:
    """A file that is no database is refused, and left byte for byte as it was."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    for _ in range(2):
        refusal(path)
        assert path.read_bytes() == content
    path.unlink()
    check_whole(filled(path))


def test_database_of_another_program(tmp_path: Path) -> None:
    """A database of another program is refused, and keeps its schema."""
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (a)")
        connection.commit()
    before = path.read_bytes()
    refusal(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["folder", "file/store.db"])
def test_no_file(tmp_path: Path, name: str) -> None:
    """A path where no file can be is refused as well."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    refusal(tmp_path / name)


def test_second_owner(tmp_path: Path) -> None:
    """A file that is open is refused to others, and is theirs once it is closed; the owner does not suffer."""
    path = tmp_path / "store.db"
    with opened(path) as store:
        store.append(APP, received(*SPANS[:2]))
        for _ in range(2):
            assert "in use" in refusal(path)
        store.append(APP, received(*SPANS[2:]))
        assert plain(store) == expected(*SPANS)
    check_whole(path)


def test_second_name(tmp_path: Path) -> None:
    """A file that is open is refused under another name too."""
    path, other = tmp_path / "store.db", tmp_path / "other.db"
    other.symlink_to(path)
    with opened(path):
        refusal(other)


OWNER = """
import sys, time
from pathlib import Path
from agentmark_server.decoding import SpanReader
from agentmark_server.store import open_store
from server.test_migrations import SPANS
from support.stores import APP, received
store = open_store(Path(sys.argv[1]), SpanReader())
store.append(APP, received(*SPANS))
print("open", flush=True)
time.sleep(60)
"""


def test_owner_that_is_killed(tmp_path: Path) -> None:
    """A file that another process has open is refused; once that is killed the file is free, and has all data."""
    path = tmp_path / "store.db"
    environment = clean_env() | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", OWNER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == b"open\n"
        assert "in use" in refusal(path)
        owner.kill()
    check_whole(path)
