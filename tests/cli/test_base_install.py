"""The package without its extra `server`: only the SDK's dependencies are there."""

import subprocess
import sys
from pathlib import Path

import pytest

import agentmark_cli

SRC = Path(agentmark_cli.__file__).parent.parent


@pytest.mark.parametrize("words", [["dev"], ["api", "sessions", "list"], ["--help"], []])
def test_without_the_extra_one_line_says_how_to_get_it(words: list[str]) -> None:
    """Where Typer and the others are not installed, every command says which extra brings them, and fails."""
    bare = [sys.executable, "-S", "-m", "agentmark_cli"]  # -S: no site-packages
    done = subprocess.run(
        [*bare, *words], env={"PYTHONPATH": str(SRC)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "this command needs more: pip install 'agentmark[server]'\n"


def test_a_missing_module_of_ours_is_a_bug_and_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """That one of our own modules is missing is never blamed on the installation."""
    monkeypatch.setitem(sys.modules, "agentmark_cli.main", None)
    with pytest.raises(ModuleNotFoundError, match=r"agentmark_cli\.main"):
        agentmark_cli.main()
