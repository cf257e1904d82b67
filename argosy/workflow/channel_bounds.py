"""Bounds of what one turn may emit. Pure."""

from typing import Final

from argosy.errors import WorkflowError

# A try may append _TOKENS_MAX tokens of up to TOKEN_CHARACTERS_MAX characters before the bounds are checked again.
TOKEN_CHARACTERS_MAX: Final = 128
_TOKENS_MAX: Final = 128


class ChannelBounds:
    """The bounds of a turn's channels.

    emit_size_bytes_max: of one emit; value_size_bytes_max: of one channel's value; turn_size_bytes_max: of all values
    that a turn has in memory; channels_max: how many open channels a turn may have. tokens_max: how many tokens of up
    to TOKEN_CHARACTERS_MAX characters of ASCII a turn that has emitted nothing else may append without a check: so many
    pass none of the bounds.
    """

    __slots__ = ("channels_max", "emit_size_bytes_max", "tokens_max", "turn_size_bytes_max", "value_size_bytes_max")

    def __init__(
        self, emit_size_bytes_max: int, value_size_bytes_max: int, turn_size_bytes_max: int, channels_max: int
    ) -> None:
        self.emit_size_bytes_max = emit_size_bytes_max
        self.value_size_bytes_max = value_size_bytes_max
        self.turn_size_bytes_max = turn_size_bytes_max
        self.channels_max = channels_max
        self.tokens_max = self.tokens_beside(0, 0)

    def check_emit(self, size_bytes: int) -> None:
        """Raise WorkflowError when one emit is too large."""
        if size_bytes > self.emit_size_bytes_max:
            raise WorkflowError(
                f"one emit has {size_bytes} bytes, the bound is EMIT_SIZE_BYTES_MAX={self.emit_size_bytes_max}"
            )

    def check_value(self, name: str, size_bytes: int, turn_size_bytes: int) -> None:
        """Raise WorkflowError when a channel, or all channels of the turn, would become too large."""
        if size_bytes > self.value_size_bytes_max:
            raise WorkflowError(
                f"channel {name!r} would have {size_bytes} bytes, "
                f"the bound is PAYLOAD_SIZE_BYTES_MAX={self.value_size_bytes_max}"
            )
        if turn_size_bytes > self.turn_size_bytes_max:
            raise WorkflowError(
                f"the turn's open channels would have {turn_size_bytes} bytes, "
                f"the bound is CHANNELS_SIZE_BYTES_MAX={self.turn_size_bytes_max}"
            )

    def tokens_beside(self, size_bytes: int, turn_size_bytes: int) -> int:
        """Return `tokens_max` for a text that already has size_bytes, in a turn whose channels have turn_size_bytes."""
        if self.emit_size_bytes_max < TOKEN_CHARACTERS_MAX:
            return 0
        free_bytes = min(self.value_size_bytes_max - size_bytes, self.turn_size_bytes_max - turn_size_bytes)
        return min(_TOKENS_MAX, free_bytes // TOKEN_CHARACTERS_MAX)
