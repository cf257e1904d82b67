"""How much one turn may show. Pure."""

from typing import Final

from argosy.errors import WorkflowError

# So much may be added to a text before anything more is asked; as tokens it weighs some 5 KB.
_ROOM_CHARACTERS_MAX: Final = 512


class ChannelBounds:
    """emit_size_bytes_max: of one emit; value_size_bytes_max: of one channel's value; turn_size_bytes_max: of all the
    values that a turn has in memory, channels_max: how many. room: characters of ASCII that pass none of them in a turn
    that shows nothing else, and that may be added without a further look.
    """

    __slots__ = ("channels_max", "emit_size_bytes_max", "room", "turn_size_bytes_max", "value_size_bytes_max")

    def __init__(
        self, emit_size_bytes_max: int, value_size_bytes_max: int, turn_size_bytes_max: int, channels_max: int
    ) -> None:
        self.emit_size_bytes_max = emit_size_bytes_max
        self.value_size_bytes_max = value_size_bytes_max
        self.turn_size_bytes_max = turn_size_bytes_max
        self.channels_max = channels_max
        self.room = min(_ROOM_CHARACTERS_MAX, emit_size_bytes_max, value_size_bytes_max, turn_size_bytes_max)

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

    def room_beside(self, size_bytes: int, turn_size_bytes: int) -> int:
        """As `room`, in a text that has so many bytes already, in a turn that has so many."""
        return min(self.room, self.value_size_bytes_max - size_bytes, self.turn_size_bytes_max - turn_size_bytes)
