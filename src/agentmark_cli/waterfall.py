"""The spans of a trace as a tree, each with a bar that shows when it ran."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from agentmark_cli.output import Column, Row, count, duration, money, one_line, table, text

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

BAR: Final = 20
"""Characters of the longest bar."""
_DEEPEST: Final = 24
"""Deeper spans are drawn as if they stood here: there is no room for more."""
_STYLES: Final = {
    "llm": "magenta",
    "tool": "cyan",
    "agent": "green",
    "retrieval": "yellow",
    "embedding": "blue",
    "guardrail": "bright_black",
}


def waterfall(trace: Row, spans: Sequence[Row], width: int) -> "Table":
    """Lay out spans, which come as they stand in their tree, at most `width` wide."""
    scale = _Scale(trace)
    branches = {id(row): branch for row, branch in zip(spans, _branches(spans), strict=True)}
    columns = [
        Column("span", lambda row: _name(row, branches[id(row)]), worth=10, share=0.4),
        Column("kind", lambda row: text(row.get("kind") or "", _style(row)), worth=5),
        Column("model", lambda row: text(one_line(row.get("model") or ""), "dim"), worth=3, share=0.15),
        Column("", lambda row: text(scale.bar(row), _style(row)), worth=8),
        Column("duration", lambda row: text(duration(row.get("duration_ms"))), worth=9, right=True),
        Column("tokens", lambda row: text(_tokens(row)), worth=6, right=True),
        Column("cost", lambda row: text(_cost(row)), worth=7, right=True),
    ]
    return table(columns, spans, width)


def _branches(spans: Sequence[Row]) -> list[str]:
    """The lines that lead to each span from the one above it. They are known from below upwards."""
    depths = [min(int(row.get("depth") or 0), _DEEPEST) for row in spans]
    goes_on: set[int] = set()  # depths at which another span follows before the branch ends
    drawn: list[str] = []
    for depth in reversed(depths):
        goes_on = {other for other in goes_on if other <= depth}
        above = "".join("│ " if level in goes_on else "  " for level in range(1, depth))
        drawn.append(above + ("├ " if depth in goes_on else "└ ") if depth else "")
        goes_on.add(depth)
    return drawn[::-1]


def _name(row: Row, branch: str) -> "Text":
    shown = text(branch, "dim")
    return shown.append(text(one_line(row.get("name") or ""), "red" if row.get("status") == "error" else ""))


def _style(row: Row) -> str:
    return "red" if row.get("status") == "error" else _STYLES.get(str(row.get("kind")), "")


def _tokens(row: Row) -> str:
    return "" if row.get("total_tokens") is None else count(row.get("total_tokens"))


def _cost(row: Row) -> str:
    return "" if row.get("cost") is None else money(row.get("cost"))


class _Scale:
    """Where in a trace's time something lies, in characters of a bar."""

    def __init__(self, trace: Row) -> None:
        self._start = _seconds(trace.get("start"))
        end = _seconds(trace.get("end"))
        self._length = end - self._start if self._start is not None and end is not None else 0.0

    def bar(self, row: Row) -> str:
        """A bar from a span's start to its end, or to the end of the trace while it runs."""
        start = _seconds(row.get("start"))
        if self._start is None or start is None or self._length <= 0:
            return ""
        end = _seconds(row.get("end"))
        first = min(self._place(start), BAR - 1)
        last = BAR if end is None else max(first + 1, self._place(end))
        return " " * first + "━" * (last - first)

    def _place(self, time: float) -> int:
        share = (time - (self._start or 0.0)) / self._length
        return min(BAR, max(0, round(share * BAR)))


def _seconds(stamp: object) -> float | None:
    try:
        return datetime.fromisoformat(str(stamp)).timestamp()
    except ValueError:
        return None
