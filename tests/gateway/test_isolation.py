"""Every operation of the API, asked for one's own and for another tenant's: who gets what, and that nobody else does.

An operation that is not in OPERATIONS fails the first test. What is said of each is held against what its route
declares, and against what a gateway answers: a real app, on a real Postgres, log and shard.
"""

import json
import uuid

import pytest

from argosy.config import Settings
from argosy.gateway.access import accesses
from argosy.gateway.app import create_app
from argosy.gateway.routes.erasures import erasure_of_tenant
from argosy.identity.scopes import OF_TENANTS, Role, Scope
from argosy.identity.tenant import TenantState
from tests.gateway.asked import MARK, World, act, until_heard, untouched
from tests.gateway.operations import GUARDED, OF_BOTH, OPERATIONS, REVOKE, TURN


def test_every_operation_of_the_document_is_in_the_table(settings: Settings) -> None:
    document = create_app(settings, has_signals=False).openapi()
    documented = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}

    assert documented == set(OPERATIONS)


def test_the_table_says_what_routes_declare_and_the_document_tells(settings_with_tokens: Settings) -> None:
    app = create_app(settings_with_tokens, has_signals=False)
    declared, paths = accesses(app.state.routes), app.openapi()["paths"]

    assert {key: declared[key].scope for key in OPERATIONS} == {key: op.scope for key, op in OPERATIONS.items()}
    assert {key for key in OPERATIONS if declared[key].is_open} == OPERATIONS.keys() - GUARDED.keys()
    for (method, path), op in OPERATIONS.items():
        told = [scopes for each in paths[path][method.lower()]["security"] for scopes in each.values()]
        assert told == ([] if op.is_open else [[op.scope] if op.scope else []]), (method, path)


@pytest.mark.parametrize("who", ["stranger", "twin"])
async def test_what_is_another_tenants_is_nobodys(world: World, who: str) -> None:
    """twin: a tenant whose ids carry the tag of the owner's, so that no id tells them apart."""
    tenant = world.stranger if who == "stranger" else world.twin
    token = await world.token(tenant, Role.TENANT)

    for key, op in GUARDED.items():
        if op.is_of_installation or (op.is_endless and not op.missing):
            continue
        answer = await world.ask(key, token)
        if op.missing:
            assert (answer.status, answer.code) == (404, op.missing), (key, answer)
        else:
            assert answer.status < 400, (key, answer)
        assert MARK not in answer.text, key
        if op.scope in {Scope.TOKENS_READ, Scope.AUDIT_READ, Scope.JOBS_READ, Scope.ERASURES_READ, Scope.GRAPHS_READ}:
            assert not op.missing or answer.status == 404
            for name in ("token_id", "job_id", "erasure_id"):
                assert op.missing or world.names[name] not in answer.text, (key, name)
    await untouched(world)


@pytest.mark.parametrize("who", ["stranger", "twin"])
async def test_another_tenants_thing_looks_like_one_that_never_was(world: World, who: str) -> None:
    token = await world.token(world.stranger if who == "stranger" else world.twin, Role.TENANT)
    theirs = world.names
    turn_id = str(world.rows.mint("nowhere"))
    nobodys = {name: str(uuid.uuid4()) for name in ("job_id", "erasure_id", "token_id")}
    nowhere = theirs | nobodys | {"turn_id": turn_id, "session": "nowhere-1", "graph": "nowhere"}

    for key, op in GUARDED.items():
        if not op.missing or (op.missing == TURN and who == "twin"):
            continue  # a turn that nobody has may be the twin's, and on its way: test_tenants.py
        world.names = theirs
        there = await world.ask(key, token)
        world.names = nowhere
        never = await world.ask(key, token)
        world.names = theirs
        shown = there.text
        for name, value in nowhere.items():
            shown = shown.replace(theirs[name], value)
        assert (there.status, shown) == (never.status, never.text), key


async def test_the_owner_and_an_administrator_who_acts_for_it_get_what_they_ask_for(world: World) -> None:
    owner, admin = await world.token(world.owner, Role.TENANT), await world.token(None, Role.ADMIN)

    # The table has what ends something last.
    for key, op in GUARDED.items():
        if op.is_endless or key[0] in {"POST", "DELETE"}:
            continue
        if op.is_of_installation:
            assert (await world.ask(key, admin)).status < 400, key
            continue
        for answer in (await world.ask(key, owner), await world.ask(key, admin, **{"x-argosy-tenant": world.owner})):
            assert answer.status < 400, (key, answer)
    for key, op in GUARDED.items():
        if not op.is_endless and key[0] in {"POST", "DELETE"}:
            answer = await world.ask(key, admin if op.is_of_installation else owner)
            is_none = (
                key == REVOKE and answer.code == "invalid_request"
            )  # no issuer is trusted: test_revoked_subjects.py
            assert answer.status < 400 or is_none or (op.missing and answer.status == 409), (key, answer)


async def test_a_tenants_token_acts_for_no_other_tenant(world: World) -> None:
    token = await world.token(world.stranger, Role.TENANT)

    for key in GUARDED:
        for named in (world.owner, world.twin, "nobody-at-all", "default"):
            answer = await world.ask(key, token, **{"x-argosy-tenant": named})
            assert (answer.status, answer.code) == (403, "insufficient_scope"), (key, named, answer)
            assert json.loads(answer.text)["scope"] == Scope.ACT_AS
    await untouched(world)


async def test_an_administrator_of_no_tenant_sees_nothing_of_tenants(world: World) -> None:
    admin, operator = await world.token(None, Role.ADMIN), await world.token(None, Role.OPERATOR)

    for key, op in GUARDED.items():
        if op.is_of_installation or op.scope is None or op.scope in OF_BOTH:
            continue
        named, unnamed = await world.ask(key, admin), await world.ask(key, operator)
        assert (named.status, named.code) == (403, "tenant_required"), (key, named)
        assert (unnamed.status, unnamed.code) == (403, "insufficient_scope"), (key, unnamed)
    answer = await world.ask(("GET", "/v1/sessions"), operator, **{"x-argosy-tenant": world.owner})
    assert (answer.status, answer.code) == (403, "insufficient_scope")
    await untouched(world)


async def test_an_administrator_who_acts_for_a_tenant_is_in_that_tenants_audit(world: World) -> None:
    admin, owner = await world.token(None, Role.ADMIN), await world.token(world.owner, Role.TENANT)

    await world.ask(("GET", "/v1/sessions"), admin, **{"x-argosy-tenant": world.owner})

    entries = json.loads((await world.ask(("GET", "/v1/audit"), owner)).text)["entries"]
    assert "tenant.act_as" in {each["action"] for each in entries}
    assert {each["tenant"] for each in entries} == {world.owner}


async def test_a_suspended_tenant_reads_and_writes_nothing(world: World) -> None:
    token = await world.token(world.owner, Role.TENANT)
    await world.identities.set_tenant_state(world.owner, TenantState.SUSPENDED, act(world.owner))
    await until_heard(world, token, "POST", "/v1/graphs", "tenant_suspended")

    for key, op in GUARDED.items():
        if op.is_of_installation or op.is_endless:
            continue
        answer = await world.ask(key, token)
        if op.scope is None or op.scope.endswith(":read"):
            assert answer.status < 400, (key, answer)
        else:
            assert (answer.status, answer.code) == (403, "tenant_suspended"), (key, answer)
            assert not answer.was_read
    await untouched(world)


async def test_nobody_is_let_in_for_a_tenant_that_was_deleted(world: World) -> None:
    token, admin = await world.token(world.owner, Role.TENANT), await world.token(None, Role.ADMIN)
    new = erasure_of_tenant(world.owner, "default")
    await world.identities.delete_tenant(world.owner, new, 60.0, 60.0, act(world.owner))
    await until_heard(world, token, "GET", "/v1/whoami", "invalid_token")

    for key in GUARDED:
        own, acting = await world.ask(key, token), await world.ask(key, admin, **{"x-argosy-tenant": world.owner})
        assert (own.status, own.code) == (401, "invalid_token"), (key, own)
        assert (acting.status, acting.code) == (404, "tenant_not_found"), (key, acting)
        assert not own.was_read
        assert not acting.was_read


async def test_a_token_for_other_sessions_reaches_nothing_of_this_one(world: World) -> None:
    token = await world.token(world.owner, scopes=OF_TENANTS, sessions=["billing-*"])

    for key, op in GUARDED.items():
        if op.scope is None or op.is_of_installation or op.scope is Scope.WORKFLOWS_READ:
            continue
        answer = await world.ask(key, token)
        assert MARK not in answer.text, key
        assert "support-1" not in answer.text or answer.status in (403, 404), (key, answer)
        if "{" in key[1]:
            assert answer.status in (403, 404), (key, answer)
    await untouched(world)
