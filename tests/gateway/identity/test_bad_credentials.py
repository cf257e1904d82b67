"""What is no credential, or a bad one: how it is answered, and that it costs and tells nothing."""

from typing import Any, Final

import httpx2
import pytest

from argosy.config import Settings
from argosy.identity.api_token import TokenKind, mint
from argosy.store.audit import list_audit
from argosy.store.pool import open_pool
from tests.gateway.identity.refusals import challenge, problem
from tests.gateway.identity.tokens import Tokens
from tests.gateway.rows import Rows

BAD_FORMS: Final = {
    "a blank": "Bearer  ",
    "a tab": f"Bearer\t{mint(TokenKind.TENANT)}",
    "not a token": "Bearer sesame",
    "an unknown token": f"Bearer {mint(TokenKind.TENANT)}",
    "a wrong checksum": f"Bearer {mint(TokenKind.TENANT)[:-1]}!",
    "another kind": f"Bearer {mint(TokenKind.TENANT).replace('_t_', '_s_')}",
    "two words": f"Bearer {mint(TokenKind.TENANT)} more",
    "a long one": f"Bearer {'a' * 5_000}",
    "no ASCII": "Bearer ä",
}


async def test_without_a_credential_nothing_of_a_tenant_is_answered(guarded: httpx2.AsyncClient) -> None:
    for path in ("/v1/whoami", "/v1/sessions", "/v1/fleet", "/v1/tokens"):
        answer = await guarded.get(path)

        assert problem(answer) == (401, "unauthenticated")
        assert challenge(answer) == 'Bearer realm="argosy"'
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/", "/openapi.json", "/console/app.js"])
async def test_what_shows_nothing_of_a_tenant_is_open(guarded: httpx2.AsyncClient, path: str) -> None:
    answer = await guarded.get(path, headers={"authorization": "Bearer sesame"})

    assert answer.status_code == 200


@pytest.mark.parametrize("what", list(BAD_FORMS))
async def test_a_bad_token_is_refused_whether_or_not_one_is_needed(
    guarded: httpx2.AsyncClient, client: httpx2.AsyncClient, what: str
) -> None:
    for each in (guarded, client):
        answer = await each.get("/v1/sessions", headers={b"authorization": BAD_FORMS[what].encode("latin-1")})

        assert problem(answer) == (401, "invalid_token")
        assert challenge(answer) == 'Bearer realm="argosy", error="invalid_token"'


async def test_why_a_token_is_bad_is_told_to_the_audit_alone(
    guarded: httpx2.AsyncClient, tokens: Tokens, settings: Settings
) -> None:
    revoked, expired = await tokens.make(), await tokens.make(lifetime_s=0.001)
    await tokens.revoke(revoked)
    bad = [revoked.token, expired.token, mint(TokenKind.TENANT), "argosy_t_short"]
    await guarded.state.identity.cache.refresh_after()  # type: ignore[attr-defined]

    answers = [await guarded.get("/v1/sessions", headers={"authorization": f"Bearer {token}"}) for token in bad]
    await guarded.state.identity.audited.write()  # type: ignore[attr-defined]
    async with open_pool(settings, settings.state_db_uri) as pool:
        rows = [row for row in await list_audit(pool, None, None, 100) if row.act.source == "192.0.2.7"]

    assert {answer.text for answer in answers} == {answers[0].text}
    assert [problem(answer) for answer in answers] == [(401, "invalid_token")] * 4
    assert {row.act.reason for row in rows[:4]} == {"revoked", "expired", "unknown", "malformed"}
    assert all(token not in str(rows) for token in bad[:3])


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "bearer"])
async def test_no_token_behind_bearer_is_none_and_no_local_users(
    guarded: httpx2.AsyncClient, client: httpx2.AsyncClient, value: str
) -> None:
    for each in (guarded, client):
        assert problem(await each.get("/v1/sessions", headers={"authorization": value})) == (401, "unauthenticated")


@pytest.mark.parametrize("value", ["Basic YTpi", "Negotiate abc", "sesame", ""])
async def test_another_scheme_is_none(guarded: httpx2.AsyncClient, client: httpx2.AsyncClient, value: str) -> None:
    needed = await guarded.get("/v1/sessions", headers={"authorization": value})
    ignored = await client.get("/v1/sessions", headers={"authorization": value})

    assert problem(needed) == (401, "unauthenticated")
    assert ignored.status_code == 200


async def test_two_credentials_are_none(guarded: httpx2.AsyncClient, tokens: Tokens) -> None:
    made = await tokens.make()

    answer = await guarded.get(
        "/v1/sessions", headers=[("authorization", f"Bearer {made.token}"), ("authorization", "Bearer x")]
    )

    assert answer.status_code == 400


async def test_nothing_of_a_body_is_read_before_the_credential_is_good(guarded: httpx2.AsyncClient) -> None:
    read: list[int] = []

    async def body() -> Any:
        for number in range(3):
            read.append(number)
            yield b"{"

    answer = await guarded.post("/v1/sessions/s/turns", content=body())

    assert problem(answer) == (401, "unauthenticated")
    assert read == []


async def test_a_source_of_many_bad_tokens_is_slowed_down_and_known_tokens_from_there_are_not(
    guarded: httpx2.AsyncClient, tokens: Tokens
) -> None:
    made = await tokens.make()
    assert (await guarded.get("/v1/whoami", headers=made.headers)).status_code == 200

    bad = [await guarded.get("/v1/whoami", headers={"authorization": f"Bearer x{number}"}) for number in range(40)]
    good = await guarded.get("/v1/whoami", headers=made.headers)

    codes = [problem(answer)[1] for answer in bad]
    assert codes[:20] == ["invalid_token"] * 20
    assert codes.count("rate_limited") >= 10
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in bad if answer.status_code == 429)
    assert good.status_code == 200


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT"])
async def test_other_methods_tell_nothing_of_a_tenant(guarded: httpx2.AsyncClient, rows: Rows, method: str) -> None:
    turn_id = await rows.turn("s", "completed")

    there = await guarded.request(method, f"/v1/turns/{turn_id}")
    nowhere = await guarded.request(method, f"/v1/turns/{rows.mint('s')}")

    assert (there.status_code, nowhere.status_code) == (405, 405)
    assert there.content == nowhere.content
    assert "access-control-allow-origin" not in there.headers
