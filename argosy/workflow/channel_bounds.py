"""How much one turn may show. Pure."""

from typing import Final

from argosy.errors import WorkflowError

# So many tokens of so many characters may be added to a text before anything more is asked.
TOKEN_CHARACTERS_MAX: Final = 128
_TOKENS_MAX: Final = 128


class ChannelBounds:
    """emit_size_bytes_max: of one emit; value_size_bytes_max: of one channel's value; turn_size_bytes_max: of all the
    values that a turn has in memory, channels_max: how many. tokens_max: so many of up to TOKEN_CHARACTERS_MAX
    characters of ASCII pass none of them in a turn that shows nothing else, and may be added without a further look.
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
        """Raises WorkflowError."""
        if size_bytes > self.emit_size_bytes_max:
            raise WorkflowError(
                f"one emit has {size_bytes} bytes, the bound is EMIT_SIZE_BYTES_MAX={self.emit_size_bytes_max}"
            )

    def check_value(self, name: str, size_bytes: int, turn_size_bytes: int) -> None:
        """Whether a channel, and all of a turn, may become so large. Raises WorkflowError."""
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
        """As `tokens_max`, in a text that has so many bytes already, in a turn that has so many."""
        if self.emit_size_bytes_max < TOKEN_CHARACTERS_MAX:
            return 0
        free_bytes = min(self.value_size_bytes_max - size_bytes, self.turn_size_bytes_max - turn_size_bytes)
        return min(_TOKENS_MAX, free_bytes // TOKEN_CHARACTERS_MAX)
