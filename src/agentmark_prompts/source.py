"""The text of a prompt file, and places in it."""

from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Source:
    """A file's text, with the line feed as its only line end, under the path that errors name it by."""

    path: str
    text: str

    @classmethod
    def of(cls, path: str, text: str) -> "Source":
        """Make a source of text as it was read: a byte order mark and other line ends are left out."""
        return cls(path, text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))

    def at(self, offset: int) -> "Place":
        """The place of the character at `offset`; one past the last is the end of the file."""
        return Place(self, min(offset, len(self.text)))


@dataclass(frozen=True, eq=False)
class Place:
    """A character of a source. Line and column count from 1, a tab is one column."""

    source: Source
    offset: int

    @property
    def line(self) -> int:
        """In which line it is."""
        return self.source.text.count("\n", 0, self.offset) + 1

    @property
    def column(self) -> int:
        """At which column it is."""
        return self.offset - self._line_start + 1

    @property
    def source_line(self) -> str:
        """The whole line, without its end."""
        end = self.source.text.find("\n", self.offset)
        return self.source.text[self._line_start : end if end >= 0 else None]

    @property
    def _line_start(self) -> int:
        return self.source.text.rfind("\n", 0, self.offset) + 1
