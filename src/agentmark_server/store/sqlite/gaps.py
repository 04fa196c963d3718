"""What rows leave behind in a file when they move from page to page.

`secure_delete` overwrites what is deleted, but not the copies of it that stay in the unused middle of a page when
its rows are shared out among other pages, as happens to a few of a thousand. This overwrites the middles, by the
format of https://sqlite.org/fileformat2.html#b_tree_pages.
"""

from pathlib import Path
from typing import Final

import apsw

_FILE_HEADER: Final = 100
_INNER: Final = (2, 5)
_LEAF: Final = (10, 13)
_READ: Final = 256
"""Pages read at a time."""
_TOO_MANY: Final = 0x0200_0000
"""From so many pages on, the first byte of a page does not tell any more what it is: 128 GB of 4 KB pages."""


def overwrite_gaps(path: Path, first: int, count: int) -> int | None:
    """Overwrite the unused middles of so many pages from the page `first` on (0 is the first); say which is next.

    None at the end of the file. Nobody may write to the file meanwhile, and its log has to be empty.
    """
    # By SQLite's own way to files: closing one that was opened otherwise would let go of SQLite's locks.
    file = apsw.VFSFile("", str(path), [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READWRITE, 0])
    try:
        size = int.from_bytes(file.xRead(18, 0)[16:18], "big")
        size = 65536 if size == 1 else size
        pages = file.xFileSize() // size
        end = min(pages, first + count) if pages < _TOO_MANY else first
        for start in range(first, end, _READ):
            _overwrite(file, size, start, min(end, start + _READ))
        file.xSync(apsw.SQLITE_SYNC_NORMAL)
        return end if first < end < pages else None
    finally:
        file.xClose()


def _overwrite(file: apsw.VFSFile, size: int, start: int, end: int) -> None:
    content = file.xRead((end - start) * size, start * size)
    for page in range(start, end):
        base = (page - start) * size
        begin, stop = _gap(content, base + (_FILE_HEADER if page == 0 else 0), base)
        if content.count(0, begin, stop) < stop - begin:
            file.xWrite(bytes(stop - begin), start * size + begin)


def _gap(content: bytes, header: int, base: int) -> tuple[int, int]:
    """Where the unused middle of a page begins and ends; nothing in a page that holds no rows."""
    kind = content[header]
    if kind not in _INNER and kind not in _LEAF:
        return base, base
    cells = int.from_bytes(content[header + 3 : header + 5], "big")
    first_cell = int.from_bytes(content[header + 5 : header + 7], "big") or 65536
    return header + (12 if kind in _INNER else 8) + 2 * cells, base + first_cell
