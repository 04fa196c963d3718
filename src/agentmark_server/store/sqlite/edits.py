"""What people say of sessions: it joins what the spans say."""

from typing import Final

import apsw
import msgspec

from agentmark_server.model import Labels
from agentmark_server.store import Edit
from agentmark_server.store.sqlite.statements import one, rows

_LAST_WORD: Final = (2**64 - 1, b"\xff" * 17, b"")
"""Said later than any span can say something, by what is greater than any trace id: in `Labels` it wins."""


class Edits:
    """Reads and writes edits over the connection that writes."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.reload()

    def reload(self) -> None:
        """Read again which apps have any: after a write that was undone."""
        self._apps = {app for (app,) in rows(self._connection, "apps_with_edits")}

    def labels(self, app: int, session_id: str) -> Labels | None:
        """What an edit adds to the labels of a session; None without one."""
        found = one(self._connection, "find_edit", app, session_id) if app in self._apps else None
        if found is None:
            return None
        name, tags = found
        said = (*_LAST_WORD, name) if name is not None else None
        return Labels(name=said, tags=frozenset(msgspec.json.decode(tags, type=list[str])))

    def put(self, app: int, session_id: str, edit: Edit) -> None:
        """Change what stands there of a session."""
        name, tags = one(self._connection, "find_edit", app, session_id) or (None, "[]")
        if edit.name is not msgspec.UNSET:
            name = edit.name
        if edit.tags is not msgspec.UNSET:
            tags = msgspec.json.encode(sorted(set(edit.tags))).decode()
        if name is None and tags == "[]":
            self.delete(app, session_id)
        else:
            one(self._connection, "put_edit", app, session_id, name, tags)
            self._apps.add(app)

    def delete(self, app: int, session_id: str) -> None:
        """Delete what stands there of a session."""
        one(self._connection, "delete_edit", app, session_id)
