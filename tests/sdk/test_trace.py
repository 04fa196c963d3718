"""`trace()` and its context, on the wire."""

import asyncio
import contextvars
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import trace as otel

import agentmark_sdk
from agentmark_sdk import TraceContext, session, trace

Spans = Callable[[], dict[str, Any]]
library = otel.get_tracer("some.library")


def test_the_public_names_are_these() -> None:
    """The package exports what its documentation names, and nothing else."""
    assert agentmark_sdk.__all__ == ["TraceContext", "flush", "session", "trace"]
    assert all(hasattr(agentmark_sdk, name) for name in agentmark_sdk.__all__)


async def test_the_documented_example_makes_two_traces_of_one_session(recorded: Spans) -> None:
    """Two `trace()` calls with one session id are two traces that carry the same session, name and user."""
    session_id = f"session-{int(time.time() * 1000)}"
    async with trace(
        name="handle-greeting",
        session_id=session_id,
        session_name="Customer Support Chat #12345",
        user_id="user-123",
    ) as ctx:
        assert isinstance(ctx, TraceContext)
    async with trace(
        name="handle-follow-up",
        session_id=session_id,
        session_name="Customer Support Chat #12345",
        user_id="user-123",
    ) as later:
        pass
    spans = recorded()
    greeting, follow_up = spans["handle-greeting"], spans["handle-follow-up"]
    assert greeting.attributes == {
        "agentmark.trace_name": "handle-greeting",
        "agentmark.session_id": session_id,
        "agentmark.session_name": "Customer Support Chat #12345",
        "agentmark.user_id": "user-123",
        "gen_ai.conversation.id": session_id,
    }
    assert follow_up.attributes == greeting.attributes | {"agentmark.trace_name": "handle-follow-up"}
    assert (greeting.trace_id, greeting.span_id) == (ctx.trace_id, ctx.span_id)
    assert (follow_up.parent_id, greeting.parent_id) == ("", "")
    assert later.trace_id != ctx.trace_id


def test_metadata_tags_and_the_prompt_name_have_their_attributes(recorded: Spans) -> None:
    """Metadata is one attribute a key, tags are a JSON list, and the prompt's name is on the trace alone."""
    metadata = {
        "env": "prod",
        "retries": 2,
        "ratio": 0.5,
        "beta": True,
        "nested": {"ä": [1]},
        "none": None,
        "": 1,
    }
    with (
        trace("job", metadata=metadata, tags=["a", "ü", "a", ""], prompt_name="chat.prompt.mdx"),
        library.start_as_current_span("inside"),
    ):
        pass
    spans = recorded()
    inherited = {
        "agentmark.metadata.env": "prod",
        "agentmark.metadata.retries": 2,
        "agentmark.metadata.ratio": 0.5,
        "agentmark.metadata.beta": True,
        "agentmark.metadata.nested": '{"ä": [1]}',
        "agentmark.tags": '["a", "ü"]',
    }
    own = {"agentmark.trace_name": "job", "agentmark.prompt_name": "chat.prompt.mdx"}
    assert spans["inside"].attributes == inherited
    assert spans["job"].attributes == inherited | own


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), ("", None), ("  ", None), (17, "17"), (" a/b ü ", "a/b ü"), ("a\ud800", "a?")],
)
def test_an_id_is_text_or_not_given(value: object, expected: str | None, recorded: Spans) -> None:
    """An id of any type is turned into text, and None or an empty one counts as not given."""
    with trace("job", session_id=value, session_name=value, user_id=value):
        pass
    attributes = recorded()["job"].attributes
    keys = ("agentmark.session_id", "agentmark.session_name", "agentmark.user_id", "gen_ai.conversation.id")
    assert [attributes.get(key) for key in keys] == [expected] * 4


def test_a_nested_trace_is_a_child_and_inherits_what_it_does_not_give(recorded: Spans) -> None:
    """A nested trace is a child span: what it gives wins inside, what it leaves open comes from outside."""
    with trace("outer", session_id="s1", session_name="One", user_id="u1", metadata={"a": 1, "b": 1}, tags=["x"]):
        with (
            trace("inner", user_id="u2", metadata={"b": 2}, tags=["y"]),
            library.start_as_current_span("deep"),
        ):
            pass
        with library.start_as_current_span("after"):
            pass
    spans = recorded()
    outer, inner, deep, after = (spans[name] for name in ("outer", "inner", "deep", "after"))
    assert (inner.trace_id, inner.parent_id) == (outer.trace_id, outer.span_id)
    assert deep.attributes == {
        "agentmark.session_id": "s1",
        "agentmark.session_name": "One",
        "agentmark.user_id": "u2",
        "agentmark.metadata.a": 1,
        "agentmark.metadata.b": 2,
        "agentmark.tags": '["x", "y"]',
        "gen_ai.conversation.id": "s1",
    }
    assert inner.attributes == deep.attributes, "only the outermost trace() names the trace"
    assert (after.attributes["agentmark.user_id"], after.attributes["agentmark.tags"]) == ("u1", '["x"]')


def test_another_session_inside_does_not_take_the_outer_name(recorded: Spans) -> None:
    """A nested session id without a name has no name, for the outer name is another session's."""
    with trace("outer", session_id="s1", session_name="One"), trace("other", session_id="s2"):
        pass
    with trace("same", session_id="s1", session_name="One"), trace("again", session_id="s1"):
        pass
    spans = recorded()
    assert "agentmark.session_name" not in spans["other"].attributes
    assert spans["other"].attributes["gen_ai.conversation.id"] == "s2"
    assert spans["again"].attributes["agentmark.session_name"] == "One"


def test_session_scopes_nest_and_open_no_span(recorded: Spans) -> None:
    """`session()` sets the session without a span of its own; the inner one wins, the outer comes back."""
    with session(session_id="s1", user_id="u1", tags=["t"]):
        with session(session_id="s2", metadata={"k": "v"}), library.start_as_current_span("inner"):
            pass
        with trace("outer"):
            pass
    with library.start_as_current_span("outside"):
        pass
    spans = recorded()
    assert set(spans) == {"inner", "outer", "outside"}
    assert spans["inner"].attributes == {
        "agentmark.session_id": "s2",
        "agentmark.user_id": "u1",
        "agentmark.metadata.k": "v",
        "agentmark.tags": '["t"]',
        "gen_ai.conversation.id": "s2",
    }
    assert spans["outer"].attributes["agentmark.session_id"] == "s1"
    assert spans["outside"].attributes == {}


async def test_session_scopes_are_asynchronous_too(recorded: Spans) -> None:
    """`async with session()` does what `with session()` does."""
    async with session(session_id="s"), trace("job"):
        pass
    assert recorded()["job"].attributes["agentmark.session_id"] == "s"


def test_what_a_span_says_itself_wins(recorded: Spans) -> None:
    """An attribute that instrumented code puts on its own span is never overwritten by the inherited one."""
    with trace("job", session_id="ours", session_name="Ours", user_id="u"):
        own = {"agentmark.session_id": "own", "agentmark.user_id": "me"}
        library.start_span("both", attributes=own).end()
        library.start_span("framework", attributes={"gen_ai.conversation.id": "thread"}).end()
    spans = recorded()
    assert spans["both"].attributes == own | {"gen_ai.conversation.id": "own"}
    assert spans["framework"].attributes["gen_ai.conversation.id"] == "thread"
    assert spans["framework"].attributes["agentmark.session_id"] == "ours"


def test_a_trace_inside_a_foreign_span_is_its_child_and_names_the_trace(recorded: Spans) -> None:
    """Inside another library's span, a trace() joins that trace and gives it its name."""
    with library.start_as_current_span("POST /chat"), trace("chat", session_id="s"):
        pass
    spans = recorded()
    assert spans["chat"].parent_id == spans["POST /chat"].span_id
    assert spans["chat"].attributes["agentmark.trace_name"] == "chat"


def test_a_trace_block_can_be_used_again(recorded: Spans) -> None:
    """One block entered twice, one after the other or one in the other, records each and restores all."""
    block = trace("job", session_id="s")
    with block as first:
        pass
    with block as second, block as third:
        assert otel.get_current_span().get_span_context().span_id == int(third.span_id, 16)
    assert len({first.trace_id, second.trace_id}) == 2
    assert second.trace_id == third.trace_id
    assert not otel.get_current_span().get_span_context().is_valid
    assert recorded()["job"].attributes["agentmark.session_id"] == "s"


def test_ctx_span_is_a_child_with_the_session(recorded: Spans) -> None:
    """`ctx.span()` records a child with the trace's session, below the innermost open span of the trace."""
    with trace("job", session_id="s") as ctx:
        with ctx.span("step", attributes={"n": 1, "who": None}) as step, ctx.span("part"):
            step.set_output("done")
        with library.start_as_current_span("tool"), ctx.span("in-tool"):
            pass
    spans = recorded()
    assert spans["step"].parent_id == spans["job"].span_id
    assert spans["part"].parent_id == spans["step"].span_id
    assert spans["in-tool"].parent_id == spans["tool"].span_id
    assert spans["step"].attributes == {
        "n": 1,
        "agentmark.session_id": "s",
        "gen_ai.conversation.id": "s",
        "agentmark.output": "done",
    }


def test_ctx_span_in_a_bare_thread_stays_in_the_trace(recorded: Spans) -> None:
    """In a thread without copied context `ctx.span()` is a child of ctx, with the session."""

    def work(ctx: TraceContext) -> None:
        with ctx.span("step"), library.start_as_current_span("inside"):
            pass

    with trace("job", session_id="s") as ctx:
        thread = threading.Thread(target=work, args=(ctx,))
        thread.start()
        thread.join()
    spans = recorded()
    assert spans["step"].parent_id == spans["job"].span_id
    assert spans["inside"].attributes["agentmark.session_id"] == "s"


def test_threads_with_copied_context_keep_their_session(recorded: Spans) -> None:
    """Work sent to a thread pool with a copied context carries the session of the trace that sent it."""

    def work(name: str) -> None:
        with library.start_as_current_span(name):
            pass

    with ThreadPoolExecutor(4) as pool:
        for n in range(20):
            with trace(f"trace-{n}", session_id=f"s{n}"):
                pool.submit(contextvars.copy_context().run, work, f"work-{n}")
    spans = recorded()
    for n in range(20):
        assert spans[f"work-{n}"].parent_id == spans[f"trace-{n}"].span_id
        assert spans[f"work-{n}"].attributes["agentmark.session_id"] == f"s{n}"


async def test_concurrent_tasks_keep_their_sessions_apart(recorded: Spans) -> None:
    """Many traces at once in one event loop never mix: each span has its own task's session."""

    async def call(name: str) -> None:
        await asyncio.sleep(0)
        with library.start_as_current_span(name):
            await asyncio.sleep(0.001)

    async def converse(n: int) -> str:
        async with trace(f"trace-{n}", session_id=f"s{n}") as ctx:
            await asyncio.gather(*(call(f"call-{n}-{i}") for i in range(3)))
            await asyncio.create_task(call(f"task-{n}"))
            return ctx.trace_id

    ids = await asyncio.gather(*(converse(n) for n in range(200)))
    spans = recorded()
    assert len(set(ids)) == 200
    assert len(spans) == 200 * 5
    for n, trace_id in enumerate(ids):
        for name in (f"trace-{n}", f"call-{n}-0", f"call-{n}-2", f"task-{n}"):
            assert spans[name].trace_id == trace_id
            assert spans[name].attributes["agentmark.session_id"] == f"s{n}"


async def test_a_task_that_outlives_its_trace_keeps_the_session(recorded: Spans) -> None:
    """A background task begun inside a trace carries its session after the trace has ended."""

    async def later() -> None:
        await asyncio.sleep(0.01)
        library.start_span("late").end()

    async with trace("job", session_id="s"):
        task = asyncio.create_task(later())
    await task
    assert recorded()["late"].attributes["agentmark.session_id"] == "s"


class OopsError(Exception):
    """An exception of the program's own."""


def test_an_exception_is_recorded_and_is_the_same_object(recorded: Spans) -> None:
    """What is raised inside is noted on every trace it leaves, and goes on as the identical object."""
    error = OopsError("no ä")
    with pytest.raises(OopsError) as raised, trace("outer"), trace("inner"):
        raise error
    assert raised.value is error
    for span in recorded().values():
        [(name, event)] = span.events
        assert (span.status, span.message) == (2, "OopsError: no ä")
        assert name == "exception"
        assert event["exception.type"].endswith("test_trace.OopsError")
        assert event["exception.message"] == "no ä"
        assert "raise error" in event["exception.stacktrace"]


async def test_an_asynchronous_exception_is_recorded_too(recorded: Spans) -> None:
    """`async with` records and passes on exceptions just as `with` does."""
    error = ValueError()
    with pytest.raises(ValueError, match=r"^$") as raised:
        async with trace("job"):
            raise error
    assert raised.value is error
    assert (recorded()["job"].status, recorded()["job"].message) == (2, "ValueError")


class MeanError(Exception):
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    "error", [MeanError(), OopsError("cut \ud83d"), ExceptionGroup("both", [OopsError("a"), OopsError("b")])]
)
def test_an_exception_that_is_hard_to_show_is_recorded(error: Exception, recorded: Spans) -> None:
    """Neither an exception without text, nor one that no encoding takes, is replaced by an error of ours."""
    with pytest.raises(type(error)) as raised, trace("job"):
        raise error
    assert raised.value is error
    assert recorded()["job"].status == 2


@pytest.mark.parametrize(
    ("error", "status", "events"),
    [
        (SystemExit(), 0, 0),
        (SystemExit(0), 0, 0),
        (SystemExit(3), 2, 1),
        (SystemExit("bad usage"), 2, 1),
        (GeneratorExit(), 0, 0),
        (KeyboardInterrupt(), 0, 1),
        (asyncio.CancelledError("stop"), 0, 1),
    ],
)
def test_ends_that_are_no_failures(error: BaseException, status: int, events: int, recorded: Spans) -> None:
    """A clean end leaves no mark, a cancellation or interrupt an event, a bad exit an error."""
    with pytest.raises(type(error)) as raised, trace("job"):
        raise error
    assert raised.value is error
    span = recorded()["job"]
    assert (span.status, len(span.events)) == (status, events)
    assert not otel.get_current_span().get_span_context().is_valid


async def test_a_timeout_cancels_inside_and_ends_the_span(recorded: Spans) -> None:
    """A trace that a timeout cuts short ends, shows the cancellation, and the timeout reaches its owner."""

    async def work() -> None:
        async with trace("job"):
            await asyncio.sleep(5)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(work(), 0.01)
    [(_, event)] = recorded()["job"].events
    assert event["exception.type"] == "asyncio.exceptions.CancelledError"


def test_a_generator_closed_early_ends_its_span(recorded: Spans) -> None:
    """A generator closed in the middle of a trace ends the span without an error."""

    def stream() -> Iterator[int]:
        with trace("stream", session_id="s"):
            yield 1
            yield 2

    generator = stream()
    assert next(generator) == 1
    generator.close()
    assert recorded()["stream"].status == 0
    assert not otel.get_current_span().get_span_context().is_valid


async def test_an_async_generator_closed_in_another_task_is_quiet(
    recorded: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    """A trace in an async generator that another task closes ends its span and logs nothing."""

    async def stream() -> AsyncIterator[int]:
        async with trace("stream", session_id="s"):
            yield 1
            yield 2

    generator = stream()
    assert await asyncio.create_task(anext(generator)) == 1  # type: ignore[arg-type]
    await asyncio.create_task(generator.aclose())  # type: ignore[attr-defined]
    assert recorded()["stream"].attributes["agentmark.session_id"] == "s"
    assert not caplog.records
    assert not otel.get_current_span().get_span_context().is_valid
