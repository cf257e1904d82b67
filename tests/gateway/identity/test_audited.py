"""Refused requests are counted, written rarely, and cost their source."""

from collections.abc import Sequence
from typing import Any

import pytest

from argosy.gateway import audited, failures
from argosy.gateway.audited import Audited, source_of
from argosy.gateway.problems import Problem
from argosy.gateway.refusals import OWN_MAX
from argosy.identity import principal
from argosy.store.audit import REFUSALS_MAX, Refusals
from tests.harness.hand_clock import HandClock


def of(address: str) -> dict[str, Any]:
    return {"client": (address, 1), "headers": []}


def audit_of(clock: HandClock) -> Audited:
    return Audited(None, clock)  # type: ignore[arg-type]  # what is written is taken by the test


def is_let_in(audit: Audited, address: str) -> bool:
    try:
        audit.check_source(of(address))
    except Problem as problem:
        return not (problem.code == "rate_limited" and 0 < (problem.retry_after_s or 0) <= 0.5)
    return True


def test_a_source_of_bad_credentials_is_slowed_down_and_no_other() -> None:
    clock = HandClock()
    audit = audit_of(clock)
    for _ in range(20):
        assert is_let_in(audit, "192.0.2.1")
        audit.failed(of("192.0.2.1"), "unknown")

    assert not is_let_in(audit, "192.0.2.1")
    assert is_let_in(audit, "192.0.2.2")
    clock.now_s += 0.5
    assert is_let_in(audit, "192.0.2.1")
    audit.failed(of("192.0.2.1"), "unknown")
    assert not is_let_in(audit, "192.0.2.1")


@pytest.mark.parametrize(
    ("other", "is_same"),
    [("2001:db8:1:2:ffff::9", True), ("2001:db8:1:3::1", False), ("::ffff:192.0.2.1", False), ("192.0.2.1", False)],
)
def test_a_network_of_64_bits_is_one_source(other: str, is_same: bool) -> None:
    audit = audit_of(HandClock())
    for _ in range(20):
        audit.failed(of("2001:db8:1:2::1"), "unknown")

    assert is_let_in(audit, other) is not is_same


def test_sources_that_are_remembered_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "SOURCES_MAX", 10)
    audit = audit_of(HandClock())
    for number in range(15):
        for _ in range(20):
            audit.failed(of(f"192.0.2.{number}"), "unknown")

    assert [number for number in range(15) if is_let_in(audit, f"192.0.2.{number}")] == [0, 1, 2, 3, 4]


async def test_what_is_refused_is_one_row_for_a_source_and_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Refusals] = []

    async def note(_: object, refusals: Sequence[Refusals]) -> None:
        written.extend(refusals)

    monkeypatch.setattr(audited, "note_refusals", note)
    audit = audit_of(HandClock())
    for _ in range(1_000):
        audit.failed(of("192.0.2.1"), "revoked")
        audit.refused(of("192.0.2.2"), "insufficient_scope", principal.local("t", is_operator=False))
    await audit.write()
    await audit.write()

    told = [(each.act.source, each.act.reason, each.act.tenant, each.act.outcome, each.number) for each in written]
    assert told == [
        ("192.0.2.1", "revoked", None, "refused", 1_000),
        ("192.0.2.2", "insufficient_scope", "t", "refused", 1_000),
    ]


async def test_what_could_not_be_written_is_written_later(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Refusals] = []
    is_away = True

    async def note(_: object, refusals: Sequence[Refusals]) -> None:
        if is_away:
            raise TimeoutError
        written.extend(refusals)

    monkeypatch.setattr(audited, "note_refusals", note)
    audit = audit_of(HandClock())
    audit.failed(of("192.0.2.1"), "unknown")
    with pytest.raises(TimeoutError):
        await audit.write()
    audit.failed(of("192.0.2.1"), "unknown")
    is_away = False
    await audit.write()

    assert [each.number for each in written] == [2]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Refusals]:
    written: list[Refusals] = []

    async def note(_: object, refusals: Sequence[Refusals]) -> None:
        written.extend(refusals)

    monkeypatch.setattr(audited, "note_refusals", note)
    return written


async def test_addresses_of_one_network_are_one_row(written: list[Refusals]) -> None:
    audit = audit_of(HandClock())
    for number in range(1_000):
        audit.failed(of(f"2001:db8:1:2::{number:x}"), "unknown")
    audit.failed(of("2001:db8:1:3::7"), "unknown")
    audit.failed(of("192.0.2.1"), "unknown")
    await audit.write()

    assert [(each.act.source, each.number) for each in written] == [
        ("2001:db8:1:2::/64", 1_000), ("2001:db8:1:3::7", 1), ("192.0.2.1", 1)
    ]  # fmt: skip


async def test_a_flood_of_sources_is_no_flood_of_rows_and_hides_nothing_of_a_tenants(written: list[Refusals]) -> None:
    audit = audit_of(HandClock())
    for number in range(3 * REFUSALS_MAX):
        audit.failed(of(f"10.0.{number // 250}.{number % 250}"), "unknown" if number % 2 else "expired")
    audit.refused(of("192.0.2.2"), "insufficient_scope", principal.local("t", is_operator=False))
    audit.failed(of("10.0.0.1"), "unknown")
    await audit.write()

    told = {(each.act.source, each.act.reason, each.act.tenant): each.number for each in written}
    others = (3 * REFUSALS_MAX - OWN_MAX) // 2
    assert len(told) == len(written) == OWN_MAX + 3
    assert told["others", "unknown", None] == told["others", "expired", None] == others
    assert told["192.0.2.2", "insufficient_scope", "t"] == 1
    assert told["10.0.0.1", "unknown", None] == 2


async def test_a_long_flood_while_postgres_is_away_is_no_flood_of_rows_afterwards(
    written: list[Refusals], monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = audit_of(HandClock())
    with monkeypatch.context() as away:
        away.setattr(audited, "note_refusals", failing)
        for minute in range(20):
            for number in range(OWN_MAX + 1):
                audit.failed(of(f"10.{minute}.0.{number}"), "unknown")
            with pytest.raises(TimeoutError):
                await audit.write()
    await audit.write()

    assert len(written) == OWN_MAX + 1
    assert sum(each.number for each in written) == 20 * (OWN_MAX + 1)


async def failing(_: object, __: Sequence[Refusals]) -> None:
    raise TimeoutError


@pytest.mark.parametrize("client", [None, ("", 0)])
def test_a_unix_socket_is_a_source_of_its_own(client: object) -> None:
    assert source_of({"client": client}) == "local"
