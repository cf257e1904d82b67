-- name: add_audit
-- An act that changes no row of identity.
SELECT add_audit(($1::text, $2::text, $3::uuid, $4::text, $5::text, $6::text, $7::text, $8::text, $9::text, $10::text)::act, 1)

-- name: add_refusals
-- Requests that were refused, a row for each kind of them.
SELECT add_audit((u.actor_kind, u.actor_id, u.token_id, u.tenant, u.action, u.target, u.outcome, u.reason, u.request_id,
  u.source)::act, u.count)
FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
  $11::bigint[]) AS u (actor_kind, actor_id, token_id, tenant, action, target, outcome, reason, request_id, source, count)

-- name: list_audit
-- Rows about anybody, the newest first, before a number.
SELECT a.no, a.at, a.actor_kind, a.actor_id, a.token_id, a.tenant, a.action, a.target, a.outcome, a.reason, a.request_id, a.source,
       a.count
FROM audit AS a WHERE a.no < $1 ORDER BY a.no DESC LIMIT $2

-- name: list_audit_of_tenant
-- Rows about a tenant, the newest first, before a number. Both ends are written out, so that one index alone fits: by that of
-- numbers the rows of all others would be gone through.
SELECT a.no, a.at, a.actor_kind, a.actor_id, a.token_id, a.tenant, a.action, a.target, a.outcome, a.reason, a.request_id, a.source,
       a.count
FROM audit AS a WHERE (a.tenant, a.no) < ($1::text, $2::bigint) AND (a.tenant, a.no) > ($1::text, 0::bigint)
ORDER BY a.tenant DESC, a.no DESC LIMIT $3

-- name: purge_audit
-- Delete rows that are old.
SELECT purge_audit($1::text, $2::bigint, $3::double precision, $4::integer)
