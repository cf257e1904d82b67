"""`argosy.AsyncClient`: the client library for asyncio."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
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


class AsyncClient:
    """Submits, watches and controls turns through any of several gateways (http://…, https://… or unix:/path).

    When a gateway does not answer, the client repeats the call under the same idempotency key, at another gateway if it
    knows one, for retry_s seconds; the call takes effect once. A client is used on one event loop. Every method raises
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
            httpx2.AsyncClient(
                transport=httpx2.AsyncHTTPTransport(uds=socket_of(each), limits=LIMITS, trust_env=False),
                **options(each, tenant, headers),
            )
            for each in self._gateways.urls
        ]

    async def run(
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
        answer = await self._ask(calls.submit(workflow, input, wait_s=deadline.first_wait_s(), **given), deadline)
        if answer.status == OK:
            return result_of(decode_turn(answer.content))
        return await AsyncTurnHandle(self, submitted_id(answer.content))._result(deadline)

    async def stream(
        self,
        workflow: WorkflowName,
        input: Any = None,  # noqa: A002
        **given: Unpack[TurnOptions],
    ) -> AsyncGenerator[StreamEvent, None]:
        """Submit a turn and yield its events until it has ended, over as many connections as that takes."""
        handle = await self.submit(workflow, input, **given)
        async with aclosing(handle.events()) as events:
            async for event in events:
                yield event

    async def submit(
        self,
        workflow: WorkflowName,
        input: Any = None,  # noqa: A002
        **given: Unpack[TurnOptions],
    ) -> "AsyncTurnHandle":
        """Submit a turn. Once this returns, the turn is durable."""
        answer = await self._ask(calls.submit(workflow, input, **given))
        return AsyncTurnHandle(self, submitted_id(answer.content))

    def turn(self, turn_id: str) -> "AsyncTurnHandle":
        """Return a handle of a turn that this or another client has submitted. This sends no request."""
        return AsyncTurnHandle(self, str(turn_id))

    def session_events(
        self, session: str, *, after: str = "", skip_ended: bool = False
    ) -> AsyncGenerator[StreamEvent, None]:
        """Yield the events of a session, turn after turn, without end: from its beginning; with after, behind the event
        with this id; with skip_ended, from the first turn that has not ended.
        """
        return self._follow(calls.session_events(session, skip_ended), after, has_end=False)

    async def request(
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
        return json_of(await self._ask(call))

    async def close(self) -> None:
        for each in self._http:
            await each.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _ask(self, call: Call, deadline: Deadline | None = None) -> Answer:
        """Send a call, again and again until it is answered. Raises TimeoutError when the deadline passes first."""
        deadline = deadline or Deadline(self._clock)
        patience = Patience(self._gateways, self._clock, self._retry_s + call.wait_s, key=call.key)
        while True:
            timeout = timeout_of(call, deadline.left_s(call.key))
            http = self._http[patience.asked]
            try:
                response = await http.request(
                    call.method, call.path, headers=call.headers, content=call.content, timeout=timeout
                )
            except UNREACHABLE as error:
                pause_s: float | None = patience.failed(error)
            else:
                pause_s = patience.answered(answer_of(response))
            if pause_s is None:
                return answer_of(response)
            await self._clock.sleep(min(pause_s, deadline.left_s(call.key)))

    async def _follow(self, path: str, after: str, *, has_end: bool = True) -> AsyncGenerator[StreamEvent, None]:
        following = Following(path, self._gateways, self._clock, retry_s=self._retry_s, after=after, has_end=has_end)
        while not following.is_over:
            http = self._http[following.asked]
            try:
                async with http.stream("GET", path, headers=following.headers, timeout=STREAM_TIMEOUT) as response:
                    if response.status_code == OK:
                        following.connected()
                        async for message in messages_of(response):
                            if (event := following.receive(message)) is not None:
                                yield event
                            if following.is_over:
                                return
                        pause_s = following.closed()
                    else:
                        await response.aread()
                        pause_s = following.refused(answer_of(response))
            except UNREACHABLE as error:
                pause_s = following.broken(error)
            await self._clock.sleep(pause_s)


class AsyncTurnHandle:
    """A handle of one turn. Its methods raise the same errors as the client's."""

    def __init__(self, client: AsyncClient, turn_id: str) -> None:
        self._client = client
        self.turn_id = turn_id
        self._ended: Turn | None = None

    def __repr__(self) -> str:
        return f"<turn {self.turn_id}>"

    async def get(self, *, wait_s: int = 0) -> Turn:
        """Return the turn as it is now; with wait_s, once it has ended, or as it is after so many seconds."""
        answer = await self._client._ask(calls.get(self.turn_id, wait_s))
        return decode_turn(answer.content)

    async def result(self, *, timeout_s: float | None = None) -> Any:
        """Wait for the turn's end, and return its result. Raises TurnError when it did not complete or is parked, and
        TimeoutError.
        """
        return await self._result(Deadline(self._client._clock, timeout_s))

    async def events(self, *, after: str = "") -> AsyncGenerator[StreamEvent, None]:
        """Yield the turn's events until it has ended: from its beginning, or behind the event with the id `after`. The
        last event has the result unless that is large, and then `result` sends no request.
        """
        async with aclosing(self._client._follow(calls.turn_events(self.turn_id), after)) as events:
            async for event in events:
                self._ended = ended_of(event) or self._ended
                yield event

    async def cancel(self) -> None:
        """Cancel the turn. Raises TurnEndedError when it has already ended in another way."""
        await self._client._ask(calls.cancel(self.turn_id))

    async def signal(self, name: str, payload: Any = None, *, key: str | None = None) -> None:
        """Send a signal to the turn. Under the same key it is the same signal. Raises TurnEndedError."""
        await self._client._ask(calls.signal(self.turn_id, name, payload, key))

    async def resume(self, *, key: str | None = None) -> None:
        """Let the turn, which is parked, run again. Under the same key it is the same resume. Raises ProblemError
        (not_parked), TurnEndedError.
        """
        await self._client._ask(calls.resume(self.turn_id, key))

    async def _result(self, deadline: Deadline) -> Any:
        if self._ended is not None:
            return result_of(self._ended)
        while True:
            answer = await self._client._ask(calls.get(self.turn_id, deadline.wait_s()), deadline)
            turn = decode_turn(answer.content)
            if is_settled(turn):
                return result_of(turn)
            await self._client._clock.sleep(deadline.rest_s())
