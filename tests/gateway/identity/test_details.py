"""What only some are told: whether a gateway is ready, to everybody; how it is, and what dead letters say, to few."""

import httpx2

from argosy.identity.scopes import Role
from tests.gateway.identity.test_tokens import problem
from tests.gateway.identity.tokens import Tokens


async def test_a_probe_is_told_whether_it_is_ready_and_an_operator_more(
    guarded: httpx2.AsyncClient, tokens: Tokens
) -> None:
    operator, own = await tokens.make_operator(), await tokens.make()
    given = [{}, {"authorization": "Bearer nonsense"}, {"authorization": "Basic eDp5"}, own.headers, operator.headers]

    answers = [await guarded.get("/readyz", headers=each) for each in given]

    assert [each.status_code for each in answers] == [200] * 5
    assert [each.json() for each in answers[:4]] == [{"ready": True}] * 4
    assert answers[4].json()["store"] == "ok"


async def test_what_dead_letters_say_is_shown_with_a_right_of_its_own_and_told(
    guarded: httpx2.AsyncClient, tokens: Tokens
) -> None:
    operator, admin = await tokens.make_operator(), await tokens.make_operator(Role.ADMIN)
    path = "/v1/dead-letters?limit=1&values=true"

    refused = await guarded.get(path, headers=operator.headers)
    without = await guarded.get("/v1/dead-letters?limit=1", headers=operator.headers)
    shown = await guarded.get(path, headers=admin.headers)
    audit = (await guarded.get("/v1/audit?limit=50", headers=admin.headers)).json()["entries"]

    assert problem(refused) == (403, "insufficient_scope")
    assert refused.json()["scope"] == "deadletters:read_values"
    assert (without.status_code, shown.status_code) == (200, 200)
    assert ("deadletters.read_values", str(admin.token_id)) in [(each["action"], each["actor_id"]) for each in audit]
