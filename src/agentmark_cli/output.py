"""How answers are shown: values as text, rows as a table that fits the terminal, JSON as it came.

What a server sends is data that anybody may have written: on its way to a terminal it loses its control
characters, and none of it is read as Rich markup.
"""

import csv
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

UNKNOWN = "–"  # noqa: RUF001 - an en dash is meant
GAP = 2
_JOINERS = "\u200c\u200d"  # inside emoji and Persian words: not printable by themselves, and harmless

Row = dict[str, Any]


class Output(StrEnum):
    """How to print an answer."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"

    @classmethod
    def chosen(cls, wanted: "Output | None") -> "Output":
        """Take what was asked for; else a table on a terminal and JSON in a pipe."""
        return wanted or (cls.TABLE if sys.stdout.isatty() else cls.JSON)


def print_json(raw: bytes) -> None:
    """Write the server's own bytes and a line end."""
    sys.stdout.flush()
    sys.stdout.buffer.write(raw + b"\n")


def print_lines(rows: Sequence[Row]) -> None:
    """Write each row as JSON on a line of its own."""
    for row in rows:
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")


def print_csv(rows: Sequence[Row]) -> None:
    """Write the rows under the names of their columns (RFC 4180); lists and objects are JSON, null is empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.writer(sys.stdout)
    if names:
        writer.writerow(names)
    writer.writerows([[_csv_cell(row.get(name)) for name in names] for row in rows])


def _csv_cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict | bool) else value


def console() -> "Console":
    """Where tables go: styled on a terminal, plain in a pipe."""
    from rich.console import Console  # noqa: PLC0415 - what prints JSON starts faster without it

    return Console(highlight=False, markup=False, emoji=False)


def text(value: object, style: str = "") -> "Text":
    """Make a value from outside a table's cell."""
    from rich.text import Text  # noqa: PLC0415 - see `console`

    return Text(visible(str(value)), style)


def visible(value: str) -> str:
    """Show what would steer a terminal as escape sequences."""
    return "".join(c if c.isprintable() or c in _JOINERS else _escaped(c) for c in value)


def one_line(value: str) -> str:
    """Put prose on one line, as previews, names and errors are shown."""
    return visible(" ".join(value.split()))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def money(usd: float | None) -> str:
    """`$0.0042`; nothing known is not nothing paid."""
    if usd is None:
        return UNKNOWN
    if 0 < usd < 0.0001:  # noqa: PLR2004 - below what four decimals show
        return "<$0.0001"
    return f"${usd:,.2f}" if usd == 0 or usd >= 1 else f"${usd:.4f}"


def count(number: int | None) -> str:
    """`1,234`, and from a hundred thousand on `123k`, `1.2M`."""
    if number is None:
        return UNKNOWN
    if number < 100_000:  # noqa: PLR2004 - up to five digits are read at a glance
        return f"{number:,}"
    return f"{number / 1000:.0f}k" if number < 999_500 else f"{number / 1e6:,.1f}M"  # noqa: PLR2004 - rounds to 1000k


def duration(milliseconds: float | None) -> str:
    """`840ms`, `2.4s`, `3m04s`, `2h05m`, `3d04h`."""
    if milliseconds is None:
        return UNKNOWN
    if milliseconds < 1000:  # noqa: PLR2004 - a second
        return f"{milliseconds:.0f}ms"
    if milliseconds < 59_950:  # noqa: PLR2004 - what rounds to a minute is one
        return f"{milliseconds / 1000:.1f}s"
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02}h"
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{seconds:02}s"


def short_time(stamp: str | None) -> str:
    """Say a time stamp in local time, with the date where it is not today's."""
    moment = _local(stamp)
    if moment is None:
        return UNKNOWN
    today = datetime.now(UTC).astimezone()
    if moment.date() == today.date():
        return f"{moment:%H:%M:%S}"
    return f"{moment:%d %b %H:%M}" if moment.year == today.year else f"{moment:%Y-%m-%d}"


def long_time(stamp: str | None) -> str:
    """Say a time stamp in local time, with the date and the zone."""
    moment = _local(stamp)
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}" if moment else UNKNOWN


def _local(stamp: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(stamp or "").astimezone()
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True)
class Column:
    """A column of a table: how a row's cell reads, and what becomes of it where there is no room.

    The column with the lowest `worth` is left out first. One with a `least` width, or a `share` of the
    table's, may be made as narrow as that: its texts are cut, or with `whole` go on in the next line.
    """

    title: str
    cell: Callable[[Row], "Text"]
    worth: int
    least: int = 0
    share: float = 0
    whole: bool = False
    right: bool = False

    def narrowest(self, natural: int, table_width: int) -> int:
        """Say how narrow this column may become when its widest cell has the width `natural`."""
        return min(natural, self.least or int(self.share * table_width) or natural)


def table(columns: Sequence[Column], rows: Sequence[Row], width: int) -> "Table":
    """Lay out the rows as a table at most `width` wide."""
    from rich.table import Table  # noqa: PLC0415 - see `console`

    cells = {column.title: [column.cell(row) for row in rows] for column in columns}
    widths = _fit(columns, {title: _widest(title, column) for title, column in cells.items()}, width)
    kept = [column for column in columns if column.title in widths]
    shown = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    for column in kept:
        shown.add_column(
            column.title,
            width=widths[column.title],
            justify="right" if column.right else "left",
            no_wrap=not column.whole,
            overflow="fold" if column.whole else "ellipsis",
        )
    for index in range(len(rows)):
        shown.add_row(*(cells[column.title][index] for column in kept))
    return shown


def _widest(title: str, cells: Sequence["Text"]) -> int:
    return max([len(title), *(cell.cell_len for cell in cells)])


def _fit(columns: Sequence[Column], natural: dict[str, int], width: int) -> dict[str, int]:
    """Choose the columns that fit, each with its width: at its least, then with what room is left."""
    least = {column.title: column.narrowest(natural[column.title], width) for column in columns}
    for column in sorted(columns, key=lambda column: column.worth):
        if _total(least) <= width or len(least) == 1:
            break
        del least[column.title]
    widths = dict(least)
    for column in sorted(columns, key=lambda column: column.whole):  # a cut text needs the room more
        if column.title in least:
            room = max(0, width - _total(widths))
            widths[column.title] = min(natural[column.title], least[column.title] + room)
    return widths


def _total(widths: dict[str, int]) -> int:
    return sum(widths.values()) + GAP * (len(widths) - 1)
