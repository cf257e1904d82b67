"""`AsyncAsking`: gateways are asked, again and again until one answers, for asyncio."""

import asyncio
import math
from collections.abc import AsyncGenerator, Mapping

import httpx2

from argosy.client.calls import Call
from argosy.client.connection import (
    CONFLICT,
    LIMITS,
    OK,
    STREAM_TIMEOUT,
    UNREACHABLE,
    answer_of,
    messages_of,
    options,
    socket_of,
    timeout_of,
)
from argosy.client.credential import Bearer, Credential
from argosy.client.deadline import Deadline
from argosy.client.errors import ProblemError
from argosy.client.following import Decode, Following, Told
from argosy.client.job import Job, decode_job, decode_jobs
from argosy.client.patience import Answer, Gateways, Patience, problem_of
from argosy.client.uploading import NO_GRAPH, UPLOAD_MOVED, Uploading
from argosy.clock import Clock


class AsyncAsking:
    """The gateways of one client. http: a client of httpx2 for each."""

    def __init__(
        self,
        urls: tuple[str, ...],
        credential: Credential,
        tenant: str | None,
        headers: Mapping[str, str] | None,
        retry_s: float,
        clock: Clock,
    ) -> None:
        self.clock = clock
        self._credential = credential
        self._gateways = Gateways(urls)
        self._retry_s = retry_s
        self.http = [
            httpx2.AsyncClient(
                transport=httpx2.AsyncHTTPTransport(uds=socket_of(each), limits=LIMITS, trust_env=False),
                **options(each, tenant, headers),
            )
            for each in self._gateways.urls
        ]

    async def ask(self, call: Call, deadline: Deadline | None = None) -> Answer:
        """Send a call, again and again until it is answered. Raises TimeoutError when the deadline passes first."""
        deadline = deadline or Deadline(self.clock)
        patience = Patience(self._gateways, self.clock, self._retry_s + call.wait_s, key=call.key)
        bearer = Bearer(self._credential)
        while True:
            if bearer.is_asked_for:
                await asyncio.to_thread(bearer.ask)
            timeout = timeout_of(call, deadline.left_s(call.key))
            http = self.http[patience.asked]
            try:
                response = await http.request(
                    call.method,
                    call.path,
                    headers=call.headers,
                    content=call.content,
                    timeout=timeout,
                    auth=bearer.auth,
                )
            except UNREACHABLE as error:
                pause_s: float | None = patience.failed(error)
            else:
                answer = answer_of(response)
                pause_s = 0.0 if bearer.is_renewable(answer.status) else patience.answered(answer)
            if pause_s is None:
                return answer
            await self.clock.sleep(min(pause_s, deadline.left_s(call.key)))

    async def follow(
        self, path: str, decode: Decode[Told], after: str, *, has_end: bool = True
    ) -> AsyncGenerator[Told, None]:
        """Yield the messages of a stream over as many connections as that takes."""
        following = Following(path, self._gateways, self.clock, retry_s=self._retry_s, after=after, has_end=has_end)
        bearer = Bearer(self._credential)
        while not following.is_over:
            if bearer.is_asked_for:
                await asyncio.to_thread(bearer.ask)
            http = self.http[following.asked]
            try:
                async with http.stream(
                    "GET", path, headers=following.headers, timeout=STREAM_TIMEOUT, auth=bearer.auth
                ) as response:
                    if response.status_code == OK:
                        bearer.was_good()
                        following.connected()
                        async for message in messages_of(response):
                            if (event := following.receive(message, decode)) is not None:
                                yield event
                            if following.is_over:
                                return
                        pause_s = following.closed()
                    elif bearer.is_renewable(response.status_code):
                        pause_s = 0.0
                    else:
                        await response.aread()
                        pause_s = following.refused(answer_of(response))
            except UNREACHABLE as error:
                pause_s = following.broken(error)
            await self.clock.sleep(pause_s)

    async def upload(self, uploading: Uploading, *, is_new: bool) -> Job:
        """Upload until the job has all of it: each try begins where the one before got to. is_new: nobody has used the
        key before, so the first try begins at the beginning.
        """
        patience = Patience(self._gateways, self.clock, self._retry_s, key=uploading.key)
        if not is_new:
            await self._look_for(uploading)
        bearer = Bearer(self._credential)
        while uploading.job is None:
            if bearer.is_asked_for:
                await asyncio.to_thread(bearer.ask)
            call = uploading.call
            http = self.http[patience.asked]
            try:
                response = await http.request(
                    call.method,
                    call.path,
                    headers=call.headers,
                    content=_sent(uploading),
                    timeout=timeout_of(call, math.inf),
                    auth=bearer.auth,
                )
            except UNREACHABLE as error:
                pause_s: float | None = patience.failed(error)
            else:
                answer = answer_of(response)
                if bearer.is_renewable(answer.status):
                    continue  # refused before anything of it was read
                if answer.status == CONFLICT and (problem := problem_of(answer)).kind == UPLOAD_MOVED:
                    pause_s = patience.failed(problem)
                else:
                    pause_s = patience.answered(answer)
            if pause_s is None:
                return decode_job(response.content)
            await self.clock.sleep(pause_s)
            if await self._look_for(uploading):
                patience.succeeded()
        return uploading.job

    async def close(self) -> None:
        for each in self.http:
            await each.aclose()

    async def _look_for(self, uploading: Uploading) -> bool:
        """Find out how far an upload got. Whether that is farther than was known."""
        try:
            answer = await self.ask(uploading.question)
        except ProblemError as problem:
            if problem.kind != NO_GRAPH:
                raise
            return False
        found = decode_jobs(answer.content)
        return await asyncio.to_thread(uploading.found, found[0] if found else None)


async def _sent(uploading: Uploading) -> AsyncGenerator[bytes, None]:
    for block in uploading.blocks():
        yield block
