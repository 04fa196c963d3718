"""The options that say which sessions are wanted, and in which order: the parameters of GET /v1/sessions."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import typer

from agentmark_cli.errors import CommandError

Asked = Mapping[str, str | Sequence[str] | None]
"""What was given to each option, by its name with _ for -."""

_Texts = list[str] | None

Search = Annotated[_Texts, typer.Option("--search", help="A part of the id or of the name.")]
Words = Annotated[_Texts, typer.Option("--q", help="Words that are all in the messages.")]
Name = Annotated[_Texts, typer.Option("--name", help="A part of the name.")]
User = Annotated[_Texts, typer.Option("--user-id", help="One of the session's users.")]
Model = Annotated[_Texts, typer.Option("--model", help="A model that was called.")]
Agent = Annotated[_Texts, typer.Option("--agent", help="An agent that took part.")]
Service = Annotated[_Texts, typer.Option("--service", help="A service that spans came from.")]
Environment = Annotated[_Texts, typer.Option("--environment", help="A deployment environment.")]
Release = Annotated[_Texts, typer.Option("--release", help="A release of the service.")]
Tag = Annotated[_Texts, typer.Option("--tag", help="A tag.")]
Status = Annotated[_Texts, typer.Option("--status", help="active, idle or ended.")]
Metadata = Annotated[
    _Texts, typer.Option("--metadata", metavar="KEY=VALUE", help="A value of metadata, as in plan=pro.")
]
Least = Annotated[
    _Texts, typer.Option("--min", metavar="COLUMN=NUMBER", help="The least value, as in total_cost=0.01.")
]
Most = Annotated[
    _Texts, typer.Option("--max", metavar="COLUMN=NUMBER", help="The greatest value, as in duration_ms=5000.")
]
Expression = Annotated[
    str | None,
    typer.Option("--filter", help="An expression, as in 'total_cost > 0.01 and any(span.status = error)'."),
]
_PAIRS: Final = {"metadata": "metadata.", "min": "min_", "max": "max_"}
"""Options of `name=value`: each name is the rest of a parameter's."""
_SORTING: Final = frozenset({"sort_by", "sort_order"})


def parameters(asked: Asked) -> dict[str, str | Sequence[str]]:
    """What was asked as parameters of the API. Raises CommandError."""
    found: dict[str, str | Sequence[str]] = {}
    for option, values in asked.items():
        if option not in _PAIRS:
            found |= {option: values} if values else {}
            continue
        for pair in values or ():
            name, equals, value = pair.partition("=")
            if not equals or not name:
                raise CommandError(f"--{option} is given as name=value, not as {pair!r}")
            parameter = _PAIRS[option] + name
            found[parameter] = [*found.get(parameter, ()), value]
    return found


def narrows(asked: Asked) -> bool:
    """Whether any of it leaves sessions out."""
    return any(values for option, values in asked.items() if option not in _SORTING)
