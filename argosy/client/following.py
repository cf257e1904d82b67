"""The state of a stream over any number of connections: where it goes on, and what a message means. It does no I/O."""

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from httpx2 import ServerSentEvent, SSEError

from argosy.client.calls import EVENT_STREAM, header
from argosy.client.patience import Answer, Gateways, Patience
from argosy.clock import Clock

NO_CONTENT: Final = 204
# A gateway sends something at least every 20 s (SSE_HEARTBEAT_S): one that is silent for so long is gone.
SILENT_S: Final = 40.0
_GOOD_S: Final = 2.0
# A gateway ends a stream with this message, a problem, when whoever follows it may do so no longer. The answer to the
# next request says so, too, and more.
_REFUSED: Final = "error"


class _Told(Protocol):
    """A message of a stream. is_ending: it is the last of what is followed."""

    @property
    def id(self) -> str: ...
    @property
    def is_ending(self) -> bool: ...


Told = TypeVar("Told", bound=_Told)
# Reads a message's `event:`, `id:` and `data:`. Raises ValueError.
Decode = Callable[[str, str, str], Told]


class Following:
    """Follows one stream. after: the id of the last event that the caller has. is_over: whether the stream has ended.
    Raises CallerError when after cannot be an id.
    """

    def __init__(
        self, path: str, gateways: Gateways, clock: Clock, *, retry_s: float, after: str = "", has_end: bool = True
    ) -> None:
        self.path = path
        self.is_over = False
        self.last_id = header(after, "an event's id")
        self._clock = clock
        self._has_end = has_end
        self._patience = Patience(gateways, clock, retry_s)
        self._retry_s = 0.0
        self._has_heard = False
        self._told_id = ""
        self._connected_at_s: float | None = None

    @property
    def asked(self) -> int:
        """The index of the gateway to connect to."""
        return self._patience.asked

    @property
    def headers(self) -> dict[str, str]:
        headers = {"accept": EVENT_STREAM, "cache-control": "no-store"}
        return headers | ({"last-event-id": self.last_id} if self.last_id else {})

    def connected(self) -> None:
        """Note that a gateway has begun to answer with a stream."""
        self._has_heard = False
        self._told_id = self.last_id
        self._connected_at_s = self._clock.monotonic_s()

    def refused(self, answer: Answer) -> float:
        """Note an answer other than 200. Returns the seconds to wait before connecting again. Raises ProblemError."""
        if answer.status == NO_CONTENT:
            self.is_over = True
            return 0.0
        return self._patience.answered(answer) or 0.0

    def receive(self, message: ServerSentEvent, decode: Decode[Told]) -> Told | None:
        """Take a message; return its event, or None when it has none. Raises SSEError when it is not a gateway's
        message.
        """
        if message.retry is not None:
            self._retry_s = message.retry / 1000
        if not message.data or message.event == _REFUSED:
            return None
        # In SSE a message without an id has that of the message before it: then the event has no id of its own.
        event_id, self._told_id = "" if message.id == self._told_id else message.id, message.id
        try:
            event = decode(message.event, event_id, message.data)
        except ValueError as error:
            raise SSEError(str(error)) from error
        self._has_heard = True
        if event.id:
            self.last_id = event.id
        self.is_over = self._has_end and event.is_ending
        return event

    def broken(self, error: Exception) -> float:
        """Note that the connection failed. Returns the seconds to wait. Raises GatewayUnreachableError."""
        if self._was_good():
            self._patience.succeeded()
        return self._patience.failed(error)

    def closed(self) -> float:
        """Note that the gateway closed the connection in order. Returns the seconds to wait. Raises
        GatewayUnreachableError.
        """
        if not self._was_good():
            return max(self._retry_s, self._patience.failed(ConnectionError("the stream was closed at once")))
        self._patience.succeeded()
        return self._patience.closed(self._retry_s)

    def _was_good(self) -> bool:
        """Whether the connection that ended counts as a success: it had an event, or lasted longer than _GOOD_S. So the
        end of a stream that had nothing to tell for an hour is no failure.
        """
        if self._connected_at_s is None:
            return False
        lived_s = self._clock.monotonic_s() - self._connected_at_s
        self._connected_at_s = None
        return self._has_heard or lived_s > _GOOD_S
