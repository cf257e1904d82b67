"""A token that is limited to some sessions, or workflows, reaches no others."""

import asyncio
import json
import uuid
from typing import Final

import httpx2
import pytest

from argosy.gateway.access import accesses
from argosy.gateway.explain_hidden import without_workers
from argosy.gateway.verdict import Verdict
from argosy.identity.scopes import Role
from argosy.store.turn import TurnFacts
from tests.gateway.identity.test_access import app_of
from tests.gateway.identity.tokens import Tokens
from tests.gateway.rows import Rows

OF_TURNS: Final = [
    ("GET", "/v1/turns/{}"),
    ("GET", "/v1/turns/{}?wait=1"),
    ("GET", "/v1/turns/{}/explain"),
    ("GET", "/v1/turns/{}/events"),
    ("POST", "/v1/turns/{}/signals/go"),
    ("POST", "/v1/turns/{}/cancel"),
    ("POST", "/v1/turns/{}/resume"),
]
OF_SESSIONS: Final = [
    ("GET", "/v1/sessions/{}"),
    ("GET", "/v1/sessions/{}/turns"),
    ("GET", "/v1/sessions/{}/events"),
    ("POST", "/v1/sessions/{}/turns"),
]


def problem(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(("method", "path"), OF_TURNS)
async def test_a_turn_of_another_session_is_none(
    guarded: httpx2.AsyncClient, tokens: Tokens, rows: Rows, method: str, path: str
) -> None:
    made = await tokens.make(sessions=["support-*", "mine"])
    seen = await rows.turn("support-7", "parked", attempt=1, seq=1, reason="no_build")
    hidden, nowhere = (
        await rows.turn("finance", "parked", attempt=1, seq=1, reason="no_build"),
        rows.mint("finance", 90),
    )

    async def ask(turn_id: uuid.UUID, accept: str) -> httpx2.Response:
        return await guarded.request(method, path.format(turn_id), headers=made.headers | {"accept": accept})

    kinds = ("application/json", "application/x-ndjson")
    # At once: that a turn is not known is said after a while in which it could still come.
    answers = await asyncio.gather(*(ask(turn_id, kind) for kind in kinds for turn_id in (hidden, nowhere)))
    for there, nothing in (answers[:2], answers[2:]):
        assert problem(there) == problem(nothing) == (404, "turn_not_found")
        assert there.text.replace(str(hidden), "") == nothing.text.replace(str(nowhere), "")
    assert await rows.inbox(hidden) == []
    answer = await guarded.request(method, path.format(seen), headers=made.headers)
    assert answer.status_code in (200, 202), answer.text


@pytest.mark.parametrize(("method", "path"), OF_SESSIONS)
async def test_another_session_is_refused(
    guarded: httpx2.AsyncClient, tokens: Tokens, rows: Rows, method: str, path: str
) -> None:
    await rows.turn("finance", "completed")
    made = await tokens.make(sessions=["support-*", "mine"])

    for name in ("finance", "mine2", "Support-7", "supper"):
        answer = await guarded.request(
            method, path.format(name), json={"workflow": "echo"} if method == "POST" else None, headers=made.headers
        )
        assert problem(answer) == (403, "insufficient_scope"), name
    if method == "POST":
        answer = await guarded.post(path.format("support-1"), json={"workflow": "echo"}, headers=made.headers)
        assert answer.status_code == 202


async def test_lists_show_what_the_token_is_for(guarded: httpx2.AsyncClient, tokens: Tokens, rows: Rows) -> None:
    for name in ("support-1", "finance", "support-2", "mine", "sup%", "support_3"):
        await rows.session(name)
    made = await tokens.make(sessions=["support-*", "mine"])
    found, cursor = [], ""
    while True:
        page = (await guarded.get(f"/v1/sessions?limit=1{cursor}", headers=made.headers)).json()
        found += [each["session"] for each in page["sessions"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"

    assert sorted(found) == ["mine", "support-1", "support-2"]


async def test_a_batch_takes_the_lines_that_the_token_is_for(guarded: httpx2.AsyncClient, tokens: Tokens) -> None:
    made = await tokens.make(sessions=["support-*"], workflows=["echo"])
    lines = [("support-1", "echo"), ("finance", "echo"), ("support-2", "refund"), ("support-2", "echo")]
    content = "\n".join(json.dumps({"session": session, "workflow": workflow}) for session, workflow in lines)

    answer = await guarded.post("/v1/turns:batch", content=content, headers=made.headers)

    told = [json.loads(line) for line in answer.text.splitlines()]
    assert [each["status"] for each in told] == [202, 403, 403, 202]
    assert [each.get("code") for each in told[1:3]] == ["insufficient_scope"] * 2


async def test_other_workflows_are_refused(guarded: httpx2.AsyncClient, tokens: Tokens) -> None:
    made = await tokens.make(Role.USER, workflows=["echo"])

    taken = await guarded.post("/v1/sessions/s/turns", json={"workflow": "echo"}, headers=made.headers)
    refused = await guarded.post("/v1/sessions/s/turns", json={"workflow": "refund"}, headers=made.headers)

    assert taken.status_code == 202
    assert problem(refused) == (403, "insufficient_scope")


async def test_a_turn_that_was_just_posted_is_waited_for(
    guarded: httpx2.AsyncClient, tokens: Tokens, rows: Rows
) -> None:
    made = await tokens.make(sessions=["mine"])
    turn_id = rows.mint("mine")
    sending = asyncio.create_task(guarded.post(f"/v1/turns/{turn_id}/signals/go", headers=made.headers))
    await asyncio.sleep(0.3)
    assert not sending.done()
    await rows.turn("mine", "suspended", turn_id=turn_id, attempt=1)

    assert (await sending).status_code == 202


def test_routes_that_do_not_look_at_sessions_refuse_a_token_that_is_limited_to_some() -> None:
    blind = {
        path.split("/")[2].partition(":")[0]
        for (_, path), access in accesses(app_of().state.routes).items()
        if access.is_of_tenant and not access.minds_limits
    }

    assert blind == {"graphs", "ingest", "erasures", "turns"}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/graphs"), ("GET", "/v1/erasures"), ("POST", "/v1/turns:resume"), ("GET", "/v1/tokens")],
)
async def test_they_do(guarded: httpx2.AsyncClient, tokens: Tokens, method: str, path: str) -> None:
    made = await tokens.make(sessions=["mine"])

    assert problem(await guarded.request(method, path, headers=made.headers)) == (403, "insufficient_scope")


def test_an_explanation_for_a_tenant_names_no_worker() -> None:
    owner, able, lent_to = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    facts = TurnFacts(**dict.fromkeys(TurnFacts._fields))._replace(  # type: ignore[arg-type]
        owner=owner, able=[able], lent_to=lent_to, runner=f"{lent_to}/7"
    )
    why = f"Its owner {owner} does not have it; worker {able} has it; it still runs at worker {lent_to}, and waits."
    details = {"owner": owner, "able_workers": [able], "runner": str(lent_to), "workers_alive": 3, "workflow": "w"}

    hidden = without_workers(Verdict("code", why, "do", details), facts)

    assert hidden.why == "Its owner does not have it; a worker has it; it still runs at a worker, and waits."
    assert hidden.details == {"owner": None, "able_workers": 1, "runner": None, "workers_alive": 3, "workflow": "w"}
