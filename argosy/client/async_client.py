"""`argosy.AsyncClient`: the client library for asyncio."""

import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Self, Unpack

from argosy.client import calls
from argosy.client.async_asking import AsyncAsking
from argosy.client.async_jobs import AsyncJobHandle
from argosy.client.calls import WorkflowName
from argosy.client.connection import OK, urls_of
from argosy.client.credential import Credential, Token
from argosy.client.deadline import Deadline
from argosy.client.events import StreamEvent, decode_event, ended_of
from argosy.client.job import Job, decode_jobs
from argosy.client.options import TurnOptions
from argosy.client.patience import json_of
from argosy.client.source import Uploadable, source_of
from argosy.client.turn import Turn, decode_turn, is_settled, result_of, submitted_id
from argosy.client.uploading import Uploading
from argosy.clock import Clock, SystemClock


class AsyncClient:
    """Submits, watches and controls turns through any of several gateways (http://…, https://… or unix:/path).

    When a gateway does not answer, the client repeats the call under the same idempotency key, at another gateway if it
    knows one, for retry_s seconds; the call takes effect once. A client is used on one event loop. Every method raises
    ProblemError (a gateway refused), GatewayUnreachableError (no gateway answered), EncodingError (a value cannot be
    encoded as JSON), CallerError.

    token: an API token, or a function that returns one; it is asked once more when a gateway refuses what it returned,
    so that a token can be rotated while the client lives. It is sent to these addresses alone, and over http only to
    this machine, unless allow_http says that the network is trusted. tenant: for gateways that believe who asks, and
    for tokens that may act as other tenants.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:9000",
        *more_urls: str,
        token: Token | None = None,
        allow_http: bool = False,
        tenant: str | None = None,
        headers: Mapping[str, str] | None = None,
        retry_s: float = 30.0,
        clock: Clock | None = None,
    ) -> None:
        urls = urls_of((url, *more_urls))
        credential = Credential(token, urls, allow_http=allow_http)
        self._asking = AsyncAsking(urls, credential, tenant, headers, retry_s, clock or SystemClock())

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
        deadline = Deadline(self._asking.clock, timeout_s)
        answer = await self._asking.ask(
            calls.submit(workflow, input, wait_s=deadline.first_wait_s(), **given), deadline
        )
        if answer.status == OK:
            return result_of(decode_turn(answer.content))
        return await AsyncTurnHandle(self._asking, submitted_id(answer.content))._result(deadline)

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
        answer = await self._asking.ask(calls.submit(workflow, input, **given))
        return AsyncTurnHandle(self._asking, submitted_id(answer.content))

    def turn(self, turn_id: str) -> "AsyncTurnHandle":
        """Return a handle of a turn that this or another client has submitted. This sends no request."""
        return AsyncTurnHandle(self._asking, str(turn_id))

    def session_events(
        self, session: str, *, after: str = "", skip_ended: bool = False
    ) -> AsyncGenerator[StreamEvent, None]:
        """Yield the events of a session, turn after turn, without end: from its beginning; with after, behind the event
        with this id; with skip_ended, from the first turn that has not ended.
        """
        return self._asking.follow(calls.session_events(session, skip_ended), decode_event, after, has_end=False)

    async def ingest(self, graph: str, source: Uploadable, *, key: str | None = None) -> AsyncJobHandle:
        """Upload into a graph: a file, lines as bytes, or operations. Once this returns, the log has all of it, and
        each line will be applied once. What is interrupted goes on where it was; under a key of your own (by default a
        new one) also in another process.
        """
        uploading = Uploading(graph, source_of(source), key or uuid.uuid4().hex)
        return await self.upload(uploading, is_new=key is None)

    async def upload(self, uploading: Uploading, *, is_new: bool = False) -> AsyncJobHandle:
        """Upload as `ingest` does; meanwhile uploading tells how far it is."""
        job = await self._asking.upload(uploading, is_new=is_new)
        return AsyncJobHandle(self._asking, job.job_id)

    def job(self, job_id: str) -> AsyncJobHandle:
        """Return a handle of a job that this or another client has begun. This sends no request."""
        return AsyncJobHandle(self._asking, str(job_id))

    async def jobs(self, graph: str, *, limit: int = 50) -> Sequence[Job]:
        """Return the jobs of a graph, the newest first."""
        return decode_jobs((await self._asking.ask(calls.jobs(graph, limit))).content)

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
        return json_of(await self._asking.ask(call))

    async def close(self) -> None:
        await self._asking.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncTurnHandle:
    """A handle of one turn. Its methods raise the same errors as the client's."""

    def __init__(self, asking: AsyncAsking, turn_id: str) -> None:
        self._asking = asking
        self.turn_id = turn_id
        self._ended: Turn | None = None

    def __repr__(self) -> str:
        return f"<turn {self.turn_id}>"

    async def get(self, *, wait_s: int = 0) -> Turn:
        """Return the turn as it is now; with wait_s, once it has ended, or as it is after so many seconds."""
        answer = await self._asking.ask(calls.get(self.turn_id, wait_s))
        return decode_turn(answer.content)

    async def result(self, *, timeout_s: float | None = None) -> Any:
        """Wait for the turn's end, and return its result. Raises TurnError when it did not complete or is parked, and
        TimeoutError.
        """
        return await self._result(Deadline(self._asking.clock, timeout_s))

    async def events(self, *, after: str = "") -> AsyncGenerator[StreamEvent, None]:
        """Yield the turn's events until it has ended: from its beginning, or behind the event with the id `after`. The
        last event has the result unless that is large, and then `result` sends no request.
        """
        async with aclosing(self._asking.follow(calls.turn_events(self.turn_id), decode_event, after)) as events:
            async for event in events:
                self._ended = ended_of(event) or self._ended
                yield event

    async def cancel(self) -> None:
        """Cancel the turn. Raises TurnEndedError when it has already ended in another way."""
        await self._asking.ask(calls.cancel(self.turn_id))

    async def signal(self, name: str, payload: Any = None, *, key: str | None = None) -> None:
        """Send a signal to the turn. Under the same key it is the same signal. Raises TurnEndedError."""
        await self._asking.ask(calls.signal(self.turn_id, name, payload, key))

    async def resume(self, *, key: str | None = None) -> None:
        """Let the turn, which is parked, run again. Under the same key it is the same resume. Raises ProblemError
        (not_parked), TurnEndedError.
        """
        await self._asking.ask(calls.resume(self.turn_id, key))

    async def _result(self, deadline: Deadline) -> Any:
        if self._ended is not None:
            return result_of(self._ended)
        while True:
            answer = await self._asking.ask(calls.get(self.turn_id, deadline.wait_s()), deadline)
            turn = decode_turn(answer.content)
            if is_settled(turn):
                return result_of(turn)
            await self._asking.clock.sleep(deadline.rest_s())
