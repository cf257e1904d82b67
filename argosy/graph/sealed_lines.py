"""Copies of sealed graphs as lines of JSON (argosy/shards/engines/exchange.py): opened as they leave a graph, sealed as
they come to one.

Rules:
- Values of nodes and edges are opened, or sealed, and all else stays as it is; so a copy of a sealed graph is in the
  clear, and becomes a graph of either kind.
- The digest at the end is made anew where that of the lines which came was right. Otherwise it stays, and is wrong for
  the lines that go on, too: who reads them finds that the copy was altered.
- What is no line of a copy goes on as it is. A shard that gets it makes nothing of the whole copy.
- Of a line of a feed that was refused, a sealed graph keeps the reason, and nothing of the line.
"""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Final, TypeVar

import msgspec

from argosy.errors import GraphInputError
from argosy.graph.facts import GraphRef
from argosy.graph.ops import PROPS_SIZE_BYTES_MAX, Props, check_json
from argosy.graph.sealed_props import SealedFact, sealed_props
from argosy.seal.codec import Codec, Sealer

T = TypeVar("T")
_Fields = dict[str, msgspec.Raw]

_FACTS: Final = {"node": ("id",), "edge": ("src", "type", "dst")}  # what names them, by the kind of their line
_PART_SIZE_BYTES: Final = 262_144  # large enough that a part costs little, and small enough that it is there soon
_NOT_READ: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, GraphInputError)
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(_Fields).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_props: Final = msgspec.json.Decoder(Props).decode


async def opened_lines(chunks: AsyncIterator[bytes], ref: GraphRef, codec: Codec) -> AsyncGenerator[bytes, None]:
    """Yield the lines of a copy of a sealed graph in the clear, some in every part. Raises PayloadUnreadableError,
    StoreUnavailableError.
    """
    digests, part, size_bytes = _Digests(), list[bytes](), 0
    async with aclosing(_lines_of(chunks)) as lines:
        async for text in lines:
            fields = opened = _fields_of(text)
            if (fact := _fact_of(fields)) is not None:
                sealed = SealedFact(fact, bytes(fields["props"]))
                opener = await codec.opener(sealed.values(ref.tenant))
                opened = {**fields, "props": msgspec.Raw(sealed.opened(opener, ref))}
            part.append(digests.put(text, fields, opened))
            size_bytes += len(part[-1])
            if size_bytes >= _PART_SIZE_BYTES:
                yield b"".join(part)
                part, size_bytes = [], 0
    if part:
        yield b"".join(part)


async def sealed_lines(chunks: AsyncIterator[bytes], ref: GraphRef, sealer: Sealer) -> AsyncGenerator[bytes, None]:
    """Yield the lines of a copy with sealed props, for the graph of `ref`."""
    digests = _Digests()
    async with aclosing(_lines_of(chunks)) as lines:
        async for text in lines:
            fields = _fields_of(text)
            yield digests.put(text, fields, _sealed_fields(fields, ref, sealer))


class _Digests:
    """The digests of the lines that came, and of those that go on."""

    def __init__(self) -> None:
        self._came, self._went = hashlib.sha256(), hashlib.sha256()

    def put(self, text: bytes, fields: _Fields, changed: _Fields) -> bytes:
        """Return the line that goes on, with its line end. changed: its fields; those that came, where none was."""
        if _kind_of(fields) == "end":
            if bytes(fields.get("sha256", b"")) == _encode(self._came.hexdigest()):
                changed = {**fields, "sha256": msgspec.Raw(_encode(self._went.hexdigest()))}
            return (text if changed is fields else _encode(changed)) + b"\n"
        line = (text if changed is fields else _encode(changed)) + b"\n"
        self._came.update(text + b"\n")
        self._went.update(line)
        return line


def _sealed_fields(fields: _Fields, ref: GraphRef, sealer: Sealer) -> _Fields:
    if _kind_of(fields) == "refused":
        return {**fields, "start": msgspec.Raw(b'""')}
    if (fact := _fact_of(fields)) is None:
        return fields
    try:
        props = _decode_props(fields["props"])
        check_json("props", props, PROPS_SIZE_BYTES_MAX)
    except _NOT_READ:
        return fields  # nor does a shard take it
    sealed = sealed_props(props, sealer, ref, fact, keeps_null=False)
    return {**fields, "props": msgspec.Raw(_encode(sealed))}


def _fields_of(text: bytes) -> _Fields:
    """Return what a line says; nothing for what is no JSON object."""
    return _read(_decode, text, {})


def _kind_of(fields: _Fields) -> str:
    return _read(_decode_text, fields.get("kind", b""), "")


def _fact_of(fields: _Fields) -> tuple[str, ...] | None:
    """Return which fact a line is; None: it is none, or not named as one is."""
    names = _FACTS.get(_kind_of(fields))
    if names is None or "props" not in fields:
        return None
    fact = tuple(_read(_decode_text, fields.get(name, b""), "") for name in names)
    return fact if all(fact) else None


def _read(decode: Callable[[Any], T], raw: Any, otherwise: T) -> T:
    try:
        return decode(raw)
    except _NOT_READ:
        return otherwise


async def _lines_of(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the lines that chunks have together, without their line ends, as a shard takes them apart."""
    left = b""
    try:
        async for chunk in chunks:
            *lines, left = (left + chunk).split(b"\n")
            for line in lines:
                yield line.rstrip(b"\r")
        if left:
            yield left.rstrip(b"\r")
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
