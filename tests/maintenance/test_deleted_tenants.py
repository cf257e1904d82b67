"""A tenant that is deleted goes with everything that still comes of it, and not before nothing more can come."""

import uuid

from argosy.erasure import ErasureKind, Stage, target_digest
from argosy.store.audit import Act
from argosy.store.erasure import NewErasure
from argosy.store.identity import Identities
from tests.maintenance.forgetful import MARKER, Forgetful, filled
from tests.store.hand import TENANT, New


async def deleted(forgetful: Forgetful, late_s: float = 0.0) -> uuid.UUID:
    identities, act = Identities(forgetful.pool), Act("test", "test", None, TENANT, "tenant.delete", TENANT)
    digest = target_digest(ErasureKind.TENANT, "default", "")
    new = NewErasure(uuid.uuid4(), TENANT, "default", ErasureKind.TENANT, None, digest, None, None)
    return await identities.delete_tenant(TENANT, new, late_s, 60.0, act)


async def made(forgetful: Forgetful) -> None:
    act = Act("test", "test", None, TENANT, "tenant.create", TENANT)
    await Identities(forgetful.pool).create_tenant(TENANT, act)


async def test_it_waits_until_nothing_more_can_come_and_what_is_open_is_cancelled_at_once(forgetful: Forgetful) -> None:
    await made(forgetful)
    await forgetful.accepted(turn := New(MARKER))
    erasure = await deleted(forgetful, late_s=60.0)
    await forgetful.is_read()

    row = await forgetful.tick(erasure, ticks=2)

    assert (row.stage, row.ended_at) == (Stage.READING, None)
    assert row.waits_for.startswith("gateways may have let in requests, which come until ")
    assert await forgetful.hand.rows("SELECT kind, turn_id FROM inbox") == [("cancel", turn.turn_id)]


async def test_what_was_let_in_before_and_is_accepted_late_goes_too(forgetful: Forgetful) -> None:
    await made(forgetful)
    await filled(forgetful)
    await forgetful.is_read()
    erasure = await deleted(forgetful)
    assert "still to be read" in (await forgetful.tick(erasure)).waits_for
    await forgetful.accepted(late := New(f"{MARKER}-late"))
    await forgetful.is_read()
    assert (await forgetful.tick(erasure)).stage is Stage.ENDING
    await forgetful.accepted(later := New(f"{MARKER}-later"))  # after the stage has begun: a turn of a turn

    await forgetful.end(late)
    assert (await forgetful.tick(erasure)).stage is Stage.ENDING
    await forgetful.end(later)
    row = await forgetful.tick(erasure, ticks=3)

    assert row.stage is Stage.DONE
    assert await forgetful.where() == []
    assert await forgetful.where(TENANT) == ["audit", "erasures", "revocations"]
    receipt = await forgetful.receipt(erasure)
    assert (receipt["postgres", "turns"], receipt["postgres", "rows of the audit"]) == (7, 0)
    assert await Identities(forgetful.pool).get_tenant(TENANT) is None


async def test_a_turn_that_was_started_and_not_accepted_is_waited_for(forgetful: Forgetful) -> None:
    await made(forgetful)
    erasure = await deleted(forgetful)
    await forgetful.is_read()
    await forgetful.hand.rows("UPDATE erasures SET fenced_at = now() - interval '1 s' RETURNING 1")
    await forgetful.hand.rows(
        "INSERT INTO starts (turn_id, lane, bucket, tenant, session_id, record)"
        " VALUES (gen_random_uuid(), 'default', 1, $1, gen_random_uuid(), '') RETURNING 1",
        TENANT,
    )

    assert (await forgetful.tick(erasure, ticks=2)).stage is Stage.ENDING
    await forgetful.hand.rows("DELETE FROM starts RETURNING 1")
    assert (await forgetful.tick(erasure, ticks=2)).stage is Stage.DONE
