"""How much one rendering may do: whatever a prompt says, it ends, and its text fits in memory."""

from typing import Final

MAX_STEPS: Final = 1_000_000
"""Parts of templates that may be rendered, those in loops each time."""
MAX_CHARACTERS: Final = 10_000_000
"""Characters that may be made, in the messages and on the way there."""


class BudgetError(ValueError):
    """A prompt does too much."""


class Budget:
    """What is left of both for one rendering."""

    __slots__ = ("characters", "steps")

    def __init__(self) -> None:
        self.steps = MAX_STEPS
        self.characters = MAX_CHARACTERS

    def step(self, count: int) -> None:
        """Count parts that are about to be rendered."""
        self.steps -= count
        if self.steps < 0:
            msg = f"the prompt goes through more than {MAX_STEPS:,} parts"
            raise BudgetError(msg)

    def spend(self, count: int) -> None:
        """Count characters that are about to be made."""
        self.characters -= count
        if self.characters < 0:
            msg = f"the prompt makes more than {MAX_CHARACTERS:,} characters"
            raise BudgetError(msg)
