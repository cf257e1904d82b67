"""Subjects of a real OpenID provider that are revoked at a real gateway: what they had before is good no more."""

import asyncio

import httpx2
import pytest

from argosy.config import Settings
from argosy.gateway.routes.erasures import erasure_of_tenant
from argosy.store.audit import Act
from argosy.store.identity import Identities
from argosy.store.pool import open_pool
from tests.gateway.test_issuers import Opened, bearing, clock, code_of, issuer, opened, trusting
from tests.identity.openid_provider import OpenIdProvider

__all__ = ["clock", "issuer", "opened", "trusting"]

ADMIN = "an-administrator-of-this-test-alone"
AGENT = "agent-of-acme"
QUICK = {"argosy_admin_token": ADMIN, "gateway_cache_s": 0.1}


async def revoked(client: httpx2.AsyncClient, subject: str, **posted: str) -> httpx2.Response:
    return await client.post(f"/v1/subjects/{subject}/revoke", json=posted, headers=bearing(ADMIN))


async def until_good(client: httpx2.AsyncClient, issuer: OpenIdProvider) -> None:
    """Return once a token that is issued now is good: issuers tell whole seconds."""
    async with asyncio.timeout(5):
        while await code_of(client, await asyncio.to_thread(issuer.token, AGENT)) != "good":  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_what_a_subject_had_before_ends_at_every_gateway_with_its_streams(
    opened: Opened, issuer: OpenIdProvider
) -> None:
    token, others = [await asyncio.to_thread(issuer.token, each) for each in (AGENT, "agent-of-zeta")]
    async with opened(**QUICK) as one, opened(**QUICK) as other:
        assert [await code_of(each, token) for each in (one, other)] == ["good", "good"]
        other_code = await code_of(other, others)
        stream = asyncio.ensure_future(
            other.get("/v1/sessions/quiet/events", headers=bearing(token, accept="text/event-stream"))
        )
        assert not (await asyncio.wait({stream}, timeout=0.3))[0]

        answer = await revoked(one, AGENT)

        ended = await asyncio.wait_for(stream, 3)
        assert [await code_of(each, token) for each in (one, other)] == ["invalid_token"] * 2
        assert await code_of(other, others) == other_code
        await until_good(other, issuer)
        audit = (await one.get("/v1/audit", headers=bearing(ADMIN))).json()["entries"]

    assert (answer.status_code, answer.json()["subject"], answer.json()["issuer"]) == (200, AGENT, issuer.issuer)
    assert "invalid_token" in ended.text
    assert ("subject.revoke", f"{issuer.issuer}|{AGENT}") in [(each["action"], each["target"]) for each in audit]
    async with opened(**QUICK) as late:  # a gateway that starts knows of it
        assert await code_of(late, token) == "invalid_token"


@pytest.mark.parametrize(
    ("subject", "posted", "code"),
    [
        ("a", {"issuer": "https://somebody-else"}, "invalid_request"),
        ("a" * 256, {}, "invalid_request"),
        ("a%00b", {}, "invalid_request"),
        ("a", {"before": "now"}, "invalid_request"),
    ],
)
async def test_what_cannot_be_revoked_is_refused(
    opened: Opened, subject: str, posted: dict[str, str], code: str
) -> None:
    async with opened(**QUICK) as client:
        answer = await revoked(client, subject, **posted)

    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_so_many_subjects_are_revoked_at_a_time_and_one_of_them_again(opened: Opened) -> None:
    async with opened(**QUICK) as client, opened(**QUICK, auth_revocations_max=1) as narrow:
        await revoked(client, "first")
        again = await revoked(narrow, "second")
    assert (again.status_code, again.json()["code"]) == (409, "too_many_revocations")


async def test_a_token_from_the_former_life_of_a_tenant_is_not_good_in_the_next(
    opened: Opened, issuer: OpenIdProvider, trusting: Settings
) -> None:
    old = await asyncio.to_thread(issuer.token, AGENT)
    async with opened(**QUICK) as client:
        assert await code_of(client, old) == "good"
        async with open_pool(trusting, trusting.state_db_uri) as pool:
            identities, act = Identities(pool), Act("test", "test", None, "acme", "test")
            begun = await identities.delete_tenant("acme", erasure_of_tenant("acme", "default"), 0.0, 3_600.0, act)
            async with asyncio.timeout(3):
                while await code_of(client, old) == "good":  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            await pool.fetchval("SELECT forget_identity($1)", begun)
            await identities.create_tenant("acme", act)

        assert await code_of(client, old) in {"invalid_token", "tenant_unknown"}
        await until_good(client, issuer)
        assert await code_of(client, old) == "invalid_token"
