"""Front matter: what a prompt says of itself, and its props."""

from collections.abc import Callable
from typing import Any

import pytest

from agentmark_prompts import Formatted, ObjectConfig, PropsError, TemplateError, TextConfig, ToolUse

Make = Callable[..., Formatted[Any]]

BODY = "<User>{props.message || 'Hello!'}</User>\n"


def head(text: str) -> str:
    return f"---\n{text.strip()}\n---\n{BODY}"


ALL_SETTINGS = """
name: all
description: Everything at once.
text_config:
  model_name: gpt-4o-mini
  max_tokens: 100
  temperature: 0.5
  top_p: 1
  top_k: 40
  presence_penalty: -0.5
  frequency_penalty: 0.25
  stop_sequences: ["END", "no"]
  seed: 7
  max_calls: 3
  max_retries: 0
  tools: [search, calculate]
  tool_choice: auto
test_settings:
  props: {message: Hi}
  dataset: ./data.jsonl
"""


def test_every_setting_is_read(formatted: Make) -> None:
    """All settings of a text prompt reach what is formatted."""
    made = formatted(main=head(ALL_SETTINGS))
    with pytest.raises(AttributeError, match="the prompt has a TextConfig"):
        _ = made.object_config
    assert made.text_config == TextConfig(
        model_name="gpt-4o-mini",
        max_tokens=100,
        temperature=0.5,
        top_p=1,
        top_k=40,
        presence_penalty=-0.5,
        frequency_penalty=0.25,
        stop_sequences=("END", "no"),
        seed=7,
        max_calls=3,
        max_retries=0,
        tools=(ToolUse("search"), ToolUse("calculate")),
        tool_choice="auto",
    )


def test_an_object_prompt_has_a_schema(formatted: Make) -> None:
    """`object_config` has the settings of a text prompt, and a schema; a tool may be described in the prompt."""
    config = """
name: contacts
object_config:
  model_name: gpt-4o
  schema_name: contacts
  schema: {type: object, properties: {name: {type: string}}, required: [name]}
  tools:
    find: {description: Finds, parameters: {type: object, properties: {}}}
  tool_choice: {type: tool, tool_name: find}
"""
    assert formatted(main=head(config)).object_config == ObjectConfig(
        model_name="gpt-4o",
        schema={"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
        schema_name="contacts",
        tools=(ToolUse("find", "Finds", {"type": "object", "properties": {}}),),
        tool_choice="find",
        forced_tool=True,
    )


def test_scalars_are_read_as_in_yaml_1_2(formatted: Make) -> None:
    """`no` and dates are text, as for all other languages that read these files."""
    prompt = """
name: no
text_config: {model_name: 2024-01-01, stop_sequences: [yes, on, 1:30, 0x1F, .inf]}
"""
    made = formatted(main=head(prompt))
    assert (made.name, made.config.model_name) == ("no", "2024-01-01")
    assert made.config.stop_sequences == ("yes", "on", "1:30", "0x1F", ".inf")


def test_a_comment_may_come_first(formatted: Make) -> None:
    """What a prompt is for may be told above its settings."""
    text = "{/*\n  For {anybody}.\n*/}\n" + head("name: told\ntext_config: {model_name: m}")
    assert formatted(main=text).name == "told"
    with pytest.raises(TemplateError, match="did you mean name") as caught:
        formatted(main=text.replace("name: told", "name: told\nnmae: b"))
    assert (caught.value.line, caught.value.source_line) == (6, "nmae: b")


def test_line_ends_and_marks_of_windows_are_read(formatted: Make) -> None:
    """A byte order mark and carriage returns change nothing."""
    text = "\ufeff" + head("name: windows\ntext_config: {model_name: m}").replace("\n", "\r\n")
    assert formatted(main=text).messages[0].content == "Hello!"


CONFIG = "text_config: {model_name: m}"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("no front matter", (1, 1), "a prompt begins with front matter"),
        ("---\nname: a\n", (1, 1), "a prompt begins with front matter"),
        (head(""), (2, 1), "is not of type 'object'"),
        (head("- a"), (2, 1), "is not of type 'object'"),
        (head(CONFIG), (2, 1), "'name' is a required property"),
        (head(f"name: ''\n{CONFIG}"), (2, 1), "'' should be non-empty"),
        (head("name: a"), (2, 1), "front matter has one of text_config and object_config"),
        (
            head(f"name: a\n{CONFIG}\nobject_config: {{model_name: m, schema: {{type: object}}}}"),
            (4, 1),
            "has one of",
        ),
        (head(f"name: a\n{CONFIG}\nnmae: b"), (4, 1), "there is no setting nmae: did you mean name?"),
        (head("name: a\ntext_config:\n  temperature: 1"), (3, 1), "'model_name' is a required property"),
        (head("name: a\ntext_config:\n  model_name: m\n  temprature: 1"), (5, 3), "did you mean temperature?"),
        (
            head("name: a\ntext_config:\n  model_name: m\n  temperature: hot"),
            (5, 3),
            "'hot' is not of type 'number'",
        ),
        (head("name: a\ntext_config:\n  model_name: m\n  stop_sequences: [a, 1]"), (5, 23), "1 is not of type"),
        (head("name: a\ntext_config:\n  model_name: m\n  max_tokens: 0"), (5, 3), "less than the minimum of 1"),
        (head("name: a\ntext_config:\n  model_name: m\n  tool_choice: any"), (5, 3), "'any' is not one of"),
        (head("name: a\nobject_config:\n  model_name: m"), (3, 1), "'schema' is a required property"),
        (
            head("name: a\nobject_config:\n  model_name: m\n  schema: {type: array}"),
            (5, 12),
            "'object' was expected",
        ),
        (
            head(f"name: a\n{CONFIG}\ninput_schema:\n  type: object\n  properties:\n    a: {{type: txt}}"),
            (7, 9),
            "this is not a JSON schema",
        ),
        (head(f"name: a\n{CONFIG}\ninput_schema: {{pattern: '['}}"), (4, 16), "this is not a JSON schema"),
        (head("name: [a"), (3, 1), "this is not YAML"),
        (head("name: a\n  b: c"), (3, 4), "this is not YAML: mapping values are not allowed here"),
        (head("name: a\nname: b"), (3, 1), "this key is there twice"),
        (head("name: &a [x]\nother: *a"), (2, 7), "what an alias stands for has to be written out"),
        (head("name: !!python/object/apply:os.system [ls]"), (2, 1), "is not of type 'string'"),
        (head("name: !!python/name:os.system x"), (2, 7), "is a tag that front matter does not have"),
        (head("[a]: b"), (2, 1), "a key must be text"),
        (head("name: \x01"), (2, 7), "this is not YAML: special characters are not allowed"),
        (head("name: a\nmetadata: " + "[" * 2000), (2, 1), "this is nested too deeply"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    text: str, place: tuple[int, int], message: str, formatted: Make
) -> None:
    """A mistake in front matter is an error at its line and column, whoever finds it."""
    with pytest.raises(TemplateError) as caught:
        formatted(main=text)
    assert message in caught.value.message
    assert (caught.value.line, caught.value.column) == place
    assert caught.value.source_line == text.split("\n")[place[0] - 1]


WITH_SCHEMA = head(
    f"""
name: a
{CONFIG}
input_schema:
  type: object
  properties:
    message:
      type: string
    count:
      $ref: "#/$defs/count"
  required: [message]
  $defs:
    count:
      type: integer
"""
)


@pytest.mark.parametrize(
    ("props", "line", "message"),
    [
        ({}, 11, "props: 'message' is a required property"),
        ({"message": 5}, 8, "props.message: 5 is not of type 'string'"),
        ({"message": "a", "count": "b"}, 9, "props.count: 'b' is not of type 'integer'"),
    ],
)
def test_props_are_checked(props: dict[str, Any], line: int, message: str, formatted: Make) -> None:
    """Props that `input_schema` does not allow are refused, with the place of what they break."""
    with pytest.raises(PropsError) as caught:
        formatted(props, main=WITH_SCHEMA)
    assert (caught.value.message, caught.value.line) == (message, line)
    assert formatted({"message": "Hi", "count": 1}, main=WITH_SCHEMA).messages[0].content == "Hi"


@pytest.mark.parametrize(
    "ref", ["file:///etc/hostname", "http://127.0.0.1:9/schema.json", "#/nowhere", "other.json"]
)
def test_a_schema_opens_nothing(ref: str, formatted: Make) -> None:
    """A `$ref` that leads out of the schema is an error; no file is read and nobody is asked."""
    text = head(f"name: a\n{CONFIG}\ninput_schema: {{$ref: '{ref}'}}")
    with pytest.raises(PropsError, match="a \\$ref that leads nowhere"):
        formatted({}, main=text)


def test_a_schema_without_end_is_told(formatted: Make) -> None:
    """A schema that refers to itself is an error and no crash."""
    with pytest.raises(PropsError, match="the schema refers to itself without end"):
        formatted({"message": "a"}, main=head(f"name: a\n{CONFIG}\ninput_schema: {{$ref: '#'}}"))
