"""One stream over any number of connections: what to ask for next, and what a message means. Does no I/O."""

from typing import Final

from httpx2 import ServerSentEvent, SSEError

from argosy.client.calls import EVENT_STREAM, header
from argosy.client.events import Event, StreamEvent, decode_event
from argosy.client.patience import Answer, Gateways, Patience
from argosy.clock import Clock

NO_CONTENT: Final = 204
# A gateway says something every 20 s at the least (SSE_HEARTBEAT_S): one that is silent for longer is gone.
SILENT_S: Final = 40.0
_GOOD_S: Final = 2.0


class Following:
    """after: the id of the last event that is known already. is_over: nothing more comes. Raises CallerError: after is
    no id.
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
        """Which gateway to connect to."""
        return self._patience.asked

    @property
    def headers(self) -> dict[str, str]:
        headers = {"accept": EVENT_STREAM, "cache-control": "no-store"}
        return headers | ({"last-event-id": self.last_id} if self.last_id else {})

    def connected(self) -> None:
        """A stream has begun."""
        self._has_heard = False
        self._told_id = self.last_id
        self._connected_at_s = self._clock.monotonic_s()

    def refused(self, answer: Answer) -> float:
        """Any answer but 200. Returns seconds to wait before the next connection. Raises ProblemError."""
        if answer.status == NO_CONTENT:
            self.is_over = True
            return 0.0
        return self._patience.answered(answer) or 0.0

    def heard(self, message: ServerSentEvent) -> StreamEvent | None:
        """A message; None when it is none for the user. Raises SSEError when it is not one of a gateway's."""
        if message.retry is not None:
            self._retry_s = message.retry / 1000
        if not message.data:
            return None
        # An id counts until the next one, and what has no number of its own is told with the one before it.
        event_id, self._told_id = "" if message.id == self._told_id else message.id, message.id
        try:
            event = decode_event(message.event, event_id, message.data)
        except ValueError as error:
            raise SSEError(str(error)) from error
        self._has_heard = True
        if event.id:
            self.last_id = event.id
        self.is_over = self._has_end and isinstance(event, Event) and event.is_ending
        return event

    def broken(self, error: Exception) -> float:
        """The connection failed. Returns seconds to wait. Raises GatewayUnreachableError."""
        if self._was_good():
            self._patience.succeeded()
        return self._patience.failed(error)

    def closed(self) -> float:
        """The gateway closed the connection in order. Returns seconds to wait. Raises GatewayUnreachableError."""
        if not self._was_good():
            return max(self._retry_s, self._patience.failed(ConnectionError("the stream was closed at once")))
        self._patience.succeeded()
        return self._patience.closed(self._retry_s)

    def _was_good(self) -> bool:
        """Whether the connection was worth having: one that was idle for an hour is no failure when it ends."""
        if self._connected_at_s is None:
            return False
        lived_s = self._clock.monotonic_s() - self._connected_at_s
        self._connected_at_s = None
        return self._has_heard or lived_s > _GOOD_S
