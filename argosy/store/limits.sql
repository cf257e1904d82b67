-- name: settle_limits
-- See functions/limits.sql, as for all that call a function of the same name below.
SELECT s.gateways, s.place, s.levels, s.shares, s.allowed
FROM settle_limits($1::uuid, $2::double precision, $3::double precision, $4::text[], $5::text[], $6::double precision[], $7::double precision[],
  $8::double precision[], $9::double precision[], $10::double precision[], $11::text[], $12::integer[], $13::integer[]) AS s

-- name: leave_limits
-- A gateway ends.
SELECT leave_limits($1::uuid)

-- name: forget_limits
-- Forget levels that are old.
SELECT forget_limits($1::double precision, $2::integer)
