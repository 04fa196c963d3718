"""Our own attributes, as `agentmark_sdk` writes them, and those of programs written for AgentMark before it."""

from typing import Final

from agentmark_sdk import attributes
from agentmark_server.conventions.rules import KEY, OWN, SESSION, Prefixes, Rule, Table, preview, text, texts

_METADATA: Final = attributes.METADATA_PREFIX

SPAN: Final[Table] = {
    attributes.SESSION_ID: Rule(KEY, text, rank=OWN),
    _METADATA + "session_id": Rule(KEY, text, rank=SESSION),
    _METADATA + "sessionId": Rule(KEY, text, rank=SESSION),
    attributes.SESSION_NAME: Rule("session_name", text),
    _METADATA + "session_name": Rule("session_name", text, rank=1),
    _METADATA + "sessionName": Rule("session_name", text, rank=1),
    attributes.USER_ID: Rule("user_id", text),
    _METADATA + "user_id": Rule("user_id", text, rank=1),
    _METADATA + "userId": Rule("user_id", text, rank=1),
    attributes.SESSION_OUTCOME: Rule("outcome", text),
    attributes.TRACE_NAME: Rule("trace_name", text),
    attributes.PROMPT_NAME: Rule("prompt_name", text),
    attributes.TAGS: Rule("tags", texts),
    attributes.INPUT: Rule("input", preview),
    attributes.OUTPUT: Rule("output", preview),
    "agentmark.request.input": Rule("input", preview, rank=1),
    "agentmark.response.output": Rule("output", preview, rank=1),
    "gen_ai.request.input": Rule("input", preview, rank=2),
    "gen_ai.response.output": Rule("output", preview, rank=2),
}

PREFIXES: Final[Prefixes] = {_METADATA: "metadata"}
