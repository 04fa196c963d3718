"""Tags: messages, conditions, loops, raw text, components; and what lines and indentation become of them."""

import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from agentmark_prompts import TemplateError

Messages = Callable[..., list[tuple[str, str]]]
Said = Callable[..., str]


def test_messages_of_every_role_keep_their_order(messages: Messages) -> None:
    """Each message tag is one message, in the order of the file; one that says nothing is left out."""
    body = """
<System>You are brief.</System>
<User>Hello!</User>
<Assistant>Hi!</Assistant>
<System>The user is in a hurry.</System>
<User>   </User>
<User>{props.message}</User>
"""
    assert messages(body, {"message": "Help!"}) == [
        ("system", "You are brief."),
        ("user", "Hello!"),
        ("assistant", "Hi!"),
        ("system", "The user is in a hurry."),
        ("user", "Help!"),
    ]


def test_markup_that_is_no_tag_is_text(said: Said) -> None:
    """Lowercase tags, Markdown, lone braces, comparison signs and dollars are what they look like."""
    text = "# Title\n\n<examples id={1 + 1}>\n* 3 < 4 > 2, $5 }, a_b_, [x](y)\n</examples>\n</ input>"
    assert said(f"\n{text}\n") == text.replace("{1 + 1}", "2")


def test_braces_and_signs_after_a_backslash_are_text(said: Said) -> None:
    r"""`\{`, `\}` and `\<` are text without the backslash; other backslashes stay."""
    assert said(r'\{"a": 1\} \<User> \n C:\d') == r'{"a": 1} <User> \n C:\d'


def test_code_is_text(said: Said) -> None:
    """What Markdown has as code is not looked into: in backticks, and between fences."""
    text = 'Use `{x}` or ``{`y`}``:\n\n```json\n{"a": "<User>"}\n```\n~~~~\n{"b": 1}\n~~~\n~~~~\nand a ` alone: '
    assert said(f"\n{text}{{1 + 1}}\n") == f"{text}2"


def test_a_fence_that_nothing_closes_is_text(said: Said) -> None:
    """Marks of code without a counterpart mean nothing."""
    assert said("\n```\n{1 + 1}\n`` a `\n~~~ ~~\n") == "```\n2\n`` a `\n~~~ ~~"


def test_comments_are_left_out(said: Said) -> None:
    """A comment leaves nothing behind, and no empty line if it had one for itself."""
    assert said("\n  a\n  {/* a note\n      { of two lines */}\n  b{/* c */}c\n") == "a\nbc"


@pytest.mark.parametrize(
    ("props", "expected"),
    [({"plan": "pro"}, "pro"), ({"plan": "team"}, "team of 2"), ({"plan": "free"}, "other"), ({}, "other")],
)
@pytest.mark.parametrize(
    "form",
    [
        "<If condition={props.plan == 'pro'}>pro</If>"  # noqa: ISC004 - one line of a prompt
        "<ElseIf condition={props.plan == 'team'}>team of {1 + 1}</ElseIf><Else>other</Else>",
        """
        <If condition={props.plan == "pro"}>
          pro
        </If>
        <ElseIf condition={props.plan == "team"}>
          team of {1 + 1}
        </ElseIf>
        <Else>
          other
        </Else>
        """,
        """
        <If condition={props.plan == "pro"}>pro</If>

        <ElseIf condition={props.plan == "team"}>team of {1 + 1}</ElseIf>
        <Else>other</Else>
        """,
    ],
)
def test_the_first_condition_that_holds_is_shown(
    form: str, props: dict[str, Any], expected: str, said: Said
) -> None:
    """However it is set, `<If>` shows one branch, and leaves no trace of the others or of its own lines."""
    assert said(form, props) == expected
    lines = textwrap.dedent(form).strip()
    assert said(f"\nbefore\n{lines}\nafter\n", props) == f"before\n{expected}\nafter"


def test_without_a_branch_that_holds_nothing_is_left(said: Said) -> None:
    """Lines around a condition that does not hold are neighbours."""
    assert said("\na\n<If condition={false}>\nb\n</If>\nc\n<If condition={null}>d</If>\ne\n") == "a\nc\ne"
    assert said("a<If condition={0}>b</If>c") == "ac"


def test_conditions_can_stand_around_messages(messages: Messages) -> None:
    """`<If>` and `<ForEach>` may choose and repeat whole messages."""
    body = """
<If condition={props.rules}>
  <System>{props.rules}</System>
</If>
<ForEach arr={props.history}>
  {(turn) => (
    <>
      <User>{turn.question}</User>
      <Assistant>{turn.answer}</Assistant>
    </>
  )}
</ForEach>
<ForEach arr={props.more}>
  {(text) => <User>{text}</User>}
</ForEach>
"""
    history = [{"question": "1?", "answer": "1!"}, {"question": "2?", "answer": "2!"}]
    props = {"rules": "", "history": history, "more": ["bye"]}
    assert [text for _, text in messages(body, props)] == ["1?", "1!", "2?", "2!", "bye"]


@pytest.mark.parametrize(
    "form",
    [
        "  {(item, index) => (\n    <>\n      {index}. {item.name}\n    </>\n  )}",
        "    {(item, index) => (\n  <>{index}. {item.name}</>\n  )}",
        "{(item, index) => <>{index}. {item.name}</>}",
        "{/* all */}\n{(item, index) => index + '. ' + item.name}",
    ],
)
def test_a_loop_whose_function_has_its_lines_makes_lines(form: str, said: Said) -> None:
    """Each item is a line of its own; the loop's tags leave none."""
    text = f"\nAll:\n<ForEach arr={{props.items}}>\n{form}\n</ForEach>\nEnd.\n"
    assert said(text, {"items": [{"name": "a"}, {"name": "b"}]}) == "All:\n0. a\n1. b\nEnd."
    assert said(text, {"items": []}) == "All:\nEnd."


def test_a_loop_within_a_line_stays_there(said: Said) -> None:
    """A loop in the middle of a sentence adds no line ends."""
    assert said("One <ForEach arr={[1, 2]}>{n => <>{n}, </>}</ForEach>done") == "One 1, 2, done"


def test_loops_nest_and_inner_names_win(said: Said) -> None:
    """A loop sees the names of those around it, and may use a name again."""
    body = """
<ForEach arr={props.rows}>
  {(row, y) => (
    <>
      Row {y}:
      <ForEach arr={row}>
        {(cell, x) => (
          <>
            - {y}.{x} {cell}
          </>
        )}
      </ForEach>
    </>
  )}
</ForEach>
"""
    shown = "Row 0:\n- 0.0 a\n- 0.1 b\nRow 1:\n- 1.0 c"
    assert said(body, {"rows": [["a", "b"], ["c"]]}) == shown
    again = "<ForEach arr={[[1], [2]]}>{(a) => <ForEach arr={a}>{(a) => <>{a};</>}</ForEach>}</ForEach>"
    assert said(again) == "1;2;"


@pytest.mark.parametrize("arr", ["props.missing", "null", "[]"])
def test_a_loop_over_nothing_is_nothing(arr: str, said: Said) -> None:
    """What is missing, null or empty has no items."""
    assert said(f"a<ForEach arr={{{arr}}}>{{(item) => <>{{item}}</>}}</ForEach>b") == "ab"


def test_raw_text_is_left_as_it_is(said: Said) -> None:
    """`<Raw>` holds what would else be looked into."""
    assert said("\n  <Raw>\n    {props.x} <User>\n      </If>\n  </Raw>\n") == "{props.x} <User>\n  </If>"
    assert said("a <Raw>{x}</Raw> b") == "a {x} b"


def test_indentation_that_means_something_stays(said: Said) -> None:
    """Only what tags and their content have in common is taken away."""
    assert said("\n    def f():\n        return 1\n\n      x\n") == "def f():\n    return 1\n\n  x"
    assert said("One\n      two\n        three") == "One\ntwo\n  three"
    nested = "\n  - a\n    <If condition={true}>\n      - b\n        c\n    </If>\n"
    assert said(nested) == "- a\n  - b\n    c"


def test_components_take_props_and_children(messages: Messages) -> None:
    """A component is another file; its attributes are its props, and what it holds its children."""
    tone = "Write in a {props.tone} tone{props.strict && '!' || '.'}\n{props.children}\n"
    body = """
import Tone from './tone.mdx';
import Box from "./box.mdx"

<System>
  Hello.
  <Tone tone={lower("WARM")} strict>
    Never mention {props.secret}.
    <Box title='a "b"' />
  </Tone>
  End.
</System>
"""
    [(_, text)] = messages(body, {"secret": "prices"}, tone=tone, box="---\nname: box\n---\n\n[{props.title}]\n\n")
    assert text == 'Hello.\nWrite in a warm tone!\nNever mention prices.\n[a "b"]\nEnd.'


def test_components_import_components(tmp_path: Any, messages: Messages) -> None:
    """Paths of imports are relative to the file that they stand in."""
    (tmp_path / "parts" / "deep").mkdir(parents=True)
    (tmp_path / "parts" / "outer.mdx").write_text(
        "import Inner from './deep/inner.mdx'\n\n<Inner n={props.n + 1} />"
    )
    (tmp_path / "parts" / "deep" / "inner.mdx").write_text(
        "import Leaf from '../../leaf.mdx'\n({props.n}<Leaf />)"
    )
    body = "import Outer from './parts/outer.mdx';\n<User><Outer n={1} /></User>"
    assert messages(body, leaf="leaf") == [("user", "(2leaf)")]


def test_components_can_hold_messages(messages: Messages) -> None:
    """A component may bring messages along, and its children may be some."""
    frame = "<System>Be brief.</System>\n{props.children}\n<Assistant>Ready.</Assistant>"
    body = "import Frame from './frame.mdx'\n<Frame>\n  <User>{props.x}</User>\n</Frame>"
    assert messages(body, {"x": 1}, frame=frame) == [
        ("system", "Be brief."),
        ("user", "1"),
        ("assistant", "Ready."),
    ]


def test_a_component_knows_only_its_own_props(messages: Messages) -> None:
    """Nothing of the file around it reaches a component but by its attributes."""
    body = "import C from './c.mdx'\n<ForEach arr={[1]}>{(item) => <User><C /></User>}</ForEach>"
    with pytest.raises(TemplateError, match="there is no name item"):
        messages(body, c="{item}")
    with pytest.raises(TemplateError, match=r"props.x is not given") as caught:
        messages("import C from './c.mdx'\n<User><C /></User>", {"x": 1}, c="a\nb {props.x}")
    assert (caught.value.path, caught.value.line, caught.value.column) == ("c.mdx", 2, 4)


@pytest.mark.parametrize(
    ("body", "place", "message"),
    [
        ("Hello", (6, 1), "this text is outside of <System>, <User> and <Assistant>"),
        ("<User>a</User>\n\n  stray", (8, 3), "this text is outside"),
        ("{1 + 1}", (6, 2), "this text is outside"),
        ("<User><System>a</System></User>", (6, 7), "<System> cannot stand within another message"),
        ("<User>a", (6, 1), "<User> is not closed: </User> is missing"),
        ("<User>\n<If condition={1}>\na</User>", (8, 2), "</If> was expected, for <If> of line 7"),
        ("</User>", (6, 1), "this closes a tag, and none is open here"),
        ("<User>a</User></>", (6, 15), "this closes a tag, and none is open here"),
        ("<Usr>a</Usr>", (6, 1), "there is no tag Usr: did you mean User?"),
        ("<Zebra />", (6, 1), "there is no tag Zebra: did you mean to import it"),
        ("<User", (6, 1), "<User> has no end: > is missing"),
        ("<User x=1>", (6, 9), "the value of x was expected"),
        ("<User 1>", (6, 7), "an attribute of <User>, or its end, was expected"),
        ("<User name='a'>b</User>", (6, 12), "<User> takes no attributes, not name"),
        ("<If>a</If>", (6, 1), "<If> needs condition={...}"),
        ("<If condition={1} condition={2}>a</If>", (6, 32), "condition is given twice"),
        ("<If condition={1} other={2}>a</If>", (6, 26), "<If> takes condition only, not other"),
        ("<Else>a</Else>", (6, 1), "<Else> follows the end of an <If> or <ElseIf>"),
        ("<If condition={1}>a</If> b <ElseIf condition={1}>a</ElseIf>", (6, 28), "<ElseIf> follows the end"),
        ("<ForEach arr={[]} />", (6, 1), "<ForEach> needs a function"),
        ("<ForEach arr={[]}>text</ForEach>", (6, 19), "<ForEach> holds a function and nothing else"),
        ("<ForEach arr={[]}>{() => <></>}</ForEach>", (6, 21), "a name for the item is missing"),
        ("<ForEach arr={[]}>{(a, a) => <></>}</ForEach>", (6, 29), "a cannot be the item and the index"),
        ("<ForEach arr={[]}>{(a) <></>}</ForEach>", (6, 24), "=> is missing after the names"),
        ("<ForEach arr={[]}>{(a) => (<></>}</ForEach>", (6, 33), ") is missing after the element"),
        ("<ForEach arr={[]}>{(a) => <b/>}</ForEach>", (6, 27), "an element that begins with a capital"),
        ("<ForEach arr={[]}>{(a) => <></>} b</ForEach>", (6, 34), "<ForEach> holds one function and nothing else"),
        ("<ForEach arr={5}>{(a) => <></>}</ForEach>", (6, 15), "<ForEach> needs a list: this is a number"),
        ("<Raw>{x}", (6, 1), "<Raw> is not closed"),
        ("<User>{/* a </User>", (6, 7), "this comment has no end"),
        ("<User>{1 + 1</User>", (6, 14), "an expression was expected"),
        ("import A from './a.txt';", (6, 16), "a component is a file that ends in .mdx"),
        ("import A from '/a.mdx';", (6, 16), "a component lies in the folder of prompts"),
        ("import A from '../a.mdx';", (6, 16), "a component lies in the folder of prompts"),
        ("import If from './a.mdx';", (6, 8), "<If> is a tag already"),
        ("import A from './missing.mdx';", (6, 16), "there is no missing.mdx"),
        ("import A from './a.mdx'; <A />", (6, 25), "an import has its line for itself"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    body: str, place: tuple[int, int], message: str, messages: Messages
) -> None:
    """A mistake in a body is an error at its line and column."""
    with pytest.raises(TemplateError) as caught:
        messages(body)
    assert message in caught.value.message
    assert (caught.value.line, caught.value.column) == place
    assert caught.value.source_line == body.split("\n")[place[0] - 6]


def test_an_error_shows_its_line(messages: Messages) -> None:
    """The text of an error names file, line and column, and shows the line with a caret below the place."""
    with pytest.raises(TemplateError) as caught:
        messages("<User>\n\tHello {uper(props.name)}\n</User>")
    assert str(caught.value) == (
        "main.prompt.mdx:7:9: there is no filter uper: did you mean upper?\n"
        "     Hello {uper(props.name)}\n"
        "            ^"
    )
    with pytest.raises(TemplateError) as caught:
        messages(f"<User>{'x' * 500}{{nope}}{'y' * 500}</User>")
    *_, shown, caret = str(caught.value).split("\n")
    assert len(shown) == 104
    assert shown[caret.index("^") :].startswith("nope")


def test_components_in_a_circle_are_refused(messages: Messages) -> None:
    """A component must not reach itself, on whatever way; the error is at the import that closes the circle."""
    body = "import A from './a.mdx'\n<User><A /></User>"
    with pytest.raises(TemplateError, match=r"in a circle: a.mdx imports b.mdx imports a.mdx") as caught:
        messages(body, a="import B from './b.mdx'\n<B />", b="\nimport A from './a.mdx'\n<A />")
    assert (caught.value.path, caught.value.line) == ("b.mdx", 2)
    with pytest.raises(TemplateError, match=r"in a circle: a.mdx imports a.mdx"):
        messages(body, a="import A from './a.mdx'\n<A />")
