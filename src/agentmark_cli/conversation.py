"""A session on a terminal, turn by turn: what was said, what was done for it, when, and what it cost."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from agentmark_cli.output import (
    Row,
    console,
    count,
    duration,
    long_time,
    money,
    one_line,
    short_time,
    text,
    visible,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

CONTENT_LIMIT = 2000
"""Characters of one text that are asked for: more of it is not read on a terminal."""
_LABEL_WIDTH = 9
_INDENT = 2
_LATENCY_WIDTH = 7
_LEAST_BAR = 8
_DEEPEST = 4
"""How many levels of what other agents did are shown."""
_SECOND = 1000
_UNITS = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"))


def print_conversation(session: Row, turns: Sequence[Row], first: int) -> None:
    """Print a session and some of its turns, of which the first trace is the session's `first`, from 1."""
    out = console()
    out.print(_header(session))
    heads = [_Head(turn, number) for turn, number in zip(turns, _numbers(turns, first), strict=True)]
    scale = _Scale(session.get("start"), session.get("end"))
    widths = [max((len(cell) for cell in column), default=0) for column in zip(*map(_cells, heads), strict=True)]
    for head in heads:
        out.print()
        _print_head(out, head, widths, scale)
        out.print(_body(head.turn, out.width))


def _header(session: Row) -> "Table":
    from rich.table import Table  # noqa: PLC0415 - what prints JSON starts faster without it

    block = Table.grid(padding=(0, 2))
    block.add_column(style="bold", no_wrap=True)
    block.add_column(overflow="fold")
    for label, value in _facts(session):
        if value:
            block.add_row(label, text(value, "red" if label == "Errors" else ""))
    return block


def _facts(session: Row) -> list[tuple[str, str]]:
    get = session.get
    return [
        ("Session", str(get("id"))),
        ("Name", one_line(get("name") or "")),
        ("User", _joined(get("user_ids") or [get("user_id")])),
        ("Status", _status(session)),
        ("Started", long_time(get("start"))),
        ("Ended", long_time(get("end"))),
        ("Duration", _durations(session)),
        ("Contains", _contents(session)),
        ("Errors", _errors(session)),
        ("Tokens", _tokens(session)),
        ("Cost", _cost(session)),
        *((label, _joined(get(label.lower()))) for label in ("Models", "Agents", "Services")),
        *((label, _joined(get(label.lower()))) for label in ("Environments", "Releases", "Tags")),
        (
            "Metadata",
            ", ".join(f"{key}={one_line(str(value))}" for key, value in (get("metadata") or {}).items()),
        ),
    ]


def _joined(values: list[str | None] | None) -> str:
    return ", ".join(one_line(str(value)) for value in values or [] if value is not None)


def _status(session: Row) -> str:
    outcome = session.get("outcome")
    return f"{session.get('status') or ''}{f': {one_line(outcome)}' if outcome else ''}"


def _durations(session: Row) -> str:
    """`3m04s, 12% of it active, 2.4s per trace`."""
    whole, active = session.get("duration_ms"), session.get("active_ms")
    said = duration(whole)
    if whole and active is not None:
        said += f", {min(100, round(100 * active / whole))}% of it active ({duration(active)})"
    return f"{said}, {duration(session.get('latency_ms'))} per trace"


def _contents(session: Row) -> str:
    counts = [(session.get(f"{noun}_count"), noun) for noun in ("trace", "span", "call")]
    return ", ".join(_counted(number, noun) for number, noun in counts)


def _counted(number: int | None, noun: str) -> str:
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def _errors(session: Row) -> str:
    errors, failed = session.get("error_count"), session.get("failed_trace_count")
    if not (errors or failed):
        return ""
    return f"{_counted(errors, 'error')}, {_counted(failed, 'failed trace')}"


def _tokens(session: Row) -> str:
    said = f"{count(session.get('total_tokens'))}: "
    said += f"{count(session.get('input_tokens'))} in, {count(session.get('output_tokens'))} out"
    for kind in ("cached", "reasoning"):
        if number := session.get(f"{kind}_tokens"):
            said += f", {count(number)} {kind}"
    unmetered = session.get("unmetered_calls")
    return f"{said} ({_counted(unmetered, 'call')} did not say)" if unmetered else said


def _cost(session: Row) -> str:
    cost, unpriced = session.get("total_cost"), session.get("unpriced_calls")
    said = f"{money(cost)} (not known)" if cost is None else money(cost)
    return f"{said}, {_counted(unpriced, 'call')} without a known price" if unpriced else said


class _Head:
    """The line above a turn, in cells."""

    def __init__(self, turn: Row, number: str) -> None:
        get = turn.get
        self.turn = turn
        self.failed = get("status") == "error"
        self.before = [number, short_time(get("start")), gap(get("gap_ms"))]
        latency = "running" if get("running") else duration(get("latency_ms"))
        self.after = [latency, _tokens_cell(turn), _cost_cell(turn)]


def _cells(head: _Head) -> list[str]:
    return [*head.before, *head.after]


def _numbers(turns: Sequence[Row], first: int) -> Iterator[str]:
    """By trace; of a trace with several turns all but the first have two numbers: `3`, `3.2`."""
    number = first - 1
    for turn in turns:
        index = turn.get("index") or 0
        number += index == 0
        yield f"{number}.{index + 1}" if index else str(number)


def gap(milliseconds: float | None) -> str:
    """`12 s later`, `3 minutes later`: when a turn began, from the end of the one before."""
    if milliseconds is None:
        return ""
    if milliseconds < _SECOND / 2:
        return "at once" if milliseconds < 1 else f"{milliseconds:.0f} ms later"
    for size, unit in _UNITS:
        if milliseconds >= size:
            number = round(milliseconds / size)
            return f"{number} {unit}{'' if number == 1 else 's'} later"
    return f"{milliseconds / _SECOND:.0f} s later"


def _tokens_cell(turn: Row) -> str:
    calls = turn.get("call_count")
    if not calls:
        return ""
    known = calls != turn.get("unmetered_calls")
    return f"{count(turn.get('total_tokens') if known else None)} tokens"


def _cost_cell(turn: Row) -> str:
    """With a plus where calls without a known price come on top."""
    cost = turn.get("total_cost")
    return money(cost) + ("+" if cost is not None and turn.get("unpriced_calls") else "")


class _Scale:
    """Where in the session's time something was, as a bar."""

    def __init__(self, start: str | None, end: str | None) -> None:
        self._start = _seconds(start)
        self._length = (_seconds(end) or 0) - (self._start or 0)

    def bar(self, turn: Row, width: int) -> "Text":
        """A line as long as the session, with a stretch of it for the turn: one cell at least."""
        from rich.text import Text  # noqa: PLC0415 - see `_header`

        style = "red" if turn.get("status") == "error" else "cyan"
        start, end = _seconds(turn.get("start")), _seconds(turn.get("end"))
        if start is None or self._start is None:
            return Text("·" * width, "dim")
        first = self._cell(start, width)
        last = width - 1 if turn.get("running") or end is None else self._cell(end, width)
        stretch = max(first, last) - first + 1
        return Text.assemble(
            ("·" * first, "dim"), ("━" * stretch, style), ("·" * (width - first - stretch), "dim")
        )

    def _cell(self, at: float, width: int) -> int:
        share = (at - (self._start or 0)) / self._length if self._length > 0 else 0
        return max(0, min(width - 1, int(share * width)))


def _seconds(stamp: str | None) -> float | None:
    try:
        return datetime.fromisoformat(stamp or "").timestamp()
    except (ValueError, OverflowError):
        return None


def _print_head(out: "Console", head: _Head, widths: Sequence[int], scale: _Scale) -> None:
    """Number, time, gap, bar, latency, tokens and cost in one line."""
    from rich.text import Text  # noqa: PLC0415 - see `_header`

    left = [text(cell.ljust(width)) for cell, width in zip(head.before, widths, strict=False)]
    right = [text(cell.rjust(width)) for cell, width in zip(head.after, widths[len(left) :], strict=True)]
    left[0].stylize("bold red" if head.failed else "bold")
    left[2].stylize("dim")
    room = out.width - sum(cell.cell_len + 2 for cell in (*left, *right))
    bar = [scale.bar(head.turn, room)] if room >= _LEAST_BAR else []
    line = Text("  ").join([*left, *bar, *right])
    line.truncate(out.width, overflow="ellipsis")
    out.print(line, no_wrap=True)


def _body(turn: Row, width: int) -> "Table":
    """What was said, and the steps between, a line each."""
    from rich.table import Table  # noqa: PLC0415 - see `_header`

    lines = Table.grid(padding=(0, 1))
    lines.add_column(width=_LABEL_WIDTH, no_wrap=True)
    room = width - _LABEL_WIDTH - _LATENCY_WIDTH - 3
    lines.add_column(width=room)
    lines.add_column(width=_LATENCY_WIDTH, justify="right", no_wrap=True)
    if not turn.get("user"):  # nobody spoke: a job, say
        lines.add_row(text("  Trace", "dim"), _line(one_line(turn.get("name") or "")))
    _add_words(lines, "User", turn.get("user"), "bold")
    if turn.get("system"):
        lines.add_row(text("  System", "dim"), _line(one_line(_words(turn["system"])), "dim"))
    answer = turn.get("answer") or []
    for step in _shown(turn.get("steps") or [], answer):
        _add_step(lines, step, room, 0)
    _add_words(lines, "Answer", answer, "green")
    if turn.get("status") == "error":
        lines.add_row(text("  Error", "red"), text(_why(turn), "red"))
    return lines


def _shown(steps: Sequence[Row], answer: list[Row]) -> list[Row]:
    """The steps but for the message that is the answer, which stands for itself."""
    words = _words(answer)
    said = [step for step in steps if step.get("kind") == "message" and step.get("role") == "assistant"]
    last = said[-1] if said and words and _spoken(said[-1]) == words else None
    return [step for step in steps if step is not last]


def _add_words(lines: "Table", label: str, parts: list[Row] | None, style: str) -> None:
    if not parts:
        return
    said = text("")
    said.append_text(_paragraphs(_words(parts)))
    cut = max((part.get("size") or 0 for part in parts), default=0)
    if cut:
        said.append(f" … {count(cut)} characters in all", "dim")
    lines.add_row(text(f"  {label}", style), said)


def _paragraphs(words: str) -> "Text":
    """Texts in their lines; whatever else would steer a terminal is shown."""
    from rich.text import Text  # noqa: PLC0415 - see `_header`

    return Text("\n".join(visible(line) for line in words.expandtabs(4).splitlines()), overflow="fold")


def _words(parts: list[Row]) -> str:
    return "\n".join(filter(None, map(_word, parts)))


def _word(part: Row) -> str:
    match part.get("type"):
        case "text" | "reasoning":
            return str(part.get("content") or "")
        case "image":
            return f"[image {part.get('url') or part.get('media_type') or ''}]"
        case _:
            return _json(part.get("content"))


def _spoken(step: Row) -> str:
    return _words([part for part in step.get("parts") or [] if part.get("type") != "reasoning"])


def _add_step(lines: "Table", step: Row, room: int, depth: int) -> None:
    """A step in one line, and below it what was said there, one level deeper."""
    label, said = _label(step), _said(step)
    if said or step.get("status") == "error":
        failed = step.get("status") == "error"
        indent = " " * _INDENT * (depth + 1)
        line = text(indent[_INDENT:])
        line.append_text(_step_line(step, said, max(1, room - line.cell_len)))
        latency = text(duration(step.get("latency_ms")) if step.get("latency_ms") is not None else "", "dim")
        lines.add_row(text(f"  {label}", "red" if failed else "dim"), line, latency)
    if depth < _DEEPEST:
        for thread in step.get("threads") or []:
            for inner in thread.get("steps") or []:
                _add_step(lines, inner, room, depth + 1)


def _label(step: Row) -> str:
    kind = str(step.get("kind"))
    if kind == "message":
        return "Prompt" if step.get("role") == "user" else "Model"
    return {"retrieval": "Search", "embedding": "Embed", "guardrail": "Guard", "thread": "Aside"}.get(
        kind, kind.capitalize()
    )


def _said(step: Row) -> str:
    """What a step says; of a message that only calls for tools nothing."""
    if step.get("kind") == "message":
        words = one_line(_spoken(step))
        return words or (one_line(step.get("name") or "") if step.get("status") == "error" else "")
    by_agent = step.get("kind") == "agent" and step.get("agent")
    name = one_line(str(by_agent or step.get("name") or ""))
    arguments = _json(step.get("arguments"))
    return f"{name} {arguments}" if arguments else name


def _step_line(step: Row, said: str, room: int) -> "Text":
    """`said -> result`: where both are long, each has its share of the room."""
    failed = step.get("status") == "error"
    result = one_line(_why(step)) if failed else _json(step.get("result"))
    line = _line(said, "red" if failed else "")
    if result:
        outcome = _line(f" → {result}", "red" if failed else "dim")
        line.truncate(max(room // 2, room - outcome.cell_len), overflow="ellipsis")
        line.append_text(outcome)
    line.truncate(room, overflow="ellipsis")
    return line


def _why(failed: Row) -> str:
    """What is said of a failure: a turn's is its last failed step's."""
    said = failed.get("status_message")
    for step in reversed(failed.get("steps") or []):
        if not said and step.get("status") == "error":
            said = step.get("status_message")
    return one_line(said) if said else "failed"


def _line(words: str, style: str = "") -> "Text":
    line = text(words, style)
    line.no_wrap = True
    line.overflow = "ellipsis"
    return line


def _json(value: Any) -> str:
    """JSON on one line; a text as it is."""
    if value is None:
        return ""
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
