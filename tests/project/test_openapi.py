"""The committed description of the API is the one that the server gives."""

import json
from pathlib import Path

from conftest import RunningServer

COMMITTED = Path(__file__).parents[2] / "openapi.json"


def test_openapi(shared_server: RunningServer) -> None:
    """`openapi.json` is what `/v1/openapi.json` answers; after a change of the API, run `make openapi`."""
    assert json.loads(COMMITTED.read_text()) == shared_server.get("/v1/openapi.json")
