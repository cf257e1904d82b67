-- name: accept
-- A batch of the log becomes turns: accepted -> queued | duplicate | rejected. See functions/accept.sql.
SELECT lineage, at, held, applied, places, heads FROM accept(
  $1::uuid, $2::bigint, $3::text, $4::text, $5::integer[], $6::bigint[], $7::bigint[], $8::bigint[], $9::timestamptz[],
  $10::integer[], $11::uuid[], $12::text[], $13::uuid[], $14::text[], $15::smallint[], $16::text[], $17::bytea[], $18::text[],
  $19::smallint[], $20::timestamptz[], $21::double precision[], $22::text[], $23::bytea[], $24::bytea[], $25::text[],
  $26::bytea[], $27::integer[], $28::bigint[], $29::bytea[], $30::text[], $31::text[])

-- name: flush
-- What a worker's turns want written. See functions/flush.sql.
SELECT lineage, at, held, applied, places, heads FROM flush(
  $1::uuid, $2::bigint, $3::text, $4::integer[], $5::bigint[],
  $6::integer[], $7::uuid[], $8::text[], $9::integer[], $10::integer[],
  $11::text[], $12::integer[], $13::integer[], $14::smallint[], $15::text[],
  $16::bytea[], $17::bytea[], $18::bytea[], $19::text[], $20::bytea[],
  $21::integer[], $22::integer[], $23::integer[], $24::text[], $25::text[], $26::bytea[],
  $27::integer[], $28::uuid[], $29::text[], $30::smallint[], $31::uuid[], $32::uuid[],
  $33::text[], $34::text[], $35::text[], $36::text[], $37::bytea[], $38::double precision[],
  $39::integer[], $40::integer[], $41::uuid[], $42::text[],
  $43::integer[], $44::uuid[])
