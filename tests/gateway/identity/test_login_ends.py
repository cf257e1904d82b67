"""When a login ends, at every gateway: with its token, by its own time, unused, signed out, or for a newer one."""

import asyncio

from argosy.identity.api_token import TokenKind, mint
from tests.gateway.identity.browser_page import Page
from tests.gateway.identity.logins import HOUR_S, MovedClock, Near, until
from tests.gateway.identity.refusals import problem
from tests.gateway.identity.tokens import Tokens


async def test_logout_ends_the_login_at_every_gateway(near: Near, tokens: Tokens) -> None:
    first, made = Page(await near()), await tokens.make()
    await first.sign_in(made.token)
    second = Page(await near(), dict(first.cookies))
    assert (await first.code(), await second.code()) == ("good", "good")

    answer = await first.ask("POST", "/v1/logout")

    assert answer.status_code == 204
    assert answer.headers["clear-site-data"] == '"storage"'
    assert first.cookies == {}
    assert await first.code() == "unauthenticated"
    first.cookies |= second.cookies
    assert await first.code() == "invalid_token"
    await until(second.code, "invalid_token")
    assert (await second.ask("POST", "/v1/logout")).status_code == 204
    assert (await Page(second.client).ask("POST", "/v1/logout")).status_code == 204


async def test_a_login_ends_with_its_token_at_every_gateway(near: Near, tokens: Tokens) -> None:
    first, made = Page(await near()), await tokens.make()
    await first.sign_in(made.token)
    second = Page(await near(), dict(first.cookies))
    assert (await first.code(), await second.code()) == ("good", "good")

    await tokens.revoke(made)

    await until(first.code, "invalid_token")
    await until(second.code, "invalid_token")


async def test_a_login_lasts_no_longer_than_its_token_or_its_own_time(near: Near, tokens: Tokens) -> None:
    clock = MovedClock()
    client = await near(clock)
    short, long = Page(client), Page(client)
    await short.sign_in((await tokens.make(lifetime_s=1_800)).token)
    await long.sign_in((await tokens.make(lifetime_s=100 * HOUR_S)).token)

    clock.ahead_s = 1_801
    assert (await short.code(), await long.code()) == ("invalid_token", "good")
    for ahead_s in range(3_000, int(12 * HOUR_S), 3_000):
        clock.ahead_s = ahead_s
        assert await long.code() == "good"
    clock.ahead_s = 12 * HOUR_S + 1
    assert await long.code() == "invalid_token"


async def test_a_login_that_nobody_uses_ends_after_an_hour_and_what_a_page_asks_by_itself_is_no_use(
    near: Near, tokens: Tokens
) -> None:
    clock = MovedClock()
    page = Page(await near(clock))
    await page.sign_in((await tokens.make(lifetime_s=100 * HOUR_S)).token)

    clock.ahead_s = 3_500
    assert await page.code(is_touched=True) == "good"
    clock.ahead_s = 7_000
    assert await page.code(is_touched=False) == "good"
    clock.ahead_s = 7_200
    assert await page.code(is_touched=True) == "invalid_token"


async def test_use_at_one_gateway_is_use_at_another(near: Near, tokens: Tokens) -> None:
    clock = MovedClock()
    first = Page(await near(clock))
    second = Page(await near(clock), first.cookies)
    await first.sign_in((await tokens.make(lifetime_s=100 * HOUR_S)).token)
    assert await second.code() == "good"

    clock.ahead_s = 3_000
    assert await first.code() == "good"
    await first.client.state.identity.cache.logins.write_uses()  # type: ignore[attr-defined]
    clock.ahead_s = 6_000

    assert await second.code(is_touched=False) == "good"
    clock.ahead_s = 6_700
    assert await second.code() == "invalid_token"


async def test_the_cookie_changes_at_a_login_and_the_one_before_is_worth_nothing(near: Near, tokens: Tokens) -> None:
    page, made = Page(await near()), await tokens.make()
    await page.sign_in(made.token)
    before = Page(page.client, dict(page.cookies))

    await page.sign_in(made.token)

    assert page.cookies != before.cookies
    assert (await page.code(), await before.code()) == ("good", "invalid_token")
    chosen = Page(page.client, {"argosy": mint(TokenKind.LOGIN)})
    fixed = chosen.cookies["argosy"]
    await chosen.sign_in(made.token)
    assert chosen.cookies["argosy"] != fixed


async def test_one_login_more_than_allowed_ends_the_oldest(near: Near, tokens: Tokens) -> None:
    client, made = await near(logins_max=2), await tokens.make()
    pages = [Page(client) for _ in range(3)]
    for page in pages:
        assert (await page.sign_in(made.token)).status_code == 201

    assert [await page.code() for page in pages] == ["invalid_token", "good", "good"]
    for _ in range(7):
        await Page(client).sign_in(made.token)
    assert problem(await Page(client).sign_in(made.token)) == (429, "rate_limited")


async def test_a_stream_ends_with_its_login(near: Near, tokens: Tokens) -> None:
    page, made = Page(await near()), await tokens.make()
    await page.sign_in(made.token)
    leaving = Page(page.client, dict(page.cookies))
    stream = asyncio.ensure_future(page.ask("GET", "/v1/sessions/s/events", headers={"accept": "text/event-stream"}))
    done, _ = await asyncio.wait({stream}, timeout=0.3)
    assert not done

    await leaving.ask("POST", "/v1/logout")

    ended = await asyncio.wait_for(stream, 5)
    assert "invalid_token" in ended.text
