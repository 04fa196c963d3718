"""What a server is started with."""

from dataclasses import dataclass
from pathlib import Path

LOCAL_APP = "local"
"""The app that every request belongs to as long as nobody has to say who asks."""


@dataclass(frozen=True)
class Settings:
    """Read once, at the start, and handed to `create_app`.

    `db` is the database's file; its folder is made when missing. `ui` says whether the page is served.
    """

    db: Path = Path(".agentmark/agentmark.db")
    ui: bool = True
    project: Path = Path()
    """The folder of `agentmark.json`, whose prompts are served."""
    prices: Path | None = None
    """A file of one's own prices, asked before the table: docs/sessions.md."""
    max_body_bytes: int = 64 * 1024 * 1024
    """The largest request that is read, before as after decompression."""
    max_request_bytes: int = 192 * 1024 * 1024
    """What requests may hold in memory, read and waiting, before senders are told to come back later."""
    idle_seconds: int = 600
    """A session whose last span is younger than this counts as active."""
