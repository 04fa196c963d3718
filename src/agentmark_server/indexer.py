"""Brings what was appended into the index of words, beside all else."""

import logging
from threading import Event, Thread
from typing import Final

from agentmark_server.store import Store, StoreError

_PAUSE: Final = 0.2
"""Seconds until it looks again whether something waits."""
_AFTER_FAILURE: Final = 5.0

_log = logging.getLogger(__name__)


class Indexer:
    """The one thread that calls `Store.index`: on and on while something waits, else now and then."""

    def __init__(self, store: Store) -> None:
        self._store = store
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
                pause = 0.0 if self._store.index() else _PAUSE
            except StoreError as error:
                _log.warning("words cannot be indexed now: %s", error)
                pause = _AFTER_FAILURE
