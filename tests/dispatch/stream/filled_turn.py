"""A turn whose channels a test fills by hand."""

from argosy.workflow.channel_bounds import ChannelBounds
from argosy.workflow.channels import Channels
from argosy.workflow.own_emits import Kept

BOUNDS = ChannelBounds(1 << 20, 1 << 20, 1 << 22, 16)


class Turn:
    """The channels of a turn with a newest event."""

    def __init__(self, kept: Kept | None = None) -> None:
        self.seq = 1
        self.channels = Channels(BOUNDS, self, kept)

    def say(self, text: str, name: str = "answer", step: str = "write", tries: int = 1) -> None:
        self.channels.append(step, tries, name, text)
