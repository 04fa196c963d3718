"""Fidelity: programs written with real libraries come out with the sessions, turns and tokens that they logged.

The files in `conventions/` hold what each library sent in a real run and what the program and its model server
logged (`tests/recording` makes them anew).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentmark_server import decoding
from agentmark_server.model import PREVIEW, Session, Slice, Trace
from agentmark_server.queries import SessionQuery
from agentmark_server.store import Store, open_store

FILES = sorted((Path(__file__).parent / "conventions").glob("*.json"))
APP = "recorded"
ALL = Slice(limit=1000)
LIMIT = 1 << 26
TOKENS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")

SPANS_ARE_SENT_WITHOUT_IT: dict[str, dict[str, Any]] = {
    # What a library leaves out of its spans, or gets wrong on the way: file -> what comes out instead, or None for
    # turns and users that cannot be told. Whatever is not named here must be as the program logged it.
    "anthropic_native": {"turns": None},  # the SDK's own spans carry no content
    "anthropic_traceloop": {"output_tokens": 137},  # Traceloop counts one token more for a stream
    "google_adk": {"users": None, "turns": None},  # no user and no content unless it is asked for
    "google_adk_litellm": {"users": None, "turns": None, "output_tokens": 239},  # reasoning added to the output
    "google_adk_schema1": {"users": None, "turns": 4},  # a failed turn is "<elided>"
    "logfire_openai": {"lost": "desk-alone-3", "users": None},  # its session id alone on a span is scrubbed
    "logfire_pydantic_ai": {"users": None},
    "mlflow": {"sessions": []},  # the session is not exported
    "mlflow_genai": {"sessions": []},
    "mlflow_marked": {"reasoning_tokens": 0},
    "openai_agents_logfire": {"call_count": 7, "turns": 4},  # a failed call says nothing of its input or operation
    "openai_agents_openinference": {"turns": 4},  # the same
    "openai_agents_openinference_bare": {"sessions": []},  # the group id is dropped
    "openlit": {
        "input_tokens": 776,
        "output_tokens": 133,
        "reasoning_tokens": 0,
        "turns": 3,
    },  # it estimates streams
    "otel_genai_events": {"call_count": 6, "input_tokens": 680, "cached_tokens": 0, "reasoning_tokens": 0},
    "otel_genai_latest": {"call_count": 6, "input_tokens": 680, "cached_tokens": 0, "reasoning_tokens": 0},
    "otel_genai_renamed": {"call_count": 6, "input_tokens": 680, "output_tokens": 106, "reasoning_tokens": 25},
    "otel_genai_util": {"users": None},
    "pydantic_ai_1": {"cached_tokens": 0},
    "pydantic_ai_1_events": {"cached_tokens": 0},
    "strands": {"reasoning_tokens": 0},
    "strands_latest": {"reasoning_tokens": 0},
    "strands_unredacted": {"reasoning_tokens": 0},
    "traceloop": {"call_count": 7, "input_tokens": 707, "reasoning_tokens": 23},  # it sends no span for embeddings
    "traceloop_0_46": {"reasoning_tokens": 17},
    "vercel_ai_5": {"cached_tokens": 0, "reasoning_tokens": 7},  # streams alone state them
    "vercel_ai_6": {"reasoning_tokens": 32},
    # Two calls of its last turn have no session.
    "vercel_ai_7": {"input_tokens": 895, "output_tokens": 138, "reasoning_tokens": 33},
    "vercel_ai_7_legacy": {"call_count": 7, "input_tokens": 895, "output_tokens": 138, "reasoning_tokens": 33},
}


class Recorded:
    """One file, as the store holds it."""

    def __init__(self, path: Path, store: Store) -> None:
        self.name = path.stem
        self.body = json.loads(path.read_text(encoding="utf-8"))
        self.instead = SPANS_ARE_SENT_WITHOUT_IT.get(self.name, {})
        self.turns: list[dict[str, Any]] = [
            turn
            for turn in self.body["truth"]["turns"]
            if turn["session_id"] and turn["session_id"] != self.instead.get("lost")
        ]
        self._store = store
        reader = decoding.SpanReader()
        for signal, key in ((decoding.TRACES, "requests"), (decoding.LOGS, "logs")):
            for request in self.body.get(key, []):
                body = decoding.Body(json.dumps(request).encode(), decoding.JSON)
                batch = decoding.decode(body, LIMIT, reader, signal)
                assert not batch.rejected
                store.append(APP, batch.shares)
        self.sessions: dict[str, Session] = {
            session.id: session for session in store.list_sessions(APP, SessionQuery(), ALL).items
        }

    def traces(self, session_id: str) -> list[Trace]:
        return self._store.list_session_traces(APP, session_id, ALL).items

    def total(self, field: str) -> int:
        return sum(getattr(session.totals, field) for session in self.sessions.values())

    def calls(self) -> list[dict[str, Any]]:
        """What the model server answered."""
        calls: list[dict[str, Any]] = self.body["truth"]["calls"]
        return calls


@pytest.fixture(scope="module", params=FILES, ids=[path.stem for path in FILES])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """Each recorded file in a store of its own."""
    store = open_store(tmp_path_factory.mktemp("recorded") / "agentmark.db", decoding.SpanReader())
    yield Recorded(request.param, store)
    store.close()


def test_sessions(recorded: Recorded) -> None:
    """A program's spans make the sessions that it had, and no other."""
    expected = recorded.instead.get("sessions", sorted({turn["session_id"] for turn in recorded.turns}))
    assert sorted(recorded.sessions) == expected


def test_users(recorded: Recorded) -> None:
    """Each session has the user that the program told."""
    if "users" in recorded.instead:
        assert not any(session.labels.users for session in recorded.sessions.values())
        return
    for turn in recorded.turns if recorded.sessions else []:
        labels = recorded.sessions[turn["session_id"]].labels
        assert (labels.user[-1] if labels.user else None) == turn["user_id"]


def test_calls(recorded: Recorded) -> None:
    """Each request that the model server answered or refused is counted once."""
    if not recorded.sessions or "lost" in recorded.instead:
        return
    assert recorded.total("call_count") == recorded.instead.get("call_count", len(recorded.calls()))


@pytest.mark.parametrize("field", TOKENS)
def test_tokens(recorded: Recorded, field: str) -> None:
    """Tokens are those that the model server put on the wire, each once."""
    told = [call for call in recorded.calls() if call.get("usage_on_wire")]
    expected = sum(call.get(field) or 0 for call in told)
    if not recorded.sessions:
        assert recorded.instead["sessions"] == []
    elif "lost" in recorded.instead:
        assert recorded.total(field) <= expected
    else:
        assert recorded.total(field) == recorded.instead.get(field, expected)


def start_of(text: str | None) -> str | None:
    return " ".join(text.split())[:PREVIEW] if text else None


def is_turn(trace: Trace, turn: dict[str, Any]) -> bool:
    asked = trace.labels.input[-1] if trace.labels.input else None
    answered = trace.labels.output[-1] if trace.labels.output else None
    # A turn that failed has no answer, whatever its program wrote on the span.
    right = turn["output"] is None or answered == start_of(turn["output"]) or same_json(answered, turn["output"])
    return asked == start_of(turn["input"]) and right


def same_json(one: str | None, other: str | None) -> bool:
    try:
        return json.loads(one or "") == json.loads(other or "")
    except ValueError:
        return False


def test_turns(recorded: Recorded) -> None:
    """Each turn is a trace of its session, with what the user said and what was answered."""
    if not recorded.sessions or recorded.instead.get("turns", ...) is None:
        return
    found = [any(is_turn(trace, turn) for trace in recorded.traces(turn["session_id"])) for turn in recorded.turns]
    assert sum(found) == recorded.instead.get("turns", len(recorded.turns))


def test_deviations_have_a_file() -> None:
    """Every deviation is one of a file that is there."""
    assert {path.stem for path in FILES} >= SPANS_ARE_SENT_WITHOUT_IT.keys()
