"""Expressions: what stands between braces."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from agentmark_prompts import PropsError, TemplateError

Said = Callable[..., str]

PROPS = {
    "name": "amara",
    "empty": "",
    "count": 3,
    "price": 9.5,
    "whole": 4.0,
    "yes": True,
    "nothing": None,
    "items": ["a", "b"],
    "user": {"first name": "Amara", "address": {"city": "Köln"}},
}


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("props.name", "amara"),
        ("props['name']", "amara"),
        ('props.user["first name"]', "Amara"),
        ("props.user.address.city", "Köln"),
        ("props.user?.address?.city", "Köln"),
        ("props.items[1]", "b"),
        ("props.items.length", "2"),
        ("props.name.length", "5"),
        ("props.name[0]", "a"),
        ("'it\\'s'", "it's"),
        (r'"tab\there \u00e4 \ud83d\udc4b \x41"', "tab\there ä 👋 A"),
        ("40", "40"),
        ("30.123", "30.123"),
        (".5", "0.5"),
        ("1e3", "1000"),
        ("true", "true"),
        ("null", ""),
        ("[1, 'a', true,]", '[1,"a",true]'),
        ("{ one: 1, 'two three': [2], }", '{"one":1,"two three":[2]}'),
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 / 4", "2.5"),
        ("10 / 2", "5"),
        ("10 % 3", "1"),
        ("-7 % 3", "-1"),
        ("7.5 % 2", "1.5"),
        ("2 - -2", "4"),
        ("-props.count", "-3"),
        ("+props.count", "3"),
        ("0.1 + 0.2", "0.30000000000000004"),
        ("props.whole", "4"),
        ("9007199254740993 * 1", "9007199254740992"),
        ("'a' + 1 + true + null", "a1true"),
        ("5 == '5'", "true"),
        ("5 === '5'", "false"),
        ("5 != '6'", "true"),
        ("5 !== 5", "false"),
        ("null == undefined", "true"),
        ("null === undefined", "false"),
        ("props.missing == null", "true"),
        ("true == 1", "true"),
        ("props.items == props.items", "true"),
        ("[1] == [1]", "false"),
        ("2 > 1", "true"),
        ("2 >= 2", "true"),
        ("'b' > 'a'", "true"),
        ("'10' > 9", "true"),
        ("1 < null", "false"),
        ("1 < 2 && 2 < 1", "false"),
        ("props.yes && 'shown'", "shown"),
        ("props.empty || 'friend'", "friend"),
        ("props.missing || 'friend'", "friend"),
        ("props.missing.deeper.still || 'friend'", "friend"),
        ("!props.empty", "true"),
        ("!!props.items", "true"),
        ("![]", "false"),
        ("true || false && false", "true"),
        ("1 + 1 == 2 && !false", "true"),
        ("/* a note */ 1 /* another */ + 1", "2"),
        ("upper(truncate('nested', 4))", "NEST..."),
    ],
)
def test_an_expression_gives_what_javascript_gives(expression: str, shown: str, said: Said) -> None:
    """Literals, members, arithmetic, comparison, logic and calls compute as they do in TypeScript's prompts."""
    assert said(f"[{{{expression}}}]", PROPS) == f"[{shown}]"


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        ("capitalize('hello World')", "Hello World"),
        ("capitalize('')", ""),
        ("upper('straße')", "STRASSE"),
        ("lower('ÄB')", "äb"),
        ("upper(5)", "5"),
        ("truncate('truncate', 4)", "trun..."),
        ("truncate('four', 4)", "four"),
        ("abs(-3.5)", "3.5"),
        ("join(['a', 1, null, true])", "a, 1, , true"),
        ("join(props.items, ' and ')", "a and b"),
        ("join([], '-')", ""),
        ("round(3.14159, 2)", "3.14"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-2"),
        ("round(1.005, 2)", "1.01"),
        ("round(7)", "7"),
        ("round(1e300, 20)", "1e+300"),
        ("replace('a-b-c', '-', '+')", "a+b+c"),
        ("replace('abc', '', '-')", "abc"),
        ('urlencode("Grüße & co/1!\'()*")', "Gr%C3%BC%C3%9Fe%20%26%20co%2F1!'()*"),
        ("dump({a: 'ä', b: [1, 2.50, null]})", '{"a":"ä","b":[1,2.5,null]}'),
        ("dump('text')", '"text"'),
    ],
)
def test_a_filter_gives_what_its_name_says(call: str, shown: str, said: Said) -> None:
    """Each of the ten filters does what the documentation of the format tells."""
    assert said(f"[{{{call}}}]", PROPS) == f"[{shown}]"


@pytest.mark.parametrize(
    ("expression", "column", "message"),
    [
        ("props.nmae", 8, "props.nmae is not given"),
        ("1 / 0", 10, "division by zero"),
        ("1 % 0", 10, "modulo"),
        ("'a' - 1", 12, "- needs numbers: this is text"),
        ("[] + 1", 11, "+ needs numbers: this is a list"),
        ("[] + 'a'", 11, "+ needs numbers or text: this is a list"),
        ("-'a'", 8, "- needs numbers: this is text"),
        ("upper(null)", 8, "upper(): it needs text: this is null"),
        ("upper(props.nmae)", 8, "upper(): it needs text: this is missing"),
        ("join('a')", 8, "join(): it needs a list: this is text"),
        ("round('a')", 8, "round(): it needs a number: this is text"),
        ("truncate('a', -1)", 8, "truncate(): it needs a whole number"),
        ("round(1.5, 99)", 8, "round(): it rounds to 20 decimals at most"),
        ("dump(props.nmae)", 8, "dump(): a value in it is missing"),
        ("[props.nmae]", 8, "a value in it is missing"),
        ("uper('a')", 8, "there is no filter uper: did you mean upper?"),
        ("eval('1')", 8, "there is no filter eval"),
        ("upper()", 8, "upper() takes 1 arguments, not 0"),
        ("round(1, 2, 3)", 8, "round() takes 1 to 2 arguments, not 3"),
        ("name", 8, "there is no name name: did you mean props.name?"),
        ("__import__", 8, "there is no name __import__"),
        ("props.name.toUpperCase()", 30, "values have no methods: use a filter"),
        ("props.yes ? 'a' : 'b'", 18, "} is missing after the expression"),
        ('"a": 1', 11, "} is missing after the expression (for a brace that is text, write \\{)"),
        ("(item) => item", 9, "there is no name item"),
        ("props =>", 14, "a function stands in <ForEach> only"),
        ("", 8, "'}' does not belong here"),
        ("1 +", 11, "'}' does not belong here"),
        ("'open", 8, "text that begins with ' has no end in its line"),
        ("props.", 14, "a name is missing after the dot"),
        ("props[0", 15, "] is missing after the key"),
        ("{1: 2}", 9, "a key is missing"),
        ("`a`", 8, "'`' does not belong here"),
    ],
)
def test_what_is_wrong_is_told_with_its_column(expression: str, column: int, message: str, said: Said) -> None:
    """A mistake in an expression is an error at its place, and never a value."""
    with pytest.raises(TemplateError) as caught:
        said(f"{{{expression}}}", PROPS)
    assert message in caught.value.message
    assert (caught.value.line, caught.value.column) == (6, column)
    assert caught.value.source_line == f"<User>{{{expression}}}</User>"


@pytest.mark.parametrize(
    "name", ["__class__", "keys", "items.__class__", "name.format", "user.get", "name.__len__"]
)
def test_nothing_of_python_can_be_reached(name: str, said: Said) -> None:
    """Members are keys of dicts, indexes and lengths; attributes of Python's objects do not exist."""
    assert (
        said(f"{{props.{name} == null}}", {key: PROPS[key] for key in ("name", "user")} | {"items": []}) == "true"
    )


@dataclass
class Order:
    """A dataclass among the props."""

    number: str
    total: float


class Customer(BaseModel):
    """A model of pydantic among the props."""

    name: str


def test_dataclasses_and_models_are_props_too(said: Said) -> None:
    """Props may hold dataclasses, pydantic's models, tuples and sets."""
    props = {"order": Order("a-1", 5.0), "customer": Customer(name="Amara"), "pair": (1, 2), "one": {3}}
    shown = said("{props.order.number} {props.order.total} {props.customer.name} {props.pair} {props.one}", props)
    assert shown == "a-1 5 Amara [1,2] [3]"


def deep() -> dict[str, Any]:
    """Props that are nested deeper than anyone means."""
    value: dict[str, Any] = {}
    for _ in range(500):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("props", "message"),
    [
        ({"when": object()}, "props.when is a object"),
        ({"a": [{"b": print}]}, "props.a[0].b is a builtin_function_or_method"),
        ({1: "a"}, "props has the key 1: keys must be text"),
        ({"a": deep()}, "is nested more than 64 deep"),
        ([], "props must be a dict"),
    ],
)
def test_props_that_are_no_values_are_told(props: Any, message: str, said: Said) -> None:
    """What has no place in a prompt is named, with its place in the props."""
    with pytest.raises(PropsError, match=re.escape(message)):
        said("x", props or [1])


def test_numbers_beyond_javascripts_are_still_numbers(said: Said) -> None:
    """Integers that are not exact in JavaScript, and those beyond its range, neither fail nor grow."""
    assert said("{props.big}", {"big": 10**400}) == "Infinity"
    assert said("{props.big}", {"big": -(10**400)}) == "-Infinity"
    assert said("{props.big * props.big}", {"big": 2**53}) == "8.112963841460668e+31"
