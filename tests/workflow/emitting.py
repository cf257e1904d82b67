"""Code that emits, without the turn that it belongs to."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from argosy.workflow.channel_bounds import ChannelBounds
from argosy.workflow.channels import Channels
from argosy.workflow.current import CurrentAttempt, Try, current_attempt, current_try
from argosy.workflow.open_attempt import OpenAttempt
from argosy.workflow.own_emits import Kept

BOUNDS = ChannelBounds(emit_size_bytes_max=200, value_size_bytes_max=2_000, turn_size_bytes_max=3_000, channels_max=8)


class Journal:
    """As much of one as emits need; seq: of its newest event."""

    bounds = BOUNDS
    turn_id = uuid.UUID(int=1)
    principal = None
    attempt = 1

    def __init__(self) -> None:
        self.seq = 1
        self.kept: Kept | None = None
        self.shown: Channels | None = None
        self.opened = OpenAttempt(self)

    @property
    def is_new(self) -> bool:
        return self.kept is None

    @property
    def made(self) -> Channels:
        """The channels, as a watcher gets them who comes now."""
        return self.opened.reveal()

    def record(self) -> None:
        self.seq += 1
        if self.shown is not None:
            self.shown.follow()

    def channels(self) -> Channels:
        return Channels(self.bounds, self, self.kept)

    def show(self, channels: Channels) -> None:
        self.shown = channels

    def graphs(self) -> NoReturn:
        raise NotImplementedError  # nothing here asks for a graph


@contextmanager
def inside(opened: CurrentAttempt, this: Try | None) -> Iterator[None]:
    """What is called here is code of this try of a step, or of the workflow."""
    tokens = current_attempt.set(opened), current_try.set(this)
    try:
        yield
    finally:
        current_attempt.reset(tokens[0])
        current_try.reset(tokens[1])
