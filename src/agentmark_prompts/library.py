"""Prompt files, read through a loader, parsed once, and linked with the components that they import."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agentmark_prompts import frontmatter, nodes, parser
from agentmark_prompts.errors import LoadError, PropsError, TemplateError
from agentmark_prompts.frontmatter import FrontMatter
from agentmark_prompts.loaders import MAX_BYTES, Loader, checked
from agentmark_prompts.nodes import Message, Template
from agentmark_prompts.source import Place, Source
from agentmark_prompts.values import Value, plain

MAX_FILES: Final = 200
"""How many components one prompt may reach."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """A prompt, parsed and checked, with its components."""

    front: FrontMatter
    template: Template
    components: Mapping[str, Template]
    start: Place

    def render(self, props: object) -> tuple[dict[str, Value], list[Message]]:
        """Check the props and render with them; gives them as JSON's values, and the messages.

        Raises `PropsError` for the props, `TemplateError` for what is wrong in a file with them.
        """
        try:
            values = plain(props)
        except TypeError as error:
            raise PropsError(str(error), self.front.start) from error
        if not isinstance(values, dict):
            msg = "props must be a dict"
            raise PropsError(msg, self.front.start)
        self.front.check_props(values)
        return values, nodes.render(self.template, self.components, values, self.start)


@dataclass(frozen=True, eq=False)
class _Parsed:
    """A file as it was parsed; its body begins at `start`."""

    text: str
    source: Source
    template: Template
    start: int


class Library:
    """Opens prompts of one loader. A file is parsed anew only when its text has changed."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._files: dict[str, _Parsed] = {}
        self._prompts: dict[str, tuple[dict[str, _Parsed], Prompt]] = {}

    async def open(self, path: str) -> Prompt:
        """The prompt at `path`, as its files are now; raises `PromptError`."""
        path = checked(path)
        files: dict[str, _Parsed] = {}
        await self._reach(path, files, ())
        known = self._prompts.get(path)
        if known and known[0] == files:
            return known[1]
        prompt = _linked(files[path], files)
        self._prompts[path] = files, prompt
        return prompt

    async def _reach(self, path: str, files: dict[str, _Parsed], above: tuple[str, ...]) -> None:
        """Read a file and what it imports into `files`."""
        file = files[path] = await self._file(path)
        chain = (*above, path)
        for component, place in file.template.imports.items():
            if component in chain:
                circle = " imports ".join((*chain[chain.index(component) :], component))
                msg = f"components must not import each other in a circle: {circle}"
                raise TemplateError(msg, place)
            if component in files:
                continue
            if len(files) >= MAX_FILES:
                msg = f"a prompt reaches {MAX_FILES} files at most"
                raise TemplateError(msg, place)
            try:
                await self._reach(component, files, chain)
            except LoadError as error:
                raise TemplateError(str(error), place) from error

    async def _file(self, path: str) -> _Parsed:
        text = await self._loader.read(path)
        if len(text) > MAX_BYTES:
            msg = f"{path} is larger than {MAX_BYTES:,} characters"
            raise LoadError(msg)
        known = self._files.get(path)
        if known is None or known.text != text:
            source = Source.of(path, text)
            _, start = frontmatter.split(source)
            known = self._files[path] = _Parsed(text, source, parser.parse(source, start), start)
        return known


def _linked(file: _Parsed, files: Mapping[str, _Parsed]) -> Prompt:
    front = frontmatter.read(file.source)
    components = {path: other.template for path, other in files.items()}
    return Prompt(front, file.template, components, file.source.at(file.start))
