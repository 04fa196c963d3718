"""`agentmark db rebuild` and `agentmark db reprice`."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import RunningServer, clean_env
from support.spans import call, post


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "agentmark_cli", "db", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=clean_env(), check=False)


@pytest.fixture
def stopped(launch: Callable[..., RunningServer]) -> tuple[Path, Any]:
    """The file of a server that took two calls, and its list of sessions."""
    server = launch()
    for model in ("gpt-4o", "acme-7b"):
        used = {"gen_ai__usage__input_tokens": 1_000_000, "gen_ai__response__model": model}
        post(server.url, call(model, "call", session__id="priced", **used))
    listed = server.get("/v1/sessions")["data"]
    server.stop()
    return server.db, listed


def test_rebuild(stopped: tuple[Path, Any], launch: Callable[..., RunningServer]) -> None:
    """`rebuild` reads every span again, and with the same rules changes nothing."""
    db, before = stopped
    done = run("rebuild", "--db", str(db))
    assert (done.returncode, done.stdout) == (0, "Derived 2 spans anew.\n")
    assert launch().get("/v1/sessions")["data"] == before


def test_reprice(stopped: tuple[Path, Any], launch: Callable[..., RunningServer], tmp_path: Path) -> None:
    """`reprice` applies one's own prices first, then the table, to what is stored."""
    db, [before] = stopped
    assert (before["total_cost"], before["unpriced_calls"]) == (2.5, 1)
    own = tmp_path / "prices.json"
    own.write_text(json.dumps({"acme-7b": {"input_mtok": 0.25, "output_mtok": 1}}))
    assert run("reprice", "--db", str(db), "--prices", str(own)).returncode == 0
    [after] = launch().get("/v1/sessions")["data"]
    assert (after["total_cost"], after["unpriced_calls"]) == (2.75, 0)


@pytest.mark.parametrize("content", ["{", "[]", '{"m": {"input_mtok": "a"}}', '{"m": {"in": 1}}'])
def test_unreadable_prices(stopped: tuple[Path, Any], tmp_path: Path, content: str) -> None:
    """A file of prices that cannot be used is one clear line."""
    own = tmp_path / "prices.json"
    own.write_text(content)
    done = run("reprice", "--db", str(stopped[0]), "--prices", str(own))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(own) in done.stderr


def test_no_database(tmp_path: Path) -> None:
    """A database that is not there is said, and not made."""
    done = run("rebuild", "--db", str(tmp_path / "none.db"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert not list(tmp_path.iterdir())


def test_in_use(launch: Callable[..., RunningServer]) -> None:
    """A database that a server uses is left to it."""
    done = run("rebuild", "--db", str(launch().db))
    assert done.returncode == 1
    assert "in use" in done.stderr
