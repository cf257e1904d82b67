"""A credential reads so often in a second, and what it writes, and others read, does not matter."""

import time
from typing import Final

import pytest
from prometheus_client import REGISTRY

from argosy.gateway import read_limit
from argosy.gateway.problems import Problem
from argosy.gateway.read_limit import ReadLimit
from argosy.identity import principal
from argosy.identity.principal import Principal, PrincipalKind
from tests.gateway.conftest import OpenGateway
from tests.gateway.identity.conftest import OpenGuarded
from tests.gateway.identity.tokens import Tokens
from tests.harness.hand_clock import HandClock

ECHO: Final = {"workflow": "echo"}


def named(name: str) -> Principal:
    return Principal(PrincipalKind.TOKEN, name, "t", frozenset())


def wait_s(limit: ReadLimit, who: Principal) -> float | None:
    """In how many seconds a read is let through; None: it was."""
    try:
        limit.check(who)
    except Problem as problem:
        return problem.retry_after_s
    return None


@pytest.mark.parametrize(("per_s", "at_once"), [(200.0, 400), (3.0, 6), (7.7, 15), (1.0, 2), (0.5, 1), (0.01, 1)])
def test_so_many_are_let_through_at_once_and_then_at_the_rate(per_s: float, at_once: int) -> None:
    clock = HandClock(1e6)
    limit = ReadLimit(per_s, clock)

    for _ in range(3):
        assert [wait_s(limit, named("a")) for _ in range(at_once)] == [None] * at_once
        wait = wait_s(limit, named("a"))
        assert wait is not None
        assert 0 < wait <= 1 / per_s + 1e-6
        assert wait_s(limit, named("b")) is None, "it is another's"
        clock.now_s += wait + 1e-6
        assert wait_s(limit, named("a")) is None
        assert wait_s(limit, named("a")) is not None
        clock.now_s += 1_000


def test_without_a_limit_and_where_nobody_is_asked_all_are_let_through() -> None:
    limit, none = ReadLimit(1.0, HandClock()), ReadLimit(0.0, HandClock())

    assert {wait_s(limit, principal.local("t", is_operator=True)) for _ in range(100)} == {None}
    assert {wait_s(none, named("a")) for _ in range(100)} == {None}


def test_principals_that_are_remembered_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_limit, "PRINCIPALS_MAX", 10)
    limit = ReadLimit(0.5, HandClock())
    first = [wait_s(limit, named(str(number))) for number in range(35)]
    again = [number for number in range(34, -1, -1) if wait_s(limit, named(str(number))) is not None]

    assert first == [None] * 35
    assert again == list(range(34, 19, -1)), "at least the last ten, at most twenty"


def test_a_read_that_is_let_through_costs_little() -> None:
    limit, who = ReadLimit(1e6, HandClock()), named("a")

    def took_us() -> float:
        began_s = time.perf_counter()
        for _ in range(1_000):
            limit.check(who)
        return (time.perf_counter() - began_s) * 1e3

    assert min(took_us() for _ in range(50)) < 3


async def test_a_credential_that_reads_too_often_is_told_when_to_come_back(
    open_guarded: OpenGuarded, tokens: Tokens
) -> None:
    gateway = await open_guarded(gateway_read_rate_limit=0.01)
    mine, others = (await tokens.make()).headers, (await tokens.make()).headers
    refused = {"kind": "reads"}
    before = REGISTRY.get_sample_value("argosy_gateway_rate_limited_total", refused) or 0

    first = await gateway.get("/v1/sessions", headers=mine)
    second = await gateway.get("/v1/whoami", headers=mine)
    posted = [await gateway.post("/v1/sessions/s/turns", json=ECHO, headers=mine) for _ in range(3)]
    anothers = await gateway.get("/v1/sessions", headers=others)
    bad = await gateway.get("/v1/sessions", headers={"authorization": "Bearer sesame"})
    health = [await gateway.get("/healthz", headers=mine) for _ in range(3)]

    assert first.status_code == 200
    assert (second.status_code, second.json()["code"], second.json()["retryable"]) == (429, "rate_limited", True)
    assert 90 <= int(second.headers["retry-after"]) <= 100
    assert second.headers["ratelimit-policy"] == '"reads";q=1;w=100'
    assert second.headers["ratelimit"].startswith('"reads";r=0;t=')
    assert [answer.status_code for answer in posted] == [202] * 3
    assert (anothers.status_code, bad.status_code) == (200, 401)
    assert [answer.status_code for answer in health] == [200] * 3
    assert REGISTRY.get_sample_value("argosy_gateway_rate_limited_total", refused) == before + 1


async def test_where_nobody_is_asked_nobody_reads_too_often(open_gateway: OpenGateway) -> None:
    gateway = await open_gateway(gateway_read_rate_limit=0.01)

    assert [(await gateway.get("/v1/sessions")).status_code for _ in range(3)] == [200] * 3
