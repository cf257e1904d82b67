-- name: list_tenant_keys
-- All keys of some tenants, the newest of each first, with their age in seconds.
SELECT k.tenant, k.key_id, k.digest, k.master, k.wrapped, extract(epoch FROM now() - k.created_at)::double precision
FROM unnest($1::text[]) AS u (tenant)
JOIN tenant_keys AS k ON k.tenant = u.tenant
ORDER BY k.tenant, k.key_id DESC

-- name: insert_tenant_key
-- A new key, unless somebody has given its number to another one.
INSERT INTO tenant_keys (tenant, key_id, digest, master, wrapped) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING

-- name: list_keys_after
-- Keys of all tenants after one of them, those alone that are there.
SELECT k.tenant, k.key_id, k.digest, k.master, k.wrapped, extract(epoch FROM now() - k.created_at)::double precision
FROM tenant_keys AS k
WHERE (k.tenant, k.key_id) > ($1::text COLLATE "C", $2::integer) AND k.wrapped IS NOT NULL
ORDER BY k.tenant, k.key_id LIMIT $3

-- name: rewrap_tenant_key
-- The same key, wrapped by another master key; unless somebody else was faster, or has destroyed it.
UPDATE tenant_keys SET master = $5, wrapped = $6 WHERE tenant = $1 AND key_id = $2 AND master = $3 AND wrapped = $4

-- name: list_masters
-- By which master keys the keys of tenants are wrapped, and how many each.
SELECT k.master, count(*) FROM tenant_keys AS k WHERE k.master IS NOT NULL GROUP BY k.master ORDER BY k.master

-- name: destroy_tenant_keys
-- Destroys the keys of a tenant, for good. See functions/tenant_key.sql.
SELECT destroy_tenant_keys($1::text)
