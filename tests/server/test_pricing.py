"""What calls cost: stated costs, one's own prices, the table of genai-prices."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from genai_prices import Usage as PricedUsage
from genai_prices import calc_price
from hypothesis import given
from hypothesis import strategies as st

from agentmark_server.model import PICO, Role, Span, Usage
from agentmark_server.pricing import Prices

START = 1_764_000_000 * 10**9
MODELS = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("openai", "text-embedding-3-small"),
    ("anthropic", "claude-3-5-sonnet-20241022"),
    ("anthropic", "claude-sonnet-4-5"),
    ("google", "gemini-1.5-flash"),
    ("google", "gemini-2.5-pro"),
]


def priced(model: str, provider: str | None, **usage: int) -> int | None:
    call = {"role": Role.CALL, "model": model, "provider": provider, "usage": Usage(**usage)}
    return PRICES.priced(Span(b"t" * 16, b"s" * 8, b"", "", START, START, **call)).usage.cost


PRICES = Prices()
COUNTS = st.one_of(st.integers(0, 5000), st.integers(0, 3_000_000), st.sampled_from([128_000, 128_001, 200_000]))


@given(st.sampled_from(MODELS), COUNTS, COUNTS, st.floats(0, 1), st.floats(0, 1))
def test_table(model: tuple[str, str], total: int, out: int, read: float, write: float) -> None:
    """A call costs, to the last 1e-12 dollar, what genai-prices says of it, in every step of every scale."""
    cached = int(total * read)
    written = int((total - cached) * write)
    usage = PricedUsage(
        input_tokens=total, output_tokens=out, cache_read_tokens=cached, cache_write_tokens=written
    )
    when = datetime.fromtimestamp(START / 10**9, UTC)
    expected = calc_price(usage, model[1], provider_id=model[0], genai_request_timestamp=when).total_price
    ours = priced(
        model[1],
        model[0],
        input_tokens=total,
        output_tokens=out,
        cached_tokens=cached,
        cache_write_tokens=written,
    )
    assert ours == round(expected * PICO)


def test_unknown_model() -> None:
    """A model that no list knows has no price, which is not a price of 0."""
    assert priced("acme-internal-7b", "acme", input_tokens=5) is None


@pytest.mark.parametrize("provider", [None, "openai", "openai.chat", "OpenAI", "azure-somewhere"])
def test_providers(provider: str | None) -> None:
    """A model is found whatever its provider is called; without one by its name alone."""
    assert priced("gpt-4o", provider, input_tokens=1_000_000) == 5 * PICO // 2


def test_documented_prices(tmp_path: Path) -> None:
    """The file of prices that docs/sessions.md shows can be used, and each of its prices holds."""
    docs = (Path(__file__).parents[2] / "docs" / "sessions.md").read_text(encoding="utf-8")
    [example] = re.findall(r"^```json\n(.*?)^```$", docs, flags=re.MULTILINE | re.DOTALL)
    own = tmp_path / "prices.json"
    own.write_text(example, encoding="utf-8")
    usage = Usage(
        input_tokens=3_000_000, cached_tokens=1_000_000, cache_write_tokens=1_000_000, output_tokens=1_000_000
    )
    span = Span(b"t" * 16, b"s" * 8, b"", "", START, START, role=Role.CALL, model="acme-internal-7b", usage=usage)
    assert Prices(own).priced(span).usage.cost == round((0.5 + 0.05 + 0.6 + 1.5) * PICO)
