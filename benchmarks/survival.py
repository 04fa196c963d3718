"""Kills a server under load, hundreds of times on one file, and counts what it acknowledged and does not have.

.venv/bin/python benchmarks/survival.py --rounds 300
"""

import argparse
import secrets
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from conftest import RunningServer, start_server
from support.load import Load, survive


def main() -> int:
    """Run the rounds; 1 when anything was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300, help="how often the server is killed")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="of the load and of the moments of the kills")
    options = parser.parse_args()
    load, began, servers = Load(options.seed), time.monotonic(), list[RunningServer]()
    with TemporaryDirectory() as folder:

        def start() -> RunningServer:
            servers.append(start_server(Path(folder) / "agentmark.db"))
            return servers[-1]

        try:
            for number, _ in enumerate(survive(start, load, options.rounds), start=1):
                print(f"\r{number} rounds, {load.acknowledged_spans} spans acknowledged", end="", flush=True)
        finally:
            for server in servers:
                if server.process.poll() is None:
                    server.stop()
    print(f"\nseed {options.seed}, {time.monotonic() - began:.0f} s")
    for problem in load.problems:
        print(problem)
    print(
        f"{options.rounds} rounds, {load.acknowledged_spans} spans acknowledged, "
        f"{load.lost} lost, {load.doubled} doubled"
    )
    return 1 if load.problems else 0


if __name__ == "__main__":
    sys.exit(main())
