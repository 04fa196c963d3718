"""A span's attributes as they came, of which only those that are asked for are read."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from agentmark_server.model import Shape, Value

_SHAPES: Final = 2048
"""Shapes remembered before all are dropped: bounds memory, not correctness."""
_SHAPES_OF_ONE_SIZE: Final = 16
"""How many of them are tried one after the other."""
_KEYS: Final = 256
"""A span with more keys is read all the same, but its shape is not remembered."""
_KEY_TAG: Final = b"\x0a"
_ONE_BYTE: Final = 128
"""Lengths below this are written in one byte."""
_SMALL: Final = 64
"""Bytes of a pair of which the value is remembered."""


class Pairs:
    """Attributes as encoded `KeyValue` messages. Raises DecodeError where one is not even that."""

    __slots__ = ("pairs", "shape")

    def __init__(self, pairs: Sequence[bytes]) -> None:
        self.pairs = pairs
        self.shape = _shapes.of(pairs)

    def at(self, place: int) -> Value:
        """See `model.Attributes.at`."""
        pair = self.pairs[place]
        return _remembered_value(pair) if len(pair) <= _SMALL else _value(pair)

    def __contains__(self, key: object) -> bool:
        return key in self.shape.places

    def __getitem__(self, key: str) -> Value:
        return self.at(self.shape.places[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self.shape.places)

    def __len__(self) -> int:
        return len(self.shape.places)


class _Shapes:
    """Finds the shape of attributes by the bytes that they begin with: cheaper than reading every key."""

    def __init__(self) -> None:
        self._by_size: dict[int, list[tuple[tuple[bytes, ...], Shape]]] = {}
        self._by_heads: dict[tuple[bytes, ...], Shape] = {}

    def of(self, pairs: Sequence[bytes]) -> Shape:
        """The shape of encoded attributes."""
        for heads, shape in self._by_size.get(len(pairs), ()):
            if all(map(bytes.startswith, pairs, heads)):
                return shape
        return self._found(pairs)

    def _found(self, pairs: Sequence[bytes]) -> Shape:
        heads = tuple(map(_head, pairs))
        if not all(heads) or len(pairs) > _KEYS:
            return Shape(tuple([KeyValue.FromString(pair).key for pair in pairs]))
        if len(self._by_heads) > _SHAPES:
            self._by_heads.clear()
            self._by_size.clear()
        shape = self._by_heads.get(heads)
        if shape is None:
            shape = Shape(tuple([head[2:].decode("utf-8", "replace") for head in heads]))
            self._by_heads[heads] = shape
        tried = self._by_size.setdefault(len(pairs), [])
        tried.insert(0, (heads, shape))
        del tried[_SHAPES_OF_ONE_SIZE:]
        return shape


_shapes: Final = _Shapes()


def _head(pair: bytes) -> bytes:
    """The key with its tag and length, where they are as every exporter writes them; else nothing.

    https://protobuf.dev/programming-guides/encoding/: field 1 of two bytes and more, its length in one byte.
    """
    head = pair[: 2 + pair[1]] if pair[:1] == _KEY_TAG and len(pair) > 1 else b""
    return head if head and pair[1] < _ONE_BYTE and len(head) == 2 + pair[1] else b""


def _value(pair: bytes) -> Value:
    """The value of an encoded attribute; one that cannot be read, such as text that is not UTF-8, says nothing."""
    try:
        value = KeyValue.FromString(pair).value
    except DecodeError:
        return None
    # Most are text, which is had without asking for the type.
    return value.string_value or value_of(value)


_remembered_value = lru_cache(maxsize=1 << 14)(_value)


def value_of(value: AnyValue) -> Value:
    """An `AnyValue` in Python's types."""
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [value_of(item) for item in value.array_value.values]
        case "kvlist_value":
            return {item.key: value_of(item.value) for item in value.kvlist_value.values}
        case scalar:
            plain: Value = getattr(value, scalar)
            return plain
