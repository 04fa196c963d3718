"""A session as people had it: each rule of docs/conversation.md, on spans made by hand."""

import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmark_server import grouping
from agentmark_server.conventions.messages import Image, Message, Other, Reasoning
from agentmark_server.conversation import Recorded, Step, Turn, recorded, turns
from agentmark_server.model import LOG_EVENT, PICO, Kind, Resource, Role, SpanView
from support.conversations import (
    agent,
    asks,
    assistant,
    call,
    conversation,
    dialogue,
    gives,
    outline,
    span,
    system,
    tool,
    turns_of,
    user,
    words,
)

DOCUMENTED = Path(__file__).parents[2] / "docs/conversation.md"
BE_KIND = system("Be kind.")
HI, HELLO = user("Hi"), assistant("Hello")
WHERE = user("Where is it?")
LOOK = asks("look", {"at": "sky"}, "c1")
BLUE = gives("blue", "c1")
THERE = assistant("It is blue.")


def only(found: Sequence[Turn]) -> Turn:
    assert len(found) == 1
    return found[0]


def all_steps(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        for thread in step.threads:
            yield from all_steps(thread.steps)


# Turns, and what is sent again.


def test_a_trace_is_a_turn() -> None:
    """A trace is a turn: what the user said, what happened, what was answered."""
    turn = only(turns_of(span("root"), call("chat", "root", given=[HI], answer=[HELLO])))
    assert dialogue([turn]) == [("Hi", "Hello")]
    assert outline(turn.steps) == ["assistant: Hello"]


def test_history_of_other_traces() -> None:
    """What a trace's first call sends up to the last answer in it is history, and shown where it was said."""
    history = [BE_KIND, HI, HELLO]
    session = conversation(
        call("one", trace="1", given=[BE_KIND, HI], answer=[HELLO]),
        call("two", trace="2", at=(200, 300), given=[*history, WHERE], answer=[assistant(LOOK)]),
        call("three", "two", trace="3", at=(400, 500), given=[*history, WHERE, THERE, user("Thanks")], answer=[]),
    )
    assert dialogue(session.turns) == [("Hi", "Hello"), ("Where is it?", ""), ("Thanks", "")]


def test_new_messages_in_a_trace() -> None:
    """Where the main thread of a trace holds several new messages of the user, each begins a turn."""
    found = turns_of(
        span("chat", at=(0, 900)),
        call("1", "chat", at=(10, 100), given=[BE_KIND, HI], answer=[HELLO]),
        call("2", "chat", at=(200, 300), given=[BE_KIND, HI, HELLO, WHERE], answer=[THERE]),
        call("3", "chat", at=(400, 500), given=[BE_KIND, HI, HELLO, WHERE, THERE, user("Hi")], answer=[HELLO]),
    )
    assert dialogue(found) == [("Hi", "Hello"), ("Where is it?", "It is blue."), ("Hi", "Hello")]
    assert [turn.index for turn in found] == [0, 1, 2]


def test_messages_without_history() -> None:
    """A program that sends no history: each call with another message is a turn."""
    found = turns_of(
        call("1", "loop", at=(10, 100), given=[BE_KIND, HI], answer=[HELLO]),
        call("2", "loop", at=(100, 200), given=[BE_KIND, WHERE], answer=[THERE]),
        call("3", "loop", at=(200, 300), given=[BE_KIND, HI], answer=[HELLO]),
    )
    assert dialogue(found) == [("Hi", "Hello"), ("Where is it?", "It is blue."), ("Hi", "Hello")]


def test_a_window_of_history() -> None:
    """A program that sends only the end of the history adds nothing by that."""
    found = turns_of(
        call("1", "loop", at=(10, 100), given=[BE_KIND, user("one"), HELLO, HI], answer=[assistant("two")]),
        call("2", "loop", at=(100, 200), given=[BE_KIND, HI, assistant("two"), user("three")], answer=[THERE]),
        call("3", "loop", at=(200, 300), given=[BE_KIND, user("three"), THERE, user("four")], answer=[]),
    )
    assert dialogue(found) == [("Hi", "two"), ("three", "It is blue."), ("four", "")]


def test_several_messages_before_an_answer() -> None:
    """What the user says without an answer between is one message of several parts."""
    found = turns_of(call("1", given=[HELLO, HI, WHERE], answer=[THERE]))
    assert dialogue(found) == [("Hi / Where is it?", "It is blue.")]


def test_a_call_tried_again() -> None:
    """A call that says what the one before it said is that one, tried again: one turn, both shown."""
    turn = only(
        turns_of(
            call("1", "loop", at=(0, 100), given=[BE_KIND, HI], status="error", status_message="too many"),
            call("2", "loop", at=(200, 300), given=[BE_KIND, HI], answer=[HELLO]),
        )
    )
    assert dialogue([turn]) == [("Hi", "Hello")]
    assert [(step.status, step.status_message) for step in turn.steps] == [
        ("error", "too many"),
        ("unset", None),
    ]
    assert (turn.status, turn.error_count) == ("unset", 1)


def test_tried_again_after_a_tool() -> None:
    """The same, in the middle of a turn, with less of the history each time."""
    history = [HI, HELLO, WHERE, assistant(LOOK), BLUE]
    turn = only(
        turns_of(
            call("1", "loop", at=(0, 100), given=history[:3], answer=[assistant(LOOK)]),
            call("2", "loop", at=(200, 300), given=history, status="error"),
            call("3", "loop", at=(300, 400), given=history[2:], status="error"),
            call("4", "loop", at=(400, 500), given=history[2:], answer=[THERE]),
        )
    )
    assert dialogue([turn]) == [("Where is it?", "It is blue.")]
    assert outline(turn.steps) == [
        "assistant:",
        "tool look({'at': 'sky'}) -> blue",
        "assistant:",
        "assistant:",
        "assistant: It is blue.",
    ]


def test_a_failed_turn() -> None:
    """A turn whose last call failed has no answer, though its trace may be well."""
    turn = only(
        turns_of(
            span("root", status="ok"),
            call("chat", "root", given=[HI], status="error", status_message="overloaded"),
        )
    )
    assert dialogue([turn]) == [("Hi", "")]
    assert (turn.status, turn.error_count, turn.steps[0].status_message) == ("error", 1, "overloaded")


def test_a_stream_cut_off() -> None:
    """A call without an answer is a message that says nothing, with its tokens."""
    turn = only(turns_of(call("chat", given=[HI], tokens=(7, None))))
    assert (dialogue([turn]), outline(turn.steps)) == ([("Hi", "")], ["assistant:"])
    assert (turn.steps[0].input_tokens, turn.steps[0].output_tokens) == (7, None)


def test_an_answer_that_was_not_recorded() -> None:
    """What only a later call tells of is shown from there: a message, an answer and a tool without spans."""
    later = [HI, HELLO, WHERE, assistant(LOOK), BLUE, assistant("Blue."), user("Thanks")]
    found = turns_of(
        call("1", "loop", at=(0, 100), given=[HI], answer=[HELLO]),
        call("2", "loop", at=(200, 300), given=later, answer=[assistant("Welcome")]),
    )
    assert dialogue(found) == [("Hi", "Hello"), ("Where is it?", "Blue."), ("Thanks", "Welcome")]
    assert outline(found[1].steps) == ["assistant:", "tool look({'at': 'sky'}) -> blue", "assistant: Blue."]
    assert found[1].steps[0].span_id is None


def test_an_answer_that_comes_back_changed() -> None:
    """An answer of which later calls send another wording is shown as it was given, once."""
    later = [HI, HELLO, WHERE, assistant("Up there."), user("Thanks")]
    found = turns_of(
        call("1", "loop", at=(0, 100), given=[HI], answer=[HELLO]),
        call("2", "loop", at=(200, 300), given=[HI, HELLO, WHERE], answer=[THERE]),
        call("3", "loop", at=(400, 500), given=later, answer=[assistant("Welcome")]),
    )
    assert dialogue(found) == [("Hi", "Hello"), ("Where is it?", "It is blue."), ("Thanks", "Welcome")]
    assert [len(turn.steps) for turn in found] == [1, 1, 1]


def test_the_beginning_of_an_answer() -> None:
    """Words that a program puts into the model's mouth are none of the user's, and no answer."""
    found = turns_of(
        call("1", "loop", at=(0, 100), given=[HI, assistant("{")], answer=[assistant('"a": 1}')]),
        call(
            "2",
            "loop",
            at=(200, 300),
            given=[HI, assistant('"a": 1}'), WHERE, assistant("[")],
            answer=[assistant("1]")],
        ),
    )
    assert dialogue(found) == [("Hi", '"a": 1}'), ("Where is it?", "1]")]
    assert [len(turn.steps) for turn in found] == [1, 1]


def test_unanswered_words_sent_again() -> None:
    """What was said in a turn that failed, and is sent again with the next message, is shown once."""
    session = conversation(
        call("1", trace="1", given=[HI], status="error"),
        call("1", trace="2", at=(200, 300), given=[HI, WHERE], answer=[THERE]),
        call("1", trace="3", at=(400, 500), given=[HI, WHERE, THERE, HI], answer=[HELLO]),
    )
    assert dialogue(session.turns) == [("Hi", ""), ("Where is it?", "It is blue."), ("Hi", "Hello")]


# Instructions.


def test_instructions() -> None:
    """Instructions stand in the turn in which they are new; what people said stands apart."""
    french = system("Speak French.")
    session = conversation(
        call("1", trace="1", given=[BE_KIND, HI], answer=[HELLO]),
        call("1", trace="2", at=(200, 300), given=[BE_KIND, HI, HELLO, WHERE], answer=[THERE]),
        call("1", trace="3", at=(400, 500), given=[french, HI], answer=[HELLO]),
        call("1", trace="4", at=(600, 700), given=[WHERE], answer=[THERE]),
    )
    assert [words(turn.system) for turn in session.turns] == ["Be kind.", "", "Speak French.", ""]


# Tools.


def test_parallel_tools() -> None:
    """Tools that are called for together are a step each, with the result, the time and the failure of each."""
    calls = [asks("look", {"at": at}, at) for at in ("sky", "sea", "sun")]
    results = [gives("blue", "sky"), gives("error!", "sea"), gives("hot", "sun")]
    turn = only(
        turns_of(
            agent("root", at=(0, 1000)),
            call("1", "root", at=(0, 100), given=[HI], answer=[assistant("Let me see.", *calls)]),
            tool("look", "root", number=2, at=(110, 300), identity="sea", status="error", status_message="no sea"),
            tool("look", "root", number=1, at=(111, 200), identity="sky", result="blue"),
            tool("look", "root", number=3, at=(112, 212), identity="sun"),
            call(
                "2",
                "root",
                at=(300, 400),
                given=[HI, assistant("Let me see.", *calls), *results],
                answer=[THERE],
            ),
        )
    )
    assert outline(turn.steps) == [
        "assistant: Let me see.",
        "tool look({'at': 'sea'}) -> error!",
        "tool look({'at': 'sky'}) -> blue",
        "tool look({'at': 'sun'}) -> hot",
        "assistant: It is blue.",
    ]
    assert [(step.status, step.status_message, step.latency_ms) for step in turn.steps[1:4]] == [
        ("error", "no sea", 190),
        ("unset", None, 89),
        ("unset", None, 100),
    ]
    assert words(turn.answer) == "It is blue."


def test_tools_by_name_and_order() -> None:
    """Where ids do not tell, spans of a name are given to calls of that name, in order."""
    calls = [asks("look", "a"), asks("look", "b"), asks("feel", "c")]
    turn = only(
        turns_of(
            call("1", "root", at=(0, 100), given=[HI], answer=[assistant(*calls)]),
            tool("feel", "root", at=(110, 111), result="soft", identity="made up"),
            tool("look", "root", number=1, at=(112, 113), result="first"),
            tool("look", "root", number=2, at=(114, 115), result="second"),
        )
    )
    assert outline(turn.steps)[1:] == [
        "tool feel(c) -> soft",
        "tool look(a) -> first",
        "tool look(b) -> second",
    ]


def test_ids_used_again() -> None:
    """Ids that begin anew in each turn, as some libraries make them, belong to the latest call."""
    again = asks("look", {"at": "sky"}, "look_0")
    new = gives("new", "look_0")
    old = [HI, assistant(again), gives("old", "look_0"), HELLO, WHERE]
    turn = only(
        turns_of(
            call("1", "root", at=(0, 100), given=old, answer=[assistant(again)]),
            tool("look", "root", number=1, at=(110, 120), identity="x"),
            call("2", "root", at=(200, 300), given=[*old, assistant(again), new], answer=[HELLO]),
        )
    )
    assert dialogue([turn]) == [("Where is it?", "Hello")]
    assert outline(turn.steps) == ["assistant:", "tool look({'at': 'sky'}) -> new", "assistant: Hello"]
    assert turn.steps[1].latency_ms == 10


def test_a_tool_called_the_same_way_twice() -> None:
    """A model that calls a tool again as before gets a step for each, with the result of each."""
    poll = assistant(asks("poll"))
    history = [HI, poll, gives("wait"), poll, gives("done")]
    turn = only(
        turns_of(
            call("1", "root", at=(0, 100), given=history[:1], answer=[poll]),
            call("2", "root", at=(100, 200), given=history[:3], answer=[poll]),
            call("3", "root", at=(200, 300), given=history, answer=[HELLO]),
        )
    )
    assert outline(turn.steps) == [
        "assistant:",
        "tool poll() -> wait",
        "assistant:",
        "tool poll() -> done",
        "assistant: Hello",
    ]


def test_a_plain_span_as_a_tool() -> None:
    """A span that only has the name of a tool that was called for is the run of it."""
    turn = only(
        turns_of(
            call("1", "root", at=(0, 100), given=[HI], answer=[assistant(LOOK)]),
            span("look", "root", at=(110, 150), status="error", status_message="dark"),
            call("2", "look", at=(120, 130), given=[user("sky?")], answer=[assistant("blue")]),
            span("other", "root", at=(110, 150)),
        )
    )
    assert outline(turn.steps) == ["assistant:", "tool look({'at': 'sky'})", ["user: sky?", "assistant: blue"]]
    assert (turn.steps[1].status_message, turn.steps[1].latency_ms) == ("dark", 40)


def test_a_plain_span_around_its_namesake() -> None:
    """A span of a tool's name that is around the call for it, or before, is no run of it."""
    found = turns_of(
        span("look", "root", at=(0, 10)),
        span("see", "root", at=(20, 200)),
        call("1", "see", at=(30, 100), given=[HI], answer=[assistant(asks("see"), LOOK)]),
    )
    assert outline(only(found).steps) == ["assistant:", "tool see()", "tool look({'at': 'sky'})"]
    assert [step.span_id for step in only(found).steps[1:]] == [None, None]
    asked = [assistant(asks("see"))]
    found = turns_of(
        span("see", "root", at=(20, 200)),
        call("1", "see", at=(30, 100), given=[HI], answer=asked),
        span("see", "root", number=2, at=(220, 400)),
        call("2", "see/2", at=(230, 300), given=[HI], answer=asked),
    )
    assert outline(only(found).steps) == ["assistant:", "tool see()"] * 2


def test_a_tool_that_nobody_called_for() -> None:
    """A tool that the program runs itself is a step at its time."""
    turn = only(
        turns_of(
            tool("load", "root", at=(0, 10), arguments={"id": 1}, result=[1, 2]),
            call("1", "root", at=(20, 100), given=[HI], answer=[HELLO]),
        )
    )
    assert outline(turn.steps) == ["tool load({'id': 1}) -> [1, 2]", "assistant: Hello"]


def test_a_result_that_begins_a_trace() -> None:
    """A trace that goes on with the result of a tool, as after an approval, shows the tool, and no user."""
    turn = only(
        turns_of(
            tool("look", "root", at=(0, 10), identity="c1"),
            call("1", "root", at=(20, 100), given=[HI, assistant(LOOK), BLUE], answer=[THERE]),
        )
    )
    assert dialogue([turn]) == [("", "It is blue.")]
    assert outline(turn.steps) == ["tool look({'at': 'sky'}) -> blue", "assistant: It is blue."]
    assert turn.steps[0].latency_ms == 10


def test_a_result_before_words() -> None:
    """A result that a dialogue begins with stands before the words that came with it."""
    history = [HI, assistant(LOOK), BLUE, WHERE]
    turn = only(turns_of(tool("ask", arguments=1), call("1", "ask", given=history, answer=[THERE])))
    assert outline(turn.steps) == [
        "tool ask(1)",
        ["tool look({'at': 'sky'}) -> blue", "user: Where is it?", "assistant: It is blue."],
    ]


def test_a_call_for_a_tool_that_never_ran() -> None:
    """A span runs the latest call that it can run: one that was refused before leaves it alone."""
    turn = only(
        turns_of(
            call("1", "root", at=(0, 100), given=[HI], answer=[assistant(asks("look", 1))]),
            call("2", "root", at=(200, 300), given=[HI], answer=[assistant(asks("look", 2))]),
            tool("look", "root", at=(310, 320), arguments=2),
        )
    )
    refused, ran = (step for step in turn.steps if step.kind == "tool")
    assert (refused.arguments, refused.span_id) == (1, None)
    assert (ran.arguments, ran.latency_ms) == (2, 10)


def test_what_the_span_of_a_tool_says() -> None:
    """The result is what the tool's span says, else what the model was told; arguments the other way round."""
    first, second = asks("look", {"at": "sky"}, "c1"), asks("feel", None, "c2")
    turn = only(
        turns_of(
            call("1", "root", at=(0, 100), given=[HI], answer=[assistant(first, second)]),
            tool("look", "root", at=(110, 120), identity="c1", arguments="{'at': 'sky'}", result="blue, by day"),
            tool("feel", "root", at=(130, 140), identity="c2", arguments={"what": "moss"}),
            call("2", "root", at=(200, 300), given=[HI, assistant(first, second), BLUE, gives("soft", "c2")]),
        )
    )
    assert outline(turn.steps)[1:3] == [
        "tool look({'at': 'sky'}) -> blue, by day",
        "tool feel({'what': 'moss'}) -> soft",
    ]


def test_tools_of_the_provider() -> None:
    """A tool that the model's provider runs is a step without a span."""
    searched = assistant(asks("search", "q", "s1"), gives("found", "s1").parts[0], "Here.")
    turn = only(turns_of(call("1", given=[HI], answer=[searched])))
    assert outline(turn.steps) == ["assistant: Here.", "tool search(q) -> found"]
    assert words(turn.answer) == "Here."


def test_no_answer_but_a_call() -> None:
    """Words beside a call for a tool are the answer of a turn that ended with them, not of one that failed."""
    asked = call("1", "root", given=[HI], answer=[assistant("Goodbye.", asks("hang_up"))])
    assert words(only(turns_of(span("root"), asked)).answer) == "Goodbye."
    assert words(only(turns_of(span("root", status="error"), asked)).answer) == ""


# Side threads.


def test_an_agent_below_a_tool() -> None:
    """What an agent says below a tool is folded under the tool's step."""
    turn = only(
        turns_of(
            agent("desk", at=(0, 1000)),
            call("1", "desk", at=(0, 100), given=[BE_KIND, HI], answer=[assistant(LOOK)]),
            tool("look", "desk", at=(110, 300), identity="c1", result="blue"),
            agent("eye", "look", at=(120, 290)),
            call("2", "eye", at=(130, 280), given=[system("See."), user("sky?")], answer=[assistant("blue")]),
            call("3", "desk", at=(310, 400), given=[BE_KIND, HI, assistant(LOOK), BLUE], answer=[THERE]),
        )
    )
    assert outline(turn.steps) == [
        "assistant:",
        "tool look({'at': 'sky'}) -> blue",
        ["user: sky?", "assistant: blue"],
        "assistant: It is blue.",
    ]
    (thread,) = turn.steps[1].threads
    assert (thread.name, words(thread.system)) == ("eye", "See.")
    assert (turn.steps[1].input_tokens, turn.steps[1].output_tokens) == (10, 5)


def test_guardrails() -> None:
    """What a model says below a guardrail is folded under it."""
    turn = only(
        turns_of(
            span("root", at=(0, 1000)),
            span("safe?", "root", kind=Kind.GUARDRAIL, at=(0, 50), given=[HI], answer=[assistant("yes")]),
            call("check", "safe?", at=(1, 49), given=[system("Is it safe?"), HI], answer=[assistant("yes")]),
            call("chat", "root", at=(60, 100), given=[BE_KIND, HI], answer=[HELLO]),
        )
    )
    assert dialogue([turn]) == [("Hi", "Hello")]
    assert outline(turn.steps) == [
        "guardrail safe?(Hi) -> yes",
        ["user: Hi", "assistant: yes"],
        "assistant: Hello",
    ]


@pytest.mark.parametrize(("at", "name"), [((0, 90), "check"), ((500, 600), "chat"), ((50, 250), "write title")])
def test_a_title(at: tuple[int, int], name: str) -> None:
    """A call with other instructions, before, after or beside the dialogue, is a thread of its own."""
    turn = only(
        turns_of(
            span("root", at=(0, 1000)),
            call(
                name,
                "root",
                at=at,
                tokens=(900, 9),
                given=[system("Title it."), HI],
                answer=[assistant("Greeting")],
            ),
            call("1", "root", at=(100, 200), given=[BE_KIND, HI], answer=[assistant(LOOK)]),
            call("2", "root", at=(300, 400), given=[BE_KIND, HI, assistant(LOOK), BLUE], answer=[HELLO]),
        )
    )
    assert dialogue([turn]) == [("Hi", "Hello")]
    assert [step.kind for step in turn.steps].count("thread") == 1
    assert ["user: Hi", "assistant: Greeting"] in outline(turn.steps)


def test_a_name_decides() -> None:
    """Of two threads alike, one that is named after a title or a guardrail is not the main one."""
    title = {"tokens": (900, 9), "given": [system("Title it."), HI], "answer": [assistant("Greeting")]}
    reply = {"given": [BE_KIND, HI], "answer": [HELLO]}
    for name in ("generate-title", "Input guardrail", "moderation"):
        turn = only(turns_of(span("root"), call(name, "root", **title), call("reply", "root", **reply)))
        assert dialogue([turn]) == [("Hi", "Hello")]


def test_the_stated_answer_decides() -> None:
    """Of several threads the one is main that gave the answer which the trace states."""
    steps = [
        call(
            "route", "root", at=(0, 50), tokens=(99, 1), given=[system("Route."), HI], answer=[assistant("chat")]
        ),
        call("reply", "root", at=(60, 90), given=[system("Reply."), HI], answer=[HELLO]),
        call(
            "judge", "root", at=(95, 99), tokens=(99, 1), given=[system("Judge."), HI], answer=[assistant("good")]
        ),
    ]
    turn = only(turns_of(span("root", given=[HI], answer=[HELLO]), *steps))
    assert dialogue([turn]) == [("Hi", "Hello")]
    assert outline(turn.steps) == [
        "thread",
        ["user: Hi", "assistant: chat"],
        "assistant: Hello",
        "thread",
        ["user: Hi", "assistant: good"],
    ]


def test_calls_at_once() -> None:
    """Calls that run at once are no dialogue: one turn, with threads beside each other."""
    pages = [
        call(
            f"page {n}",
            "root",
            at=(n, 100),
            tokens=(n, 1),
            given=[user(f"Read {n}.")],
            answer=[assistant(f"{n}!")],
        )
        for n in range(3)
    ]
    turn = only(turns_of(span("root"), *pages))
    assert dialogue([turn]) == [("Read 2.", "2!")]
    assert [step.kind for step in turn.steps] == ["thread", "thread", "message"]


def test_another_agent() -> None:
    """What another agent says is folded under the agent's step; its answer is the turn's, if it ends that."""
    spans = [
        agent("triage", at=(0, 1000)),
        call("1", "triage", at=(0, 100), given=[HI], answer=[assistant(asks("hand over"))]),
        agent("refunds", "triage", at=(200, 900)),
        call("2", "refunds", at=(210, 300), given=[BE_KIND, HI], answer=[assistant("You get it back.")]),
    ]
    turn = only(turns_of(*spans))
    assert dialogue([turn]) == [("Hi", "You get it back.")]
    assert outline(turn.steps) == [
        "assistant:",
        "tool hand over()",
        "agent refunds()",
        ["user: Hi", "assistant: You get it back."],
    ]
    failed = agent("triage", at=(0, 1000), status="error")
    assert dialogue(turns_of(failed, *spans[1:])) == [("Hi", "")]


def test_a_handoff() -> None:
    """An agent that goes on with the dialogue of another, beside it, is in the same thread."""
    asked = assistant(asks("transfer_to_refunds", {}, "c1"))
    turn = only(
        turns_of(
            span("root", at=(0, 1000)),
            agent("triage", "root", at=(0, 200)),
            call("1", "triage", at=(0, 100), given=[BE_KIND, HI], answer=[asked]),
            tool("handoff to refunds", "triage", at=(110, 111)),
            agent("refunds", "root", at=(200, 900)),
            call(
                "2",
                "refunds",
                at=(210, 300),
                given=[system("Refund."), HI, asked, gives("refunds", "c1")],
                answer=[HELLO],
            ),
        )
    )
    assert dialogue([turn]) == [("Hi", "Hello")]
    assert outline(turn.steps) == ["assistant:", "tool transfer_to_refunds({}) -> refunds", "assistant: Hello"]
    assert [step.agent for step in turn.steps] == ["triage", "triage", "refunds"]
    assert words(turn.system) == "Be kind. / Refund."


def test_a_call_below_a_call() -> None:
    """A call below a call is folded under it; a tool below a call is the dialogue's."""
    turn = only(
        turns_of(
            call("1", at=(0, 500), given=[HI], answer=[assistant(LOOK)]),
            tool("look", "1", at=(100, 200), identity="c1", result="blue"),
            call("inner", "1", at=(300, 400), tokens=(3, 1), given=[user("?")], answer=[assistant("!")]),
        )
    )
    assert outline(turn.steps) == ["assistant:", ["user: ?", "assistant: !"], "tool look({'at': 'sky'}) -> blue"]


# Copies, and content that stands elsewhere.


def test_a_copy() -> None:
    """A gateway's copy of a call is no message of its own; where the call has no content, the copy tells it."""
    for content_of_client in (True, False):
        content = {"given": [HI], "answer": [HELLO]}
        turn = only(
            turns_of(
                call("client", at=(0, 100), **(content if content_of_client else {})),
                call("gateway", "client", at=(10, 90), **content),
            )
        )
        assert (dialogue([turn]), outline(turn.steps)) == ([("Hi", "Hello")], ["assistant: Hello"])
        assert (turn.call_count, turn.input_tokens) == (1, 10)


def test_content_of_a_wrapper() -> None:
    """A call without content has that of the span that only wraps it."""
    wrapped = span("call_llm", "root", kind=Kind.LLM, given=[HI], answer=[HELLO], tokens=(10, 5))
    turn = only(turns_of(span("root"), wrapped, call("generate", "call_llm")))
    assert (dialogue([turn]), outline(turn.steps)) == ([("Hi", "Hello")], ["assistant: Hello"])


def test_a_failed_call_without_content() -> None:
    """The user's words are those that the agent was given, where its failed call does not say them."""
    turn = only(
        turns_of(
            agent("desk", given=[BE_KIND, HI, HELLO, WHERE], status="error"), call("1", "desk", status="error")
        )
    )
    assert (dialogue([turn]), turn.status) == ([("Where is it?", "")], "error")


def test_no_content() -> None:
    """A trace of which no content was recorded is a turn without words, but with its numbers."""
    turn = only(turns_of(agent("desk"), call("1", "desk", at=(5, 50)), tool("look", "desk", at=(60, 70))))
    assert (dialogue([turn]), outline(turn.steps)) == ([("", "")], ["assistant:", "tool look()"])
    assert (turn.call_count, turn.total_tokens, turn.latency_ms) == (1, 15, 100)


def test_log_records() -> None:
    """Log records with the content of a call are the call's own words, in order of their time."""
    root, one, late, early = (
        call("chat"),
        *(span(name, "chat", at=(at, at), role=Role.EVENT) for name, at in (("choice", 9), ("b", 5), ("a", 4))),
    )
    told: list[tuple[Recorded, str | None, dict[str, Any]]] = [
        (one, "gen_ai.choice", {"message": {"role": "assistant", "content": "Hello"}}),
        (late, "gen_ai.user.message", {"content": "Hi"}),
        (root, None, {}),
        (early, "gen_ai.system.message", {"content": "Be kind."}),
    ]
    read = recorded((record.span, view_of(record, event, body)) for record, event, body in told)
    turn = only(turns_of(*read))
    assert (dialogue([turn]), words(turn.system)) == ([("Hi", "Hello")], "Be kind.")


def view_of(one: Recorded, event: str | None = None, body: dict[str, Any] | None = None) -> SpanView:
    return SpanView(
        one.span.trace_id,
        one.span.span_id,
        one.span.parent_id,
        one.span.name,
        one.span.start,
        one.span.end,
        one.span.status,
        {LOG_EVENT: event} if event else {},
        Resource({}),
        "",
        [(event, body or {})] if event else [],
    )


def test_the_message_of_an_exception() -> None:
    """A failed step says what the exception said that its span recorded."""
    failing = call("chat", status="error")
    view = view_of(failing, "exception", {"exception.message": "overloaded"})
    assert only(turns_of(*recorded([(failing.span, view)]))).steps[0].status_message == "overloaded"


def test_a_share_of_a_trace() -> None:
    """Of a trace that serves several sessions each has the turns that its own spans make."""
    spans = [
        span("worker", at=(0, 900)),
        *(span(name, "worker", at=(0, 400)) for name in ("one", "two")),
        call("1", "one", at=(0, 100), given=[HI], answer=[HELLO]),
        call("2", "two", at=(50, 150), given=[WHERE], answer=[THERE]),
    ]
    assert [dialogue(turns_of(*share)) for share in (spans[1::2], spans[2::2], spans[:1])] == [
        [("Hi", "Hello")],
        [("Where is it?", "It is blue.")],
        [("", "")],
    ]
    assert turns_of() == []


# What the trace itself states.


def test_a_trace_without_calls() -> None:
    """A trace without a call of a model has the words that its root states."""
    turn = only(turns_of(span("root", given=[HI], answer=[HELLO]), span("inner", "root", given=[WHERE])))
    assert (dialogue([turn]), turn.steps, turn.call_count) == ([("Hi", "Hello")], [], 0)


def test_white_space() -> None:
    """Words are the same with other white space around and in them."""
    turn = only(turns_of(span("root", given=[user(" Where\n is it?")]), call("1", "root", given=[WHERE])))
    assert (dialogue([turn]), outline(turn.steps)) == ([("Where is it?", "")], ["assistant:"])


def test_a_prompt_made_of_the_words() -> None:
    """The user's words are those that the trace states; a prompt that the program made of them is a step."""
    prompt = user("Answer from: the sky is blue. Question: Where is it?")
    turn = only(
        turns_of(
            span("root", given=[WHERE], answer=[assistant("It is blue. [1]")], at=(0, 900)),
            span("find", "root", kind=Kind.RETRIEVAL, at=(10, 50), given=[WHERE], answer=[assistant(Other([1]))]),
            call("1", "find", kind=Kind.EMBEDDING, at=(12, 20), given=[WHERE], answer=[assistant(Other([0.1]))]),
            call("2", "root", at=(60, 100), given=[prompt], answer=[THERE]),
        )
    )
    assert dialogue([turn]) == [("Where is it?", "It is blue. [1]")]
    assert outline(turn.steps) == [
        f"user: {words_of(prompt)}",
        "retrieval find(Where is it?) -> [1]",
        ["embedding 1(Where is it?)"],
        "assistant: It is blue.",
    ]


def words_of(message: Message) -> str:
    return str(getattr(message.parts[0], "content", ""))


def test_stages_of_a_workflow() -> None:
    """Where the trace states what the user said, the prompts of its stages begin no turns."""
    turn = only(
        turns_of(
            span("root", given=[WHERE], answer=[THERE], at=(0, 900)),
            call("plan", "root", at=(0, 10), given=[user("Plan for: Where is it?")], answer=[assistant("Look.")]),
            call("act", "root", at=(20, 30), given=[user("Do: Look.")], answer=[THERE]),
        )
    )
    assert dialogue([turn]) == [("Where is it?", "It is blue.")]
    assert outline(turn.steps) == [
        "user: Plan for: Where is it?",
        "assistant: Look.",
        "user: Do: Look.",
        "assistant: It is blue.",
    ]


def test_an_agent_that_states_its_history() -> None:
    """An agent that states all messages of its run says no more than its calls do."""
    asked = assistant(LOOK)
    turn = only(
        turns_of(
            agent("desk", given=[BE_KIND, HI, HELLO, user("Where is it?\n"), asked, BLUE], answer=[THERE]),
            call("1", "desk", at=(0, 10), given=[BE_KIND, HI, HELLO, WHERE], answer=[asked]),
            call("2", "desk", at=(20, 30), given=[BE_KIND, HI, HELLO, WHERE, asked, BLUE], answer=[THERE]),
        )
    )
    assert dialogue([turn]) == [("Where is it?", "It is blue.")]
    assert len(turn.steps) == 3


@pytest.mark.parametrize("nothing", ["None", "null", " undefined\n"])
def test_the_word_for_nothing(nothing: str) -> None:
    """What a decorator writes of a function that gave nothing back is no answer."""
    root = span("root", answer=[assistant(nothing)])
    assert words(only(turns_of(root, call("1", "root", given=[HI], status="error"))).answer) == ""
    assert words(only(turns_of(root, call("1", "root", given=[HI], answer=[HELLO]))).answer) == "Hello"


def test_arguments_are_no_words() -> None:
    """A function's arguments are the user's words only where there are no others."""
    root = span("root", given=[user(Other({"said": "Hi", "history": []})), user("old")])
    assert dialogue(turns_of(root, call("1", "root", given=[HI], answer=[HELLO]))) == [("Hi", "Hello")]
    assert dialogue(turns_of(root)) == [("{'said': 'Hi', 'history': []}", "")]


def test_an_apology() -> None:
    """What the program answered when its call failed is the answer, and the turn failed all the same."""
    turn = only(
        turns_of(span("root", answer=[assistant("Sorry.")]), call("1", "root", given=[HI], status="error"))
    )
    assert (dialogue([turn]), turn.status) == ([("Hi", "Sorry.")], "error")


def test_a_batch_job() -> None:
    """A trace in which nobody said anything is a turn without a user."""
    turn = only(turns_of(span("import"), call("1", "import", given=[system("Sum up: ...")], answer=[THERE])))
    assert (turn.user, words(turn.system), words(turn.answer)) == ([], "Sum up: ...", "It is blue.")


def test_embeddings_alone() -> None:
    """What a library repeats around an embedding was said by nobody; what the program states was."""
    embedding = call("embed", "root", kind=Kind.EMBEDDING, given=[HI])
    assert dialogue(turns_of(span("root", role=Role.ROLL_UP, given=[HI]), embedding)) == [("", "")]
    assert dialogue(turns_of(span("root", given=[HI]), embedding)) == [("Hi", "")]


def test_a_plain_span_that_failed() -> None:
    """A plain span is a step where it failed and nothing below it did, so that every error is seen."""
    turn = only(
        turns_of(
            span("root", at=(0, 900)),
            call("1", "root", at=(10, 100), given=[HI], answer=[HELLO]),
            span("save", "root", at=(200, 300), status="error"),
            span("write", "save", at=(210, 290), status="error", status_message="disk full"),
        )
    )
    assert [(step.kind, step.name, step.status_message) for step in turn.steps[1:]] == [
        ("function", "write", "disk full")
    ]
    assert turn.error_count == 1


def test_spans_without_a_common_root() -> None:
    """A trace of spans side by side, as Claude Code's records become, is a turn with the words of the first."""
    turn = only(
        turns_of(
            agent("prompt", at=(0, 0), given=[HI]),
            call("1", at=(10, 100), answer=[]),
            tool("Bash", at=(110, 200), arguments="ls"),
            call("2", at=(210, 300)),
        )
    )
    assert (dialogue([turn]), outline(turn.steps)) == ([("Hi", "")], ["assistant:", "tool Bash(ls)", "assistant:"])


# Numbers and times.


def test_times() -> None:
    """A turn lasts from its first span to its last; the gap before it is the time of people, never below zero."""
    session = conversation(
        span("root", trace="1", at=(0, 100)),
        call("late", "root", trace="1", at=(50, 120), given=[HI], answer=[HELLO]),
        call("2", trace="2", at=(1120.5, 1200), given=[HI], answer=[HELLO]),
        call("3", trace="3", at=(1150, 1160), given=[HI], answer=[HELLO]),
        call("4", trace="4", at=(1210, None), given=[HI]),
    )
    assert [(turn.latency_ms, turn.gap_ms, turn.running) for turn in session.turns] == [
        (120, None, False),
        (79.5, 1000.5, False),
        (10, 0, False),
        (None, 10, True),
    ]
    assert session.turns[0].start == "2025-11-24T16:00:00.000000000Z"
    assert session.turns[1].end == "2025-11-24T16:00:01.200000000Z"
    assert (session.turns[3].end, session.turns[3].steps[0].latency_ms) == (None, None)


def test_numbers_of_several_turns() -> None:
    """Each span counts in one turn: with the step it belongs to, else by its time; around several, in the last."""
    found = turns_of(
        span("talk", at=(0, 2000), status="error"),
        call("1", "talk", at=(100, 200), given=[HI], answer=[HELLO], cost=3 * PICO),
        span("find", "talk", at=(500, 600), kind=Kind.RETRIEVAL),
        call("embed", "find", at=(510, 520), kind=Kind.EMBEDDING, tokens=(4, None)),
        call("2", "talk", at=(700, 800), given=[HI, HELLO, WHERE], answer=[assistant(LOOK)]),
        tool("look", "talk", at=(800, 900), identity="c1", status="error"),
        span("tidy", "talk", at=(950, 960), status="error"),
    )
    assert [(turn.call_count, turn.input_tokens, turn.total_cost, turn.error_count) for turn in found] == [
        (1, 10, 3.0, 0),
        (2, 14, None, 2),
    ]
    assert [(turn.latency_ms, turn.status) for turn in found] == [(100, "unset"), (460, "error")]
    assert outline(found[1].steps)[0] == "retrieval find()"


def test_unknown_is_not_nothing() -> None:
    """Cost and tokens that are not known are null, and the calls that state none are counted."""
    turn = only(turns_of(call("1", "root"), call("2", "root", tokens=(None, None), at=(200, 300))))
    assert (turn.total_cost, turn.unpriced_calls, turn.unmetered_calls) == (None, 1, 1)
    assert [(step.input_tokens, step.cost) for step in turn.steps] == [(10, None), (None, None)]


def test_told_what_counts() -> None:
    """What is told of costs, as a copy of a call states them, and of errors, holds instead of the spans' own."""
    spans = [call("1", given=[HI], answer=[HELLO], cost=1, status="error")]
    ids = [one.span.span_id for one in spans]
    turn = only(turns(spans, ids, costs={ids[0]: 3 * PICO}, failed=()))
    assert (turn.total_cost, turn.steps[0].cost, turn.error_count) == (3.0, 3.0, 0)


# Content.


def test_large_content() -> None:
    """Content over the limit is cut, and says so with its whole size; the rest of the turn is small."""
    picture = Image(media_type="image/png", data="x" * 500)
    turn = only(
        turns_of(
            call(
                "1",
                given=[user("u" * 300, picture, Image(url="https://x.test/a.png"), Other({"a": "x" * 300}))],
                answer=[assistant(Reasoning("r" * 300), "a" * 300, asks("look", {"at": "x" * 300}))],
            ),
            tool("look", at=(200, 300), result="y" * 300),
            limit=100,
        )
    )
    text, cut_picture, link, other = msgspec.to_builtins(turn.user)
    assert text == {"type": "text", "content": "u" * 100, "truncated": True, "size": 300}
    assert cut_picture == {"type": "image", "media_type": "image/png", "truncated": True, "size": 500}
    assert link == {"type": "image", "url": "https://x.test/a.png"}
    assert other == {"type": "other", "content": '{"a":"' + "x" * 94, "truncated": True, "size": 308}
    message, look = turn.steps
    assert [len(part.content) for part in message.parts if not hasattr(part, "url")] == [100, 100]
    assert (look.truncated, len(look.arguments), len(look.result)) == ({"arguments": 309, "result": 300}, 100, 100)
    assert words(turn.answer) == "a" * 100


def test_thoughts() -> None:
    """A model's thoughts stand in its message, and not in the answer."""
    turn = only(turns_of(call("1", given=[HI], answer=[assistant(Reasoning("Hm."), "Hello")])))
    assert (words(turn.steps[0].parts), words(turn.answer)) == ("Hm. / Hello", "Hello")


def test_the_documented_turn() -> None:
    """The turn that docs/conversation.md shows is what these spans make."""
    asked = assistant(asks("get_order", {"order_id": "A-1001"}, "call_7"))
    said = [system("You are the order desk."), HI, HELLO, user("Where is my order A-1001?")]
    gpt = {"model": "gpt-4o-mini"}
    turn = only(
        turns_of(
            agent("order_desk", at=(0, 900)),
            call(
                "chat gpt-4o-mini",
                "order_desk",
                at=(10, 210),
                given=said,
                answer=[asked],
                tokens=(169, 21),
                cost=37_950_000,
                **gpt,
            ),
            tool("get_order", "order_desk", at=(220, 640), identity="call_7", result="shipped on Monday"),
            call(
                "chat gpt-4o-mini",
                "order_desk",
                number=2,
                at=(650, 890),
                given=[*said, asked, gives("shipped on Monday", "call_7")],
                answer=[assistant("It was shipped on Monday.")],
                tokens=(246, 14),
                cost=45_300_000,
                **gpt,
            ),
        )
    )
    blocks = re.findall(r"^```json\n(.*?)^```$", DOCUMENTED.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert [msgspec.to_builtins(turn)] == [json.loads(block) for block in blocks]


def test_deep_nesting() -> None:
    """Threads are shown to a depth; what lies deeper is counted all the same, and nothing fails."""
    deep = [tool(f"{n}", f"{n - 1}" if n else None, at=(n, 1000)) for n in range(1500)]
    asked = [call(f"call {n}", f"{n}", at=(n + 1, 1000), given=[HI], answer=[HELLO]) for n in range(1500)]
    turn = only(turns_of(*deep, *asked))
    assert (turn.call_count, turn.input_tokens, turn.steps[0].input_tokens) == (1500, 15000, 15000)
    assert len([step for step in all_steps(turn.steps) if step.kind == "message"]) == 24
    assert msgspec.json.decode(msgspec.json.encode(turn), type=Turn) == turn


# Any spans.

MESSAGES = st.sampled_from(
    [
        BE_KIND,
        HI,
        HELLO,
        WHERE,
        THERE,
        assistant(LOOK),
        BLUE,
        gives("red"),
        user(Other({"a": 1})),
        assistant("None"),
    ]
)
NUMBERS = ("call_count", "error_count", "input_tokens", "output_tokens", "unpriced_calls", "unmetered_calls")
NAMES = ["a", "b", "c", "d", "e", "f", "g", "look", "title"]
ROLES = [(Kind.LLM, Role.CALL), (Kind.EMBEDDING, Role.CALL), (Kind.LLM, Role.UNKNOWN), (Kind.AGENT, Role.ROLL_UP)]
ROLES += [(kind, Role.UNKNOWN) for kind in Kind]


@st.composite
def traces(draw: st.DrawFn) -> list[Recorded]:
    """Spans with any parents, also none that is there, or in a circle; of any kind, at any time."""
    spans = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1)):
        kind, role = draw(st.sampled_from(ROLES))
        start = draw(st.integers(0, 20))
        tokens = st.none() | st.integers(0, 9)
        spans.append(
            span(
                name,
                draw(st.none() | st.sampled_from([*NAMES, "gone"])),
                at=(start, draw(st.none() | st.integers(start, 30))),
                kind=kind,
                role=role,
                given=draw(st.lists(MESSAGES, max_size=5)),
                answer=draw(st.lists(MESSAGES, max_size=2)),
                tokens=(draw(tokens), draw(tokens)),
                cost=draw(st.none() | st.integers(1, 9)),
                status=draw(st.sampled_from(["unset", "ok", "error"])),
                agent=draw(st.none() | st.sampled_from(["one", "two"])),
                model=draw(st.none() | st.sampled_from(["m", "n"])),
            )
        )
    return spans


@settings(max_examples=100, deadline=None)
@given(traces(), st.randoms(use_true_random=False))
def test_no_order(spans: list[Recorded], chance: random.Random) -> None:
    """Neither the order of spans nor their repetition changes anything."""
    other = [*spans, *chance.sample(spans, k=len(spans) // 2)]
    chance.shuffle(other)
    counts = grouping.group([one.span for one in spans]).counted
    assert turns(other, counts) == turns(spans, counts)


@settings(max_examples=100, deadline=None)
@given(traces())
def test_numbers_add_up(spans: list[Recorded]) -> None:
    """The numbers of the turns of a trace add up to the trace's."""
    found = turns_of(*spans)
    totals = grouping.group([one.span for one in spans]).parts[None].totals
    for field in (
        "call_count",
        "error_count",
        "input_tokens",
        "output_tokens",
        "unpriced_calls",
        "unmetered_calls",
    ):
        assert sum(getattr(turn, field) for turn in found) == getattr(totals, field)
    cost = sum(Decimal(str(turn.total_cost or 0)) for turn in found)
    assert round(cost * PICO) == totals.cost


@settings(max_examples=100, deadline=None)
@given(traces())
def test_every_call_is_shown_once(spans: list[Recorded]) -> None:
    """Each call of a model that counts is a message in one place, however the spans hang together."""
    steps = all_steps(step for turn in turns_of(*spans) for step in turn.steps)
    shown = [step.span_id for step in steps if step.role == "assistant" and step.span_id]
    counts = grouping.group([one.span for one in spans]).counted
    calls = {
        one.span.span_id.hex()
        for one in spans
        if one.span.role is Role.CALL and one.span.kind is not Kind.EMBEDDING and one.span.span_id in counts
    }
    assert len(shown) == len(set(shown))
    assert calls <= set(shown)
