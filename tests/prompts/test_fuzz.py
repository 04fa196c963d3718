"""Any text may be a prompt: it renders, or it is an error that says where; and it never does more than that."""

import json
import string
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agentmark_prompts import (
    FileLoader,
    LoadError,
    Message,
    PromptError,
    TemplateError,
    frontmatter,
    nodes,
    parser,
)
from agentmark_prompts.library import Library
from agentmark_prompts.source import Source

FORBIDDEN = {"exec", "compile", "import", "open", "os.system", "subprocess.Popen", "socket.connect", "os.listdir"}

PIECES = [
    "<If condition={props.a}>", "</If>", "<ElseIf condition={1}>", "</ElseIf>", "<Else>", "</Else>",
    "<ForEach arr={props.items}>", "{(item, index) => (", "{(a) => ", ")}", "</ForEach>", "<>", "</>",
    "<Raw>", "</Raw>", "<User>", "</User>", "<System>", "</System>", "<Assistant>", "</Assistant>",
    "{props.name}", "{props.items[0].x}", "{upper('a')}", "{__import__('os')}", "{props.__class__}", "{item}",
    "{", "}", "(", ")", "[", "]", "'", '"', "`", "```\n", "~~~", "\\", "\\{", "{/*", "*/}", "=>", "&&", "||",
    "===", "!", "-", "+", "/", "%", ".", "?.", ",", ":", "<", ">", "/>", "</", "=", "1e9", "0", "null", "true",
    "import A from './a.mdx'\n", "<A x={1}>", "</A>", "<A />", "text", "ä👋", "\n", "\n  ", "\t", " ",
    "---\n", "\0", "\ud800",
]  # fmt: skip
BODIES = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), max_size=40).map("".join)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
PROPS: dict[str, Any] = {"name": "n", "a": True, "items": [{"x": 1}, {"x": "y"}], "children": "c"}

VALID = """---
name: support
text_config:
  model_name: gpt-4o-mini
input_schema:
  type: object
---
import A from './a.mdx'

<System>
  You help. <A x={props.name}>{1 + 2}</A>
  <If condition={props.a && props.items.length > 1}>
    {capitalize(props.name)}
  </If>
  <Else>
    {"else"}
  </Else>
</System>
<ForEach arr={props.items}>
  {(item, index) => <User>{index}: {item.x}</User>}
</ForEach>
<Raw>{x}</Raw>{/* c */}
"""


def check_place(error: TemplateError, text: str) -> None:
    """Every error carries file, line and column, and the line itself."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert error.path == "fuzz.mdx"
    assert 1 <= error.line <= len(lines)
    assert error.source_line == lines[error.line - 1]
    assert 1 <= error.column <= len(error.source_line) + 1
    assert str(error).startswith(f"fuzz.mdx:{error.line}:{error.column}: {error.message}\n")


def rendered(text: str, start: int = 0) -> list[Message] | None:
    """What a body renders to; None if it is an error, which is checked."""
    source = Source.of("fuzz.mdx", text)
    try:
        template = parser.parse(source, start)
        part = parser.parse(Source.of("a.mdx", "[{props.x}|{props.children}]"))
        return nodes.render(template, dict.fromkeys(template.imports, part), PROPS, source.at(start))
    except TemplateError as error:
        if error.path != "a.mdx":
            check_place(error, text)
        return None


_heard: list[list[str]] = []
"""What is heard; nothing is while it is empty."""


def _hear(event: str, _arguments: tuple[Any, ...]) -> None:
    if _heard and event in FORBIDDEN:
        _heard[-1].append(event)


@contextmanager
def nothing_happens() -> Iterator[None]:
    """Fail if code is compiled or run, a module imported, a file opened or somebody asked in the block."""
    _heard.append([])
    try:
        yield
    finally:
        events = _heard.pop()
    assert not events


@pytest.fixture(scope="module", autouse=True)
def _listener() -> None:
    """Python's audit hooks cannot be taken away again: this one is deaf but in `nothing_happens`."""
    sys.addaudithook(_hear)
    rendered(VALID[VALID.index("---\nimport") + 4 :])  # what is imported at first use is


@settings(max_examples=400, deadline=None)
@given(BODIES)
@example("{__import__('os').system('true')}")
@example("<User>{''.constructor.constructor('return 1')()}</User>")
@example("<ForEach arr={[1]}>{(props) => <User>{props}</User>}</ForEach>")
def test_any_body_renders_or_says_where_it_is_wrong(body: str) -> None:
    """No text makes the parser or the rendering fail in another way, run code, or open anything."""
    with nothing_happens():
        rendered(body)
        rendered(f"<User>{body}</User>")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_change_of_a_prompt_renders_or_says_where_it_is_wrong(data: st.DataObject) -> None:
    """A prompt with something cut out, put in or doubled somewhere is read, or is an error with its place."""
    text = VALID
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 20)))
        text = text[:start] + data.draw(st.sampled_from([*PIECES, "", text[start:end] * 2])) + text[end:]
    source = Source.of("fuzz.mdx", text)
    try:
        frontmatter.read(source)
    except TemplateError as error:
        check_place(error, text)
    rendered(text, frontmatter.split(source)[1])


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=string.printable + "äß\u2028\ud800\0", max_size=60) | BODIES)
@example("name: a\n<<: {x: 1}\n? [a]\n: b")
@example("!!python/object/new:os.system [ls]")
@example("&a [*a]")
def test_any_front_matter_is_read_or_says_where_it_is_wrong(text: str) -> None:
    """No YAML makes reading fail in another way, run code, or open anything."""
    text = f"---\n{text}\n---\n"
    with nothing_happens():
        try:
            frontmatter.read(Source.of("fuzz.mdx", text))
        except TemplateError as error:
            check_place(error, text)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_any_value_is_shown_as_it_is(value: Any) -> None:
    """Text comes out as it went in, and any value is JSON by `dump`."""
    source = Source.of("fuzz.mdx", "<User>[{props.value}]</User><User>{dump(props)}</User>")
    shown = nodes.render(parser.parse(source), {}, {"value": value}, source.at(0))
    if isinstance(value, str):
        assert shown[0].content == f"[{value}]"
    assert json.loads(shown[1].content) == {"value": value}


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(blacklist_characters="`~\\", blacklist_categories=["Cs"]), min_size=1))
def test_any_text_can_be_escaped(text: str) -> None:
    """With a backslash before braces and `<`, any text stands for itself."""
    line = " ".join(text.split())
    escaped = line.replace("{", "\\{").replace("}", "\\}").replace("<", "\\<")
    assert rendered(f"<User>{escaped}</User>") == ([Message("user", line)] if line else [])


PARTS = ["..", ".", "/", "\\", "secret", "out", "in", ".mdx", "a.mdx", "%2e", "\0", "~", "C:", " ", ""]
PATHS = st.builds(str.join, st.sampled_from(["/", ""]), st.lists(st.sampled_from(PARTS), max_size=8))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PATHS)
@example("out/secret.mdx")
@example("in/../../secret.mdx")
async def test_no_path_leads_out_of_the_root(path: str) -> None:
    """Whatever a path looks like, and wherever links lead, only what is below the root is read."""
    root = _root()
    try:
        text = await FileLoader(root).read(path)
    except LoadError:
        text = "within"
    assert text == "within"
    head = "---\nname: a\ntext_config: {model_name: m}\n---\n"
    (root / "main.prompt.mdx").write_text(f"{head}import A from '{path}'\n")
    try:
        prompt = await Library(FileLoader(root)).open("main.prompt.mdx")
    except PromptError:
        return
    assert set(prompt.components) <= {"main.prompt.mdx", "a.mdx", "in/a.mdx"}


_folder = tempfile.TemporaryDirectory()


def _root() -> Path:
    """A folder of prompts beside a secret, with a link that leads to it."""
    root = Path(_folder.name) / "root"
    if not root.exists():
        (root / "in").mkdir(parents=True)
        (root.parent / "secret.mdx").write_text("secret")
        (root / "out").symlink_to(root.parent, target_is_directory=True)
        for name in ("a.mdx", "in/a.mdx"):
            (root / name).write_text("within")
    return root
