"""GET /v1/events."""

import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx2
import pytest

from conftest import RunningServer
from support.events import events
from support.spans import post, span


def write(server: RunningServer, *session_ids: str) -> None:
    spans = [span(f"{one}/{time.time_ns()}", "a", session__id=one) for one in session_ids]
    assert post(server.url, *spans).status_code == 200


def test_told_as_it_happens(server: RunningServer) -> None:
    """What is written, edited or deleted after the stream began is told at once; what was before, not."""
    write(server, "before")
    with events(server.url) as stream:
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        assert "access-control-allow-origin" not in stream.response.headers
        started = time.monotonic()
        write(server, "a/b\nc", "ü")
        assert stream.until("a/b\nc", "ü") == {"a/b\nc": False, "ü": False}
        httpx2.patch(f"{server.url}/v1/sessions/before", json={"name": "x"})
        assert stream.until("before") == {"before": False}
        httpx2.delete(f"{server.url}/v1/sessions/before")
        assert stream.until("before") == {"before": True}
        assert time.monotonic() - started < 5


def test_resumed(server: RunningServer) -> None:
    """Who comes again with the id of an event is told what changed meanwhile, once, by header or parameter."""
    with events(server.url) as stream:
        write(server, "a")
        stream.until("a")
        seen = stream.last_id
    for _ in range(3):
        write(server, "b", "c")
    httpx2.delete(f"{server.url}/v1/sessions/c")
    with events(server.url, last_id=seen) as stream:
        assert [stream.next(), stream.next()] == [
            ("session", {"id": "b", "deleted": False}),
            ("session", {"id": "c", "deleted": True}),
        ]
        write(server, "d")
        assert stream.next()[1]["id"] == "d"
    with events(server.url, after=seen) as stream:
        assert stream.until("d").keys() == {"b", "c", "d"}
    with events(server.url, last_id=stream.last_id, after=seen) as stream:
        write(server, "e")
        assert stream.next()[1]["id"] == "e"


def test_any_event_can_be_gone_on_from(server: RunningServer) -> None:
    """Whichever event a connection breaks after, the following ones are told to who comes again with its id."""
    with events(server.url) as stream:
        begin = stream.last_id
    write(server, *(f"{n}" for n in range(10)))
    write(server, *(f"{n}" for n in range(10, 15)))
    everything = {f"{n}" for n in range(15)}
    for broken_after in (1, 9, 10, 12):
        with events(server.url, last_id=begin) as stream:
            told = {stream.next()[1]["id"] for _ in range(broken_after)}
        with events(server.url, last_id=stream.last_id) as stream:
            assert stream.until(*everything - told).keys() >= everything - told


def test_after_a_restart(launch: Callable[..., RunningServer]) -> None:
    """An id holds when the server was started anew meanwhile."""
    first = launch()
    with events(first.url) as stream:
        write(first, "a")
        stream.until("a")
    first.stop()
    again = launch()
    write(again, "b")
    with events(again.url, last_id=stream.last_id) as stream:
        assert stream.next()[1]["id"] == "b"


def test_deleted_before_a_restart(launch: Callable[..., RunningServer]) -> None:
    """Ids of what was deleted are not kept: after a restart it is told that something was, then all else."""
    first = launch()
    with events(first.url) as stream:
        write(first, "a", "b")
        stream.until("a", "b")
    httpx2.delete(f"{first.url}/v1/sessions/a")
    first.stop()
    again = launch()
    write(again, "c")
    with events(again.url, last_id=stream.last_id) as stream:
        assert [stream.next(), stream.next()] == [("reset", {}), ("session", {"id": "c", "deleted": False})]
    with events(again.url, last_id=stream.last_id) as stream:
        write(again, "d")
        assert stream.next()[1]["id"] == "d"


@pytest.mark.parametrize("token", ["x", "-1", "1.5", "9" * 50])
def test_bad_token(shared_server: RunningServer, token: str) -> None:
    """What is no id of an event is a 400 that names where it stands."""
    for given, place in (
        ({"params": {"after": token}}, "after"),
        ({"headers": {"Last-Event-ID": token}}, "Last-Ev"),
    ):
        reply = httpx2.get(f"{shared_server.url}/v1/events", **given)
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_parameter")
        assert place in reply.json()["error"]["message"]


def test_unknown_parameter(shared_server: RunningServer) -> None:
    """An unknown parameter is a 400 that names it."""
    reply = httpx2.get(f"{shared_server.url}/v1/events?color=red")
    assert reply.status_code == 400
    assert "color" in reply.json()["error"]["message"]


def test_bounded_for_the_busy(server: RunningServer) -> None:
    """A session that changes all the time is told a few times a second, and at last as it is."""
    told: list[float] = []
    with events(server.url) as stream, ThreadPoolExecutor() as threads:

        def keep_writing() -> None:
            end = time.monotonic() + 2
            while time.monotonic() < end:
                write(server, "busy")
            write(server, "last")

        writing = threads.submit(keep_writing)
        while True:
            session_id = stream.next()[1]["id"]
            told.append(time.monotonic())
            if session_id == "last":
                break
        writing.result()
    assert len(told) <= 15


def test_slow_reader(server: RunningServer) -> None:
    """Who does not read costs no more than what the sockets hold, and reads the last changes in the end."""
    many, rounds = [f"{n:0512}" for n in range(1000)], 14
    host, port = server.url.removeprefix("http://").split(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        client.connect((host, int(port)))
        client.sendall(b"GET /v1/events?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for _ in range(rounds):
            write(server, *many)
            time.sleep(0.3)  # so long that each is told by itself to who reads
        write(server, "last")
        client.settimeout(10)
        received = bytearray()
        while b'"last"' not in received:
            received += client.recv(1 << 20)
    assert all(one.encode() in received for one in many)
    assert received.count(b"event: session") < len(many) * rounds * 3 / 4


def test_many_listeners(server: RunningServer) -> None:
    """More listeners than the server has threads or connections to its file are all told, and questions go on."""
    with ExitStack() as stack:
        streams = [stack.enter_context(events(server.url)) for _ in range(60)]
        write(server, "a")
        assert [stream.next()[1]["id"] for stream in streams] == ["a"] * 60
        assert server.get("/v1/sessions/a")["data"]["id"] == "a"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_stop(server: RunningServer, how: signal.Signals) -> None:
    """A server that is asked to stop ends its streams at once, in order, and with exit code 0."""
    with events(server.url) as stream, events(server.url) as busy:
        write(server, "a")
        stream.until("a")
        busy.until("a")
        started = time.monotonic()
        server.process.send_signal(how)
        with pytest.raises(EOFError):
            stream.next()
        assert server.process.wait(timeout=10) == 0
        assert time.monotonic() - started < 2
    assert server.process.stdout
    assert "Traceback" not in server.process.stdout.read()
    server.process.stdout.close()
