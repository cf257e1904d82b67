"""The calls of `flush` and `accept` of the version before, whose processes run beside this one's for a while."""

from typing import Any

FLUSH = """
SELECT lineage, at, held, applied, places, heads FROM flush(
  $1::uuid, $2::bigint, $3::text, $4::integer[], $5::bigint[],
  $6::integer[], $7::uuid[], $8::text[], $9::integer[], $10::integer[],
  $11::text[], $12::integer[], $13::integer[], $14::smallint[], $15::text[],
  $16::bytea[], $17::bytea[], $18::bytea[], $19::text[], $20::bytea[],
  $21::integer[], $22::integer[], $23::integer[], $24::text[], $25::text[], $26::bytea[],
  $27::integer[], $28::uuid[], $29::text[], $30::text[], $31::text[], $32::bytea[], $33::double precision[],
  $34::integer[], $35::integer[], $36::uuid[], $37::text[],
  $38::integer[], $39::uuid[])
"""

ACCEPT = """
SELECT lineage, at, held, applied, places, heads FROM accept(
  $1::uuid, $2::bigint, $3::text, $4::text, $5::integer[], $6::bigint[], $7::bigint[], $8::bigint[], $9::timestamptz[],
  $10::integer[], $11::uuid[], $12::text[], $13::uuid[], $14::text[], $15::smallint[], $16::text[], $17::bytea[],
  $18::text[], $19::smallint[], $20::timestamptz[], $21::double precision[], $22::text[], $23::bytea[], $24::bytea[],
  $25::text[],
  $26::integer[], $27::bigint[], $28::bytea[], $29::text[], $30::text[])
"""

# Where the arguments of today have what those of then had not: the addresses and requests of rows, who posted a turn.
_ADDED = (
    "i_lane",
    "i_bucket",
    "i_session",
    "i_turn",
    "i_request",
    "t_created_by",
)


def arguments_of_before(named: dict[str, Any]) -> list[Any]:
    """Return the arguments of a call of today as the version before sends them."""
    return [each for name, each in named.items() if name not in _ADDED]
