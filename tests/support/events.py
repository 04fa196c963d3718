"""Reads server-sent events as https://html.spec.whatwg.org/multipage/server-sent-events.html says."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2


@dataclass
class Stream:
    """An open stream: `last_id` is where to go on, as a browser would remember it."""

    response: httpx2.Response
    lines: Iterator[str]
    last_id: str = ""

    def next(self) -> tuple[str, Any]:
        """The next event, its name and its data; what carries no data is passed over."""
        name, data = "message", ""
        for line in self.lines:
            field, _, value = line.partition(": ")
            match field:
                case "id":
                    self.last_id = value
                case "event":
                    name = value
                case "data":
                    data += value
                case "" if not line and data:
                    return name, json.loads(data)
                case "" if not line:
                    name = "message"
        raise EOFError

    def until(self, *session_ids: str) -> dict[str, bool]:
        """Read until all of the sessions were told; for each session whether it was deleted."""
        told: dict[str, bool] = {}
        while not told.keys() >= set(session_ids):
            name, data = self.next()
            assert name == "session"
            told[data["id"]] = data["deleted"]
        return told


@contextmanager
def events(url: str, last_id: str | None = None, **params: str) -> Iterator[Stream]:
    """Open the stream of a server, which has begun to tell when the block is entered."""
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    with httpx2.stream("GET", f"{url}/v1/events", params=params, headers=headers, timeout=10) as response:
        assert response.status_code == 200, response.read()
        stream = Stream(response, response.iter_lines())
        for line in stream.lines:
            if line.startswith("id: "):
                stream.last_id = line.removeprefix("id: ")
            if not line:
                break
        yield stream
