"""What one call may ask of a shard, and what its answer may have."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from argosy.config import Settings
from argosy.errors import CypherError, GraphInputError, GraphTooLargeError
from argosy.graph.facts import DEPTH_MAX, LIST_MAX, TYPES_MAX, Edge, GraphName, GraphRef, Node, WriteKey, size_of
from argosy.graph.feeds import FEEDS_MAX, FeedBatch
from argosy.graph.ops import DIMENSION_MAX, Op, check_json, check_ops, encode_ops, fault_of_name

# Larger batches are read and checked in a thread: they would hold up the calls of others.
INLINE_OPS_MAX: Final = 64
_TEXT_SIZE_BYTES_MAX: Final = 65_536  # of what is searched for
_DIGEST_SIZE_BYTES_MAX: Final = 64  # of a batch, as its caller makes it: more is none
_OVERHEAD_SIZE_BYTES: Final = 64  # of a fact in an answer, beside its names and props


class Limits(NamedTuple):
    """Bounds of one call. rows_max: ids that one call names, and rows of its answer. query_size_bytes_max: of the text
    of a query; params_size_bytes_max: of its parameters as JSON.
    """

    rows_max: int
    answer_size_bytes_max: int
    query_size_bytes_max: int
    params_size_bytes_max: int
    batch_size_bytes_max: int

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        return cls(
            rows_max=settings.graph_rows_max,
            answer_size_bytes_max=settings.graph_answer_size_bytes_max,
            query_size_bytes_max=settings.graph_query_size_bytes_max,
            params_size_bytes_max=settings.graph_params_size_bytes_max,
            batch_size_bytes_max=settings.graph_batch_size_bytes_max,
        )

    def check_batch(self, ops: Sequence[Op]) -> int:
        """Return the size of a batch, as JSON. Raises GraphInputError for operations that break a rule, and
        GraphTooLargeError.
        """
        check_ops(ops)
        size_bytes = len(encode_ops(ops))
        if size_bytes > self.batch_size_bytes_max:
            raise GraphTooLargeError(f"a batch has at most {self.batch_size_bytes_max} bytes, not {size_bytes}")
        return size_bytes

    def check_lines(self, batch: FeedBatch) -> int:
        """Return the size of the lines of a feed. Raises GraphTooLargeError."""
        size_bytes = len(batch.lines)
        if size_bytes > self.batch_size_bytes_max:
            raise GraphTooLargeError(f"lines have at most {self.batch_size_bytes_max} bytes, not {size_bytes}")
        return size_bytes

    def check_key(self, key: WriteKey | None) -> None:
        if key is not None and (fault := fault_of_name(key.key)):
            raise GraphInputError(f"the key of a batch {fault}")
        if key is not None and len(key.digest) > _DIGEST_SIZE_BYTES_MAX:
            raise GraphInputError(f"the digest of a batch has {_DIGEST_SIZE_BYTES_MAX} bytes at the most")

    def check_ids(self, ids: Sequence[str]) -> None:
        if not 1 <= len(ids) <= self.rows_max:
            error = GraphTooLargeError if ids else GraphInputError
            raise error(f"ids: a call has 1 to {self.rows_max}, not {len(ids)}")

    def check_feeds(self, names: Sequence[str]) -> None:
        if not 1 <= len(names) <= FEEDS_MAX:
            error = GraphTooLargeError if names else GraphInputError
            raise error(f"feeds: a call has 1 to {FEEDS_MAX}, not {len(names)}")
        for name in names:
            if fault := fault_of_name(name):
                raise GraphInputError(f"feeds: a name {fault}")

    def check_limit(self, limit: int) -> None:
        if limit < 1:
            raise GraphInputError(f"limit: at least 1, not {limit}")
        if limit > self.rows_max:
            raise GraphTooLargeError(f"limit: at most {self.rows_max}, not {limit}")

    def check_depth(self, depth: int) -> None:
        if not 1 <= depth <= DEPTH_MAX:
            raise GraphInputError(f"depth: 1 to {DEPTH_MAX}, not {depth}")

    def check_types(self, types: Sequence[str]) -> None:
        if len(types) > TYPES_MAX:
            raise GraphTooLargeError(
                f"types: at most {TYPES_MAX}, not {len(types)}: name fewer, or none, which is all of them"
            )

    def check_query(self, cypher: str, params: dict[str, Any]) -> None:
        """Raise GraphTooLargeError, GraphInputError for parameters that break a rule, CypherError for no query."""
        try:
            size_bytes = len(cypher.encode())
        except UnicodeEncodeError as error:
            raise GraphInputError("the query is no valid Unicode") from error
        check_json("params", params, self.params_size_bytes_max)
        if not cypher.strip():
            raise CypherError("the query is empty", (1, 1))
        if size_bytes > self.query_size_bytes_max:
            raise GraphTooLargeError(f"cypher: at most {self.query_size_bytes_max} bytes, not {size_bytes}")

    def check_search(self, text: str, vector: tuple[str, Sequence[float]] | None) -> None:
        try:
            size_bytes = len(text.encode())
        except UnicodeEncodeError as error:
            raise GraphInputError("text: is no valid Unicode") from error
        if size_bytes > _TEXT_SIZE_BYTES_MAX:
            raise GraphTooLargeError(f"text: at most {_TEXT_SIZE_BYTES_MAX} bytes, not {size_bytes}")
        if vector is not None and not 1 <= len(vector[1]) <= DIMENSION_MAX:
            raise GraphInputError(f"vector: 1 to {DIMENSION_MAX} numbers, not {len(vector[1])}")

    def check_size(self, facts: Sequence[Node | Edge | None], before: int = 0) -> int:
        """Return the size of an answer, with what it had before. Raises GraphTooLargeError for one over its bound."""
        size_bytes = before
        for each in facts:
            if each is not None:
                size_bytes += size_in_answer(each)
        if size_bytes > self.answer_size_bytes_max:
            raise GraphTooLargeError(
                f"the answer has more than {self.answer_size_bytes_max} bytes: ask for less at a time"
            )
        return size_bytes


def check_page(after: GraphName | None, limit: int) -> None:
    """Raise GraphInputError for what is no page of a list of graphs."""
    if after is not None:
        check_name(after)
    if limit < 1:
        raise GraphInputError(f"limit: at least 1, not {limit}")
    if limit > LIST_MAX:
        raise GraphTooLargeError(f"limit: at most {LIST_MAX}, not {limit}")


def check_name(ref: GraphRef | GraphName) -> None:
    """Raise GraphInputError for what cannot be the name of a tenant or graph."""
    for what, name in (("tenant", ref.tenant), ("graph", ref.graph)):
        if fault := fault_of_name(name):
            raise GraphInputError(f"the name of a {what} {fault}")


def size_in_answer(fact: Node | Edge) -> int:
    """Return about how many bytes a fact has in an answer."""
    return size_of(fact, _OVERHEAD_SIZE_BYTES)
