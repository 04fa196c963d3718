"""`python -m agentmark_server.openapi` prints the description of the API, as `/v1/openapi.json` answers it."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from agentmark_server.app import create_app
from agentmark_server.settings import Settings


def description() -> str:
    """The OpenAPI document as indented JSON."""
    with TemporaryDirectory() as folder:
        document = create_app(Settings(db=Path(folder) / "agentmark.db")).openapi()
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(description())
