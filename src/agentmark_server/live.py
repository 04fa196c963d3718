"""Wakes those who wait for changes when something was written."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class Listener:
    """One who waits, in the event loop in which it was made."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.woken = asyncio.Event()
        self.closing = asyncio.Event()

    async def news(self, seconds: float) -> bool:
        """Wait for something that was written since this was last waited for; False when so long nothing was."""
        try:
            await asyncio.wait_for(self.woken.wait(), seconds)
        except TimeoutError:
            return False
        self.woken.clear()
        return True

    async def rest(self, seconds: float) -> None:
        """Wait, whatever is written, but not beyond the end."""
        try:
            await asyncio.wait_for(self.closing.wait(), seconds)
        except TimeoutError:
            return

    @property
    def closed(self) -> bool:
        """Whether the server stops."""
        return self.closing.is_set()

    def close(self) -> None:
        """Come to an end. In the listener's loop."""
        self.closing.set()
        self.woken.set()


class Live:
    """Listeners by app. Whoever writes announces it, from any thread; it costs nothing where nobody listens."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._listeners: dict[str, set[Listener]] = {}
        self._announced: set[str] = set()
        """Apps whose listeners will be woken, but are not yet: many writes wake them once."""
        self._closed = False

    @contextmanager
    def listen(self, app: str) -> Iterator[Listener]:
        """Listen to what is written for an app from now on."""
        listener = Listener()
        with self._lock:
            self._listeners.setdefault(app, set()).add(listener)
            if self._closed:
                listener.close()
        try:
            yield listener
        finally:
            with self._lock:
                self._listeners[app].discard(listener)

    def announce(self, app: str) -> None:
        """Something was written for an app."""
        with self._lock:
            listener = next(iter(self._listeners.get(app, ())), None)
            if listener is None or app in self._announced:
                return
            self._announced.add(app)
        listener.loop.call_soon_threadsafe(self._wake, app)

    def _wake(self, app: str) -> None:
        with self._lock:
            self._announced.discard(app)
            for listener in self._listeners.get(app, ()):
                listener.woken.set()

    def close(self) -> None:
        """Let every listener come to an end, those that come later too. In the listeners' loop."""
        with self._lock:
            self._closed = True
            for listener in (one for some in self._listeners.values() for one in some):
                listener.close()
