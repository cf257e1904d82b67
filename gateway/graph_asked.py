"""What clients ask of graphs: the shapes of bodies, and their bounds. All but `apply` only read.

The operations of a batch stay JSON here: argosy/graph/ops.py reads them, as it does wherever they come from.
"""

from typing import Annotated, Any, Final, TypeVar

import msgspec
from starlette.requests import Request

from argosy.config import Settings
from argosy.gateway import body, json_value
from argosy.gateway.openapi import REF
from argosy.gateway.parameters import INTEGER_MAX
from argosy.gateway.problems import Problem
from argosy.graph import ops
from argosy.graph.facts import DEPTH_MAX, TYPES_MAX, Direction
from argosy.graph.recall import BUDGET_MAX
from argosy.names import KEY_PATTERN

Asked = TypeVar("Asked")

# What a request without a limit gets: as much as a person, or a prompt, takes in.
ROWS_DEFAULT: Final = 1_000
NODES_DEFAULT: Final = 100
HITS_DEFAULT: Final = 10
TOKENS_DEFAULT: Final = 1_000
OPS: Final = (ops.UpsertNode, ops.UpsertEdge, ops.MergeProps, ops.DeleteNode, ops.DeleteEdge)
# A body beside what has a bound of its own: a vector of DIMENSION_MAX numbers, names, and JSON's own signs.
_ENVELOPE_SIZE_BYTES_MAX: Final = 131_072

_Ops = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        extra_json_schema={
            "type": "array",
            "minItems": 1,
            "maxItems": ops.OPS_MAX,
            "items": {"anyOf": [{"$ref": REF.format(name=each.__name__)} for each in OPS]},
        }
    ),
]
# Whole numbers of JSON: 7.0 is one, too. The OpenAPI document has them as integers.
_Limit = Annotated[float, msgspec.Meta(ge=1, le=INTEGER_MAX, multiple_of=1)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=ops.NAME_LENGTH_MAX)]


class GraphPosted(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A graph to be there. ttl_s: a new one goes when nobody has asked for it in this way for that long. sealed:
    whether the values of its props are sealed at its shard, for as long as it lives; null: one that is there may be
    either, and a new one is as GRAPHS_SEALED says.
    """

    graph: str
    ttl_s: float | None = None
    sealed: bool | None = None


class BatchPosted(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Operations to be applied: all of them or none. With the same key they are applied once."""

    ops: _Ops
    idempotency_key: Annotated[str, msgspec.Meta(pattern=KEY_PATTERN)] | None = None


class QueryPosted(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A query in Cypher, which reads. Without `limit`, more than 1000 rows are refused; with it, they are cut off."""

    cypher: str
    params: dict[str, Any] = {}
    limit: _Limit | None = None


class Vector(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A vector to compare those of nodes with that have this name."""

    name: _Name
    values: Annotated[list[float], msgspec.Meta(min_length=1, max_length=ops.DIMENSION_MAX)]


class NeighborsPosted(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What lies within `depth` edges of these nodes. types: of edges, 64 at most; none: any."""

    ids: Annotated[list[_Name], msgspec.Meta(min_length=1)]
    types: Annotated[list[_Name], msgspec.Meta(extra_json_schema={"maxItems": TYPES_MAX})] = []
    direction: Direction = Direction.BOTH
    depth: Annotated[float, msgspec.Meta(ge=1, le=DEPTH_MAX, multiple_of=1)] = 1
    limit: _Limit = NODES_DEFAULT


class SearchPosted(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Nodes to be found by the words of a text, by a vector, or by both."""

    text: str = ""
    vector: Vector | None = None
    limit: _Limit = HITS_DEFAULT


class RecallPosted(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a graph has about a text, within a budget of tokens, which are estimated."""

    text: str
    budget_tokens: Annotated[float, msgspec.Meta(ge=1, le=BUDGET_MAX, multiple_of=1)] = TOKENS_DEFAULT
    vector: Vector | None = None


_batch: Final = msgspec.json.Decoder(BatchPosted)


async def question(request: Request, settings: Settings, decoder: msgspec.json.Decoder[Asked]) -> Asked:
    """Return the body of a request that asks. Raises Problem.

    Its bound: as much as the largest query and its parameters.
    """
    size_bytes_max = settings.graph_query_size_bytes_max + settings.graph_params_size_bytes_max
    return await _read(request, settings, decoder, size_bytes_max)


async def batch(request: Request, settings: Settings) -> BatchPosted:
    """Return the body of a request with operations. Raises Problem."""
    return await _read(request, settings, _batch, settings.graph_batch_size_bytes_max)


async def _read(
    request: Request, settings: Settings, decoder: msgspec.json.Decoder[Asked], size_bytes_max: int
) -> Asked:
    raw = await body.read(request, size_bytes_max + _ENVELOPE_SIZE_BYTES_MAX, settings.gateway_body_timeout_s)
    asked: Asked = json_value.decode(raw, decoder, "the body")
    return asked


def vector_of(vector: Vector | None) -> tuple[str, list[float]] | None:
    """Return a vector as graphs are asked with it."""
    return None if vector is None else (vector.name, vector.values)


def key_of(request: Request, asked: BatchPosted) -> str | None:
    """Return the idempotency key of a batch, which its body or its header has. Raises Problem."""
    header = request.headers.get("idempotency-key")
    if header is not None and asked.idempotency_key not in (None, header):
        raise Problem("invalid_request", "the header Idempotency-Key and idempotency_key in the body differ")
    return header or asked.idempotency_key
