"""Every operation of the API, asked with every kind of credential that is none, or lacks what it needs."""

import json

import asyncpg

from argosy.identity.api_token import TokenKind, mint
from argosy.identity.scopes import OF_TENANTS, Role
from tests.gateway.asked import MARK, World, act, until_heard, untouched
from tests.gateway.operations import GUARDED


async def test_without_a_credential_nothing_is_answered_and_nothing_of_the_body_is_read(world: World) -> None:
    for key in GUARDED:
        for scheme in (None, "Basic dTpw", "argosy", "Bearer", "Bearer "):
            headers = {} if scheme is None else {"authorization": scheme}
            answer = await world.ask(key, None, **headers)
            assert (answer.status, answer.code) == (401, "unauthenticated"), (key, scheme, answer)
            assert answer.headers["www-authenticate"] == 'Bearer realm="argosy"'
            assert not json.loads(answer.text)["retryable"]
            assert not answer.was_read, key
    await untouched(world)


async def test_every_bad_credential_is_one_answer_whatever_is_wrong_with_it(world: World) -> None:
    expired = await world.token(world.owner, Role.TENANT, lifetime_s=0.001)
    revoked, token_id = await world.token_and_id(world.owner, Role.TENANT)
    await world.identities.revoke_token(token_id, world.owner, act(world.owner))
    good = mint(TokenKind.TENANT)
    bad = {
        "expired": expired,
        "revoked": revoked,
        "unknown": good,
        "of an administrator that is none": mint(TokenKind.ADMIN),
        "mistyped": good[:-1] + ("a" if good[-1] != "a" else "b"),
        "nonsense": "nonsense",
        "like a JWT": "eyJhbGciOiJub25lIn0.e30.",
        "long": "x" * 20_000,
    }
    await until_heard(world, revoked, "GET", "/v1/whoami", "invalid_token")
    bodies = set()

    for key in GUARDED:
        for what, token in bad.items():
            answer = await world.ask(key, token)
            assert (answer.status, answer.code) == (401, "invalid_token"), (key, what, answer)
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]
            assert not answer.was_read, key
            assert token not in answer.text
            bodies.add(answer.text)

    assert len(bodies) == 1
    await untouched(world)


async def test_two_credentials_are_none(world: World) -> None:
    token = await world.token(world.owner, Role.TENANT)
    twice = [("authorization", f"Bearer {token}")] * 2

    answers = [await world.ask_raw(*key, b"", twice) for key in (("GET", "/v1/whoami"), ("GET", "/v1/sessions"))]

    assert [(each.status, each.code) for each in answers] == [(400, "invalid_parameter")] * 2


async def test_a_credential_that_lacks_the_scope_is_told_which_and_nothing_is_read(world: World) -> None:
    lacking = {scope: await world.token(world.owner, scopes=OF_TENANTS - {scope}) for scope in OF_TENANTS}
    full = await world.token(world.owner, Role.TENANT)

    for key, op in GUARDED.items():
        if op.scope is None:
            continue
        answer = await world.ask(key, lacking.get(op.scope, full))
        assert (answer.status, answer.code) == (403, "insufficient_scope"), (key, answer)
        assert json.loads(answer.text)["scope"] == op.scope
        challenge = answer.headers["www-authenticate"]
        assert f'error="insufficient_scope", scope="{op.scope}"' in challenge
        assert not answer.was_read, key
    await untouched(world)


async def test_what_is_open_to_all_shows_nothing_of_tenants_and_asks_nobody(world: World) -> None:
    answers = [
        await world.ask_raw("GET", path, b"", headers)
        for path in ("/healthz", "/readyz", "/", "/docs", "/openapi.json", "/console/app.js")
        for headers in ({}, {"authorization": "Bearer nonsense"})
    ]

    assert {each.status for each in answers} <= {200, 307}
    assert all(MARK not in each.text and world.owner not in each.text for each in answers)


async def test_metrics_are_for_those_with_the_scope(world: World) -> None:
    tokens = [None, "nonsense", *[await world.token(world.owner, Role.TENANT), await world.token(None, Role.OPERATOR)]]

    answers = [
        await world.ask_raw("GET", "/metrics", b"", {} if each is None else {"authorization": f"Bearer {each}"})
        for each in tokens
    ]

    assert [each.status for each in answers] == [401, 401, 403, 200]


async def test_what_somebody_is_shown_no_cache_keeps(world: World) -> None:
    token = await world.token(world.owner, Role.TENANT)

    for key, op in GUARDED.items():
        if key[0] == "GET" and not op.is_endless:
            answer = await world.ask(key, token)
            assert "no-store" in answer.headers["cache-control"], key


async def test_no_token_is_in_the_database_or_in_a_list(world: World) -> None:
    owner = await world.token(world.owner, Role.TENANT)
    made = json.loads((await world.ask(("POST", "/v1/tokens"), owner)).text)

    listed = (await world.ask(("GET", "/v1/tokens"), owner)).text

    assert made["token"] not in listed
    assert owner not in listed
    connection: asyncpg.Connection = world.rows.connection
    for table in ("tokens", "audit"):
        rows = await connection.fetch(f"SELECT t::text FROM {table} AS t")  # noqa: S608
        assert all(made["token"] not in row[0] and owner not in row[0] for row in rows)
