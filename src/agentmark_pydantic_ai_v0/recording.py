"""Whether and how a run is recorded. pydantic-ai's own instrumentation makes the spans."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from pydantic_ai import Agent
from pydantic_ai.models.instrumented import InstrumentationSettings

from agentmark_prompts import Telemetry
from agentmark_pydantic_ai_v0.params import PydanticAIParams
from agentmark_sdk.runs import current_session_id, is_inside_trace, prompt_run, unrecorded

_FORMAT: Final = 5
"""Of pydantic-ai's spans: the current one, which its releases 1.107 and later write."""


@dataclass(frozen=True)
class Recording:
    """What pydantic-ai is told for one run: None leaves it to the program's own settings."""

    instrument: InstrumentationSettings | bool | None = None
    conversation_id: str | None = None


@contextmanager
def recording(params: PydanticAIParams) -> Iterator[Recording]:
    """Record what runs in the block as its prompt's telemetry says.

    Without telemetry it is recorded inside a `trace()`, and outside as far as the program itself instruments
    pydantic-ai. Telemetry that is off records nothing, whatever is around the run.
    """
    telemetry = params.telemetry
    if telemetry and not telemetry.is_enabled:
        with unrecorded():
            yield Recording(instrument=False)
    elif telemetry or is_inside_trace():
        with _recorded(params, telemetry or Telemetry()) as how:
            yield how
    else:
        yield Recording()


@contextmanager
def _recorded(params: PydanticAIParams, telemetry: Telemetry) -> Iterator[Recording]:
    with prompt_run(
        prompt_name=params.name,
        props=params.props if telemetry.record_content else None,
        trace_name=telemetry.function_id,
        session_id=telemetry.session_id,
        session_name=telemetry.session_name,
        user_id=telemetry.user_id,
        metadata=telemetry.metadata,
        tags=telemetry.tags,
    ):
        # pydantic-ai numbers every run as a conversation of its own, which would be taken for a session: the run
        # is in our session's conversation, or in none.
        yield Recording(_instrumentation(telemetry.record_content), current_session_id() or "")


def _instrumentation(record_content: bool) -> InstrumentationSettings:
    """The program's own settings for all agents, else ours; given to the agent, they are the only ones."""
    own = vars(Agent).get("_instrument_default")  # of Agent.instrument_all(), which can be set and not be asked
    settings = copy.copy(own) if isinstance(own, InstrumentationSettings) else _ours()
    settings.include_content = settings.include_content and record_content
    return settings


def _ours() -> InstrumentationSettings:
    return InstrumentationSettings(version=_FORMAT, use_aggregated_usage_attribute_names=True)
