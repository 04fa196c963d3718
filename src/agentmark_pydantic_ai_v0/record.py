"""An answer that is an object."""

from typing import Any


class Record(dict[str, Any]):
    """A dict whose keys are attributes too, as long as dict has none of that name: `contact.email`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    @classmethod
    def of(cls, value: Any) -> Any:
        """Let every dict in a JSON value be a record."""
        if isinstance(value, dict):
            return cls({key: cls.of(item) for key, item in value.items()})
        return [cls.of(item) for item in value] if isinstance(value, list) else value
