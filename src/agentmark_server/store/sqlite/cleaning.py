"""Leaves nothing in the files of what was deleted, beside all else that goes on."""

import logging
from threading import Condition, Thread
from typing import Final

import apsw

from agentmark_server.store import StoreError
from agentmark_server.store.sqlite.database import Database
from agentmark_server.store.sqlite.statements import one

_PAGES: Final = 4096
"""Cleaned at a time while others wait to write: some milliseconds."""
_PAUSE: Final = 0.05
"""Before it tries again."""
_BREATH: Final = 0.002
"""For others to write."""
_WAIT: Final = 1.0
"""How long a deletion waits for it: a small file is clean by then."""

_log = logging.getLogger(__name__)


class Cleaner:
    """Empties the log and overwrites what is left of deleted rows in the file, in a thread that ends with that.

    Where readers keep the log from being emptied, it tries again. What is left to do is in the file too.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed = Condition()
        self._asked = 0
        self._done = 0
        self._closed = False
        self._thread: Thread | None = None

    def resume(self, connection: apsw.Connection) -> None:
        """Go on with what the last process left."""
        if one(connection, "is_unclean"):
            self.start()

    def start(self) -> int:
        """Begin, or begin again; the number is for `wait`. The write that deleted has marked the file unclean."""
        with self._changed:
            self._asked += 1
            if self._thread is None:
                self._thread = Thread(target=self._run, name="agentmark-cleaner", daemon=True)
                self._thread.start()
            return self._asked

    def wait(self, number: int) -> None:
        """Wait until it is done, but not for long."""
        with self._changed:
            self._changed.wait_for(lambda: self._done >= number or self._closed, _WAIT)

    def close(self) -> None:
        """Stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread:
            thread.join()

    def _run(self) -> None:
        asked, page = self._asked, 0
        while True:
            following = self._step(page)
            with self._changed:
                if asked != self._asked:
                    asked, following = self._asked, 0  # what was deleted meanwhile may be in pages that are done
                elif following is None:
                    self._done, self._thread = asked, None
                    self._changed.notify_all()
                    return
                if self._changed.wait_for(lambda: self._closed, _PAUSE if following == page else _BREATH):
                    return
            page = following

    def _step(self, page: int) -> int | None:
        """Clean some pages; say which is next: the same one if it has to be tried again, none at the end."""
        try:
            following = self._database.clean(page, _PAGES)
            if following is None:
                with self._database.writing() as connection:
                    one(connection, "mark_clean")
        except StoreError as error:
            _log.warning("what is left of deleted rows cannot be overwritten now: %s", error)
            return page
        return following
