"""The bounds of what one turn may do on this worker."""

from typing import NamedTuple

from argosy.config import Settings
from argosy.workflow.channel_bounds import ChannelBounds
from argosy.workflow.threads import Threads, make_threads


class Limits(NamedTuple):
    """The bounds of one turn.

    payload_size_bytes_max: of a result; step_timeout_s_max: no step may declare a longer timeout_s; events_max,
    history_size_bytes_max: durable events of one turn, and their data; callbacks_max: callbacks that the loop of a turn
    may run between two outcomes; graph_retry_s_max: the longest pause between two tries of an operation of a graph.
    """

    payload_size_bytes_max: int
    step_timeout_s_max: float
    events_max: int
    history_size_bytes_max: int
    channels: ChannelBounds
    callbacks_max: int
    graph_retry_s_max: float

    def overgrown(self, events: int, history_bytes: int, data_bytes: int) -> str:
        """Return the message of a turn that has reached the bound of its events, or else the bound of their data."""
        if events >= self.events_max:
            return f"the turn has {events} durable events, the bound is EVENTS_PER_TURN_MAX={self.events_max}"
        return (
            f"the turn's events have {history_bytes} bytes of data and the next one has {data_bytes}, the bound is "
            f"HISTORY_SIZE_BYTES_MAX={self.history_size_bytes_max}: keep large results elsewhere, and return "
            "where they are"
        )


def limits_of(settings: Settings) -> Limits:
    return Limits(
        settings.payload_size_bytes_max,
        settings.step_timeout_s_max,
        settings.events_per_turn_max,
        settings.history_size_bytes_max,
        ChannelBounds(
            settings.emit_size_bytes_max,
            settings.payload_size_bytes_max,
            settings.channels_size_bytes_max,
            settings.channels_per_turn_max,
        ),
        settings.workflow_callbacks_max,
        settings.graph_retry_s_max,
    )


def threads_of(settings: Settings) -> Threads:
    """Make the threads of one worker."""
    return make_threads(
        steps=settings.dispatch_threads,
        workflows=settings.dispatch_slots,
        abandoned_max=settings.dispatch_threads_abandoned_max,
    )
