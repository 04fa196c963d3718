"""A model server on loopback that answers as OpenAI, Anthropic and Gemini do, by a script, and keeps a ledger.

Its answers and token counts are a function of the request alone. What it answered is the truth that a recording
is held against: one ledger entry for each request to a model.
"""

import base64
import json
import re
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

CREATED = 1_790_000_000
SCRIPT = (
    ("hello", "Hello! I am the order desk. How can I help you today?"),
    ("thank", "You are welcome. Is there anything else?"),
    ("title", "A question about an order"),
)


@dataclass(frozen=True)
class Request:
    """What every API's request comes down to: who spoke last, what tools there are, how long it is."""

    model: str
    last_user: str
    tool_result: str | None  # set when the last message is the result of a tool
    user_messages: int
    tools: dict[str, dict[str, Any]]
    schema: dict[str, Any] | None
    stream: bool
    stream_usage: bool
    size: int


@dataclass(frozen=True)
class Answer:
    """A text, or the call of a tool."""

    text: str
    tool: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tokens:
    """Totals: `cached` and `written` are within `input`, `reasoning` is within `output`."""

    input: int
    output: int
    cached: int
    written: int
    reasoning: int


class RefusedError(Exception):
    """The request that the script refuses: too long for the model."""


def example(name: str, schema: dict[str, Any], said: str, root: dict[str, Any]) -> Any:
    """A value that fits a JSON schema, taken from what the user said where that can be."""
    if "$ref" in schema:
        return example(name, root.get("$defs", {}).get(schema["$ref"].rsplit("/", 1)[-1], {}), said, root)
    if "anyOf" in schema:
        return example(name, schema["anyOf"][0], said, root)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = str(kind[0] if isinstance(kind, list) else kind).lower()
    if kind == "object":
        wanted = schema.get("required") or list(schema.get("properties", {}))
        return {key: example(key, schema["properties"][key], said, root) for key in wanted}
    if kind == "array":
        return [example(name, schema.get("items", {}), said, root)]
    plain = {"integer": 1, "number": 0.5, "boolean": True, "null": None}
    if kind in plain:
        return plain[kind]
    order = re.search(r"[A-Z]-\d+", said)
    return order.group() if order and ("id" in name or "order" in name) else said


def decide(request: Request) -> Answer:
    """What the script says: a tool whose name the user mentions, then an answer with the tool's result."""
    said = request.last_user
    if "too long" in said:
        raise RefusedError
    if request.tool_result is not None:
        return Answer(f"Here is what I found: {request.tool_result}")
    if request.schema is not None:
        return Answer(json.dumps(example("", request.schema, said, request.schema)))
    words = set(re.findall(r"[a-z]+", said.lower()))
    scores = {name: len(words & set(re.findall(r"[a-z]+", name.lower()))) for name in request.tools}
    best = max(scores, key=lambda name: scores[name], default="")
    if best and scores[best]:
        schema = request.tools[best]
        return Answer("", best, example("", schema, said, schema) or {})
    return Answer(next((text for word, text in SCRIPT if word in said.lower()), f"I have noted: {said}"))


def count(request: Request, answer: Answer) -> Tokens:
    """Tokens as a function of the request: a longer one costs more, a continued one is half in the cache."""
    continued = request.user_messages > 1 or request.tool_result is not None
    total = request.size // 4 + 11
    reply = (len(answer.text) + len(json.dumps(answer.arguments))) // 4 + 16
    return Tokens(total, reply, total // 2 if continued else 0, 0 if continued else total // 4, reply // 4)


def text_of(content: Any) -> str:
    """The text of a message's content, in any of the shapes that the APIs know."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(filter(None, map(text_of, content)))
    if isinstance(content, dict):
        return text_of(content.get("text") or content.get("content") or content.get("output") or "")
    return "" if content is None else str(content)


def read_chat(body: dict[str, Any]) -> Request:
    """OpenAI chat completions."""
    messages = body["messages"]
    last = messages[-1]
    form = body.get("response_format") or {}
    return Request(
        model=body["model"],
        last_user=next((text_of(m["content"]) for m in reversed(messages) if m["role"] == "user"), ""),
        tool_result=text_of(last["content"]) if last["role"] == "tool" else None,
        user_messages=sum(m["role"] == "user" for m in messages),
        tools={t["function"]["name"]: t["function"].get("parameters") or {} for t in body.get("tools") or []},
        schema=form.get("json_schema", {}).get("schema") if form.get("type") == "json_schema" else None,
        stream=bool(body.get("stream")),
        stream_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        size=len(json.dumps([messages, body.get("tools")])),
    )


def read_responses(body: dict[str, Any]) -> Request:
    """OpenAI responses."""
    given = body["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    last = items[-1]
    users = [text_of(i.get("content")) for i in items if i.get("role") == "user"]
    form = (body.get("text") or {}).get("format") or {}
    return Request(
        model=body["model"],
        last_user=users[-1] if users else "",
        tool_result=text_of(last["output"]) if last.get("type") == "function_call_output" else None,
        user_messages=len(users),
        tools={t["name"]: t.get("parameters") or {} for t in body.get("tools") or [] if t["type"] == "function"},
        schema=form.get("schema") if form.get("type") == "json_schema" else None,
        stream=bool(body.get("stream")),
        stream_usage=True,
        size=len(json.dumps([items, body.get("instructions"), body.get("tools")])),
    )


def read_anthropic(body: dict[str, Any]) -> Request:
    """Anthropic messages."""
    messages = body["messages"]

    def results(message: dict[str, Any]) -> list[str]:
        parts = message["content"] if isinstance(message["content"], list) else []
        return [text_of(p.get("content")) for p in parts if p.get("type") == "tool_result"]

    spoken = [m for m in messages if m["role"] == "user" and not results(m)]
    answered = results(messages[-1])
    return Request(
        model=body["model"],
        last_user=text_of(spoken[-1]["content"]) if spoken else "",
        tool_result=answered[-1] if answered else None,
        user_messages=len(spoken),
        tools={t["name"]: t.get("input_schema") or {} for t in body.get("tools") or []},
        schema=None,
        stream=bool(body.get("stream")),
        stream_usage=True,
        size=len(json.dumps([messages, body.get("system"), body.get("tools")])),
    )


GEMINI_SCHEMAS = ("parameters", "parametersJsonSchema", "parameters_json_schema")


def read_gemini(body: dict[str, Any], model: str, *, stream: bool) -> Request:
    """Gemini generateContent."""
    contents = body["contents"]

    def result(content: dict[str, Any]) -> str | None:
        found = [p["functionResponse"] for p in content["parts"] if "functionResponse" in p]
        return json.dumps(found[-1].get("response")) if found else None

    spoken = [c for c in contents if c.get("role", "user") == "user" and result(c) is None]
    declared = [f for tool in body.get("tools") or [] for f in tool.get("functionDeclarations") or []]
    return Request(
        model=model,
        last_user=text_of(spoken[-1]["parts"]) if spoken else "",
        tool_result=result(contents[-1]),
        user_messages=len(spoken),
        tools={f["name"]: next((f[key] for key in GEMINI_SCHEMAS if f.get(key)), {}) for f in declared},
        schema=None,
        stream=stream,
        stream_usage=True,
        size=len(json.dumps([contents, body.get("systemInstruction"), body.get("tools")])),
    )


Events = list[dict[str, Any]]


def dated(model: str) -> str:
    """The name under which OpenAI says that a model answered: one with a date, that price tables know."""
    return {"gpt-4o-mini": "gpt-4o-mini-2024-07-18", "gpt-4o": "gpt-4o-2024-08-06"}.get(model, model)


def write_chat(request: Request, answer: Answer, tokens: Tokens, ident: str) -> tuple[Any, dict[str, Any] | None]:
    """The body of a chat completion (or its chunks), and the usage as it stands there."""
    usage = {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning, "audio_tokens": 0},
    }
    call = {
        "id": f"call_{ident}",
        "type": "function",
        "function": {"name": answer.tool, "arguments": json.dumps(answer.arguments)},
    }
    reason = "tool_calls" if answer.tool else "stop"
    head = {"id": f"chatcmpl-{ident}", "created": CREATED, "model": dated(request.model)}
    if not request.stream:
        message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": None}
        if answer.tool:
            message["tool_calls"] = [call]
        choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
        return {**head, "object": "chat.completion", "choices": [choice], "usage": usage}, usage
    head["object"] = "chat.completion.chunk"
    deltas: Events = [{"role": "assistant", "content": ""}]
    if answer.tool:
        deltas += [{"tool_calls": [{"index": 0, **call}]}]
    else:
        deltas += [{"content": word} for word in re.findall(r"\S+\s*", answer.text)]
    choices: Events = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": reason})
    chunks: Events = [{**head, "choices": [choice]} for choice in choices]
    if request.stream_usage:
        chunks.append({**head, "choices": [], "usage": usage})
    return [("", chunk) for chunk in chunks], usage if request.stream_usage else None


def write_responses(request: Request, answer: Answer, tokens: Tokens, ident: str) -> tuple[Any, dict[str, Any]]:
    """The body of a response (or its events), and the usage as it stands there."""
    usage = {
        "input_tokens": tokens.input,
        "input_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": 0},
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.input + tokens.output,
    }
    part = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
    item: dict[str, Any]
    if answer.tool:
        arguments = json.dumps(answer.arguments)
        item = {"type": "function_call", "id": f"fc_{ident}", "call_id": f"call_{ident}", "name": answer.tool}
        item |= {"arguments": arguments, "status": "completed"}
    else:
        item = {"type": "message", "id": f"msg_{ident}", "role": "assistant", "content": [part]}
        item |= {"status": "completed"}
    whole = {"id": f"resp_{ident}", "object": "response", "created_at": CREATED, "status": "completed"}
    whole |= {"model": dated(request.model), "output": [item], "parallel_tool_calls": True, "error": None}
    whole |= {"tool_choice": "auto", "tools": [], "usage": usage, "incomplete_details": None, "instructions": None}
    whole |= {"metadata": {}, "temperature": 1.0, "top_p": 1.0}
    if not request.stream:
        return whole, usage
    place = {"item_id": item["id"], "output_index": 0}
    started = {**whole, "status": "in_progress", "output": [], "usage": None}
    events: Events = [{"type": "response.created", "response": started}]
    begun = {**item, "status": "in_progress"} | ({"arguments": ""} if answer.tool else {"content": []})
    events.append({"type": "response.output_item.added", "output_index": 0, "item": begun})
    if answer.tool:
        kind = "response.function_call_arguments"
        events.append({"type": f"{kind}.delta", **place, "delta": item["arguments"]})
        events.append({"type": f"{kind}.done", **place, "arguments": item["arguments"], "name": answer.tool})
    else:
        place["content_index"] = 0
        events.append({"type": "response.content_part.added", **place, "part": {**part, "text": ""}})
        for word in re.findall(r"\S+\s*", answer.text):
            events.append({"type": "response.output_text.delta", **place, "delta": word, "logprobs": []})
        events.append({"type": "response.output_text.done", **place, "text": answer.text, "logprobs": []})
        events.append({"type": "response.content_part.done", **place, "part": part})
    events.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    events.append({"type": "response.completed", "response": whole})
    return [(e["type"], {**e, "sequence_number": n}) for n, e in enumerate(events)], usage


def write_anthropic(request: Request, answer: Answer, tokens: Tokens, ident: str) -> tuple[Any, dict[str, Any]]:
    """The body of a message (or its events); here the cached tokens stand beside the input, not within it."""
    usage = {
        "input_tokens": tokens.input - tokens.cached - tokens.written,
        "cache_creation_input_tokens": tokens.written,
        "cache_read_input_tokens": tokens.cached,
        "output_tokens": tokens.output,
        "service_tier": "standard",
    }
    block: dict[str, Any] = {"type": "text", "text": answer.text}
    if answer.tool:
        block = {"type": "tool_use", "id": f"toolu_{ident}", "name": answer.tool, "input": answer.arguments}
    reason = "tool_use" if answer.tool else "end_turn"
    head = {"id": f"msg_{ident}", "type": "message", "role": "assistant", "model": request.model}
    head |= {"stop_sequence": None}
    if not request.stream:
        return {**head, "content": [block], "stop_reason": reason, "usage": usage}, usage
    begun = {**head, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    events: Events = [{"type": "message_start", "message": begun}]
    empty = {**block, "input": {}} if answer.tool else {**block, "text": ""}
    events.append({"type": "content_block_start", "index": 0, "content_block": empty})
    deltas: Events = [{"type": "text_delta", "text": word} for word in re.findall(r"\S+\s*", answer.text)]
    if answer.tool:
        deltas = [{"type": "input_json_delta", "partial_json": json.dumps(answer.arguments)}]
    events += [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    events.append({"type": "content_block_stop", "index": 0})
    stop = {"stop_reason": reason, "stop_sequence": None}
    events.append({"type": "message_delta", "delta": stop, "usage": {"output_tokens": tokens.output}})
    events.append({"type": "message_stop"})
    return [(e["type"], e) for e in events], usage


def write_gemini(request: Request, answer: Answer, tokens: Tokens, ident: str) -> tuple[Any, dict[str, Any]]:
    """The body of a generateContent reply; here the thoughts stand beside the candidates' tokens."""
    usage = {
        "promptTokenCount": tokens.input,
        "candidatesTokenCount": tokens.output - tokens.reasoning,
        "thoughtsTokenCount": tokens.reasoning,
        "cachedContentTokenCount": tokens.cached,
        "totalTokenCount": tokens.input + tokens.output,
    }
    part: dict[str, Any] = {"text": answer.text}
    if answer.tool:
        part = {"functionCall": {"name": answer.tool, "args": answer.arguments}}
    whole = {
        "candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}],
        "usageMetadata": usage,
        "modelVersion": request.model,
        "responseId": ident,
    }
    return ([("", whole)] if request.stream else whole), usage


def embed(body: dict[str, Any]) -> dict[str, Any]:
    """Embeddings of eight numbers each."""
    given = body["input"] if isinstance(body["input"], list) else [body["input"]]
    data = []
    for index, text in enumerate(given):
        vector = [((len(str(text)) * (n + 3)) % 17) / 17 for n in range(8)]
        packed: Any = vector
        if body.get("encoding_format") == "base64":
            packed = base64.b64encode(struct.pack("<8f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": packed})
    tokens = sum(len(str(text)) for text in given) // 4 + 1
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


class Handler(BaseHTTPRequestHandler):
    """One request to the fake models."""

    protocol_version = "HTTP/1.1"
    server: "ModelServer"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Say nothing: the ledger says it."""

    def do_GET(self) -> None:
        """The list of models, for clients that ask."""
        self.reply(200, {"object": "list", "data": [{"id": "gpt-4o-mini", "object": "model"}]})

    def do_POST(self) -> None:
        """Answer one request of any of the APIs."""
        body = json.loads(self.body() or b"{}")
        path = urlsplit(self.path).path
        if path.endswith("/embeddings"):
            reply = embed(body)
            tokens = Tokens(reply["usage"]["prompt_tokens"], 0, 0, 0, 0)
            self.server.enter("embeddings", body["model"], None, tokens, reply["usage"], streamed=False)
            self.reply(200, reply)
            return
        gemini = re.search(r"/models/([^/:]+):(generateContent|streamGenerateContent)$", path)
        if path.endswith("/chat/completions"):
            self.answer("chat.completions", read_chat(body), write_chat, "chatcmpl-")
        elif path.endswith("/responses"):
            self.answer("responses", read_responses(body), write_responses, "resp_")
        elif path.endswith("/messages"):
            self.answer("messages", read_anthropic(body), write_anthropic, "msg_")
        elif gemini:
            streams = gemini[2].startswith("stream")
            self.answer("generateContent", read_gemini(body, gemini[1], stream=streams), write_gemini, "")
        else:
            self.reply(404, {"error": {"message": f"no such path: {path}"}})

    def body(self) -> bytes:
        """The request's body, however long it says that it is."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, api: str, request: Request, write: Any, prefix: str) -> None:
        """Decide, enter it in the ledger, and reply whole or as a stream."""
        try:
            answer = decide(request)
        except RefusedError:
            self.server.enter(api, request.model, None, None, None, streamed=request.stream)
            error = {
                "message": "This request is longer than the context.",
                "type": "invalid_request_error",
            }
            self.reply(400, {"type": "error", "error": {**error, "code": "context_length_exceeded"}})
            return
        tokens = count(request, answer)
        ident = self.server.next_id()
        reply, usage = write(request, answer, tokens, ident)
        self.server.enter(api, request.model, prefix + ident, tokens, usage, streamed=request.stream)
        if isinstance(reply, list):
            end = api == "chat.completions"
            self.stream(reply, b"data: [DONE]\n\n" if end else b"")
        else:
            self.reply(200, reply)

    def reply(self, status: int, body: dict[str, Any]) -> None:
        """One JSON body."""
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self, events: list[tuple[str, dict[str, Any]]], end: bytes) -> None:
        """Server-sent events, closed by the end of the connection."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for name, event in events:
            head = f"event: {name}\n" if name else ""
            self.wfile.write(f"{head}data: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
        self.wfile.write(end)


class ModelServer(ThreadingHTTPServer):
    """The server with its ledger; `url` is where it listens."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ledger: list[dict[str, Any]] = []
        self.lock = threading.Lock()
        self.ids = 0
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def next_id(self) -> str:
        """An id that looks like one, the same in each recording."""
        with self.lock:
            self.ids += 1
            return f"Rec{self.ids:04d}{self.ids * 7919 % 99991:05d}"

    def enter(
        self,
        api: str,
        model: str,
        ident: str | None,
        tokens: Tokens | None,
        usage: dict[str, Any] | None,
        *,
        streamed: bool,
    ) -> None:
        """Write one request into the ledger: the totals, and the usage as it went over the wire (or none)."""
        known = tokens or Tokens(0, 0, 0, 0, 0)
        entry = {
            "api": api,
            "model": model,
            "id": ident,
            "streamed": streamed,
            "failed": tokens is None,
            "input_tokens": known.input,
            "output_tokens": known.output,
            "cached_tokens": known.cached,
            "cache_write_tokens": known.written if api == "messages" else 0,
            "reasoning_tokens": 0 if api == "messages" else known.reasoning,
            "usage_on_wire": usage,
        }
        with self.lock:
            self.ledger.append(entry)
