"""Sending: telemetry never breaks a program or holds it up, and what is lost is counted and said once."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

Run = Callable[..., Any]

TRACE = """
    from agentmark_sdk import flush, trace
    with trace("job", session_id="s1") as ctx:
        pass
"""
MANY = """
    import time
    from agentmark_sdk import flush, trace
    begun = time.monotonic()
    for n in range(5000):
        with trace("job", session_id="s1") as ctx:
            ctx.set_input("x" * 100)
    print(time.monotonic() - begun)
"""


def test_without_a_server_a_script_ends_at_once_with_one_line(run: Run) -> None:
    """No server costs no exception and no waiting; one line counts the lost, and says what to do."""
    ended = run(MANY, AGENTMARK_API_PORT="1")
    assert ended.code == 0
    assert ended.seconds < 4
    assert ended.err == (
        "agentmark: 5000 spans could not be sent to http://127.0.0.1:1/v1/traces (Connection refused). "
        "Is the server running? Start it with: agentmark dev\n"
    )


def test_a_long_program_without_a_server_is_told_once(run: Run) -> None:
    """Batch after batch lost is one line, and flush() is False for it."""
    ended = run(
        """
        import agentmark_sdk._export
        agentmark_sdk._export.RETRY_SECONDS = (0.01,)
        from agentmark_sdk import flush, trace
        for n in range(5):
            with trace("job"): pass
            print(flush())
        """,
        AGENTMARK_API_PORT="1",
    )
    assert ended.out.split() == ["False"] * 5
    assert ended.err.count("\n") == 1


def test_flush_obeys_its_time(run: Run) -> None:
    """flush() returns False when its time is up, though sending is still being tried."""
    ended = run(
        TRACE
        + """
    import time
    begun = time.monotonic()
    print(flush(timeout_seconds=0.3), time.monotonic() - begun)
""",
        AGENTMARK_API_PORT="1",
    )
    said, seconds = ended.out.split()
    assert said == "False"
    assert 0.25 < float(seconds) < 1
    assert ended.seconds < 4
    assert ended.err.count("\n") == 1


def test_flush_says_that_all_was_acknowledged(run: Run, collector: Any) -> None:
    """flush() is True once the server has every span, and the server has them then."""
    ended = run(
        MANY + "    print(flush(), flush())\n    import os; os._exit(0)\n", AGENTMARK_BASE_URL=collector.url
    )
    assert ended.out.split()[1:] == ["True", "True"]
    assert len(collector.spans) == 5000


def test_a_slow_server_costs_the_program_nothing(run: Run, collector: Any, answer: Any) -> None:
    """While a server takes its time, user code goes on at once; only the exit waits for it."""
    collector.answer = answer(seconds=1.0)
    ended = run(MANY, AGENTMARK_BASE_URL=collector.url)
    assert float(ended.out) < 2
    assert ended.seconds < 10
    assert collector.spans


def test_a_hung_server_holds_an_exit_for_seconds_only(run: Run, collector: Any, answer: Any) -> None:
    """A server that accepts and never answers costs an exit five seconds and one line."""
    collector.answer = answer(status=500, seconds=30)
    ended = run(TRACE, AGENTMARK_BASE_URL=collector.url)
    assert 4 < ended.seconds < 9
    assert ended.err.count("\n") == 1
    assert "1 span could not be sent" in ended.err


def test_a_full_queue_drops_counts_and_waits_for_nothing(run: Run, collector: Any, answer: Any) -> None:
    """What ends while the queue is full is lost without waiting, and counted exactly, in one line."""
    collector.answers = [answer(seconds=4)]
    ended = run(MANY.replace("5000", "12000"), AGENTMARK_BASE_URL=collector.url)
    [lost] = re.findall(r"agentmark: (\d+) spans could not be sent", ended.err)
    assert float(ended.out) < 3.5
    assert ended.err.count("\n") == 1
    assert "more than 8192 were waiting" in ended.err
    assert int(lost) + len(collector.spans) == 12000


def test_a_busy_server_is_asked_again_even_at_exit(run: Run, collector: Any, answer: Any) -> None:
    """A 503 with Retry-After is waited for, and a short script loses nothing by it."""
    collector.answers = [answer(status=503, headers={"Retry-After": "1"})]
    ended = run(TRACE, AGENTMARK_BASE_URL=collector.url)
    assert (ended.err, [span.name for span in collector.spans]) == ("", ["job"])


def test_a_server_that_comes_back_gets_what_waited(run: Run, collector: Any) -> None:
    """Spans recorded while the server is away are kept and arrive when it is back."""
    ended = run(
        f"""
        import socket, threading, time
        from agentmark_sdk import flush, trace
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        import os; os.environ["AGENTMARK_API_PORT"] = str(port)
        with trace("job"): pass
        def relay():
            time.sleep(0.5)
            listener = socket.create_server(("127.0.0.1", port))
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", {collector.port}))
            def copy(a, b):
                while data := a.recv(65536): b.sendall(data)
            threading.Thread(target=copy, args=(client, server), daemon=True).start()
            copy(server, client)
        threading.Thread(target=relay, daemon=True).start()
        print(flush(8)); os._exit(0)
        """
    )
    assert ended.out.split() == ["True"]
    assert [span.name for span in collector.spans] == ["job"]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "(HTTP 401 Unauthorized). Check AGENTMARK_API_KEY and AGENTMARK_APP_ID."),
        (400, "(HTTP 400 Bad Request)."),
        (404, "(HTTP 404 Not Found)."),
        (302, "(HTTP 302 Found)."),
    ],
)
def test_a_refusal_is_final_and_says_why(run: Run, collector: Any, answer: Any, status: int, said: str) -> None:
    """A refusal, or a redirection elsewhere, is not repeated or followed; its status is in the one line."""
    collector.answer = answer(status=status, headers={"Location": collector.url + "/elsewhere"})
    ended = run(TRACE + "    print(flush())\n", AGENTMARK_BASE_URL=collector.url, AGENTMARK_API_KEY="am_live_1")
    assert ended.out.strip() == "False"
    assert ended.err == f"agentmark: 1 span could not be sent to {collector.url}/v1/traces {said}\n"
    assert [request.path for request in collector.requests] == ["/v1/traces"]


def test_spans_that_the_server_rejects_are_counted(run: Run, collector: Any, answer: Any) -> None:
    """A partial success counts its rejected spans as lost, with the server's reason."""
    reply = ExportTraceServiceResponse()
    reply.partial_success.rejected_spans = 1
    reply.partial_success.error_message = "deleted session"
    collector.answer = answer(body=reply.SerializeToString())
    ended = run(TRACE + "    print(flush())\n", AGENTMARK_BASE_URL=collector.url)
    assert ended.out.strip() == "False"
    assert "1 span could not be sent" in ended.err
    assert "(deleted session)." in ended.err


def test_one_span_that_cannot_be_encoded_does_not_cost_the_others(run: Run, collector: Any) -> None:
    """A span that protobuf refuses, of some library, is lost alone."""
    ended = run(
        """
        from opentelemetry import trace as otel
        from agentmark_sdk import flush, trace
        with trace("job") as ctx:
            for n in range(20):
                otel.get_tracer("lib").start_span("\\ud800" if n == 7 else "good").end()
        print(flush())
        """,
        AGENTMARK_BASE_URL=collector.url,
    )
    assert [span.name for span in collector.spans].count("good") == 19
    assert ended.out.strip() == "False"
    assert ended.err.count("\n") == 1
    assert "1 span could not be sent" in ended.err


def test_a_batch_over_the_servers_limit_is_divided(run: Run, collector: Any, answer: Any) -> None:
    """413 for a batch makes it two smaller ones, so that only what is too large by itself is lost."""
    collector.answers = [answer(status=413)]
    ended = run(TRACE + TRACE, AGENTMARK_BASE_URL=collector.url)
    assert (ended.err, len(collector.spans)) == ("", 2)
    assert [len(request.spans) for request in collector.requests] == [0, 1, 1]


def test_another_exporters_log_lines_are_kept(run: Run, collector: Any, answer: Any) -> None:
    """We silence the stock exporter's log for our own sending, never for an exporter of the program's own."""
    collector.answer = answer(status=400)
    ended = run(
        f"""
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from agentmark_sdk import trace
        with trace("job"): pass
        OTLPSpanExporter("{collector.url}/theirs").export([])
        """,
        AGENTMARK_BASE_URL=collector.url,
    )
    assert ended.err.count("Failed to export") == 1
    assert ended.err.count("agentmark: 1 span could not be sent") == 1


def test_a_password_in_the_address_is_not_logged(run: Run) -> None:
    """The one line shows the address without a user and password."""
    ended = run(TRACE, AGENTMARK_BASE_URL="http://me:secret@127.0.0.1:1")
    assert "http://127.0.0.1:1/v1/traces" in ended.err
    assert "secret" not in ended.err
