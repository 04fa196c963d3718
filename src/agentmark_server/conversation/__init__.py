"""A session as people had it: the spans of its traces to turns. Pure functions of the set of spans.

A turn is one user message and all that answers it. The law is in docs/conversation.md.

`recorded` reads what spans say; `tree` and `scope` find what is one dialogue and what lies below it, `threads`
what each call of a model adds to it, `tools` which span ran for which call, `levels` the order of it all; `drafts`
cuts it into turns, and `steps` and `turns` make of it the `shapes` that are shown.
"""

from agentmark_server.conversation.content import LIMIT
from agentmark_server.conversation.recorded import Recorded, recorded
from agentmark_server.conversation.shapes import Conversation, Part, Step, Thread, Turn
from agentmark_server.conversation.turns import Before, after, chained, continued, turns

__all__ = [
    "LIMIT",
    "Before",
    "Conversation",
    "Part",
    "Recorded",
    "Step",
    "Thread",
    "Turn",
    "after",
    "chained",
    "continued",
    "recorded",
    "turns",
]
