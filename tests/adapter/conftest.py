"""What the adapter's tests share: the project of the seed's examples, and programs in processes of their own.

They run in this environment, and once more, by `test_pydantic_ai_1.py`, in one with the last 1.x of pydantic-ai,
where the server's own packages are not: servers and commands are run by SERVER_PYTHON.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import SERVER_PYTHON, RunningServer

SEED = Path(__file__).parent / "seed"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the seed's examples, their client and their prompt."""
    return Path(shutil.copytree(SEED, tmp_path / "project"))


@pytest.fixture
def program(server: RunningServer) -> Callable[..., str]:
    """Run a program of a folder, recording to the test's server, every warning an error; give what it wrote."""

    def run(folder: Path, *command: str) -> str:
        whole = [sys.executable, "-W", "error", *command]
        done = subprocess.run(
            whole, cwd=folder, env=server.env, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    return run


@pytest.fixture
def agentmark(server: RunningServer) -> Callable[..., str]:
    """Run a command of the CLI against the test's server; give what it wrote."""

    def run(*words: str) -> str:
        done = subprocess.run(
            [SERVER_PYTHON, "-m", "agentmark_cli", *words],
            env=server.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    return run
