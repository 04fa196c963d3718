"""What is wrong with a filter."""


class FilterError(ValueError):
    """A mistake in a filter: `message` says in one line what is wrong and what to write instead, `column` where.

    Columns count characters from 1; what is missing at the end is missing in the column after the last.
    """

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message, column)
        self.message = message
        self.column = column

    def __str__(self) -> str:
        return f"column {self.column}: {self.message}"
