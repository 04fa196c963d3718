"""Our own attributes, as `agentmark_sdk` writes them."""

from typing import Final

from agentmark_sdk import attributes
from agentmark_server.conventions.rules import Rule, preview, text, texts

_METADATA: Final = attributes.METADATA_PREFIX

SPAN: Final = {
    attributes.SESSION_ID: Rule("application_key", text),
    _METADATA + "session_id": Rule("application_key", text, rank=4),
    _METADATA + "sessionId": Rule("application_key", text, rank=4),
    attributes.SESSION_NAME: Rule("session_name", text),
    _METADATA + "session_name": Rule("session_name", text, rank=1),
    _METADATA + "sessionName": Rule("session_name", text, rank=1),
    attributes.USER_ID: Rule("user_id", text),
    _METADATA + "user_id": Rule("user_id", text, rank=1),
    _METADATA + "userId": Rule("user_id", text, rank=1),
    attributes.TRACE_NAME: Rule("trace_name", text),
    attributes.TAGS: Rule("tags", texts),
    attributes.INPUT: Rule("input", preview),
    attributes.OUTPUT: Rule("output", preview),
}

METADATA_PREFIX: Final = _METADATA
