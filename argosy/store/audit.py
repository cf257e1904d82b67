"""The audit: who did what, to what, from where. Rows are added, read, and deleted when they are old; never changed.

An act that changes something is written in the transaction of that change, by its function (argosy/store/identity.py);
what changes nothing here is written by `audit`. Each is a log event, too.

Raises: StoreUnavailableError
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from argosy import telemetry
from argosy.store.leader import write_as
from argosy.store.pool import Pool
from argosy.store.queries import load_queries

log = telemetry.logger()

_SQL: Final = load_queries("audit")
_LAST: Final = 2**63 - 1
REFUSALS_MAX: Final = 1_000  # that one statement writes


class Act(NamedTuple):
    """What somebody did, or was refused. actor_kind, actor_id: of the principal. tenant: whom it is about; None: the
    installation. action: a word such as `token.create`. outcome: `done` or `refused`. source: the peer's address.
    Texts that are too long are cut.
    """

    actor_kind: str
    actor_id: str
    token_id: uuid.UUID | None
    tenant: str | None
    action: str
    target: str = ""
    outcome: str = "done"
    reason: str = ""
    request_id: str = ""
    source: str = ""


class Refusals(NamedTuple):
    """So many requests that were refused alike."""

    act: Act
    number: int


class AuditRow(NamedTuple):
    """A row of the audit: an act, when it was, and how many such there were."""

    no: int
    at: datetime
    act: Act
    number: int


async def audit(pool: Pool, act: Act) -> None:
    """Write down an act that changes no row of identity, such as one in the name of a tenant."""
    await pool.execute(_SQL["add_audit"], *arguments(act))
    tell(act)


async def note_refusals(pool: Pool, refusals: Sequence[Refusals]) -> None:
    """Write down requests that were refused, a row for each kind of them; those beyond REFUSALS_MAX are left out."""
    rows = [(*arguments(each.act), each.number) for each in refusals[:REFUSALS_MAX]]
    if rows:
        await pool.execute(_SQL["add_refusals"], *map(list, zip(*rows, strict=True)))
    for each in refusals[:REFUSALS_MAX]:
        tell(each.act, each.number)


async def list_audit(pool: Pool, tenant: str | None, before: int | None, limit: int) -> list[AuditRow]:
    """Return at most `limit` rows, the newest first. tenant: None: of all tenants and of the installation. before: the
    `no` of the last row of the page before; None: begin with the newest.
    """
    before = _LAST if before is None else before
    if tenant is None:
        rows = await pool.fetch(_SQL["list_audit"], before, limit)
    else:
        rows = await pool.fetch(_SQL["list_audit_of_tenant"], tenant, before, limit)
    return [AuditRow(row[0], row[1], Act(*row[2:12]), row[12]) for row in rows]


async def purge_audit(pool: Pool, role: str, term: int, age_s: float, limit: int) -> int | None:
    """Delete at most `limit` rows that are older than age_s; how many. None: this process's role of the database may
    not (store/grants.py). Raises OwnershipLostError.
    """
    gone = await write_as(pool, _SQL["purge_audit"], role, term, age_s, limit)
    return None if gone is None else int(gone)


def tell(act: Act, number: int = 1) -> None:
    """Say in the log what was written, for whoever collects that. An act that was sent again is told again."""
    told = {name: str(value) for name, value in act._asdict().items() if value}
    log.info(telemetry.AUDIT, **told, number=number)


def arguments(act: Act) -> tuple[Any, ...]:
    """Return an act as arguments of a statement, without characters that Postgres has not."""
    return tuple(_storable(each) if isinstance(each, str) else each for each in act)


def _storable(text: str) -> str:
    return text.replace("\0", "").encode(errors="replace").decode()
