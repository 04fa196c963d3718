"""Model and tokens to cost: a file of one's own prices first, then the table of the package genai-prices.

The table is the one that the installed package brings; a newer one comes with a newer package, and
`agentmark db reprice` applies it to what is stored.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec
from genai_prices import Usage as PricedUsage
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

from agentmark_server.model import PICO, Role, Span, Usage

_PER_MILLION: Final = 10**6
_MODELS_REMEMBERED: Final = 4096


class PricesError(Exception):
    """A file of prices that cannot be used; the text is one line that says why."""


class OwnPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Prices of a model in US dollars for a million tokens, as one's own file states them."""

    input_mtok: float
    output_mtok: float = 0
    cache_read_mtok: float | None = None
    cache_write_mtok: float | None = None


class _Rates(msgspec.Struct, frozen=True):
    """Prices for one token, in 1e-12 dollars: of input that no cache had a part in, and so on."""

    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal

    def cost(self, usage: Usage) -> int:
        """What usage costs: cached tokens are a part of the input."""
        read, write = usage.cached_tokens or 0, usage.cache_write_tokens or 0
        plain = max(0, (usage.input_tokens or 0) - read - write)
        return round(
            plain * self.input
            + read * self.cache_read
            + write * self.cache_write
            + (usage.output_tokens or 0) * self.output
        )


class Prices:
    """Prices spans. Raises PricesError when `own`, a JSON file of `{model: OwnPrice}`, cannot be read."""

    def __init__(self, own: Path | None = None) -> None:
        self._own = {model.lower(): _own_rates(price) for model, price in _read(own).items()} if own else {}
        self._scales: dict[int, tuple[ModelPrice, _Scale]] = {}

    def priced(self, span: Span) -> Span:
        """The span with the cost of its usage, where it states none itself and a price is known."""
        usage = span.usage
        if usage.cost is not None or not usage.stated or span.model is None or span.role is Role.ROLL_UP:
            return span
        cost = self._cost(span.model, span.provider, span.start, usage)
        return span if cost is None else msgspec.structs.replace(span, usage=_with_cost(usage, cost))

    def _cost(self, model: str, provider: str | None, start: int, usage: Usage) -> int | None:
        own = self._own.get(model.lower())
        if own:
            return own.cost(usage)
        info = _find(model, provider)
        return None if info is None else self._cost_by_table(info, start, usage)

    def _cost_by_table(self, info: ModelInfo, start: int, usage: Usage) -> int:
        price = _price_at(info, start)
        if id(price) not in self._scales:
            # The price is kept beside, so that its id stays its own.
            self._scales[id(price)] = price, _Scale(price)
        return self._scales[id(price)][1].rates(usage.input_tokens or 0).cost(usage)


class _Scale:
    """The table's prices for one token of a model, which may depend on how long the whole input is.

    Asked of the package once for each step: it takes a tenth of a millisecond for every call, more than all else
    that is done for a span.
    """

    def __init__(self, price: ModelPrice) -> None:
        tiers = (
            tier for tiered in vars(price).values() if isinstance(tiered, TieredPrices) for tier in tiered.tiers
        )
        self._starts = sorted({tier.start for tier in tiers})
        self._rates = [_rates(price, total) for total in _between(self._starts)]

    def rates(self, input_tokens: int) -> _Rates:
        """The prices that hold for an input of so many tokens: a step holds above its start."""
        return self._rates[bisect_left(self._starts, input_tokens)]


def _between(starts: Sequence[int]) -> list[int]:
    """A number of input tokens below the first start, one between each two, one above the last."""
    if not starts:
        return [_PER_MILLION]
    return [max(1, starts[0] // 2), *(start + 1 for start in starts)]


def _rates(price: ModelPrice, total: int) -> _Rates:
    plain = _dollars(price, input_tokens=total)
    with_output = _dollars(price, input_tokens=total, output_tokens=_PER_MILLION)
    return _Rates(
        input=plain * PICO / total,
        output=(with_output - plain) * PICO / _PER_MILLION,
        cache_read=_dollars(price, input_tokens=total, cache_read_tokens=total) * PICO / total,
        cache_write=_dollars(price, input_tokens=total, cache_write_tokens=total) * PICO / total,
    )


def _dollars(price: ModelPrice, **tokens: Any) -> Decimal:
    return price.calc_price(PricedUsage(**tokens))["total_price"]


def _with_cost(usage: Usage, cost: int) -> Usage:
    return msgspec.structs.replace(usage, cost=cost)


def _read(path: Path) -> Mapping[str, OwnPrice]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, OwnPrice])
    except OSError as error:
        msg = f"the prices {path} cannot be read: {error.strerror}"
        raise PricesError(msg) from error
    except msgspec.MsgspecError as error:
        msg = f"the prices {path} are not as they must be: {error}"
        raise PricesError(msg) from error


def _own_rates(price: OwnPrice) -> _Rates:
    def rate(dollars: float) -> Decimal:
        return Decimal(str(dollars)) * PICO / _PER_MILLION

    read = price.input_mtok if price.cache_read_mtok is None else price.cache_read_mtok
    write = price.input_mtok if price.cache_write_mtok is None else price.cache_write_mtok
    return _Rates(rate(price.input_mtok), rate(price.output_mtok), rate(read), rate(write))


@lru_cache(maxsize=_MODELS_REMEMBERED)
def _find(model: str, provider: str | None) -> ModelInfo | None:
    """What the table knows of a model: of its provider, else of whoever has a model of that name."""
    # `openai.chat` is the Vercel AI SDK's word for openai.
    for name in dict.fromkeys([provider, provider.split(".")[0] if provider else None, None]):
        try:
            return get_snapshot().find_provider_model(model, None, name, None)[1]
        except LookupError:
            continue
    return None


def _price_at(info: ModelInfo, start: int) -> ModelPrice:
    if isinstance(info.prices, ModelPrice):
        return info.prices
    return info.get_prices(datetime.fromtimestamp(min(start, 2**62) / 10**9, UTC))
