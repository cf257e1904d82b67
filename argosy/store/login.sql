-- name: logins_since
-- Logins that were written after a change, each with a number of its own.
SELECT l.hash, l.login_id, l.subject, l.token_hash, l.issuer, l.tenants, l.scopes, l.tenant, l.created_at, l.expires_at, l.idle_until,
       l.revoked_at, l.change_no, l.roles
FROM logins AS l WHERE l.change_no > $1 ORDER BY l.change_no LIMIT $2

-- name: find_login
-- The login with a hash.
SELECT l.hash, l.login_id, l.subject, l.token_hash, l.issuer, l.tenants, l.scopes, l.tenant, l.created_at, l.expires_at, l.idle_until,
       l.revoked_at, l.change_no, l.roles
FROM logins AS l WHERE l.hash = $1

-- name: find_logins
-- The logins with these hashes.
SELECT l.hash, l.login_id, l.subject, l.token_hash, l.issuer, l.tenants, l.scopes, l.tenant, l.created_at, l.expires_at, l.idle_until,
       l.revoked_at, l.change_no, l.roles
FROM logins AS l WHERE l.hash = ANY ($1::bytea[])

-- name: create_login
-- See functions/login.sql, as for all below.
SELECT l.hash, l.login_id, l.subject, l.token_hash, l.issuer, l.tenants, l.scopes, l.tenant, l.created_at, l.expires_at, l.idle_until,
       l.revoked_at, l.change_no, l.roles
FROM create_login($1::bytea, $2::uuid, $3::text, $4::bytea, $5::text, $6::text[], $7::text[], $8::text, $9::double precision,
  $10::timestamptz, $11::double precision, $12::integer, $13::bytea, $14::text[],
  ($15::text, $16::text, $17::uuid, $18::text, $19::text, $20::text, $21::text, $22::text, $23::text, $24::text)::act) AS l

-- name: revoke_login
-- End a login.
SELECT revoke_login($1::bytea, ($2::text, $3::text, $4::uuid, $5::text, $6::text, $7::text, $8::text, $9::text, $10::text, $11::text)::act)

-- name: touch_logins
-- Note until when logins may be unused.
SELECT touch_logins($1::bytea[], $2::timestamptz[])

-- name: purge_logins
-- Forget logins that ended long ago.
SELECT purge_logins($1::text, $2::bigint, $3::double precision, $4::integer)
