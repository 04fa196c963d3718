"""How a run is to be recorded, as `format(telemetry=...)` says it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

_SESSION_ID: Final = ("sessionId", "session_id")
_SESSION_NAME: Final = ("sessionName", "session_name")
_USER_ID: Final = ("userId", "user_id")
_SETTINGS: Final = {
    "isEnabled": "is_enabled",
    "functionId": "function_id",
    "metadata": "metadata",
    "recordInputs": "record_inputs",
    "recordOutputs": "record_outputs",
}


@dataclass(frozen=True)
class Telemetry:
    """Whether a run is recorded, under which name, and whose it is.

    Without `record_content` the run is recorded, but not what was asked and answered.
    """

    is_enabled: bool = True
    function_id: str | None = None
    session_id: object = None
    session_name: object = None
    user_id: object = None
    tags: Iterable[str] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    record_content: bool = True

    @classmethod
    def of(cls, given: "Mapping[str, object] | Telemetry | None") -> "Telemetry | None":
        """Read the settings that programs give, in camel case or with underscores.

        `metadata` may name the session (`sessionId`, `sessionName`), its user (`userId`) and `tags`; the rest of
        it stays metadata. Raises `ValueError` for a setting that does not exist, and a switch that is no bool.
        """
        if given is None or isinstance(given, Telemetry):
            return given
        settings = _settings(given)
        metadata = settings.get("metadata") or {}
        if not isinstance(metadata, Mapping):
            msg = f"telemetry: metadata must be a dict, not {metadata!r:.50}"
            raise ValueError(msg)  # noqa: TRY004 - one kind of error for all that is wrong with settings
        tags = metadata.get("tags") or ()
        own = {*_SESSION_ID, *_SESSION_NAME, *_USER_ID, "tags"}
        function_id = settings.get("function_id")
        return cls(
            is_enabled=_switch(settings, "is_enabled"),
            function_id=None if function_id is None else str(function_id),
            session_id=_first(metadata, _SESSION_ID),
            session_name=_first(metadata, _SESSION_NAME),
            user_id=_first(metadata, _USER_ID),
            tags=(tags,) if isinstance(tags, str) else tuple(tags) if isinstance(tags, Iterable) else (),
            metadata={str(key): value for key, value in metadata.items() if key not in own},
            record_content=_switch(settings, "record_inputs") and _switch(settings, "record_outputs"),
        )


def _settings(given: Mapping[str, object]) -> dict[str, object]:
    settings = {_SETTINGS.get(key, key): value for key, value in given.items()}
    for key in settings:
        if key not in _SETTINGS.values():
            msg = f"telemetry has no {key!r}: it has {', '.join(_SETTINGS)}"
            raise ValueError(msg)
    return settings


def _switch(settings: Mapping[str, object], key: str) -> bool:
    value = settings.get(key, True)
    if not isinstance(value, bool):
        msg = f"telemetry: {key} is True or False, not {value!r:.50}"
        raise ValueError(msg)  # noqa: TRY004 - as above
    return value


def _first(metadata: Mapping[str, object], names: tuple[str, ...]) -> object:
    return next((metadata[name] for name in names if metadata.get(name) is not None), None)
