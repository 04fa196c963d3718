"""Disks that fail: one that loses power, one whose syncs fail, one that is full.

`FaultyDisk` watches, as a layer of SQLite's VFS, what is written to the files of a folder and what of it was
synced, and says what a loss of power may leave of them. The files themselves are written as ever.

- Bytes survive once their file was synced after they were written. Of what was written since, any sectors may
  survive, in any order: nothing else keeps them apart.
- A file's name, or its being gone, survives once the folder was synced: SQLite does that when it first syncs a
  journal or a log that it made, and when it deletes with `syncdir`.
- A sync that fails may have dropped what it should have written, for good: the next one does not bring it back
  (as on Linux: https://wiki.postgresql.org/wiki/Fsync_Errors).
- SQLite relies on `SQLITE_IOCAP_POWERSAFE_OVERWRITE`, so bytes beside those written stay as they are.
- The `-shm` file is not synced by anybody: what is left of it is rubbish.
"""

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Final

import apsw

BASE: Final = "unix"
SECTOR: Final = 512
_NEW_LOG: Final = (
    apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL | apsw.SQLITE_OPEN_WAL
)  # made by SQLite, which then syncs the folder with the first sync of the file

Image = dict[str, bytes]
"""The files of a folder, by name."""
Keeps = Callable[[], bool]
"""Whether one more thing that was not synced survives."""


def _put(content: bytearray, offset: int, data: bytes) -> None:
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


class _Content:
    """One file's bytes: those that are durable, and what was done since, in order."""

    def __init__(self, durable: bytes = b"") -> None:
        self.durable = bytearray(durable)
        self.pending: list[tuple[int, bytes] | int] = []  # a write at an offset, or a truncation to a size

    def sync(self) -> None:
        self.durable = self.left(lambda: True)
        self.pending.clear()

    def left(self, keeps: Keeps) -> bytearray:
        content = bytearray(self.durable)
        for change in self.pending:
            if isinstance(change, int):
                if keeps():
                    _resize(content, change)
                continue
            offset, data = change
            end = offset + len(data)
            cuts = [offset, *range((offset // SECTOR + 1) * SECTOR, end, SECTOR), end]
            for at, until in pairwise(cuts):
                if keeps():
                    _put(content, at, data[at - offset : until - offset])
        return content


class FaultyDisk:
    """The files of one folder, as SQLite writes them, and what power loss would leave.

    `ignores_sync` says of which files a sync is a lie: it reports success and makes nothing durable.
    `photograph` is called after each change; `failing_syncs` is the probability that a sync of a log fails.
    """

    def __init__(
        self, folder: Path, random: Random, ignores_sync: Callable[[str], bool] = lambda _: False
    ) -> None:
        self.folder = folder
        self.photograph: Callable[[], None] = lambda: None
        self.failing_syncs = 0.0
        self._random = random
        self._ignores_sync = ignores_sync
        self._names = {file.name: _Content(file.read_bytes()) for file in folder.iterdir()}
        self._durable_names = dict(self._names)
        self._moves: list[tuple[str, _Content | None]] = []  # names given and taken since the folder's last sync

    def left(self) -> Image:
        """One of the states in which a loss of power at this moment may leave the files."""
        odds = self._random.choice([0.0, 0.0, 1.0, 0.5, 0.1, 0.9])
        names = dict(self._durable_names)
        for name, content in self._moves:
            if self._random.random() < odds:
                _move(names, name, content)
        return {
            **{name: bytes(content.left(self._keeps(odds))) for name, content in names.items()},
            **{f"{name}-shm": self._random.randbytes(32768) for name in names if self._random.random() < 0.1},
        }

    def _keeps(self, odds: float) -> Keeps:
        return lambda: self._random.random() < odds

    def opened(self, name: str) -> _Content:
        if name not in self._names:
            self._move(name, _Content())
        return self._names[name]

    def deleted(self, name: str, *, sync: bool) -> None:
        self._move(name, None)
        if sync:
            self.sync_folder(name)

    def _move(self, name: str, content: _Content | None) -> None:
        _move(self._names, name, content)
        self._moves.append((name, content))
        self.photograph()

    def changed(self, content: _Content, change: tuple[int, bytes] | int) -> None:
        content.pending.append(change)
        self.photograph()

    def sync(self, name: str, content: _Content) -> None:
        """Make a file durable. Raises apsw.IOError."""
        if self._random.random() < self.failing_syncs and name.endswith("-wal"):
            content.durable = content.left(self._keeps(0.5))
            content.pending.clear()
            raise apsw.IOError
        if not self._ignores_sync(name):
            content.sync()
        self.photograph()

    def sync_folder(self, name: str) -> None:
        """Make names durable, on the occasion of what happened to the file of this name."""
        if not self._ignores_sync(name):
            self._durable_names = dict(self._names)
            self._moves.clear()
        self.photograph()


def _move(names: dict[str, _Content], name: str, content: _Content | None) -> None:
    if content is None:
        names.pop(name, None)
    else:
        names[name] = content


class _File(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, path: Any, flags: list[int]) -> None:
        super().__init__(BASE, path, flags)
        self._disk = disk
        self._name = Path(path.filename() if isinstance(path, apsw.URIFilename) else path).name
        self._content = disk.opened(self._name)
        self._syncs_folder = bool(flags[0] & apsw.SQLITE_OPEN_CREATE and flags[0] & _NEW_LOG)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  # apsw's name, as below
        super().xWrite(data, offset)
        self._disk.changed(self._content, (offset, bytes(data)))

    def xTruncate(self, size: int) -> None:  # noqa: N802
        super().xTruncate(size)
        self._disk.changed(self._content, size)

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self._disk.sync(self._name, self._content)
        if self._syncs_folder:
            self._syncs_folder = False
            self._disk.sync_folder(self._name)


class _Layer(apsw.VFS):
    name = "faulty"

    def __init__(self, disk: FaultyDisk) -> None:
        super().__init__(self.name, BASE)
        self._disk = disk

    def xOpen(self, path: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return _File(self._disk, path, flags) if path else apsw.VFSFile(BASE, path, flags)

    def xDelete(self, path: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(path, syncdir)
        self._disk.deleted(Path(path).name, sync=syncdir)


@contextmanager
def mounted(disk: FaultyDisk) -> Iterator[None]:
    """Whatever SQLite opens meanwhile in this process lies on the disk."""
    layer = _Layer(disk)
    apsw.set_default_vfs(layer.name)
    try:
        yield
    finally:
        apsw.set_default_vfs(BASE)
        layer.unregister()


_PWRITE: Final = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64, use_errno=True
)


class _SystemCalls(apsw.VFS):
    def __init__(self) -> None:
        super().__init__("system calls", BASE)


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """SQLite's files can grow by `room` bytes altogether; then the system says that the disk is full.

    It is the system call that fails: an exception from a Python VFS would come out of apsw even where SQLite
    goes on without what failed, such as a checkpoint after a commit.
    """
    left = room

    def pwrite(file: int, data: int, amount: int, offset: int) -> int:
        nonlocal left
        size = os.fstat(file).st_size
        fits = min(amount, max(0, size + left - offset))
        if amount and not fits:
            ctypes.set_errno(errno.ENOSPC)
            return -1
        left -= max(0, offset + fits - size)
        return os.pwrite(file, ctypes.string_at(data, fits), offset)

    system = _SystemCalls()
    callback = _PWRITE(pwrite)
    for name in ("pwrite", "pwrite64"):  # SQLite has one or the other
        try:
            system.xSetSystemCall(name, ctypes.cast(callback, ctypes.c_void_p).value or 0)
        except apsw.NotFoundError:
            continue
    try:
        yield
    finally:
        system.xSetSystemCall(None, 0)
        system.unregister()
