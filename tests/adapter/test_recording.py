"""What is recorded of a run: whose it is, from which prompt, and nothing twice."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import clean_env

Spans = list[dict[str, Any]]

PROPS = '{"message": "Where is my order?", "order": {"id": "a-1"}}'
RUN = ["invoke_agent chat", "chat function:answer:answer_in_pieces", "execute_tool look_up", "database"]
RUN += ["chat function:answer:answer_in_pieces", "execute_tool ask_another", "inner"]
RUN += ["chat function:answer:answer_in_pieces"]


@pytest.fixture(scope="module")
def scenarios() -> dict[str, Spans]:
    """The spans of all scenarios, by name: of one program, with every warning an error."""
    script = Path(__file__).parent / "scenarios.py"
    env = clean_env() | {"AGENTMARK_BASE_URL": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        capture_output=True,
        text=True,
        env=env,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Spans] = json.loads(done.stdout)
    return found


def below(spans: Spans, name: str) -> Spans:
    """The one span of that name, and all below it."""
    [top] = [span for span in spans if span["name"] == name]
    found = [top]
    for span in found:
        found += [other for other in spans if other["parent"] == span["id"]]
    return found


def carry(spans: Spans, **expected: Any) -> bool:
    """Whether every span has these attributes."""
    return all({key: span["attributes"].get(f"agentmark.{key}") for key in expected} == expected for span in spans)


def content(spans: Spans) -> set[str]:
    """What of the conversation stands in attributes."""
    said = json.dumps([list(span["attributes"].values()) for span in spans])
    return {text for text in ("Where is my order", "a-1", "On its way", "Help.") if text in said}


def test_by_trace(scenarios: dict[str, Spans]) -> None:
    """Inside a `trace()` the run is a child; prompt, props, session, user, tags, metadata reach all of it."""
    spans = scenarios["by_trace"]
    outer = below(spans, "outer")
    run = below(spans, "invoke_agent chat")
    assert len(outer) == len(spans) == 9
    assert sorted(span["name"] for span in run) == sorted(RUN)
    assert carry(outer, session_id="trace-session", session_name="By trace", user_id="user-2", tags='["gamma"]')
    assert carry(run, prompt_name="chat", props=PROPS)
    assert all(span["attributes"]["agentmark.metadata.plan"] == "free" for span in outer)
    assert "agentmark.prompt_name" not in outer[0]["attributes"]
    assert {span["attributes"]["gen_ai.conversation.id"] for span in spans} == {"trace-session"}
    assert content(spans) == {"Where is my order", "a-1", "On its way", "Help."}


def test_by_telemetry(scenarios: dict[str, Spans]) -> None:
    """Without a `trace()` telemetry says the same, and names the trace."""
    spans = scenarios["by_telemetry"]
    assert sorted(span["name"] for span in spans) == sorted(RUN)
    assert len(below(spans, "invoke_agent chat")) == len(spans)
    assert carry(spans, session_id="telemetry-session", session_name="By telemetry", user_id="user-1")
    assert carry(spans, tags='["beta"]', prompt_name="chat", props=PROPS)
    assert all(span["attributes"]["agentmark.metadata.plan"] == "pro" for span in spans)
    assert below(spans, "invoke_agent chat")[0]["attributes"]["agentmark.trace_name"] == "chat-handler"
    assert {span["attributes"]["gen_ai.conversation.id"] for span in spans} == {"telemetry-session"}


def test_by_both(scenarios: dict[str, Spans]) -> None:
    """Telemetry inside a `trace()` adds to it: the run inherits the session, and the trace keeps its name."""
    outer = below(scenarios["by_both"], "outer")
    assert len(outer) == len(scenarios["by_both"])
    assert carry(outer, session_id="trace-session", user_id="user-2")
    assert outer[0]["attributes"]["agentmark.trace_name"] == "outer"
    run = below(scenarios["by_both"], "invoke_agent chat")
    assert all(span["attributes"]["agentmark.metadata.plan"] == "pro" for span in run)


def test_the_nearer_session_wins(scenarios: dict[str, Spans]) -> None:
    """Telemetry that names a session inside the `trace()` of another puts the run, and only it, into its own."""
    spans = scenarios["by_two_sessions"]
    run = below(spans, "invoke_agent chat")
    assert carry(run, session_id="telemetry-session", session_name="By telemetry", user_id="user-1")
    assert carry([span for span in spans if span not in run], session_id="trace-session", session_name="By trace")


def test_telemetry_that_is_off_records_nothing(scenarios: dict[str, Spans]) -> None:
    """Not the run, not its tools' own spans, and not a `trace()` in them; what is around goes on."""
    assert scenarios["disabled"] == []
    assert [span["name"] for span in scenarios["disabled_in_a_trace"]] == ["outer", "afterwards"]


def test_without_telemetry_and_trace_nothing_is_recorded(scenarios: dict[str, Spans]) -> None:
    """Outside of a `trace()` a run without telemetry is nobody's: only what its tools record is there."""
    assert [span["name"] for span in scenarios["silent"]] == ["database", "inner"]
    assert not any("agentmark.prompt_name" in span["attributes"] for span in scenarios["silent"])


def test_a_run_is_no_session_of_its_own(scenarios: dict[str, Spans]) -> None:
    """Where nobody names a session, the number that pydantic-ai gives a conversation is not taken for one."""
    spans = scenarios["without_a_session"]
    assert len(spans) == 9 + 8
    assert {span["attributes"].get("gen_ai.conversation.id", "") for span in spans} == {""}
    assert not any("agentmark.session_id" in span["attributes"] for span in spans)


def test_content_can_be_left_out(scenarios: dict[str, Spans]) -> None:
    """Without inputs or outputs neither messages nor props are on any span; the session is."""
    spans = scenarios["without_content"]
    assert carry(spans, session_id="telemetry-session", prompt_name="chat", props=None)
    assert not content(spans)


def test_a_program_that_instruments_all_agents_records_once(scenarios: dict[str, Spans]) -> None:
    """The program's own settings hold, without a second set of spans; telemetry that is off is stronger."""
    spans = scenarios["instrumented_by_the_program"]
    assert len(spans) == 9
    assert carry(below(spans, "invoke_agent chat"), session_id="trace-session", prompt_name="chat")
    assert not content([{**span, "attributes": span["attributes"] | {"agentmark.props": ""}} for span in spans])


def test_a_stream_is_recorded_like_a_run(scenarios: dict[str, Spans]) -> None:
    """All pieces come, also those before a tool; and what the program does between them is not in the run."""
    spans = scenarios["streamed"]
    between = [span for span in spans if span["name"] == "between"]
    assert between[-1]["attributes"]["said"] == "Let me see. On its way."
    assert all(span["parent"] is None and "agentmark.session_id" not in span["attributes"] for span in between)
    run = below(spans, "invoke_agent chat")
    assert len(run) == len(spans) - len(between)
    assert carry(run, session_id="telemetry-session", prompt_name="chat")


def test_a_stream_that_is_left_ends_its_spans(scenarios: dict[str, Spans]) -> None:
    """Whoever stops reading ends the run; what was recorded until then is there."""
    spans = scenarios["streamed_and_left"]
    assert all(span["ended"] for span in spans)
    assert carry(below(spans, "invoke_agent chat"), session_id="telemetry-session")


def test_a_failure_is_recorded_and_raised(scenarios: dict[str, Spans]) -> None:
    """What the model raises reaches the program, and the run's spans say that they failed."""
    spans = scenarios["failed"]
    assert {span["name"] for span in spans} >= {"the model is away", "invoke_agent chat"}
    assert all(span["status"] == "ERROR" for span in below(spans, "invoke_agent chat"))


def test_runs_at_once_keep_apart(scenarios: dict[str, Spans]) -> None:
    """Runs at the same time carry each its own session."""
    spans = scenarios["at_once"]
    assert len(spans) == 5 * len(RUN)
    by_trace = {(span["trace"], span["attributes"]["agentmark.session_id"]) for span in spans}
    assert sorted(session for _, session in by_trace) == ["s0", "s1", "s2", "s3", "s4"]


def test_an_object_prompt_is_recorded_too(scenarios: dict[str, Spans]) -> None:
    """Prompts for objects carry the same."""
    spans = scenarios["object_prompt"]
    assert {span["name"] for span in spans} >= {"invoke_agent contact", "chat test"}
    assert carry(spans, session_id="telemetry-session", prompt_name="contact", props=PROPS)
