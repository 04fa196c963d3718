"""Wire names of span attributes: what the SDK writes and the server reads, and nothing else."""

from typing import Final

SESSION_ID: Final = "agentmark.session_id"
SESSION_NAME: Final = "agentmark.session_name"
SESSION_OUTCOME: Final = "agentmark.session_outcome"
USER_ID: Final = "agentmark.user_id"
TRACE_NAME: Final = "agentmark.trace_name"
TAGS: Final = "agentmark.tags"
"""A JSON list of strings, in a string."""
METADATA_PREFIX: Final = "agentmark.metadata."
"""One attribute for each key; a value that is not a string, number or boolean is JSON in a string."""
PROMPT_NAME: Final = "agentmark.prompt_name"
PROPS: Final = "agentmark.props"
INPUT: Final = "agentmark.input"
OUTPUT: Final = "agentmark.output"
"""Text as it is; anything else as JSON in a string."""

CONVERSATION_ID: Final = "gen_ai.conversation.id"
"""OpenTelemetry's own name for a session; `trace()` sets it beside `agentmark.session_id`."""
