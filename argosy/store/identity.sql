-- name: get_changes
-- How far the writes are, and in which lineage (see store/identity.py).
SELECT lineage(), no FROM identity_changes

-- name: tokens_since
-- Tokens that were written after a change, each with a number of its own.
SELECT t.token_id, t.hash, t.tenant, t.name, t.role, t.scopes, t.sessions, t.workflows, t.hint, t.created_at, t.created_by, t.expires_at,
       t.revoked_at, t.revoked_by, t.replaced_by, t.last_used_at, t.change_no, t.subject_id
FROM tokens AS t WHERE t.change_no > $1 ORDER BY t.change_no LIMIT $2

-- name: tenants_since
-- Tenants that were written after a change.
SELECT n.name, CASE WHEN n.erasure_id IS NULL THEN n.state ELSE 'deleted' END, n.created_at, n.change_no, n.limits::text FROM tenants AS n WHERE n.change_no > $1 ORDER BY n.change_no LIMIT $2

-- name: revocations_since
-- Revocations that were written after a change.
SELECT r.issuer, r.subject, r.tenant, r.before, r.expires_at, r.change_no FROM revocations AS r WHERE r.change_no > $1
ORDER BY r.change_no LIMIT $2

-- name: revoke_subject
-- End access tokens of a subject.
SELECT revoked_before, kept_until FROM revoke_subject($1::text, $2::text, $3::double precision, $4::integer, ($5::text, $6::text, $7::uuid, $8::text, $9::text, $10::text, $11::text, $12::text, $13::text, $14::text)::act)

-- name: purge_revocations
-- Forget revocations of what has ended by itself.
SELECT purge_revocations($1::text, $2::bigint, $3::integer)

-- name: find_token
-- The token with a hash, and its tenant.
SELECT t.token_id, t.hash, t.tenant, t.name, t.role, t.scopes, t.sessions, t.workflows, t.hint, t.created_at, t.created_by, t.expires_at,
       t.revoked_at, t.revoked_by, t.replaced_by, t.last_used_at, t.change_no, t.subject_id,
       n.name, CASE WHEN n.erasure_id IS NULL THEN n.state ELSE 'deleted' END, n.created_at, n.change_no, n.limits::text
FROM tokens AS t LEFT JOIN tenants AS n ON n.name = t.tenant WHERE t.hash = $1

-- name: find_tokens
-- The tokens with these hashes.
SELECT t.token_id, t.hash, t.tenant, t.name, t.role, t.scopes, t.sessions, t.workflows, t.hint, t.created_at, t.created_by, t.expires_at,
       t.revoked_at, t.revoked_by, t.replaced_by, t.last_used_at, t.change_no, t.subject_id
FROM tokens AS t WHERE t.hash = ANY ($1::bytea[])

-- name: list_tokens
-- Tokens, whosever they are, after an id.
SELECT t.token_id, t.hash, t.tenant, t.name, t.role, t.scopes, t.sessions, t.workflows, t.hint, t.created_at, t.created_by, t.expires_at,
       t.revoked_at, t.revoked_by, t.replaced_by, t.last_used_at, t.change_no, t.subject_id
FROM tokens AS t WHERE t.token_id > $1 ORDER BY t.token_id LIMIT $2

-- name: list_tokens_of_tenant
-- Tokens of a tenant, after an id. Both ends are written out, so that one index alone fits.
SELECT t.token_id, t.hash, t.tenant, t.name, t.role, t.scopes, t.sessions, t.workflows, t.hint, t.created_at, t.created_by, t.expires_at,
       t.revoked_at, t.revoked_by, t.replaced_by, t.last_used_at, t.change_no, t.subject_id
FROM tokens AS t
WHERE (coalesce(t.tenant, ''), t.token_id) > ($1::text, $2::uuid)
  AND (coalesce(t.tenant, ''), t.token_id) <= ($1::text, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
ORDER BY coalesce(t.tenant, ''), t.token_id LIMIT $3

-- name: get_token
-- A token of a tenant, or whosever it is.
SELECT t.token_id, t.hash, t.tenant, t.name, t.role, t.scopes, t.sessions, t.workflows, t.hint, t.created_at, t.created_by, t.expires_at,
       t.revoked_at, t.revoked_by, t.replaced_by, t.last_used_at, t.change_no, t.subject_id
FROM tokens AS t WHERE t.token_id = $1 AND ($2::text IS NULL OR t.tenant = $2)

-- name: create_token
-- See functions/identity.sql, as for all that call a function of the same name below.
SELECT t.token_id, t.hash, t.tenant, t.name, t.role, t.scopes, t.sessions, t.workflows, t.hint, t.created_at, t.created_by, t.expires_at,
       t.revoked_at, t.revoked_by, t.replaced_by, t.last_used_at, t.change_no, t.subject_id
FROM create_token($1::uuid, $2::bytea, $3::text, $4::text, $5::text, $6::text[], $7::text[], $8::text[], $9::text, $10::text,
  $11::double precision, $12::integer, ($13::text, $14::text, $15::uuid, $16::text, $17::text, $18::text, $19::text, $20::text, $21::text, $22::text)::act) AS t

-- name: revoke_token
-- End a token.
SELECT revoke_token($1::uuid, $2::text, ($3::text, $4::text, $5::uuid, $6::text, $7::text, $8::text, $9::text, $10::text, $11::text, $12::text)::act)

-- name: rotate_token
-- Give a token a successor.
SELECT t.token_id, t.hash, t.tenant, t.name, t.role, t.scopes, t.sessions, t.workflows, t.hint, t.created_at, t.created_by, t.expires_at,
       t.revoked_at, t.revoked_by, t.replaced_by, t.last_used_at, t.change_no, t.subject_id
FROM rotate_token($1::uuid, $2::text, $3::uuid, $4::bytea, $5::text, $6::text, $7::double precision, $8::double precision,
  $9::integer, ($10::text, $11::text, $12::uuid, $13::text, $14::text, $15::text, $16::text, $17::text, $18::text, $19::text)::act) AS t

-- name: touch_tokens
-- Note when tokens were last used.
SELECT touch_tokens($1::uuid[], $2::timestamptz[])

-- name: list_tenants
-- Tenants after a name.
SELECT n.name, CASE WHEN n.erasure_id IS NULL THEN n.state ELSE 'deleted' END, n.created_at, n.change_no, n.limits::text FROM tenants AS n WHERE n.name > $1 ORDER BY n.name LIMIT $2

-- name: get_tenant
-- A tenant.
SELECT n.name, CASE WHEN n.erasure_id IS NULL THEN n.state ELSE 'deleted' END, n.created_at, n.change_no, n.limits::text FROM tenants AS n WHERE n.name = $1

-- name: create_tenant
-- Make a tenant.
SELECT n.name, CASE WHEN n.erasure_id IS NULL THEN n.state ELSE 'deleted' END, n.created_at, n.change_no, n.limits::text FROM create_tenant($1::text, $2::double precision, ($3::text, $4::text, $5::uuid, $6::text, $7::text, $8::text, $9::text, $10::text, $11::text, $12::text)::act) AS n

-- name: set_tenant_state
-- Let a tenant be active or suspended.
SELECT n.name, CASE WHEN n.erasure_id IS NULL THEN n.state ELSE 'deleted' END, n.created_at, n.change_no, n.limits::text FROM set_tenant_state($1::text, $2::text, ($3::text, $4::text, $5::uuid, $6::text, $7::text, $8::text, $9::text, $10::text, $11::text, $12::text)::act) AS n

-- name: set_tenant_limits
-- Give a tenant limits of its own.
SELECT n.name, CASE WHEN n.erasure_id IS NULL THEN n.state ELSE 'deleted' END, n.created_at, n.change_no, n.limits::text FROM set_tenant_limits($1::text, $2::text, ($3::text, $4::text, $5::uuid, $6::text, $7::text, $8::text, $9::text, $10::text, $11::text, $12::text)::act) AS n

-- name: names_of_tenants
-- Which of these tenants are there still.
SELECT n.name FROM tenants AS n WHERE n.name = ANY ($1::text[]) ORDER BY n.name

-- name: delete_tenant
-- Delete a tenant.
SELECT delete_tenant($1::text, $2::uuid, $3::text, $4::bytea, $5::double precision, $6::double precision, ($7::text, $8::text, $9::uuid, $10::text, $11::text, $12::text, $13::text, $14::text, $15::text, $16::text)::act)

-- name: purge_tokens
-- Forget tokens that ended long ago.
SELECT purge_tokens($1::text, $2::bigint, $3::double precision, $4::integer)
