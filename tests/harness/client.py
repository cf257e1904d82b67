"""A client that writes down everything it saw, as the checker wants it."""

import asyncio
import json
import time
import uuid
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from urllib.parse import quote

from argosy.turn.status import ENDED
from tests.checker.history import violations
from tests.checker.seen import UNCERTAIN, Event, History, Read, Request, SignalSent
from tests.checker.sink import Sink
from tests.checker.tell import told
from tests.harness.balancer import Balancer

_ANSWERED_WITHIN_S = 30.0
_JSON = "application/json"


class Reply:
    """What a gateway answered."""

    def __init__(self, status_code: int, content: bytes) -> None:
        self.status_code = status_code
        self.content = content

    @property
    def text(self) -> str:
        return self.content.decode()

    def json(self) -> Any:
        return json.loads(self.content)


class Client:
    """Posts, signals and reads through a gateway, or several in turn, and judges the run at its end.

    is_retrying: calls are made as through a load balancer that tries another gateway once. tenant: whose calls these
    are, where gateways believe that.
    """

    def __init__(self, url: str, sink: Sink, *more_urls: str, is_retrying: bool = False, tenant: str = "") -> None:
        self._http = Balancer([url, *more_urls], is_retrying=is_retrying)
        self._tenant = tenant
        self.sink = sink
        self.requests: list[Request] = []
        self.signals: list[SignalSent] = []

    async def close(self) -> None:
        self._http.close()

    @property
    def retried(self) -> int:
        """Calls that needed a second gateway."""
        return self._http.retried

    async def request(self, method: str, path: str, content: str = "", **headers: str) -> Reply:
        """One request, as it is. headers: names with _ for -. Raises OSError when no answer comes."""
        given = {"x_argosy_tenant": self._tenant, **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items() if value)
        async with asyncio.timeout(_ANSWERED_WITHIN_S):
            return Reply(*await self._http.request(method, path, content.encode(), lines))

    def job(self, session: str, **fields: Any) -> dict[str, Any]:
        """The input that test workflows take."""
        return {"sink": self.sink.address, "session": session, **fields}

    async def post_once(self, session: str, body: dict[str, Any], key: str = "", effects: int | None = None) -> Request:
        """One POST, whatever comes of it."""
        sent_s = time.monotonic()
        turn_id, status = None, 0
        try:
            answer = await self.request(
                "POST", f"/v1/sessions/{session}/turns", json.dumps(body), content_type=_JSON, idempotency_key=key
            )
            status = answer.status_code
            if status in (200, 202):
                turn_id = answer.json()["turn_id"]
        except OSError:
            pass
        request = Request(session, key, sent_s, time.monotonic(), status, turn_id, effects)
        self.requests.append(request)
        return request

    async def post(
        self, session: str, workflow: str, effects: int | None = None, within_s: float = 60.0, **job: Any
    ) -> str:
        """A turn of a test workflow, repeated under one key until it is accepted; its id."""
        key = uuid.uuid4().hex
        body = {"workflow": workflow, "input": self.job(session, **job)}
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            request = await self.post_once(session, body, key, effects)
            if request.turn_id:
                return request.turn_id
            assert request.status in UNCERTAIN | {503, 429}, f"a turn was answered {request.status}"
            await asyncio.sleep(0.1)
        raise AssertionError(f"no turn of {session} was accepted within {within_s} s")

    async def batch(self, turns: Sequence[tuple[str, dict[str, Any]]], effects: int | None = None) -> list[str]:
        """One batch of (session, body); the ids of its turns, all of which must be accepted."""
        lines = [{"session": session, **body} for session, body in turns]
        sent_s = time.monotonic()
        body_lines = "\n".join(map(json.dumps, lines))
        answer = await self.request("POST", "/v1/turns:batch", body_lines, content_type="application/x-ndjson")
        answered_s = time.monotonic()
        assert answer.status_code == 200, answer.text
        answers = [json.loads(line) for line in answer.text.splitlines()]
        refused = [line for line in answers if line.get("status") != 202]
        assert not refused, refused[0]
        assert len(answers) == len(lines)
        # Lines of one batch stand in the log in input order: each is "sent" when the one before it was answered.
        step_s = (answered_s - sent_s) / (len(lines) + 1)
        for number, ((session, _), line) in enumerate(zip(turns, answers, strict=True)):
            at_s = sent_s + number * step_s
            self.requests.append(Request(session, "", at_s, at_s + step_s / 2, 202, line["turn_id"], effects))
        return [line["turn_id"] for line in answers]

    async def signal(self, turn_id: str, name: str, payload: Any, request_id: str = "", within_s: float = 30.0) -> int:
        """A signal, repeated under one request id until it is acknowledged or refused; the last status."""
        request_id = request_id or uuid.uuid4().hex
        deadline = time.monotonic() + within_s
        while True:
            status = 0
            try:
                path = f"/v1/turns/{turn_id}/signals/{name}"
                answer = await self.request(
                    "POST", path, json.dumps(payload), content_type=_JSON, idempotency_key=request_id
                )
                status = answer.status_code
            except OSError:
                pass
            self.signals.append(SignalSent(turn_id, name, request_id, _hashable(payload), status))
            if status not in UNCERTAIN | {503} or time.monotonic() > deadline:
                return status
            await asyncio.sleep(0.1)

    async def post_to(self, path: str) -> Reply:
        return await self.request("POST", path)

    async def get(self, path: str) -> Reply:
        """A GET, repeated while the gateway or Postgres are away, or the credential has read too often."""
        for _ in range(100):
            try:
                answer = await self.request("GET", path)
                if answer.status_code not in (429, 503, 504):
                    return answer
            except OSError:
                pass
            await asyncio.sleep(0.1)
        raise AssertionError(f"GET {path}: no answer")

    async def turn(self, turn_id: str) -> dict[str, Any]:
        answer = await self.get(f"/v1/turns/{turn_id}")
        assert answer.status_code == 200, f"{turn_id}: {answer.status_code} {answer.text}"
        content: dict[str, Any] = answer.json()
        return content

    async def until_status(
        self, turn_ids: Iterable[str], statuses: Collection[str] = ENDED, within_s: float = 30.0
    ) -> dict[str, dict[str, Any]]:
        """Every turn, once all are in one of these states. Raises AssertionError with what the others are."""
        left = list(dict.fromkeys(turn_ids))
        found: dict[str, dict[str, Any]] = {}
        deadline = time.monotonic() + within_s
        while True:
            for start in range(0, len(left), 32):
                chunk = left[start : start + 32]
                reads = await asyncio.gather(*map(self.turn, chunk))
                found |= dict(zip(chunk, reads, strict=True))
                if reads[-1]["status"] not in statuses:
                    break
            left = [turn_id for turn_id in left if turn_id not in found or found[turn_id]["status"] not in statuses]
            if not left:
                return found
            if time.monotonic() > deadline:
                shown = {turn_id: found[turn_id]["status"] for turn_id in left[:10] if turn_id in found}
                explained = (await self.get(f"/v1/turns/{left[0]}/explain")).text
                raise AssertionError(f"{len(left)} turns are not {sorted(statuses)}: {shown}; {left[0]}: {explained}")
            await asyncio.sleep(0.05)

    async def events(self, turn_id: str) -> tuple[Event, ...]:
        """The whole story of a turn, page by page."""
        events: list[Event] = []
        while True:
            after = events[-1].seq if events else 0
            answer = await self.get(f"/v1/turns/{turn_id}/events?after={after}")
            assert answer.status_code == 200, answer.text
            page = answer.json()["events"]
            events += [Event(e["seq"], e["attempt"], e["type"], e.get("key") or "", e.get("data")) for e in page]
            if len(page) < 50:  # no page is that short but the last
                return tuple(events)

    async def listed(self, session: str) -> list[dict[str, Any]]:
        """All turns of a session as the list shows them, in its order."""
        turns: list[dict[str, Any]] = []
        cursor = ""
        while True:
            answer = await self.get(f"/v1/sessions/{session}/turns?limit=200{cursor}")
            assert answer.status_code == 200, answer.text
            turns += answer.json()["turns"]
            if not answer.json()["next"]:
                return turns
            cursor = f"&cursor={quote(answer.json()['next'], safe='')}"

    async def history(
        self,
        disruptions: int = 0,
        waiting: Collection[str] = (),
        repeatable: Collection[str] | None = None,
        *,
        stopped: Collection[int] = (),
        is_truth_old: bool = False,
    ) -> History:
        """Read everything once more, and what the sink received. See History."""
        reads: dict[str, Read] = {}

        async def read(turn_id: str) -> None:
            answer = await self.get(f"/v1/turns/{turn_id}")
            if answer.status_code == 404:
                return
            turn = answer.json()
            reads[turn_id] = Read(turn["turn_id"], turn["session"], turn["status"], await self.events(turn_id))

        ids = list({request.turn_id for request in self.requests if request.turn_id})
        for start in range(0, len(ids), 32):
            await asyncio.gather(*map(read, ids[start : start + 32]))
        effects = await asyncio.to_thread(self.sink.effects)
        return History(
            tuple(self.requests),
            reads,
            effects,
            tuple(self.signals),
            disruptions,
            frozenset(waiting),
            None if repeatable is None else frozenset(repeatable),
            frozenset(stopped),
            is_truth_old,
        )

    async def judge(self, disruptions: int = 0, **known: Any) -> History:
        """Raises AssertionError with every broken promise. known: as of history()."""
        history = await self.history(disruptions, **known)
        found = violations(history)
        assert not found, f"{len(found)} broken promises:\n" + "\n".join(found[:30]) + told(history, found)
        return history


def _hashable(payload: Any) -> Any:
    return payload if isinstance(payload, (str, int, float, bool, type(None))) else json.dumps(payload)
