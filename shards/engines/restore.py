"""Makes a graph from the lines of an export: see exchange.py. They may come from anywhere, so each of them is held to
the rules.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

import apsw
import msgspec

from argosy.errors import GraphInputError
from argosy.graph.acl import check_labels
from argosy.graph.feeds import FIRST_LINE, REASON_LENGTH_MAX
from argosy.graph.ops import Op, Props, UpsertEdge, UpsertNode, check_ops, fault_of_name
from argosy.ingest.chain import SIZE_BYTES
from argosy.ingest.oversized import START_SIZE_BYTES_MAX
from argosy.shards.engines.changes import encode_props, float32, named_edge
from argosy.shards.engines.derived import Content, Derived, NodeChange
from argosy.shards.engines.exchange import (
    FORMAT,
    FORMAT_WITHOUT_FEEDS,
    AppliedLine,
    EdgeLine,
    EndLine,
    ExportLine,
    FeedLine,
    GraphLine,
    NodeLine,
    RefusedFeedLine,
    TokenLine,
    decode_line,
)
from argosy.shards.engines.kept_acl import write_acl
from argosy.statements import load_statements

_SQL: Final = load_statements("argosy.shards.engines", "exchange")
_FEEDS: Final = load_statements("argosy.shards.engines", "feeds")
_BATCH: Final = load_statements("argosy.shards.engines", "batch")
_AT_A_TIME: Final = 1_000  # changes that are told

_decode_props: Final = msgspec.json.Decoder(Props).decode


class Restore:
    """One graph on its way into an empty file."""

    def __init__(self, connection: apsw.Connection, derived: Sequence[Derived]) -> None:
        self._connection = connection
        self._derived = derived
        self._digest = hashlib.sha256()
        self._counts: dict[type[ExportLine], int] = dict.fromkeys(
            (NodeLine, EdgeLine, AppliedLine, TokenLine, FeedLine, RefusedFeedLine), 0
        )
        self._nodes: list[NodeChange] = []
        self._graph: GraphLine | None = None
        self._is_whole = False

    def take(self, lines: Iterable[bytes]) -> None:
        """Take in all lines. Raises GraphInputError, with the number of the line, unless they are a whole graph: then
        nothing may be committed.
        """
        number = 0
        try:
            for number, line in enumerate(lines, start=1):  # noqa: B007 (named in errors)
                self._take(line.rstrip(b"\r\n"))
            if not self._is_whole or self._graph is None:
                raise GraphInputError("the end is missing")
        except (GraphInputError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise GraphInputError(f"line {number}: {error}") from error
        except apsw.ConstraintError as error:
            raise GraphInputError(f"line {number}: this is there twice") from error
        self._finish(self._graph)

    def _take(self, text: bytes) -> None:
        if self._is_whole:
            raise GraphInputError("there is more behind the end")
        line = decode_line(text)
        if isinstance(line, EndLine):
            self._check_end(line)
            return
        self._digest.update(text + b"\n")
        if isinstance(line, GraphLine) is not (self._graph is None):
            raise GraphInputError("the first line, and no other one, is of the graph")
        match line:
            case GraphLine():
                if not FORMAT_WITHOUT_FEEDS <= line.format <= FORMAT:
                    raise GraphInputError(f"format {line.format} is not known, only {FORMAT} and before")
                if line.format == FORMAT_WITHOUT_FEEDS and line.feeds_forgotten_ms:
                    raise GraphInputError("a graph of this format has no feeds")
                if line.format == FORMAT:
                    self._connection.execute(_FEEDS["make_feeds"])
                    self._connection.execute(_FEEDS["set_forgotten"], (line.feeds_forgotten_ms,))
                if line.acl is not None:
                    check_labels(line.acl)
                    write_acl(self._connection, line.acl)
                self._graph = line
                return
            case NodeLine():
                self._put_node(line)
            case EdgeLine():
                self._put_edge(line)
            case AppliedLine():
                answer = (line.version, line.failed, line.reason, line.made_at_ms)
                self._run("insert_applied", line.key, bytes.fromhex(line.digest), *answer)
            case TokenLine():
                token = (line.epoch, line.place, line.attempt, line.used_at_ms)
                self._run("insert_token", line.session_id.bytes, *token)
            case FeedLine() | RefusedFeedLine():
                self._put_feed(line)
        self._counts[type(line)] += 1
        if len(self._nodes) >= _AT_A_TIME:
            self._tell()

    def _put_node(self, line: NodeLine) -> None:
        props = _decode_props(line.props)
        self._check(UpsertNode(line.id, line.label, props, line.vectors), line.version)
        text = encode_props(props)
        stamp = (line.version, line.turn_id, line.step_key)
        number = self._connection.execute(_SQL["insert_node"], (line.id, line.label, text, *stamp)).get
        for name, numbers in line.vectors.items():
            self._run("insert_vector", number, name, float32(name, numbers))
        self._nodes.append(NodeChange(number, line.id, None, Content(line.label, text), line.vectors))

    def _put_edge(self, line: EdgeLine) -> None:
        props = _decode_props(line.props)
        self._check(UpsertEdge(line.src, line.type, line.dst, props), line.version)
        text = encode_props(props)
        self._run("insert_edge", line.src, line.type, line.dst, text, line.version, line.turn_id, line.step_key)

    def _put_feed(self, line: FeedLine | RefusedFeedLine) -> None:
        if self._graph is not None and self._graph.format == FORMAT_WITHOUT_FEEDS:
            raise GraphInputError("a graph of this format has no feeds")
        if fault := fault_of_name(line.feed):
            raise GraphInputError(f"the name of a feed {fault}")
        if isinstance(line, RefusedFeedLine):
            if len(line.start) > START_SIZE_BYTES_MAX or len(line.reason) > REASON_LENGTH_MAX:
                raise GraphInputError("more is said of a refused line than is kept")
            self._connection.execute(_FEEDS["insert_refused"], msgspec.structs.astuple(line))
            return
        chain = bytes.fromhex(line.chain)
        if len(chain) != SIZE_BYTES or line.next < FIRST_LINE:
            raise GraphInputError(f"no feed has this chain at line {line.next}")
        times = (line.made_at_ms, max(line.made_at_ms, line.used_at_ms))
        self._connection.execute(
            _FEEDS["restore_feed"], (line.feed, line.next, chain, line.applied, line.rejected, *times)
        )

    def _check(self, op: Op, version: int) -> None:
        if self._graph is not None and version > self._graph.version:
            raise GraphInputError(f"version {version} is later than the graph's, {self._graph.version}")
        try:
            check_ops([op])
        except GraphInputError as error:
            raise GraphInputError(str(error).removeprefix("ops[0]: ")) from error

    def _check_end(self, end: EndLine) -> None:
        if (end.nodes, end.edges, end.applied, end.tokens, end.feeds, end.refused) != tuple(self._counts.values()):
            raise GraphInputError("lines are missing, or there are more than the end says")
        if end.sha256 != self._digest.hexdigest():
            raise GraphInputError("the digest at the end does not fit the lines: the export was altered or cut")
        self._is_whole = True

    def _finish(self, graph: GraphLine) -> None:
        self._tell()
        if dangling := self._connection.execute(_SQL["any_dangling_edge"]).fetchone():
            raise GraphInputError(f"{named_edge(dangling)} lacks one of its nodes")
        if graph.format == FORMAT and (stray := self._connection.execute(_FEEDS["stray_refused"]).fetchone()):
            raise GraphInputError(f"feed {stray[0]!r} has not come to line {stray[1]}, which it refused")
        counts = (self._counts[NodeLine], self._counts[EdgeLine])
        self._connection.execute(_BATCH["update_meta"], (graph.version, *counts, graph.forgotten_ms))

    def _tell(self) -> None:
        for each in self._derived:
            each.changed(self._connection, self._nodes)
        self._nodes = []

    def _run(self, statement: str, *values: Any) -> None:
        self._connection.execute(_SQL[statement], values)
