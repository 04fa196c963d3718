"""The client: loads prompts, and formats them for what runs them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast, overload

from agentmark_prompts.errors import TemplateError
from agentmark_prompts.frontmatter import Kind, ObjectConfig, TextConfig
from agentmark_prompts.library import Library, Prompt
from agentmark_prompts.loaders import FileLoader, Loader
from agentmark_prompts.nodes import Message
from agentmark_prompts.telemetry import Telemetry
from agentmark_prompts.values import Value

Text = TypeVar("Text")
Object = TypeVar("Object")
Params = TypeVar("Params")
Text_co = TypeVar("Text_co", covariant=True)
Object_co = TypeVar("Object_co", covariant=True)
Config = TypeVar("Config", TextConfig, ObjectConfig)


@dataclass(frozen=True)
class Formatted(Generic[Config]):
    """A prompt with its props put in: what an adapter makes a framework's own parameters of."""

    name: str
    messages: tuple[Message, ...]
    config: Config
    props: Mapping[str, Value]
    telemetry: Telemetry | None = None

    @property
    def text_config(self) -> TextConfig:
        """The settings of a prompt for text."""
        return _of_kind(self.config, TextConfig)

    @property
    def object_config(self) -> ObjectConfig:
        """The settings of a prompt for an object."""
        return _of_kind(self.config, ObjectConfig)


def _of_kind(config: object, kind: type[Params]) -> Params:
    if not isinstance(config, kind):
        msg = f"the prompt has a {type(config).__name__}"
        raise AttributeError(msg)  # noqa: TRY004 - it is an attribute that this prompt has not
    return config


class Adapter(Protocol[Text_co, Object_co]):
    """Makes of a formatted prompt what a framework runs."""

    def adapt_text(self, prompt: Formatted[TextConfig]) -> Text_co:
        """Of a prompt for text."""
        ...

    def adapt_object(self, prompt: Formatted[ObjectConfig]) -> Object_co:
        """Of a prompt for an object."""
        ...


class NoAdapter:
    """Leaves formatted prompts as they are."""

    def adapt_text(self, prompt: Formatted[TextConfig]) -> Formatted[TextConfig]:
        """The prompt itself."""
        return prompt

    def adapt_object(self, prompt: Formatted[ObjectConfig]) -> Formatted[ObjectConfig]:
        """The prompt itself."""
        return prompt


class LoadedPrompt(Generic[Params]):
    """A prompt, loaded: format it as often as needed."""

    def __init__(self, prompt: Prompt, adapt: Callable[[Formatted[Any]], Params]) -> None:
        self._prompt, self._adapt = prompt, adapt

    @property
    def name(self) -> str:
        """Its name, of the front matter."""
        return self._prompt.front.name

    @property
    def test_props(self) -> Mapping[str, Value] | None:
        """The props of its `test_settings`, if it has any."""
        return self._prompt.front.test_props

    async def format(
        self,
        props: Mapping[str, object] | None = None,
        telemetry: Mapping[str, object] | Telemetry | None = None,
    ) -> Params:
        """Check the props, put them in, and make of it what runs.

        Raises `PropsError` if the props are not what `input_schema` asks for, `TemplateError` if a file is wrong
        with them, `ValueError` for telemetry that does not exist.
        """
        return self.format_now(props, telemetry)

    async def format_with_test_props(self, telemetry: Mapping[str, object] | Telemetry | None = None) -> Params:
        """Format with the props of `test_settings`; raises as `format` does, and `TemplateError` without any."""
        if self.test_props is None:
            msg = "the prompt has no test_settings with props"
            raise TemplateError(msg, self._prompt.front.start)
        return self.format_now(self.test_props, telemetry)

    def format_now(
        self,
        props: Mapping[str, object] | None = None,
        telemetry: Mapping[str, object] | Telemetry | None = None,
    ) -> Params:
        """Do what `format` does, for programs that do not wait."""
        values, messages = self._prompt.render(props or {})
        front = self._prompt.front
        how = Telemetry.of(telemetry)
        return self._adapt(Formatted(front.name, tuple(messages), front.config, values, how))


class AgentMark(Generic[Text, Object]):
    """Loads prompts through its `loader`, for what its `adapter` makes of them."""

    def __init__(self, loader: Loader, adapter: Adapter[Text, Object]) -> None:
        self.loader, self.adapter = loader, adapter
        self._library = Library(loader)

    async def load_text_prompt(self, path: str) -> LoadedPrompt[Text]:
        """Load a prompt with a `text_config`; raises `PromptError`.

        Its files are read anew, and parsed anew only when they have changed.
        """
        return LoadedPrompt(await self._open(path, "text"), self.adapter.adapt_text)

    async def load_object_prompt(self, path: str) -> LoadedPrompt[Object]:
        """Load a prompt with an `object_config`; otherwise as `load_text_prompt`."""
        return LoadedPrompt(await self._open(path, "object"), self.adapter.adapt_object)

    async def load_prompt(self, path: str) -> LoadedPrompt[Text] | LoadedPrompt[Object]:
        """Load a prompt of either kind, for programs that take what comes."""
        prompt = await self._library.open(path)
        if prompt.front.kind == "text":
            return LoadedPrompt(prompt, self.adapter.adapt_text)
        return LoadedPrompt(prompt, self.adapter.adapt_object)

    async def _open(self, path: str, kind: Kind) -> Prompt:
        prompt = await self._library.open(path)
        if prompt.front.kind != kind:
            have = prompt.front.kind
            msg = f"this prompt has {have}_config: load it with load_{have}_prompt()"
            raise TemplateError(msg, prompt.front.start)
        return prompt


@overload
def create_agentmark(
    *, loader: Loader | None = None
) -> AgentMark[Formatted[TextConfig], Formatted[ObjectConfig]]: ...


@overload
def create_agentmark(
    *, loader: Loader | None = None, adapter: Adapter[Text, Object]
) -> AgentMark[Text, Object]: ...


def create_agentmark(
    *, loader: Loader | None = None, adapter: Adapter[Any, Any] | None = None
) -> AgentMark[Any, Any]:
    """Make a client; without a loader it reads the folder in which the program runs.

    Without an adapter prompts are formatted to their messages and settings, for programs that run them themselves.
    """
    return AgentMark(loader or FileLoader(), adapter or cast("Adapter[Any, Any]", NoAdapter()))
