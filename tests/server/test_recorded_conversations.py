"""Fidelity: the conversations of recorded programs are those that the programs logged, message by message.

The files in `conventions/` hold what each library sent in a real run and what the program and its model server
logged. Whatever is not named in the tables below must be as it was logged.
"""

import json
import random
import re
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import pytest

from agentmark_server import grouping
from agentmark_server.conversation import Step, Turn
from support.conversations import decoded, owners, session, words

FILES = sorted((Path(__file__).parent / "conventions").glob("*.json"))
TOO_LONG = "This message is far too long for you."
REFUND = "Can I have a refund?"
ALL: Final = "all of them"

WITHOUT_WORDS: dict[str, str] = {
    # Turns of which a library records no words: the user's message, or all of the program's.
    "anthropic_native": ALL,  # the SDK's own spans carry no content
    "google_adk": ALL,  # no content unless it is asked for
    "google_adk_litellm": ALL,
    "google_adk_schema1": TOO_LONG,  # a failed call is "<elided>"
    "openai_agents_logfire": TOO_LONG,  # a failed call says nothing of its input
    "openai_agents_openinference": TOO_LONG,
    "openai_agents_openinference_bare": TOO_LONG,
    "openlit": TOO_LONG,
}
WITHOUT_SESSION: dict[str, str] = {
    # Turns of sessions that no span tells: the session, or all of the program's.
    "logfire_openai": "desk-alone-3",  # its session id alone on a span is scrubbed
    "mlflow": ALL,  # the session is not exported
    "mlflow_genai": ALL,
    "openai_agents_openinference_bare": ALL,  # the group id is dropped
}
BESIDE: dict[str, list[tuple[str, str]]] = {
    # What a program recorded beside its turns.
    "langfuse_3": [("", "good")],  # a generation made by hand, without an input
    "langfuse_4": [("", "good")],
    "langfuse_5": [("", "good")],
    # A call that the program gave no session, and did not log.
    "otel_genai_renamed": [("Thank you!", "You are welcome. Is there anything else?")],
}
WITHOUT_TOOL_SPAN = {"openlit"}
WITHOUT_FAILURE_OF_TOOL = {
    "langfuse_3",  # the program hands the error to the model and marks nothing
    *WITHOUT_TOOL_SPAN,
}


class Program:
    """A recorded program: its conversations, and what it logged."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        file = json.loads(path.read_text(encoding="utf-8"))
        self.traces = decoded(file)
        self.turns: dict[str | None, list[Turn]] = {
            owner: list(session(self.traces, owner).turns) for owner in owners(self.traces)
        }
        self.logged: dict[str | None, list[tuple[str, str]]] = defaultdict(list)
        for turn in file["truth"]["turns"]:
            self._log(turn)
        self.logged[None] += BESIDE.get(self.name, [])

    def _log(self, turn: dict[str, Any]) -> None:
        lost = WITHOUT_SESSION.get(self.name)
        silent = WITHOUT_WORDS.get(self.name)
        owner = None if lost in {ALL, turn["session_id"]} else turn["session_id"]
        said = ("", "") if silent in {ALL, turn["input"]} else (turn["input"], turn["output"] or "")
        self.logged[owner].append(said)

    def all_turns(self) -> list[Turn]:
        return [turn for turns in self.turns.values() for turn in turns]


@pytest.fixture(scope="module", params=FILES, ids=[path.stem for path in FILES])
def program(request: pytest.FixtureRequest) -> Program:
    """Each recorded program."""
    return Program(request.param)


def speaks(turn: Turn) -> bool:
    """Whether a model was asked for words, or something failed; traces of embeddings alone do not."""
    return any(step.kind in {"message", "function"} for step in turn.steps)


def test_turns(program: Program) -> None:
    """Each session has the turns that the program logged, in order: what the user said, and what was answered."""
    for owner in program.turns.keys() | program.logged.keys():
        turns = [turn for turn in program.turns.get(owner, []) if speaks(turn)]
        said = [(words(turn.user), words(turn.answer).strip()) for turn in turns]
        assert said == program.logged[owner]


def test_other_turns(program: Program) -> None:
    """A trace in which no model spoke is one that embeds something; nobody said anything there."""
    for turn in program.all_turns():
        if not speaks(turn):
            assert ({step.kind for step in turn.steps}, turn.user, turn.answer) == ({"embedding"}, [], [])


def test_once(program: Program) -> None:
    """Nothing that was said is shown twice, though every call sends all of it again."""
    for turns in program.turns.values():
        said = [words(turn.user) for turn in turns if turn.user]
        answered = [words(step.parts) for turn in turns for step in turn.steps if step.role == "assistant"]
        told = [text for text in answered if text]
        assert len(said) == len(set(said))
        assert len(told) == len(set(told))
        assert not [step for turn in turns for step in turn.steps if step.role == "user"]


def test_instructions(program: Program) -> None:
    """The instructions are shown once in a session, in the first turn that has them."""
    for turns in program.turns.values():
        told = [words(turn.system) for turn in turns if turn.system]
        assert len(told) == len(set(told))


def tools(turn: Turn) -> list[Step]:
    return [step for step in turn.steps if step.kind == "tool"]


def test_tools(program: Program) -> None:
    """Each tool that the model called for is one step, with arguments, result, time and failure."""
    for turn in program.all_turns():
        order = re.search(r"[AB]-\d+", words(turn.user)) if speaks(turn) else None
        if order is None:
            continue
        (step,) = tools(turn)
        assert (step.name, step.arguments) == ("get_order", {"order_id": order[0]})
        assert (step.latency_ms is None) == (program.name in WITHOUT_TOOL_SPAN)
        if order[0] == "A-1001":
            assert "Order A-1001 is shipped on Monday" in str(step.result)
            assert step.status != "error"
        else:
            assert (step.status == "error") == (program.name not in WITHOUT_FAILURE_OF_TOOL)


def test_other_agents(program: Program) -> None:
    """What the refund desk is asked by a tool is folded under the step; one that takes over is in the thread."""
    for turn in program.all_turns():
        if words(turn.user) == REFUND:
            (step,) = tools(turn)
            assert "refund_desk" in step.name
            if step.name == "transfer_to_refund_desk":
                assert [one.kind for one in turn.steps] == ["message", "tool", "message"]
                assert not step.threads
            else:
                (thread,) = step.threads
                assert [(one.role, words(one.parts).strip()) for one in thread.steps] == [
                    ("user", REFUND),
                    ("assistant", f"I have noted: {REFUND}"),
                ]


def test_numbers(program: Program) -> None:
    """The numbers of a session's turns add up to those of its traces."""
    for owner, turns in program.turns.items():
        parts = [grouping.group([one.span for one in trace]).parts.get(owner) for trace in program.traces]
        totals = [part.totals for part in parts if part]
        for field in ("call_count", "error_count", "input_tokens", "output_tokens", "cached_tokens"):
            assert sum(getattr(turn, field) for turn in turns) == sum(getattr(one, field) for one in totals)


def test_no_order(program: Program) -> None:
    """The order in which spans come, and how often, changes nothing."""
    chance = random.Random(program.name)  # noqa: S311 - a shuffle is no secret
    mixed = [[*trace, *trace] for trace in program.traces]
    for trace in mixed:
        chance.shuffle(trace)
    chance.shuffle(mixed)
    assert {owner: list(session(mixed, owner).turns) for owner in program.turns} == program.turns


def test_deviations_have_a_file() -> None:
    """Every deviation is one of a file that is there."""
    named = {*WITHOUT_WORDS, *WITHOUT_SESSION, *BESIDE, *WITHOUT_FAILURE_OF_TOOL}
    assert {path.stem for path in FILES} >= named
