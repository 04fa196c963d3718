"""What comes from many requests goes to the store in few commits."""

from collections.abc import Callable, Set
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread

import msgspec

from agentmark_server.packing import Share
from agentmark_server.store import Store


class _Waiting(msgspec.Struct):
    """A batch on its way to the store. The result is how many of its spans were refused."""

    app: str
    shares: list[Share]
    done: "Future[int]"


class Writer:
    """The one thread that appends to the store: what came while it committed goes into its next commit.

    `announce` is called with the app after each commit.
    """

    def __init__(self, store: Store, announce: Callable[[str], None] = lambda _: None) -> None:
        self._store = store
        self._announce = announce
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="agentmark-writer", daemon=True)

    def start(self) -> None:
        """Begin to take batches."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, then end."""
        self._queue.put(None)
        self._thread.join()

    def submit(self, app: str, shares: list[Share]) -> "Future[int]":
        """Queue spans; done when they are durable."""
        waiting = _Waiting(app, shares, Future())
        self._queue.put(waiting)
        return waiting.done

    def _run(self) -> None:
        stopping = False
        while not stopping:
            taken = [self._queue.get()]
            while not self._queue.empty():
                taken.append(self._queue.get())
            stopping = None in taken
            self._commit([waiting for waiting in taken if waiting])

    def _commit(self, taken: list[_Waiting]) -> None:
        for app in dict.fromkeys(waiting.app for waiting in taken):
            self._append(app, [waiting for waiting in taken if waiting.app == app])

    def _append(self, app: str, taken: list[_Waiting]) -> None:
        shares = [share for waiting in taken for share in waiting.shares]
        try:
            refused = self._store.append(app, shares).refused
        except Exception as error:  # noqa: BLE001  # whatever it was, those who wait must hear it
            self._failed(app, taken, error)
            return
        self._announce(app)
        for waiting in taken:
            waiting.done.set_result(sum(_count(share, refused) for share in waiting.shares) if refused else 0)

    def _failed(self, app: str, taken: list[_Waiting], error: Exception) -> None:
        """What one batch broke must not cost the others: each is tried alone."""
        if len(taken) == 1:
            taken[0].done.set_exception(error)
            return
        for waiting in taken:
            self._append(app, [waiting])


def _count(share: Share, refused: Set[tuple[bytes, bytes]]) -> int:
    """How many spans of a share are among those that were refused."""
    return sum((share.trace_id, span_id) in refused for span_id in share.span_ids)
