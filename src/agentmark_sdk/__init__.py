"""Records what a program does with language models, as OpenTelemetry spans grouped into sessions.

`trace()` records one piece of work, `session()` says whose it is, `flush()` sends what is waiting. Nothing
needs to be set up: the first use starts recording, as the environment says (see `agentmark_sdk._setup`).
"""

from agentmark_sdk._setup import flush
from agentmark_sdk._trace import TraceContext, session, trace

__all__ = ["TraceContext", "flush", "session", "trace"]
