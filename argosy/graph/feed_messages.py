"""Feeds as the messages of proto/argosy/rpc/shard.proto, and back: see messages.py. Pure."""

from collections.abc import Sequence

from argosy.graph.facts import GraphRef
from argosy.graph.feeds import Fed, FeedBatch, FeedState, RefusedLine
from argosy.graph.messages import graph_to_pb, source_of_pb, source_to_pb
from argosy.rpc import shard_pb2 as pb


def batch_to_pb(ref: GraphRef, batch: FeedBatch) -> pb.IngestRequest:
    return pb.IngestRequest(
        graph=graph_to_pb(ref),
        feed=batch.feed,
        made_at_ms=batch.made_at_ms,
        first=batch.first,
        end=batch.end,
        before=batch.before,
        after=batch.after,
        lines=batch.lines,
        confirmed=batch.confirmed,
        source=source_to_pb(batch.source),
        numbers=batch.numbers,
    )


def batch_of_pb(message: pb.IngestRequest) -> FeedBatch:
    return FeedBatch(
        message.feed,
        message.made_at_ms,
        message.first,
        message.end,
        message.before,
        message.after,
        message.lines,
        message.confirmed,
        source_of_pb(message.source),
        tuple(message.numbers),
    )


def fed_to_pb(fed: Fed) -> pb.IngestResponse:
    return pb.IngestResponse(
        feed=_state_to_pb(fed.state),
        refused=[
            pb.RefusedLine(line=each.line, code=each.code, reason=each.reason, start=each.start) for each in fed.refused
        ],
        is_cut=fed.is_cut,
        version=fed.version,
    )


def fed_of_pb(message: pb.IngestResponse) -> Fed:
    refused = [RefusedLine(each.line, each.code, each.reason, each.start) for each in message.refused]
    return Fed(_state_of_pb(message.feed), refused, message.is_cut, message.version)


def states_to_pb(states: Sequence[FeedState | None]) -> pb.FeedsResponse:
    found = [(index, _state_to_pb(state)) for index, state in enumerate(states) if state is not None]
    return pb.FeedsResponse(found=[index for index, _ in found], feeds=[feed for _, feed in found])


def states_of_pb(message: pb.FeedsResponse, count: int) -> list[FeedState | None]:
    """Return the states of so many feeds that were asked for."""
    states: list[FeedState | None] = [None] * count
    for index, feed in zip(message.found, message.feeds, strict=True):
        states[index] = _state_of_pb(feed)
    return states


def _state_to_pb(state: FeedState) -> pb.Feed:
    return pb.Feed(feed=state.feed, next=state.next, chain=state.chain, applied=state.applied, rejected=state.rejected)


def _state_of_pb(feed: pb.Feed) -> FeedState:
    return FeedState(feed.feed, feed.next, feed.chain, feed.applied, feed.rejected)
