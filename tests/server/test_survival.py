"""What was acknowledged survives: killed processes, lost power, failed syncs, full disks."""

import os
import resource
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from signal import SIGKILL, SIGTERM, Signals
from tempfile import TemporaryDirectory
from typing import Any

import apsw
import httpx2
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc.code_pb2 import UNAVAILABLE
from google.rpc.status_pb2 import Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from agentmark_server.decoding import SpanReader
from agentmark_server.model import ReceivedSpan
from agentmark_server.store import Changes, SessionSelector, Store, StoreError, TraceSelector, open_store
from conftest import RunningServer
from support.faulty_disk import FaultyDisk, Image, full_disk, mounted
from support.load import Load, seeded, survive
from support.spans import post, span, trace_id
from support.stores import APP, answers, received

Launch = Callable[..., RunningServer]


@pytest.fixture
def seed() -> str:
    """Another one each time; that of a failure can be given again."""
    seed = os.environ.get("SURVIVAL_SEED") or secrets.token_hex(4)
    print(f"SURVIVAL_SEED={seed}")  # noqa: T201  # pytest shows it when the test fails
    return seed


# Processes that end


def test_kill(launch: Launch, seed: str) -> None:
    """Killed at any moment under load, 20 times on one file, the server loses and doubles nothing acknowledged."""
    load = Load(seed)
    assert list(survive(launch, load, 20)) == [-SIGKILL] * 20
    assert not load.problems
    assert (load.lost, load.doubled) == (0, 0)
    assert load.acknowledged_spans > 1000


def test_terminate(launch: Launch, seed: str) -> None:
    """Asked to stop under load, the server loses nothing acknowledged and exits with 0."""
    load = Load(seed)
    assert list(survive(launch, load, 3, SIGTERM)) == [0] * 3
    assert not load.problems
    assert (load.lost, load.doubled) == (0, 0)
    assert load.acknowledged_spans > 100


# Power that goes


@dataclass
class Snapshot:
    """All that a store answers after some writes, and what was appended until then."""

    answers: Any
    changes: Any
    spans: int
    sent: int

    @classmethod
    def of(cls, store: Store, sent: int) -> "Snapshot":
        return cls(answers(store), store.changes(APP), store.count_spans(APP), sent)

    def reopened(self) -> "Snapshot":
        """What the next process answers: the file knows no ids of what was deleted, but that something was."""
        left = [change for change in self.changes.items if not change.deleted]
        lost = self.changes.lost or len(left) < len(self.changes.items)
        return replace(self, changes=Changes(left, self.changes.token, lost))


@dataclass
class Photograph:
    """What power loss left of the files at a moment: so many writes had returned."""

    returned: int
    image: Image


@dataclass
class Life:
    """A store on a faulty disk, from its opening to its end, with photographs on the way."""

    random: Random
    disk: FaultyDisk
    sent: list[Span]
    odds: float = 0.02
    snapshots: list[Snapshot] = field(default_factory=list)
    photographs: list[Photograph] = field(default_factory=list)
    refusals: int = 0
    """Writes that raised StoreError, and were tried again."""

    def __post_init__(self) -> None:
        self.disk.photograph = self._perhaps

    def _perhaps(self) -> None:
        if self.random.random() < self.odds:
            self._photograph()

    def _photograph(self) -> None:
        # Before the first snapshot, the one that is to come is what the life before left.
        self.photographs.append(Photograph(max(0, len(self.snapshots) - 1), self.disk.left()))

    def live(self, writes: int, trouble: "Trouble | None" = None) -> None:
        """So many writes, each returning at last, though it may fail once in `trouble`."""
        # An error of a Python VFS comes out of apsw even where SQLite goes on without what failed, as it does when
        # it cannot checkpoint after a commit: in trouble it checkpoints only when the store is closed.
        pages = 0 if trouble else self.random.choice([1, 20, 100])
        with mounted(self.disk), hurried(pages, self.random.choice([5, 2000])):
            store = self._open()
            self.snapshots.append(Snapshot.of(store, len(self.sent)))
            try:
                for _ in range(writes):
                    if self.random.random() < 0.1:
                        store.close()
                        store = self._open()
                        self.snapshots[-1] = self.snapshots[-1].reopened()
                        self._stays(store)
                    write = self._draw(store)
                    try:
                        with trouble(self.disk, self.random) if trouble else nullcontext():
                            write()
                    except StoreError:
                        self.refusals += 1
                        self._stays(store)
                        write()
                    self.snapshots.append(Snapshot.of(store, len(self.sent)))
                    if self.random.random() < 0.15:
                        self._photograph()
            finally:
                self.disk.photograph = lambda: None
                store.close()

    def _open(self) -> Store:
        return open_store(self.disk.folder / "store.db", SpanReader())

    def _stays(self, store: Store) -> None:
        before, now = self.snapshots[-1], Snapshot.of(store, self.snapshots[-1].sent)
        assert now == before

    def _draw(self, store: Store) -> Callable[[], object]:
        session = f"session {self.random.randrange(8)}"
        match self.random.randrange(12):
            case 0:
                return lambda: store.forget(APP, SessionSelector(session))
            case 1:
                trace = trace_id(f"{session}/{self.random.randrange(3)}")
                return lambda: store.forget(APP, TraceSelector(trace))
            case 2:
                return store.rebuild
            case _:
                spans = [self._span() for _ in range(self.random.randint(1, 12))]
                self.sent += spans
                return lambda: store.append(APP, received(*spans))

    def _span(self) -> Span:
        """Of a trace that one session owns, so that what is forgotten of it stays so, however it is sent again."""
        random = self.random
        session = f"session {random.randrange(8)}"
        attributes: Any = {"gen_ai__operation__name": "chat", "gen_ai__usage__input_tokens": random.randint(1, 9)}
        return span(
            f"{session}/{random.randrange(3)}",
            str(random.randrange(12)),
            str(random.randrange(12)),
            end_ms=random.randint(1, 1000),
            session__id=session,
            user__id=f"user {random.randrange(3)}",
            payload=random.randbytes(random.choice([10, 10, 1000, 9000])).hex(),
            **attributes,
        )

    def fault(self, photograph: Photograph) -> tuple[str | None, Snapshot]:
        """What is wrong with a photograph, if anything, and the state that it shows."""
        allowed = self.snapshots[photograph.returned : photograph.returned + 2]
        try:
            with TemporaryDirectory() as folder:
                develop(photograph.image, Path(folder))
                return None, recover(Path(folder), allowed, self.sent)
        except Exception as error:  # noqa: BLE001  # whatever a broken file makes of the store
            return f"after {photograph.returned} writes: {type(error).__name__}: {str(error)[:300]}", allowed[0]

    def faults(self) -> list[str]:
        return [fault for fault, _ in map(self.fault, self.photographs) if fault]


@contextmanager
def hurried(pages: int, cache: int) -> Iterator[None]:
    """Connections checkpoint after so many pages, and spill what they cannot cache before they commit."""

    def hurry(connection: apsw.Connection) -> None:
        connection.wal_autocheckpoint(pages)
        connection.pragma("cache_size", cache)

    apsw.connection_hooks.append(hurry)
    try:
        yield
    finally:
        apsw.connection_hooks.remove(hurry)


def develop(image: Image, folder: Path) -> None:
    for name, content in image.items():
        (folder / name).write_bytes(content)


def recover(folder: Path, allowed: list[Snapshot], sent: list[Span]) -> Snapshot:
    """Open what power loss left: it must be one of the allowed states, whole, and go on as such."""
    with opened(folder / "store.db") as store:
        found = [one for one in allowed if Snapshot.of(store, one.sent) == one.reopened()]
        assert found, f"{store.count_spans(APP)} spans, not {[one.spans for one in allowed]}, or other totals"
        check = apsw.Connection(str(folder / "store.db"))
        assert check.pragma("integrity_check") == "ok"
        check.close()
        store.rebuild()
        assert answers(store) == found[0].answers, "a rebuild says otherwise"
        store.append(APP, received(*sent[: found[0].sent]))
        assert (answers(store), store.count_spans(APP)) == (found[0].answers, found[0].spans), (
            "sent again, changed"
        )
        store.check()
        return found[0]


@contextmanager
def opened(path: Path) -> Iterator[Store]:
    store = open_store(path, SpanReader())
    try:
        yield store
    finally:
        store.close()


Trouble = Callable[[FaultyDisk, Random], AbstractContextManager[None]]


@contextmanager
def little_room(_: FaultyDisk, random: Random) -> Iterator[None]:
    with full_disk(random.randrange(random.choice([1000, 20_000, 200_000]))):
        yield


@contextmanager
def failing_syncs(disk: FaultyDisk, random: Random) -> Iterator[None]:
    disk.failing_syncs = random.choice([0, 0.5, 1])
    try:
        yield
    finally:
        disk.failing_syncs = 0


def lives(random: Random, folder: Path, count: int, trouble: Trouble | None = None) -> Iterator[Life]:
    """Lives of one store: each but the first begins with what a loss of power left of the one before."""
    sent: list[Span] = []
    for number in range(count):
        disk = FaultyDisk(folder, random)
        life = Life(random, disk, sent)
        life.live(20, trouble)
        yield life
        last = random.choice(life.photographs or [Photograph(20, disk.left())])
        folder = folder / str(number)
        folder.mkdir()
        develop(last.image, folder)
        sent = life.sent[: life.fault(last)[1].sent]


@pytest.mark.parametrize(("count", "trouble"), [(6, None), (4, little_room), (4, failing_syncs)])
def test_power_loss(tmp_path: Path, seed: str, count: int, trouble: Trouble | None) -> None:
    """Whenever power goes, what had returned is there exactly, and the write under way wholly or not at all."""
    random, photographs, refusals = seeded(seed), 0, 0
    for life in lives(random, tmp_path, count, trouble):
        assert life.faults() == []
        photographs += len(life.photographs)
        refusals += life.refusals
    assert photographs > 40
    assert bool(refusals) == bool(trouble)


def test_syncs_are_asked_for(tmp_path: Path, seed: str) -> None:
    """The store asks for its syncs itself: with an SQLite that was built to sync less it keeps its word too."""

    def lax(connection: apsw.Connection) -> None:
        connection.pragma("synchronous", "OFF")

    random = seeded(seed)
    life = Life(random, FaultyDisk(tmp_path, random), [])
    apsw.connection_hooks.append(lax)
    try:
        life.live(20)
    finally:
        apsw.connection_hooks.remove(lax)
    assert life.faults() == []


LIES: dict[str, Callable[[str], bool]] = {
    "all": lambda _: True,
    "log": lambda name: name.endswith("-wal"),
    "database": lambda name: name == "store.db",
}


@pytest.mark.parametrize("ignores_sync", LIES.values(), ids=LIES)
def test_lost_sync_is_found(tmp_path: Path, seed: str, ignores_sync: Callable[[str], bool]) -> None:
    """A disk that lies about syncs loses what was acknowledged, and these tests see it."""
    random = seeded(seed)
    faults: list[str] = []
    for number in range(4):
        folder = tmp_path / str(number)
        folder.mkdir()
        life = Life(random, FaultyDisk(folder, random, ignores_sync), [])
        life.live(20)
        faults += life.faults()
    assert len(faults) > 3


# Disks that are full


def test_open_on_full_disk(tmp_path: Path) -> None:
    """A store that cannot be opened for want of room raises StoreError, and opens when there is room."""
    for room in [*range(0, 8192, 1000), *range(8192, 200_000, 5000)]:
        path = tmp_path / str(room) / "store.db"
        with full_disk(room), suppress(StoreError):
            open_store(path, SpanReader()).close()
        store = open_store(path, SpanReader())
        store.append(APP, received(span("t", "a", session__id="s")))
        store.close()


def test_full_disk(tmp_path: Path) -> None:
    """While the disk is full every write raises StoreError and changes nothing, and questions are answered."""
    with opened(tmp_path / "store.db") as store:
        store.append(APP, received(span("t", "a", session__id="s"), span("t", "b", "a")))
        before = Snapshot.of(store, 0)
        writes: list[Callable[[], object]] = [
            lambda: store.append(APP, received(span("t", "c", "a"), span("u", "a", session__id="s"))),
            lambda: store.forget(APP, SessionSelector("s")),
            lambda: store.forget(APP, TraceSelector(trace_id("t"))),
            store.rebuild,
        ]
        for write in writes:
            with full_disk(0), pytest.raises(StoreError, match="cannot be written"):
                write()
            assert Snapshot.of(store, 0) == before
        assert not store.append(APP, received(span("t", "c", "a"), span("u", "a", session__id="s"))).refused
        assert store.count_spans(APP) == 4


def test_check_on_full_disk(tmp_path: Path) -> None:
    """The check raises StoreError while the disk is full, and no more when there is room."""
    with opened(tmp_path / "store.db") as store:
        with full_disk(0), pytest.raises(StoreError, match="cannot be written"):
            store.check()
        store.check()


def test_nothing_remembered_of_failed_write(tmp_path: Path) -> None:
    """After a write that failed the store goes on as one to which that write never happened."""

    def of(user: str, name: str) -> list[ReceivedSpan]:
        one = span(user, name, session__id=user, user__id=user)
        return received(one, resource={"service.name": f"service of {user}"})

    with opened(tmp_path / "store.db") as store, opened(tmp_path / "other.db") as other:
        with full_disk(0), pytest.raises(StoreError):
            store.append(APP, of("ann", "a"))
        for either in (store, other):
            for user, name in (("bob", "a"), ("ann", "a"), ("ann", "b")):
                either.append(APP, of(user, name))
        assert answers(store) == answers(other)
        store.rebuild()
        assert answers(store) == answers(other)


def test_filling_disk(tmp_path: Path, seed: str) -> None:
    """Wherever in a write or a checkpoint the disk becomes full: what returns is there, what raises is not."""
    random = seeded(seed)
    for pages in (1, 30):
        with hurried(pages, random.choice([5, 2000])):
            path, sent, refusals = tmp_path / f"{pages}.db", 0, 0
            store = open_store(path, SpanReader())
            for number in range(60):
                spans = [
                    span(f"t{number}", str(n), session__id="s", payload=random.randbytes(3000).hex())
                    for n in range(3)
                ]
                before = Snapshot.of(store, 0)
                try:
                    with full_disk(random.randrange(random.choice([20_000, 400_000]))):
                        store.append(APP, received(*spans))
                        sent += len(spans)
                except StoreError:
                    refusals += 1
                    assert Snapshot.of(store, 0) == before
                assert store.count_spans(APP) == sent
                if random.random() < 0.1:
                    with full_disk(random.randrange(20_000)):
                        store.close()
                    store = open_store(path, SpanReader())
            before = Snapshot.of(store, 0)
            store.close()
            assert 5 < refusals < 55
            with opened(path) as again:
                assert Snapshot.of(again, 0) == before


def status_of(reply: httpx2.Response, *, as_json: bool) -> Message:
    assert reply.headers["content-type"] == ("application/json" if as_json else "application/x-protobuf")
    return json_format.Parse(reply.content, Status()) if as_json else Status.FromString(reply.content)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux changes the limits of a running process")
@pytest.mark.parametrize("as_json", [False, True], ids=["protobuf", "json"])
def test_server_on_full_disk(launch: Launch, as_json: bool) -> None:
    """A server that cannot write answers 503 with Retry-After, still answers questions, and recovers by itself."""
    server = launch()
    pid, hard = server.process.pid, resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    batches = [span(f"t{n}", "a", session__id="s", payload="x" * 3000) for n in range(500)]
    for batch in batches[:5]:
        assert post(server.url, batch, as_json=as_json).status_code == 200
    largest = max(file.stat().st_size for file in server.db.parent.iterdir())
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (largest + 10_000, hard))
    taken = 5
    while (reply := post(server.url, batches[taken], as_json=as_json)).status_code == 200:
        taken += 1
    assert reply.status_code == 503
    assert int(reply.headers["retry-after"]) > 0
    status: Any = status_of(reply, as_json=as_json)
    assert status.code == UNAVAILABLE
    assert "cannot be written" in status.message
    assert server.get("/v1/sessions/s")["data"]["span_count"] == taken
    assert post(server.url, batches[taken], as_json=as_json).status_code == 503
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert post(server.url, batches[taken], as_json=as_json).status_code == 200
    assert server.get("/v1/sessions/s")["data"]["span_count"] == taken + 1
    server.stop(Signals.SIGKILL)
    assert launch().get("/v1/sessions/s")["data"]["span_count"] == taken + 1
