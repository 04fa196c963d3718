"""What can go wrong with a prompt.

PromptError
├── LoadError            it cannot be read
│   └── NotFoundError    there is no such file
└── TemplateError        something in a file is wrong, at a line and column
    └── PropsError       the props are not what `input_schema` asks for
"""

from agentmark_prompts.source import Place

_SHOWN = 100
"""How much of a long line a message shows."""


class PromptError(Exception):
    """Anything that is wrong with a prompt."""


class LoadError(PromptError):
    """A prompt or a component cannot be read."""


class NotFoundError(LoadError):
    """There is no such file."""


class TemplateError(PromptError):
    """Something in a file is wrong.

    `path` is the file as it was loaded; `line` and `column` count from 1; `source_line` is the line itself.
    The text of the error says all of it, with a caret below the column.
    """

    def __init__(self, message: str, place: Place) -> None:
        self.message = message
        self.path = place.source.path
        self.line = place.line
        self.column = place.column
        self.source_line = place.source_line
        super().__init__(f"{self.path}:{self.line}:{self.column}: {message}\n{self._pointed()}")

    def _pointed(self) -> str:
        """The line, cut around the column, and a caret below it."""
        start = max(0, self.column - _SHOWN // 2)
        shown = self.source_line[start : start + _SHOWN].replace("\t", " ")
        return f"    {shown}\n    {' ' * (self.column - 1 - start)}^"


class PropsError(TemplateError):
    """The props are not what the prompt's `input_schema` asks for; the place is what of it they break."""
