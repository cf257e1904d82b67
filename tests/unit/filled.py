"""Channels with small bounds."""

from argosy.workflow.channel_bounds import ChannelBounds
from argosy.workflow.channels import Channels
from argosy.workflow.own_emits import Kept

BOUNDS = ChannelBounds(1_000, 2_000, 3_000, 4)


class At:
    """A turn with so many events."""

    def __init__(self, seq: int) -> None:
        self.seq = seq


def channels(kept: Kept | None = None, seq: int = 0) -> Channels:
    return Channels(BOUNDS, At(seq), kept)
