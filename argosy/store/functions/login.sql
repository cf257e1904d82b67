-- Login sessions. The rules of functions/identity.sql hold here, too: every write begins with next_change. Beside them:
--
-- 1. A subject has p_logins_max logins at the most: one more ends the oldest. Nobody locks themselves out by signing in.
-- 2. Who signs in where a login was ends that one in the same transaction: a secret that somebody knew before is worth nothing.

-- Ends a login, if it is in force; whether it was.
CREATE OR REPLACE FUNCTION end_login(p_hash bytea, p_change bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  UPDATE logins SET revoked_at = clock_timestamp(), change_no = p_change
  WHERE hash = p_hash AND revoked_at IS NULL AND expires_at > clock_timestamp();
  RETURN FOUND;
END
$$;

-- Makes a login, which ends when its token does, if that is sooner (p_ends_at).
CREATE OR REPLACE FUNCTION create_login(
  p_hash bytea, p_login uuid, p_subject text, p_token_hash bytea, p_issuer text, p_tenants text[], p_scopes text[], p_tenant text,
  p_lifetime_s double precision, p_ends_at timestamptz, p_idle_s double precision, p_logins_max integer, p_replaces bytea,
  p_roles text[], p_act act) RETURNS logins
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  change bigint := next_change();
  moment timestamptz := clock_timestamp();
  made logins;
  oldest bytea;
BEGIN
  SELECT * INTO made FROM logins WHERE hash = p_hash AND login_id = p_login;
  IF FOUND THEN
    RETURN made;
  END IF;
  INSERT INTO logins (hash, login_id, subject, token_hash, issuer, tenants, scopes, tenant, created_at, expires_at, idle_until, change_no,
    roles)
  VALUES (p_hash, p_login, p_subject, p_token_hash, p_issuer, p_tenants, p_scopes, p_tenant, moment,
    least(moment + make_interval(secs => p_lifetime_s), p_ends_at), moment + make_interval(secs => p_idle_s), change,
    p_roles)
  RETURNING * INTO made;
  IF p_replaces IS NOT NULL THEN
    PERFORM end_login(p_replaces, next_change());
  END IF;
  FOR oldest IN
    SELECT hash FROM logins WHERE subject = p_subject AND revoked_at IS NULL AND expires_at > moment
    ORDER BY created_at DESC, hash OFFSET p_logins_max
  LOOP
    PERFORM end_login(oldest, next_change());
  END LOOP;
  PERFORM add_audit(p_act, 1);
  RETURN made;
END
$$;

-- Ends a login for somebody who asks for it; whether it was in force.
CREATE OR REPLACE FUNCTION revoke_login(p_hash bytea, p_act act) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  was_in_force boolean := end_login(p_hash, next_change());
BEGIN
  IF was_in_force THEN
    PERFORM add_audit(p_act, 1);
  END IF;
  RETURN was_in_force;
END
$$;

-- Ends every login that is in force, of a database that has forgotten what was ended; how many.
CREATE OR REPLACE FUNCTION revoke_all_logins() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  ended bigint := 0;
  due bytea;
BEGIN
  PERFORM next_change(); -- what is read behind it stays so
  FOR due IN SELECT hash FROM logins WHERE revoked_at IS NULL AND expires_at > clock_timestamp() LOOP
    PERFORM end_login(due, next_change());
    ended := ended + 1;
  END LOOP;
  RETURN ended;
END
$$;

-- Notes until when logins may be unused. A row that somebody is writing to is passed over.
CREATE OR REPLACE FUNCTION touch_logins(p_logins bytea[], p_idle_until timestamptz[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  FOR nth IN 1 .. cardinality(p_logins) LOOP
    PERFORM 1 FROM logins WHERE hash = p_logins[nth] AND idle_until < p_idle_until[nth] FOR NO KEY UPDATE SKIP LOCKED;
    IF FOUND THEN
      UPDATE logins SET idle_until = p_idle_until[nth] WHERE hash = p_logins[nth];
    END IF;
  END LOOP;
END
$$;

-- Forgets logins that ended, or would have, so long ago; how many.
CREATE OR REPLACE FUNCTION purge_logins(p_role text, p_term bigint, p_age_s double precision, p_limit integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' SET enable_seqscan = off AS $$
DECLARE
  gone integer;
BEGIN
  PERFORM hold_term(p_role, p_term);
  DELETE FROM logins WHERE hash = ANY (ARRAY(
    SELECT hash FROM logins WHERE expires_at < now() - make_interval(secs => p_age_s)
    ORDER BY expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END
$$;
