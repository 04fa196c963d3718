"""The command line: `agentmark dev`, `agentmark demo`, `agentmark api ...`."""

import sys


def main() -> None:
    """Run the command line; without its libraries, say which extra brings them."""
    try:
        from agentmark_cli.main import run  # noqa: PLC0415 - the SDK alone installs without what this imports

        sys.exit(run(sys.argv[1:]))
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("agentmark"):
            raise
        sys.stderr.write("this command needs more: pip install 'agentmark[server]'\n")
        sys.exit(1)
