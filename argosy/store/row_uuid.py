"""Makes UUIDs of the kind that asyncpg gives for rows."""

import uuid

from asyncpg.pgproto.pgproto import UUID


def row_uuid(data: bytes) -> uuid.UUID:
    """Return the UUID with these 16 bytes. Raises ValueError.

    It equals any other UUID with the same bytes, and is several times as fast to make, to hash and to write to
    Postgres.
    """
    made: uuid.UUID = UUID(data)
    return made
