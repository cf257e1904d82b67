-- Destroys the keys of a tenant: what they sealed does not open any more, wherever a copy of it is. How many there were.
-- Their numbers stay, so that no later key of a tenant of this name gets one of them.
CREATE OR REPLACE FUNCTION destroy_tenant_keys(p_tenant text) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  destroyed integer;
BEGIN
  UPDATE tenant_keys SET wrapped = NULL, master = NULL, destroyed_at = now() WHERE tenant = p_tenant AND wrapped IS NOT NULL;
  GET DIAGNOSTICS destroyed = ROW_COUNT;
  RETURN destroyed;
END
$$;
