"""The term of a new leader, for a test that is one."""

import uuid

from argosy.store.leader import LeaderSession


async def term_of(dsn: str, role: str) -> int:
    session = await LeaderSession.open(dsn, role)
    term = await session.take_term(uuid.uuid4(), "host", 1)
    session.close()
    return term
