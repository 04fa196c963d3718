"""What stands once for many: numbers for texts, origins, traces and sessions."""

from collections import Counter
from typing import Final

import apsw
import msgspec

from agentmark_server.model import Origin
from agentmark_server.store.sqlite.statements import SQL, one

_REMEMBERED: Final = 50_000
"""Numbers remembered before all are dropped: bounds memory, not correctness."""


class Interned:
    """Numbers of one connection's file, remembered: its process alone writes it."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.clear()

    def clear(self) -> None:
        """Remember nothing: after a write that was undone, what was given in it may not be there."""
        self._terms: dict[str | None, int | None] = {None: None}
        self._origins: dict[Origin, int] = {}
        self._uses: dict[str, Counter[int]] = {"use_term": Counter(), "use_origin": Counter()}
        self._next_trace: int
        self._next_session: int
        self._next_trace, self._next_session = one(self._connection, "next_ids")

    def bound(self) -> None:
        """Keep what is remembered small."""
        if max(len(self._terms), len(self._origins)) > _REMEMBERED:
            self.clear()

    def new_trace(self) -> int:
        """A number that no trace has."""
        self._next_trace += 1
        return self._next_trace - 1

    def new_session(self) -> int:
        """A number that no session has."""
        self._next_session += 1
        return self._next_session - 1

    def term(self, text: str | None, uses: int = 0) -> int | None:
        """The number of a text, given when it is new; it is used so many times more."""
        number = self._terms.get(text)
        if number is None and text is not None:
            number = one(self._connection, "find_term", text) or one(self._connection, "add_term", text)
            self._terms[text] = number
        if number is not None and uses:
            self._uses["use_term"][number] += uses
        return number

    def origin(self, origin: Origin) -> int:
        """The number of an origin, given when it is new."""
        if origin not in self._origins:
            content = msgspec.msgpack.encode(origin)
            found = one(self._connection, "find_origin", content)
            self._origins[origin] = found or one(self._connection, "add_origin", content)
        return self._origins[origin]

    def origin_of(self, number: int) -> Origin:
        """The origin of a number."""
        return msgspec.msgpack.decode(one(self._connection, "origin", number), type=Origin)

    def use_origins(self, numbers: list[int], uses: int = 1) -> None:
        """Note that spans name origins, or with -1 that they do no more."""
        for number, count in Counter(numbers).items():
            self._uses["use_origin"][number] += uses * count

    def release_terms(self, numbers: list[int | None]) -> None:
        """Note that rows that named terms are gone."""
        self._uses["use_term"].subtract(number for number in numbers if number is not None)

    def save_uses(self) -> None:
        """Write how often everything is used now."""
        for statement, uses in self._uses.items():
            changed = [(count, number) for number, count in uses.items() if count]
            self._connection.executemany(SQL[statement], changed)
            uses.clear()

    def delete_unused(self) -> None:
        """Delete what nothing names any more."""
        self.save_uses()
        self._connection.execute(SQL["delete_unused_origins"])
        self._connection.execute(SQL["delete_unused_terms"])
        self.clear()
