"""Where requests come from, by which id they are called, and that the audit and the log have both."""

import ipaddress
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from argosy import config
from argosy.gateway.request_origin import Origins, has_unbelieved_hops, request_id_of
from tests.gateway.conftest import OpenGateway

PROXIES = [ipaddress.ip_network(each) for each in ("10.0.0.0/8", "2001:db8::/32")]


def asked(client: str, *forwarded: str, trusted: Any = PROXIES) -> str:
    """Where a request is said to come from."""
    headers = [(b"x-forwarded-for", each.encode("latin-1")) for each in forwarded]
    scope: dict[str, Any] = {"client": (client, 7), "headers": headers}
    Origins(trusted).settle(scope)
    return str(scope["client"][0])


@pytest.mark.parametrize(
    ("client", "forwarded", "source"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),  # no proxy: it may say what it likes
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7, 203.0.113.9"], "203.0.113.9"),  # what stands before it, the client wrote
        ("10.0.0.1", ["198.51.100.7, 203.0.113.9, 10.1.2.3"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.7", "203.0.113.9"], "203.0.113.9"),  # two fields are one list
        ("10.0.0.1", ["10.9.9.9, 10.1.2.3"], "10.9.9.9"),  # nobody else is there
        ("10.0.0.1", ["198.51.100.7, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["nonsense, 10.1.2.3"], "10.1.2.3"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.1", ["[2a00::7]:4711"], "2a00::7"),
        ("2001:db8::1", ["2a00::7"], "2a00::7"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["::ffff:10.1.2.3"], "10.1.2.3"),
        ("10.0.0.1", ["1.1.1.1, " + ", ".join(["10.0.0.2"] * 100)], "10.0.0.2"),  # a chain that has no end is none
        ("local", ["198.51.100.7"], "local"),
    ],
)
def test_a_source_is_the_last_hop_that_is_no_trusted_proxy(client: str, forwarded: list[str], source: str) -> None:
    assert asked(client, *forwarded) == source


@pytest.mark.parametrize(
    ("client", "forwarded", "trusted", "is_marked"),
    [
        ("10.0.0.1", ["198.51.100.7"], [], True),
        ("192.0.2.1", ["198.51.100.7"], PROXIES, True),
        ("10.0.0.1", ["198.51.100.7"], PROXIES, False),
        ("10.0.0.1", [], [], False),
    ],
)
def test_hops_that_are_not_believed_are_seen(
    client: str, forwarded: list[str], trusted: Any, *, is_marked: bool
) -> None:
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    scope: dict[str, Any] = {"client": (client, 7), "headers": headers}
    Origins(trusted).settle(scope)

    assert has_unbelieved_hops(scope) is is_marked


def test_without_trusted_proxies_nothing_is_believed() -> None:
    assert asked("10.0.0.1", "198.51.100.7", trusted=[]) == "10.0.0.1"
    assert asked("192.0.2.1", "198.51.100.7", trusted=[ipaddress.ip_network("0.0.0.0/0")]) == "198.51.100.7"


@pytest.mark.parametrize(
    ("given", "is_taken"),
    [
        (["req-1.A_b"], True),
        (["x" * 128], True),
        (["x" * 129], False),
        ([""], False),
        (["-x"], False),
        (["a b"], False),
        (["a\r\nb"], False),
        (["a", "b"], False),
    ],
)
def test_an_id_is_taken_when_it_looks_like_one(given: list[str], is_taken: bool) -> None:
    scope: dict[str, Any] = {"client": None, "headers": [(b"x-request-id", each.encode()) for each in given]}

    settled = Origins([]).settle(scope).decode()

    assert settled == request_id_of(scope)
    assert (settled == given[0]) is is_taken
    assert is_taken or (len(settled) == 24 and settled.isalnum())


async def test_the_audit_and_its_log_event_have_both_and_every_answer_has_the_id(
    open_gateway: OpenGateway, tenant: str
) -> None:
    client = await open_gateway(gateway_trusted_proxies=(ipaddress.ip_network("127.0.0.0/8"),))
    operator = {"x-argosy-tenant": "default", "x-forwarded-for": "198.51.100.7"}

    with capture_logs() as logs:
        made = await client.post("/v1/tenants", json={"name": tenant}, headers=operator | {"x-request-id": "req-7"})
        missing = await client.get("/v1/turns/no-id", headers=operator | {"x-request-id": "req-8"})
        unnamed = await client.get("/healthz")
    audit = (await client.get("/v1/audit?limit=50", headers={"x-argosy-tenant": tenant})).json()["entries"]

    assert [each.headers["x-request-id"] for each in (made, missing)] == ["req-7", "req-8"]
    assert len(unnamed.headers["x-request-id"]) == 24
    told = [each for each in audit if each["action"] == "tenant.create"]
    assert [(each["request_id"], each["source"]) for each in told] == [("req-7", "198.51.100.7")]
    (event,) = [each for each in logs if each["event"] == "audit"]
    assert {name: event[name] for name in ("action", "target", "tenant", "outcome", "request_id", "source")} == {
        "action": "tenant.create", "target": tenant, "tenant": tenant, "outcome": "done", "request_id": "req-7",
        "source": "198.51.100.7",
    }  # fmt: skip


def test_networks_are_read_from_the_environment() -> None:
    settings = config.load({"GATEWAY_TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::/32"})

    assert list(settings.gateway_trusted_proxies) == PROXIES


async def test_what_is_done_to_turns_and_erased_is_told(client: httpx2.AsyncClient, rows: Any) -> None:
    parked = str(await rows.turn("s", "parked", attempt=1, seq=1))

    for _ in range(3):
        assert (await client.post(f"/v1/turns/{parked}/resume")).status_code == 202
    await client.post("/v1/turns:resume?workflow=echo")
    erasure = (
        await client.post("/v1/erasures", json={"kind": "session", "target": "my secret", "confirm": "my secret"})
    ).json()
    told = (await client.get("/v1/audit")).text
    entries = (await client.get("/v1/audit")).json()["entries"]

    assert sorted((each["action"], each["target"]) for each in entries) == [
        ("erasure.begin", f"session {erasure['erasure_id']}"),
        ("turn.resume", parked),
        ("turns.resume", "workflow=echo"),
    ]
    assert "my secret" not in told
