"""First use, in processes of their own: what the environment and the program's own tracing decide."""

from collections.abc import Callable
from typing import Any

import pytest

from agentmark_sdk._setup import read_target

Run = Callable[..., Any]

TRACE = """
    from agentmark_sdk import flush, trace
    with trace("job", session_id="s1") as ctx:
        print(ctx.trace_id)
"""


def test_importing_starts_nothing(run: Run) -> None:
    """An import sets no tracer provider and starts no thread; the first use does."""
    ended = run("""
        import threading
        import agentmark_sdk
        from opentelemetry import trace as otel
        print(threading.active_count(), type(otel.get_tracer_provider()).__name__)
        print(agentmark_sdk.flush(), type(otel.get_tracer_provider()).__name__)
        with agentmark_sdk.session(): pass
        print(type(otel.get_tracer_provider()).__name__)
    """)
    assert ended.out.split() == ["1", "ProxyTracerProvider", "True", "ProxyTracerProvider", "TracerProvider"]


def test_a_script_without_setup_loses_nothing_at_exit(run: Run, collector: Any) -> None:
    """A script that ends right after its last trace has sent all of it, gzipped, to the local port."""
    ended = run(TRACE, AGENTMARK_API_PORT=str(collector.port))
    [request] = collector.requests
    assert (ended.code, ended.err) == (0, "")
    assert [span.trace_id for span in collector.spans] == ended.out.split()
    assert request.path == "/v1/traces"
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.headers["content-encoding"] == "gzip"
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("env", "url", "headers"),
    [
        ({}, "http://127.0.0.1:9418", {}),
        ({"AGENTMARK_API_PORT": " 8000 "}, "http://127.0.0.1:8000", {}),
        ({"AGENTMARK_API_PORT": ""}, "http://127.0.0.1:9418", {}),
        ({"AGENTMARK_API_KEY": "k\n"}, "https://api.agentmark.co", {"Authorization": "Bearer k"}),
        (
            {"AGENTMARK_API_KEY": "k", "AGENTMARK_API_PORT": "1"},
            "https://api.agentmark.co",
            {"Authorization": "Bearer k"},
        ),
        ({"AGENTMARK_API_KEY": " ", "AGENTMARK_BASE_URL": " "}, "http://127.0.0.1:9418", {}),
        ({"AGENTMARK_BASE_URL": "http://h:1/"}, "http://h:1", {}),
        ({"AGENTMARK_BASE_URL": "https://h/base//"}, "https://h/base", {}),
        ({"AGENTMARK_BASE_URL": "http://[::1]:9418"}, "http://[::1]:9418", {}),
        (
            {"AGENTMARK_BASE_URL": "http://h", "AGENTMARK_API_KEY": "k", "AGENTMARK_APP_ID": "app_1"},
            "http://h",
            {"Authorization": "Bearer k", "X-Agentmark-App-Id": "app_1"},
        ),
    ],
)
def test_the_environment_says_where(env: dict[str, str], url: str, headers: dict[str, str]) -> None:
    """The base URL wins; without it a key means the cloud, and no key the local port."""
    target = read_target(env)
    assert target is not None
    assert (target.url, target.headers) == (url + "/v1/traces", headers)


@pytest.mark.parametrize(
    "url", ["localhost:9418", "h", "ftp://h", "http://", "http://h:port", "http://[::1", "/v1"]
)
def test_a_base_url_that_is_none_sends_nothing_and_says_so(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """A base URL that is no http address turns sending off, with one warning that names it."""
    assert read_target({"AGENTMARK_BASE_URL": url, "AGENTMARK_API_KEY": "k"}) is None
    [record] = caplog.records
    assert url in record.getMessage()
    assert "AGENTMARK_BASE_URL" in record.getMessage()


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1", "9418.0", "²"])
def test_a_port_that_is_none_falls_back(port: str, caplog: pytest.LogCaptureFixture) -> None:
    """A port that is no port is replaced by 9418, with one warning that names it."""
    target = read_target({"AGENTMARK_API_PORT": port})
    [record] = caplog.records
    assert target is not None
    assert target.url == "http://127.0.0.1:9418/v1/traces"
    assert repr(port) in record.getMessage()


def test_a_bad_environment_does_not_break_the_program(run: Run) -> None:
    """With an unusable base URL the program runs, is told once, and flush() says that nothing was sent."""
    ended = run(TRACE + "    print(flush())\n", AGENTMARK_BASE_URL="localhost:9418")
    trace_id, flushed = ended.out.split()
    assert (ended.code, len(trace_id), flushed) == (0, 32, "False")
    assert ended.err.count("\n") == 1
    assert "AGENTMARK_BASE_URL" in ended.err


def test_recording_that_cannot_start_does_not_break_the_program(run: Run) -> None:
    """When OpenTelemetry itself refuses to start, the program runs, with one warning."""
    ended = run(TRACE, OTEL_SPAN_EVENT_COUNT_LIMIT="many")
    assert (ended.code, ended.out.strip()) == (0, "0" * 32)
    assert ended.err.count("\n") == 1
    assert "nothing is recorded" in ended.err


def test_opentelemetry_can_be_switched_off(run: Run, collector: Any) -> None:
    """OTEL_SDK_DISABLED turns all recording off without an error."""
    ended = run(TRACE, AGENTMARK_BASE_URL=collector.url, OTEL_SDK_DISABLED="true")
    assert (ended.code, ended.err, collector.requests) == (0, "", [])


def test_the_key_and_app_are_sent(run: Run, collector: Any) -> None:
    """The API key goes as a bearer token and the app id in its own header."""
    run(TRACE, AGENTMARK_BASE_URL=collector.url + "/", AGENTMARK_API_KEY="am_live_1", AGENTMARK_APP_ID="app_1")
    [request] = collector.requests
    assert request.headers["authorization"] == "Bearer am_live_1"
    assert request.headers["x-agentmark-app-id"] == "app_1"


@pytest.mark.parametrize("key", [{}, {"AGENTMARK_API_KEY": "am_live_1"}])
def test_what_is_meant_for_another_backend_does_not_reach_ours(
    run: Run, collector: Any, tmp_path: Any, key: Any
) -> None:
    """Another vendor's OTEL_EXPORTER_OTLP_* settings and ~/.netrc neither redirect nor reach our requests."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login secret password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    run(
        TRACE,
        AGENTMARK_BASE_URL=collector.url,
        HOME=str(tmp_path),
        HTTP_PROXY="http://127.0.0.1:1",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://127.0.0.1:1/x",
        OTEL_EXPORTER_OTLP_HEADERS="x-api-key=secret,authorization=Bearer%20secret",
        OTEL_EXPORTER_OTLP_TRACES_HEADERS="x-team=secret,authorization=Bearer%20secret",
        OTEL_EXPORTER_OTLP_TIMEOUT="soon",
        OTEL_EXPORTER_OTLP_COMPRESSION="none",
        OTEL_EXPORTER_OTLP_CERTIFICATE="/nowhere",
        OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE="/nowhere",
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE="1000000",
        OTEL_BSP_SCHEDULE_DELAY="never",
        **key,
    )
    [request] = collector.requests
    assert [span.name for span in request.spans] == ["job"]
    assert "secret" not in str(request.headers)
    assert request.headers["content-encoding"] == "gzip"
    assert request.headers.get("authorization") == ("Bearer am_live_1" if key else None)


def test_an_applications_own_provider_is_kept(run: Run, collector: Any) -> None:
    """A provider set before the first use stays the global one and keeps its exporter; ours is added once."""
    ended = run(
        """
        import threading
        from opentelemetry import trace as otel
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from agentmark_sdk import trace
        kept = InMemorySpanExporter()
        mine = TracerProvider(resource=Resource({"service.name": "app"}), shutdown_on_exit=False)
        mine.add_span_processor(SimpleSpanProcessor(kept))
        otel.set_tracer_provider(mine)
        def work():
            with trace("job", session_id="s"), otel.get_tracer("lib").start_as_current_span("call"): pass
        threads = [threading.Thread(target=work) for _ in range(8)]
        for t in threads: t.start()
        for t in threads: t.join()
        print(otel.get_tracer_provider() is mine, len(kept.get_finished_spans()))
        """,
        AGENTMARK_BASE_URL=collector.url,
    )
    assert (ended.out.split(), ended.err) == (["True", "16"], "")
    assert len(collector.spans) == 16
    assert {span.resource["service.name"] for span in collector.spans} == {"app"}
    assert {span.attributes["agentmark.session_id"] for span in collector.spans} == {"s"}


def test_without_a_provider_ours_becomes_the_global_one(run: Run, collector: Any) -> None:
    """Libraries that asked for a tracer before the first use record through the provider that we set."""
    run(
        """
        from opentelemetry import trace as otel
        early = otel.get_tracer("early.library")
        from agentmark_sdk import session
        with session(session_id="s"), early.start_as_current_span("call"): pass
        """,
        AGENTMARK_BASE_URL=collector.url,
    )
    [span] = collector.spans
    assert (span.name, span.scope, span.attributes["agentmark.session_id"]) == ("call", "early.library", "s")


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, "program"),
        ({"OTEL_SERVICE_NAME": "mine"}, "mine"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=theirs,team=a"}, "theirs"),
    ],
)
def test_the_service_has_a_name(run: Run, collector: Any, env: dict[str, str], expected: str) -> None:
    """The service is named as OpenTelemetry's variables say, and else after the program."""
    run(TRACE, AGENTMARK_BASE_URL=collector.url, **env)
    assert [span.resource["service.name"] for span in collector.spans] == [expected]


def test_a_foreign_provider_is_left_alone(run: Run, collector: Any) -> None:
    """Beside a global provider that takes no processors trace() still records, with one warning."""
    ended = run(
        """
        from opentelemetry import trace as otel
        otel.set_tracer_provider(otel.NoOpTracerProvider())
        from agentmark_sdk import trace
        for n in range(2):
            with trace("job", session_id="s") as ctx, ctx.span("step"): pass
        """,
        AGENTMARK_BASE_URL=collector.url,
    )
    assert sorted(span.name for span in collector.spans) == ["job", "job", "step", "step"]
    assert ended.err.count("\n") == 1
    assert "NoOpTracerProvider" in ended.err


def test_a_forked_worker_records_on_its_own(run: Run, collector: Any) -> None:
    """Children forked after the first use send their own spans, and none of the parent's a second time."""
    ended = run(
        """
        import os, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forking beside threads
        from agentmark_sdk import flush, trace
        with trace("sent"): pass
        flush()
        with trace("waiting"): pass
        children = []
        for n in range(3):
            if not (child := os.fork()):
                with trace(f"child-{n}"): pass
                raise SystemExit
            children.append(child)
        for child in children: os.waitpid(child, 0)
        """,
        AGENTMARK_BASE_URL=collector.url,
    )
    assert ended.err == ""
    assert sorted(span.name for span in collector.spans) == [
        "child-0",
        "child-1",
        "child-2",
        "sent",
        "waiting",
    ]


def test_our_own_requests_are_not_recorded(run: Run, collector: Any) -> None:
    """Our sending makes no spans, whether an HTTP instrumentation respects suppression or not."""
    run(
        """
        import requests
        from opentelemetry import context, trace as otel
        from agentmark_sdk import flush, trace
        stock = requests.adapters.HTTPAdapter.send
        def send(self, *args, **options):
            if not context.get_value(context._SUPPRESS_INSTRUMENTATION_KEY):
                otel.get_tracer("polite").start_span("polite POST").end()
            otel.get_tracer("rude").start_span("rude POST").end()
            return stock(self, *args, **options)
        requests.adapters.HTTPAdapter.send = send
        for n in range(3):
            with trace("job"): pass
            assert flush()
        """,
        AGENTMARK_BASE_URL=collector.url,
    )
    assert [span.name for span in collector.spans] == ["job"] * 3
