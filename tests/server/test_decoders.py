"""The processes that decode beside the one that writes, once requests wait for each other."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conftest import RunningServer
from support.spans import call, post, span


def children(server: RunningServer) -> list[int]:
    """The processes that the server has started (from Linux's /proc)."""
    tasks = Path(f"/proc/{server.process.pid}/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


def is_there(pid: int) -> bool:
    """Whether a process runs: one that ended and waits to be noticed does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def load(server: RunningServer, name: str) -> int:
    """Send from several connections at a time; how many requests were acknowledged."""

    def send(number: int) -> int:
        trace = f"{name} {number}"
        calls = [call(trace, f"{n}", "turn", gen_ai__usage__input_tokens=1) for n in range(200)]
        return post(server.url, span(trace, "turn", session__id=name), *calls).status_code

    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(send, range(24))).count(200)


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether it comes true within some seconds."""
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_only_under_load(server: RunningServer) -> None:
    """A server that takes one request after the other has no second process; under load one for each core."""
    for number in range(5):
        post(server.url, span(f"{number}", "a", session__id="quiet"))
    assert children(server) == []
    assert load(server, "busy") == 24
    assert wait_for(lambda: len(children(server)) >= 1)
    assert load(server, "busier") == 24
    assert len(children(server)) <= (os.cpu_count() or 1)
    totals = {one["id"]: (one["trace_count"], one["input_tokens"]) for one in server.get("/v1/sessions")["data"]}
    assert totals == {"quiet": (5, 0), "busy": (24, 4800), "busier": (24, 4800)}


def test_killed(server: RunningServer) -> None:
    """When the processes are killed, the server goes on without them and no request is lost."""
    assert load(server, "before") == 24
    assert wait_for(lambda: len(children(server)) >= 1)
    for child in children(server):
        os.kill(child, signal.SIGKILL)
    assert load(server, "after") == 24
    assert server.get("/v1/sessions/after")["data"]["input_tokens"] == 4800


def test_ends_with_the_server(launch: Callable[..., RunningServer]) -> None:
    """The processes end with the server, however that ends."""
    for how in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        server = launch()
        assert load(server, f"{how}") == 24
        assert wait_for(lambda server=server: len(children(server)) >= 1)
        started = children(server)
        server.stop(how)
        assert wait_for(lambda started=started: not any(map(is_there, started)))
