"""Sorted lists in slices, by offset or by cursor, composed of texts of ours and bound values."""

from typing import Any

import apsw
import msgspec

from agentmark_server.model import Slice
from agentmark_server.store import BadCursorError
from agentmark_server.store.sqlite.questions import Integer, Where, cursor_of, opened
from agentmark_server.store.sqlite.statements import Row

_Position = tuple[str, Integer | None, list[bytes]]
"""Which order a cursor is of, and the value and the ids of the row that it stands behind."""


class Order(msgspec.Struct, frozen=True):
    """By which column rows are sorted, and by which ids where that is equal; rows without a value come last."""

    name: str
    column: str
    ids: tuple[str, ...]
    ascending: bool

    @property
    def sql(self) -> str:
        """As it stands behind ORDER BY."""
        direction = "ASC NULLS LAST" if self.ascending else "DESC"
        return ", ".join((f"{self.column} {direction}", *self.ids))

    @property
    def mark(self) -> str:
        """What a cursor says of it."""
        return f"{self.name} {'asc' if self.ascending else 'desc'}"


class Listing(msgspec.Struct, frozen=True):
    """A list: its tables, the columns of a row, which rows, and their order."""

    tables: str
    columns: str
    where: Where
    order: Order

    def count(self, connection: apsw.Connection) -> int:
        """How many rows there are."""
        sql = f"SELECT count(*) FROM {self.tables} WHERE {self.where}"  # noqa: S608  # holds no values
        count: int = connection.execute(sql, self.where.bindings).get
        return count

    def slice(self, connection: apsw.Connection, part: Slice) -> tuple[list[Row], str | None]:
        """The rows of a slice and the cursor of the next. Raises BadCursorError."""
        wanted = part.limit + 1  # one more tells whether the list goes on
        if part.cursor is None:
            found = self._rows(connection, "1", [], wanted, part.offset)
        else:
            value, ids = self._opened(part.cursor)
            found = self._after(connection, value, ids, wanted) if value is not None else []
            if len(found) < wanted:
                found += self._without_value(connection, ids if value is None else [], wanted - len(found))
        rows = [row[: -1 - len(self.order.ids)] for row in found[: part.limit]]
        return rows, self._cursor(found[part.limit - 1]) if len(found) > part.limit else None

    def _after(self, connection: apsw.Connection, value: int, ids: list[bytes], limit: int) -> list[Row]:
        """Rows behind a row that has a value."""
        column, way = self.order.column, ">" if self.order.ascending else "<"
        # The first condition says nothing new: by it the index is entered at the right place.
        condition = f"{column} {way}= ? AND ({column} {way} ? OR {self._ids_after()})"
        return self._rows(connection, condition, [value, value, *ids], limit)

    def _without_value(self, connection: apsw.Connection, ids: list[bytes], limit: int) -> list[Row]:
        """Rows without a value, behind one of them or all."""
        condition = f"{self.order.column} IS NULL" + (f" AND {self._ids_after()}" if ids else "")
        return self._rows(connection, condition, ids, limit)

    def _ids_after(self) -> str:
        return f"({', '.join(self.order.ids)}) > ({', '.join('?' * len(self.order.ids))})"

    def _rows(
        self, connection: apsw.Connection, condition: str, bindings: list[Any], limit: int, offset: int = 0
    ) -> list[Row]:
        """Rows that fit, with the value and the ids that they are sorted by behind them."""
        columns = ", ".join((self.columns, self.order.column, *self.order.ids))
        sql = f"""SELECT {columns} FROM {self.tables} WHERE {self.where} AND ({condition})
            ORDER BY {self.order.sql} LIMIT ? OFFSET ?"""  # noqa: S608  # holds no values
        return connection.execute(sql, [*self.where.bindings, *bindings, limit, offset]).fetchall()

    def _cursor(self, row: Row) -> str:
        count = len(self.order.ids)
        return cursor_of(self.order.mark, row[-1 - count], row[-count:])

    def _opened(self, cursor: str) -> tuple[int | None, list[bytes]]:
        mark, value, ids = opened(cursor, _Position)
        if mark != self.order.mark or len(ids) != len(self.order.ids):
            msg = "it is of a list that is sorted otherwise"
            raise BadCursorError(msg)
        return value, ids


def among(column: str, values: tuple[Any, ...]) -> tuple[str, *tuple[Any, ...]]:
    """That a column has one of some values, as `Where.add` takes it."""
    return f"{column} IN ({', '.join('?' * len(values))})", *values
