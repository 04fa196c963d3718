"""The filter language: what is read, what is refused and where, and what it means (by `support.filter_oracle`)."""

import re
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmark_server.filters import (
    MAX_COMPARISONS,
    MAX_DEPTH,
    MAX_LENGTH,
    METADATA,
    SESSION,
    SPAN,
    And,
    AnySpan,
    Comparison,
    Exists,
    Field,
    Filter,
    FilterError,
    Not,
    Operator,
    Or,
    Subject,
    parse,
)
from support.filter_oracle import holds
from support.filter_strategies import filters
from support.filter_text import text_of

RANDOM = st.randoms(use_true_random=False)
PAGE = (Path(__file__).parents[2] / "docs" / "filters.md").read_text(encoding="utf-8")
EXAMPLES = [
    line
    for block in re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]

many = settings(deadline=None, max_examples=300)

DAY = 24 * 3600 * 10**9
NOON = 1_795_435_200 * 10**9
"""2026-11-23T12:00:00Z."""

CHAT: dict[str, Any] = {
    "name": "chat",
    "status": "ok",
    "model": "gpt-4o",
    "cost": 0.01,
    "start": NOON,
    "duration_ms": 1500.0,
    "metadata": {},
}
CHECK: dict[str, Any] = {
    "name": "check_policy",
    "status": "error",
    "model": None,
    "cost": None,
    "start": None,
    "duration_ms": None,
    "metadata": {"kind of": "policy"},
}
SPANS = [CHAT, CHECK]
A_SESSION: dict[str, Any] = {
    "name": "Straße 5",
    "outcome": None,
    "user_ids": ["ann", "bob"],
    "start": NOON,
    "end": NOON + DAY,
    "duration_ms": 1500.0,
    "latency_ms": None,
    "trace_count": 3,
    "total_cost": 0.25,
    "models": ["gpt-4o", "Claude"],
    "tags": [],
    "metadata": {"env": "prod", "a/b": ""},
    "status": "active",
}


def fits(text: str, session: dict[str, Any] = A_SESSION) -> bool:
    return holds(parse(text), session, SPANS)


def about(name: str, key: str | None = None, subject: Subject = SESSION) -> Field:
    return Field(METADATA.name, METADATA.type, key=key) if key is not None else subject.fields[name]


def test_the_tree() -> None:
    """A filter reads into comparisons by the fields' one names, in the model's units, under what joins them."""
    text = 'total_cost > 0.01 and (model = "gpt-4o" or tag = "beta") and metadata.env = "prod"'
    assert parse(text) == And(
        (
            Comparison(about("total_cost"), Operator.ABOVE, 10**10),
            Or(
                (
                    Comparison(about("models"), Operator.EQUAL, "gpt-4o"),
                    Comparison(about("tags"), Operator.EQUAL, "beta"),
                )
            ),
            Comparison(about("metadata", "env"), Operator.EQUAL, "prod"),
        )
    )
    assert parse('any(span.status = ERROR and span.name = "check_policy")') == AnySpan(
        And(
            (
                Comparison(about("status", subject=SPAN), Operator.EQUAL, "error"),
                Comparison(about("name", subject=SPAN), Operator.EQUAL, "check_policy"),
            )
        )
    )


@many
@given(tree=filters([A_SESSION], SPANS), random=RANDOM)
def test_any_spelling(tree: Filter, random: Random) -> None:
    """Case of keywords, blanks, either quote, escapes, needless parentheses and other names mean nothing."""
    assert parse(text_of(tree, random)) == tree


SAME = {
    'and binds more than or: id = "a" or id = "b" and id = "c"': 'id = "a" or (id = "b" and id = "c")',
    'not binds most: not name = "a" and name = "b"': '(not name = "a") and name = "b"',
    "user_id is any of the users: user_id exists": "user_ids exists",
    "a span's latency is its duration: any(span.latency_ms > 5)": "any(span.duration_ms > 5)",
    "absence is no existence: name does not exist": "not name exists",
    "words in quotes: status = 'Idle'": "status = IDLE",
    "a word with a hyphen: any(span.role = Roll-Up)": 'any(span.role = "roll-up")',
    'a quoted key: metadata."env" exists': "metadata.env exists",
    'an escaped key: metadata."e\\u006ev" exists': "metadata.env exists",
    "a key with dots: metadata.a.b-c_1 exists": 'metadata."a.b-c_1" exists',
    "a key in any script: metadata.größe exists": 'metadata."größe" exists',
    "no blanks: name='a'or(name!='b')": 'name = "a" or name != "b"',
    "exponents: total_cost > 1e-3": "total_cost > 0.001",
    "signs and points: total_cost > +.5 and total_cost > -5.": "total_cost > 0.5 and total_cost > -5.0",
    "the other quote: name = '\"' and name = \"'\"": r'name = "\"" and name = "\u0027"',
    "line ends and tabs: name = 'a\nb\tc'": r"name = 'a\nb\tc'",
    "both halves: name = '\\ud83d\\ude00'": "name = '😀'",
    "an offset: start > '2026-11-23T13:00:00.5+01:00'": "start > '2026-11-23t12:00:00.500000000z'",
}


@pytest.mark.parametrize(("text", "other"), SAME.items(), ids=[key.partition(": ")[0] for key in SAME])
def test_the_same(text: str, other: str) -> None:
    """Two ways to write the same read into the same tree."""
    assert parse(text.partition(": ")[2]) == parse(other)


NUMBERS = {
    "trace_count = 3": 3,
    "trace_count = 3.0": 3,
    "trace_count = 2.5": 2.5,
    "trace_count = 9223372036854775807": 2**63 - 1,
    "trace_count = 9223372036854775808": 2.0**63,
    "trace_count = -9223372036854775808": -(2**63),
    f"total_cost = 0.5{'0' * 1000}": 5 * 10**11,
    "total_cost = 0.1": 10**11,
    "total_cost = 1e-12": 1,
    "total_cost = 1e-13": 0.1,
    "total_cost = 9e6": 9 * 10**18,
    "total_cost = 1e7": 1e19,
    "duration_ms = 1.5": 1_500_000,
    "active_ms = -0.0000001": -0.1,
    "any(span.cost = 0.000000000003)": 3,
    "any(span.latency_ms = 2)": 2_000_000,
    "start = '1970-01-01T00:00:00.000000001Z'": 1,
    "end = '1969-12-31T23:59:59.9Z'": -(10**8),
}


@pytest.mark.parametrize(("text", "value"), NUMBERS.items(), ids=NUMBERS)
def test_units(text: str, value: float) -> None:
    """Numbers come in the model's units, as integers where they are whole and fit in 64 bits."""
    tree = parse(text)
    comparison = tree.condition if isinstance(tree, AnySpan) else tree
    assert isinstance(comparison, Comparison)
    assert (comparison.value, type(comparison.value)) == (value, type(value))


@given(units=st.integers(0, 10**15 - 1))
def test_what_is_shown_is_found(units: int) -> None:
    """A cost or a duration that is copied from an answer equals what it was shown for, to the last digit."""
    assert parse(f"total_cost = {units / 10**12!r}") == Comparison(about("total_cost"), Operator.EQUAL, units)
    assert parse(f"duration_ms = {units / 10**6!r}") == Comparison(about("duration_ms"), Operator.EQUAL, units)


@pytest.mark.parametrize("subject", [SESSION, SPAN], ids=["session", "span"])
def test_every_field(subject: Subject) -> None:
    """Each field takes the operators of its type and no other, and can be asked for its existence."""
    examples = {"text": '"x"', "set of text": '"x"', "time": '"2026-11-23"'}
    for name, field in subject.fields.items():
        value = field.words[0] if field.words else examples.get(field.type, "1")
        for operator in [*Operator, "exists", "does not exist"]:
            text = f"{subject.prefix}{name} {operator} {value if operator in list(Operator) else ''}"
            text = f"any({text})" if subject is SPAN else text
            if operator in field.type.operators or "exist" in operator:
                parse(text)
            else:
                with pytest.raises(FilterError, match=re.escape(f"{field.type} (=, !=, ")):
                    parse(text)


TRUE = [
    'name = "Straße 5"',
    'name != "straße 5"',
    'name contains "STRASSE"',
    'name not contains "avenue"',
    'name starts with "strass"',
    'name ends with "E 5"',
    'user_id = "ann" and user_id = "bob"',
    'model contains "CLAUDE"',
    'model != "gpt" and not model != "gpt-4o"',
    'model not contains "gemini" and not model not contains "gpt"',
    'metadata.env = "prod"',
    'metadata."a/b" exists and metadata."a/b" = ""',
    "total_cost = 0.25 and total_cost >= 0.25 and total_cost <= 0.25",
    "trace_count > 2.5 and trace_count < 1e99",
    "duration_ms > 1499.999999 and duration_ms <= 1500",
    "status = active and status != ended",
    "any(span.status = error) and any(span.cost = 0.01)",
    "any(not span.status = error and span.latency_ms >= 1500)",
    'any(span.metadata."kind of" = "policy" or span.start exists)',
    'start = "2026-11-23" and end = "2026-11-24" and end != "2026-11-23"',
]
FALSE = [
    'name = "straße 5"',
    "name does not exist",
    'user_id = "an"',
    'model starts with "4o"',
    "trace_count > 3",
    "total_cost < 0.25",
    "status = idle",
    "tags exists",
    "metadata.ENV exists",
    "any(span.status = error and span.cost exists)",
    "not any(span.status = ok)",
    'start > "2026-11-23" or end > "2026-11-24"',
]


@pytest.mark.parametrize("text", TRUE)
def test_true(text: str) -> None:
    """What the page says that holds, holds."""
    assert fits(text)


@pytest.mark.parametrize("text", FALSE)
def test_false(text: str) -> None:
    """What the page says that does not hold, does not."""
    assert not fits(text)


ABSENT = ["outcome", "latency_ms", "tags", "metadata.absent"]


@pytest.mark.parametrize("name", ABSENT)
def test_absent(name: str) -> None:
    """Of what is absent every comparison is false, its negation true, and it does not exist."""
    field = about("metadata", "absent") if name.startswith("metadata.") else about(name)
    for operator in field.type.operators:
        text = f"{name} {operator} {'5' if name == 'latency_ms' else chr(34) * 2}"
        assert not fits(text)
        assert fits(f"not {text}")
    assert fits(f"{name} does not exist")
    assert not fits(f"{name} exists")


@given(
    start=st.integers(NOON - 2 * DAY, NOON + 2 * DAY) | st.sampled_from([NOON + DAY // 2 + n for n in (-1, 0, 1)])
)
def test_dates(start: int) -> None:
    """A date is the whole of its day: a time is in it, before its first nanosecond, or after its last."""
    day = (start + DAY // 2 - NOON) // DAY
    session = {"start": start}
    expected = {"=": day == 0, "!=": day != 0, "<": day < 0, "<=": day <= 0, ">": day > 0, ">=": day >= 0}
    for operator, expectation in expected.items():
        assert fits(f"start {operator} '2026-11-23'", session) is expectation


WRONG_TIMES = [
    "2026-11-23T09:30:00",
    "2026-11-23T09:30Z",
    "2026-13-01",
    "2026-02-29",
    "2026-11-23T24:00:01Z",
    "2026-11-23T09:30:00.1234567890Z",
    "2026-11-23T09:30:00+25:00",
    "0000-01-01",
    "20261123",
    "1795435200",
    "yesterday",
    "\N{FULLWIDTH DIGIT TWO}026-11-23",
    "",
]


@pytest.mark.parametrize("time", WRONG_TIMES)
def test_wrong_times(time: str) -> None:
    """What is no RFC 3339 time with an offset and no date of the calendar is refused."""
    with pytest.raises(FilterError, match="expected a time like 2026-11-23T09:30:00Z or a date") as caught:
        parse(f'end < "{time}"')
    assert caught.value.column == 7


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999999-23:59"])
def test_far_times(text: str) -> None:
    """The first and the last time that can be written are read, though no clock can have given them."""
    assert fits(f'start {">" if text.startswith("0") else "<"} "{text}"')


WRONG: dict[str, tuple[int, str]] = {
    "": (1, "the filter is empty: leave it out"),
    " \n ": (1, "the filter is empty: leave it out"),
    "total_costs > 1": (1, "there is no field total_costs: did you mean total_cost?"),
    'name exists and userId = "a"': (17, "did you mean user_id?"),
    "colour = 3": (1, "write one of id, name, "),
    "span.tokens > 5": (1, "fields of spans stand inside any(...)"),
    "any(span.tokens > 5)": (5, "there is no field span.tokens"),
    "any(status = ok)": (5, "did you mean span.status?"),
    'any(metadata.env = "a")': (5, "span.metadata.<key>"),
    "metadata exists": (1, "metadata.<key>"),
    "metadata. exists": (10, "a key is of letters"),
    "metadata.a/b exists": (10, 'metadata."any key"'),
    "0.01 < total_cost": (1, "expected a field"),
    '"name" = "x"': (1, "expected a field"),
    "name = 'a' and": (15, 'expected a field, as in name = "a name", not the end'),
    "()": (2, "expected a field"),
    "any()": (5, "as in span.name"),
    "name": (5, "expected an operator for text"),
    'name == "x"': (6, "not =="),
    'name like "x"': (6, "not like"),
    'name not "x"': (6, "not not"),
    'name > "x"': (6, "expected an operator for text (=, !=, contains, "),
    'trace_count contains "3"': (13, "expected an operator for number (=, !=, >, "),
    'start starts with "2026"': (7, "expected an operator for time"),
    'status contains "act"': (8, "expected an operator for word (=, !=, exists, does not exist), not contains"),
    "name =": (7, "expected text in quotes"),
    "model = gpt-4o": (9, 'expected text in quotes, like "gpt-4o", not gpt-4o'),
    "metadata.level = 3": (18, "expected text in quotes"),
    'trace_count > "3"': (15, "expected a number without quotes"),
    "trace_count > 1_000": (15, "expected a number"),
    "trace_count > 1e1000": (15, "expected a number"),
    "total_cost > $1": (14, "expected a number"),
    "total_cost > inf": (14, "expected a number"),
    "total_cost > )": (14, "expected a number"),
    "status = failed": (10, "expected one of active, idle, ended, not failed"),
    "any(span.status = active)": (19, "expected one of unset, ok, error"),
    "any(span.role = event)": (17, "expected one of call, roll-up, unknown"),
    "any(span.kind = )": (17, "expected one of llm, tool, agent, "),
    "start > 2026-11-23T09:30:00Z": (9, "in quotes"),
    'name = "x': (8, "close it"),
    "name = 'it's'": (13, "close it"),
    r'name = "a\d"': (10, "there is no such escape"),
    r'start = "\d"': (10, "there is no such escape"),
    r'name = "\u12"': (9, "there is no such escape"),
    r'name = "\ud83d"': (8, "surrogate"),
    "(name exists": (13, "for the parenthesis in column 1, not the end"),
    "any (name exists": (6, "there is no field name: did you mean span.name?"),
    "name exists)": (12, "this parenthesis closes none"),
    "name exists tag exists": (13, "expected and, or, or the end, not tag"),
    "any name exists": (5, "as in any(span.status = error)"),
    "any(any(span.name exists))": (5, "cannot stand inside another"),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.items(), ids=WRONG)
def test_mistakes(text: str, expected: tuple[int, str]) -> None:
    """A mistake says in one line, and with its column, what is wrong and what to write instead."""
    error = mistake(text)
    assert error
    assert (error.column, expected[1] in error.message) == (expected[0], True), error
    assert str(error) == f"column {error.column}: {error.message}"


def test_length() -> None:
    """A filter of the greatest length is read; one character more is refused."""
    text = "name exists"
    assert parse(text.ljust(MAX_LENGTH)) == Exists(about("name"))
    with pytest.raises(FilterError, match="at most 4,000 characters") as caught:
        parse(text.ljust(MAX_LENGTH + 1))
    assert caught.value.column == MAX_LENGTH + 1


@pytest.mark.parametrize("pieces", [["not "], ["("], ["not ", "("]], ids=["not", "parentheses", "both"])
def test_depth(pieces: list[str]) -> None:
    """`not`, `any` and parentheses may stand inside each other to a depth; the first that is deeper is refused."""
    opened = ["any(", *(pieces * MAX_DEPTH)]
    allowed, refused = opened[:MAX_DEPTH], opened[: MAX_DEPTH + 1]
    closed = ")" * (allowed.count("(") + 1)
    assert isinstance(parse("".join([*allowed, "span.name exists", closed])), AnySpan)
    with pytest.raises(FilterError, match=f"more than {MAX_DEPTH}") as caught:
        parse("".join(refused))
    assert caught.value.column == len("".join(allowed)) + 1


def test_comparisons() -> None:
    """A filter has a greatest number of comparisons, over all that it joins; one next to another is not deep."""
    text = " or ".join(["name exists"] * (MAX_COMPARISONS - 1))
    assert isinstance(parse(f"{text} and any(span.name exists)"), Or)
    with pytest.raises(FilterError, match="at most 100 comparisons") as caught:
        parse(f"{text} and any(span.name exists or span.id exists)")
    assert caught.value.column == len(f"{text} and any(span.name exists or ") + 1


def test_a_number_of_any_length() -> None:
    """A number may have all the digits that a filter can: it is rounded, not refused."""
    nines = "9" * (MAX_LENGTH - len("total_cost > 0."))
    assert parse(f"total_cost > 0.{nines}") == Comparison(about("total_cost"), Operator.ABOVE, 1e12)
    assert parse(f"trace_count < {nines}") == Comparison(about("trace_count"), Operator.BELOW, float("inf"))


def parses_or_says_why(text: str) -> None:
    error = mistake(text)
    assert error is None or (1 <= error.column <= len(text) + 1 and error.message.isprintable())


def mistake(text: str) -> FilterError | None:
    try:
        parse(text)
    except FilterError as error:
        return error
    return None


@many
@given(text=st.text(max_size=50) | st.text("()'\"\\ud8 anyotrs.=<>!019-:\n", max_size=50))
def test_any_text(text: str) -> None:
    """Any text is read, or refused with a place in it and one line; nothing else ever happens."""
    parses_or_says_why(text)


WORDS = sorted({*re.findall(r"[\w.]+|[^\w\s]", " ".join([*SAME, *SAME.values(), *WRONG])), "\\", "\ud800", "\x00"})


@many
@given(random=RANDOM, words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3))
def test_any_change(random: Random, words: list[str]) -> None:
    """So it is with any filter in which something was put, left out, or put in another's place."""
    text = random.choice([*EXAMPLES, *SAME.values()])
    for word in words:
        place, gone = random.randint(0, len(text)), random.choice([0, 0, 1, 5])
        text = text[:place] + random.choice(["", word]) + text[place + gone :]
        parses_or_says_why(text)


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_of_the_page(text: str) -> None:
    """Each example of docs/filters.md is read."""
    parse(text)


def rows(heading: str) -> dict[str, list[str]]:
    """The rows of the first table under a heading: for each name in code font in the first column, the others."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = [line[2:-2].split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return {name: others for first, *others in cells for name in re.findall(r"`([^`]+)`", first)}


@pytest.mark.parametrize(
    ("heading", "subject"), [("Fields of a session", SESSION), ("Fields of a span", SPAN)], ids=["session", "span"]
)
def test_the_page_has_the_fields(heading: str, subject: Subject) -> None:
    """docs/filters.md has every field, each with its type and its words, and no other."""
    table = rows(heading)
    assert table.keys() == {subject.prefix + name for name in subject.fields} | {f"{subject.metadata}<key>"}
    for name, field in subject.fields.items():
        type_, meaning = table[subject.prefix + name]
        assert type_ == field.type
        assert all(f"`{word}`" in meaning for word in field.words)


def test_the_page_has_the_operators() -> None:
    """docs/filters.md has every operator, each with the types that it is for, and no other."""
    table = rows("Operators")
    assert table.keys() == {*Operator, "exists", "does not exist"}
    types = {field.type for subject in (SESSION, SPAN) for field in subject.fields.values()}
    for operator in Operator:
        listed = table[operator][0]
        fitting = {type_ for type_ in types if operator in type_.operators}
        assert (set(types) if listed == "all" else set(listed.split(", "))) == fitting


def test_the_page_has_the_limits() -> None:
    """docs/filters.md says how long and how deep a filter may be, and how many comparisons it may have."""
    for limit in (MAX_LENGTH, MAX_DEPTH, MAX_COMPARISONS):
        assert f"{limit:,}" in PAGE.partition("## Limits\n")[2]


def test_trees_can_be_keys() -> None:
    """Equal filters have equal hashes, so that what is compiled can be remembered."""
    text = "not (name exists or status = idle) and any(span.cost > 1)"
    assert {parse(text): 1} == {parse(text.replace("idle", "IDLE")): 1}
    assert isinstance(parse("not name exists"), Not)
