"""`argosy.Client`: the client library for code that blocks. Generated: generate_sync_client.py."""

import threading
from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any, Self, Unpack

import httpx2

from argosy.client import calls
from argosy.client.calls import Call, WorkflowName
from argosy.client.connection import (
    LIMITS,
    OK,
    STREAM_TIMEOUT,
    UNREACHABLE,
    answer_of,
    messages_of,
    options,
    socket_of,
    timeout_of,
    urls_of,
)
from argosy.client.deadline import Deadline
from argosy.client.events import StreamEvent, ended_of
from argosy.client.following import Following
from argosy.client.options import TurnOptions
from argosy.client.patience import Answer, Gateways, Patience, json_of
from argosy.client.turn import Turn, decode_turn, is_settled, result_of, submitted_id
from argosy.clock import Clock, SystemClock


class Client:
    """Submits, watches and controls turns through any of several gateways (http://…, https://… or unix:/path).

    When a gateway does not answer, the client repeats the call under the same idempotency key, at another gateway if it
    knows one, for retry_s seconds; the call takes effect once. Several threads may use one client. Every method raises
    ProblemError (a gateway refused), GatewayUnreachableError (no gateway answered), EncodingError (a value cannot be
    encoded as JSON), CallerError.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:9000",
        *more_urls: str,
        tenant: str | None = None,
        headers: Mapping[str, str] | None = None,
        retry_s: float = 30.0,
        clock: Clock | None = None,
    ) -> None:
        self._gateways = Gateways(urls_of((url, *more_urls)))
        self._retry_s = retry_s
        self._clock = clock or SystemClock()
        self._http = [
            httpx2.Client(
                transport=httpx2.HTTPTransport(uds=socket_of(each), limits=LIMITS, trust_env=False),
                **options(each, tenant, headers),
            )
            for each in self._gateways.urls
        ]

    def run(
        self,
        workflow: WorkflowName,
        input: Any = None,  # noqa: A002
        *,
        timeout_s: float | None = None,
        **given: Unpack[TurnOptions],
    ) -> Any:
        """Submit a turn, wait for its end, and return its result.

        Raises TurnError (the turn did not complete), TimeoutError (it has not ended within timeout_s; it goes on).
        """
        deadline = Deadline(self._clock, timeout_s)
        answer = self._ask(calls.submit(workflow, input, wait_s=deadline.first_wait_s(), **given), deadline)
        if answer.status == OK:
            return result_of(decode_turn(answer.content))
        return TurnHandle(self, submitted_id(answer.content))._result(deadline)

    def stream(
        self,
        workflow: WorkflowName,
        input: Any = None,  # noqa: A002
        **given: Unpack[TurnOptions],
    ) -> Generator[StreamEvent, None, None]:
        """Submit a turn and yield its events until it has ended, over as many connections as that takes."""
        return self.submit(workflow, input, **given).events()

    def submit(
        self,
        workflow: WorkflowName,
        input: Any = None,  # noqa: A002
        **given: Unpack[TurnOptions],
    ) -> "TurnHandle":
        """Submit a turn. Once this returns, the turn is durable."""
        answer = self._ask(calls.submit(workflow, input, **given))
        return TurnHandle(self, submitted_id(answer.content))

    def turn(self, turn_id: str) -> "TurnHandle":
        """Return a handle of a turn that this or another client has submitted. This sends no request."""
        return TurnHandle(self, str(turn_id))

    def session_events(
        self, session: str, *, after: str = "", skip_ended: bool = False
    ) -> Generator[StreamEvent, None, None]:
        """Yield the events of a session, turn after turn, without end: from its beginning; with after, behind the event
        with this id; with skip_ended, from the first turn that has not ended.
        """
        return self._follow(calls.session_events(session, skip_ended), after, has_end=False)

    def request(
        self,
        method: str,
        path: str,
        *,
        content: bytes = b"",
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        answer_s: float = calls.ANSWER_S,
    ) -> Any:
        """Send a request to any route of the gateways, and return the answer: its JSON, or None when it has no body.

        path: from "/v1/" on, with its parameters. content: the body, as JSON. key: the idempotency key; by default a
        request that is not a GET has a new one. answer_s: how long a gateway may take to answer.
        """
        call = calls.request(method, path, content=content, key=key, headers=headers, answer_s=answer_s)
        return json_of(self._ask(call))

    def close(self) -> None:
        for each in self._http:
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, call: Call, deadline: Deadline | None = None) -> Answer:
        """Send a call, again and again until it is answered. Raises TimeoutError when the deadline passes first."""
        deadline = deadline or Deadline(self._clock)
        patience = Patience(self._gateways, self._clock, self._retry_s + call.wait_s, key=call.key)
        while True:
            timeout = timeout_of(call, deadline.left_s(call.key))
            http = self._http[patience.asked]
            try:
                response = http.request(
                    call.method, call.path, headers=call.headers, content=call.content, timeout=timeout
                )
            except UNREACHABLE as error:
                pause_s: float | None = patience.failed(error)
            else:
                pause_s = patience.answered(answer_of(response))
            if pause_s is None:
                return answer_of(response)
            _rest(min(pause_s, deadline.left_s(call.key)))

    def _follow(self, path: str, after: str, *, has_end: bool = True) -> Generator[StreamEvent, None, None]:
        following = Following(path, self._gateways, self._clock, retry_s=self._retry_s, after=after, has_end=has_end)
        while not following.is_over:
            http = self._http[following.asked]
            try:
                with http.stream("GET", path, headers=following.headers, timeout=STREAM_TIMEOUT) as response:
                    if response.status_code == OK:
                        following.connected()
                        for message in messages_of(response):
                            if (event := following.receive(message)) is not None:
                                yield event
                            if following.is_over:
                                return
                        pause_s = following.closed()
                    else:
                        response.read()
                        pause_s = following.refused(answer_of(response))
            except UNREACHABLE as error:
                pause_s = following.broken(error)
            _rest(pause_s)


class TurnHandle:
    """A handle of one turn. Its methods raise the same errors as the client's."""

    def __init__(self, client: Client, turn_id: str) -> None:
        self._client = client
        self.turn_id = turn_id
        self._ended: Turn | None = None

    def __repr__(self) -> str:
        return f"<turn {self.turn_id}>"

    def get(self, *, wait_s: int = 0) -> Turn:
        """Return the turn as it is now; with wait_s, once it has ended, or as it is after so many seconds."""
        answer = self._client._ask(calls.get(self.turn_id, wait_s))
        return decode_turn(answer.content)

    def result(self, *, timeout_s: float | None = None) -> Any:
        """Wait for the turn's end, and return its result. Raises TurnError when it did not complete or is parked, and
        TimeoutError.
        """
        return self._result(Deadline(self._client._clock, timeout_s))

    def events(self, *, after: str = "") -> Generator[StreamEvent, None, None]:
        """Yield the turn's events until it has ended: from its beginning, or behind the event with the id `after`. The
        last event has the result unless that is large, and then `result` sends no request.
        """
        with closing(self._client._follow(calls.turn_events(self.turn_id), after)) as events:
            for event in events:
                self._ended = ended_of(event) or self._ended
                yield event

    def cancel(self) -> None:
        """Cancel the turn. Raises TurnEndedError when it has already ended in another way."""
        self._client._ask(calls.cancel(self.turn_id))

    def signal(self, name: str, payload: Any = None, *, key: str | None = None) -> None:
        """Send a signal to the turn. Under the same key it is the same signal. Raises TurnEndedError."""
        self._client._ask(calls.signal(self.turn_id, name, payload, key))

    def resume(self, *, key: str | None = None) -> None:
        """Let the turn, which is parked, run again. Under the same key it is the same resume. Raises ProblemError
        (not_parked), TurnEndedError.
        """
        self._client._ask(calls.resume(self.turn_id, key))

    def _result(self, deadline: Deadline) -> Any:
        if self._ended is not None:
            return result_of(self._ended)
        while True:
            answer = self._client._ask(calls.get(self.turn_id, deadline.wait_s()), deadline)
            turn = decode_turn(answer.content)
            if is_settled(turn):
                return result_of(turn)
            _rest(deadline.rest_s())


def _rest(pause_s: float) -> None:
    if pause_s > 0:
        threading.Event().wait(pause_s)
