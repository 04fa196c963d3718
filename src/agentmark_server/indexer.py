"""Brings what was appended into the index of words, beside all else."""

import logging
from collections.abc import Callable
from threading import Event, Thread
from typing import Final

from agentmark_server.store import Store, StoreError

_PAUSE: Final = 0.2
"""Seconds until it looks again whether something waits."""
_GIVING_WAY: Final = 0.25
"""Seconds between two steps while requests are under way: they have most of the time."""
_AFTER_FAILURE: Final = 5.0

_log = logging.getLogger(__name__)


class Indexer:
    """The one thread that calls `Store.index`: on and on while something waits, else now and then."""

    def __init__(self, store: Store, is_busy: Callable[[], bool]) -> None:
        self._store = store
        self._is_busy = is_busy
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="agentmark-indexer", daemon=True)

    def start(self) -> None:
        """Begin where the last process ended."""
        self._thread.start()

    def stop(self) -> None:
        """End; what waits is indexed by the next process."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            try:
                more = self._store.index()
                pause = _PAUSE if not more else _GIVING_WAY if self._is_busy() else 0.0
            except StoreError as error:
                _log.warning("words cannot be indexed now: %s", error)
                pause = _AFTER_FAILURE
