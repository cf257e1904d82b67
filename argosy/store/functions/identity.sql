-- Tenants, tokens and the audit. The rules, which hold because every write begins with the row of identity_changes
-- (next_change), keeps it until its commit, and reads what it decides by in statements behind that one:
--
-- 1. Writes come one after the other. Each sees what all before it did, and is seen whole or not at all.
-- 2. Numbers become visible in the order in which they are given out: whoever sees a number sees all below it. So a copy that
--    has all up to a number misses nothing when it asks for what is above it.
-- 3. Each row that is written has a number of its own, so that a page of changes can end behind any row.
-- 4. What has ended stays ended. A revocation is taken back by nothing; a token that was revoked, or has expired, gets no
--    successor; and a rotation only brings an end nearer. A revocation that comes while a token is rotated ends that token;
--    its successor is a token of its own.
-- 5. A token has one successor at the most.
-- 6. A bound of a number of tokens holds whoever makes tokens at the same time, because they are counted under the lock.
-- 7. The audit is written in the transaction of what it tells: none is without the other. What is refused or does nothing
--    tells nothing here.
-- 8. A write that is sent again, because its outcome was not learned, does nothing more and answers as before.
--
-- 9. A tenant that is deleted has no credentials any more, and gets none: they end in the transaction that deletes it.
--
-- SQLSTATE AR101: no such tenant; AR102: it is there already; AR103: too many tokens; AR104: has a successor; AR105: no such
-- token, or it has ended; AR106: the audit is only added to;
-- AR107: too many revocations.

-- The number of the next row that is written, or the last of those of so many. The first call of a transaction waits for the
-- transaction before.
CREATE OR REPLACE FUNCTION next_change(p_rows bigint DEFAULT 1) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  made bigint;
BEGIN
  PERFORM need_read_committed();
  UPDATE identity_changes SET no = no + p_rows RETURNING no INTO made;
  RETURN made;
END
$$;

-- A row of the audit. Texts may come from anybody, and are cut.
CREATE OR REPLACE FUNCTION add_audit(p_act act, p_count bigint) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  INSERT INTO audit (at, actor_kind, actor_id, token_id, tenant, action, target, outcome, reason, request_id, source, count)
  VALUES (clock_timestamp(), left(p_act.actor_kind, 32), left(p_act.actor_id, 400), p_act.token_id, left(p_act.tenant, 63),
    left(p_act.action, 64), left(p_act.target, 300), left(p_act.outcome, 32), left(p_act.reason, 300), left(p_act.request_id, 128),
    left(p_act.source, 128), p_count);
END
$$;

-- Whether one more token of a tenant, or of the installation, may be made: of those that are in force and have no successor,
-- unless this one only takes the place of another, and of all that are kept. Behind next_change.
CREATE OR REPLACE FUNCTION check_room(p_tenant text, p_tokens_max integer, p_takes_place boolean) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  living bigint;
  kept bigint;
BEGIN
  SELECT count(*), count(*) FILTER (
      WHERE t.revoked_at IS NULL AND t.replaced_by IS NULL AND coalesce(t.expires_at, 'infinity') > clock_timestamp())
    INTO kept, living
  FROM tokens AS t WHERE coalesce(t.tenant, '') = coalesce(p_tenant, '');
  IF living >= p_tokens_max AND NOT p_takes_place THEN
    RAISE EXCEPTION 'there are % tokens, and % are allowed: revoke one that nobody needs', living, p_tokens_max
      USING ERRCODE = 'AR103';
  ELSIF kept >= p_tokens_max::bigint * 10 THEN
    RAISE EXCEPTION 'there are % tokens with those that have ended, and % are kept: wait until old ones are forgotten', kept,
      p_tokens_max::bigint * 10 USING ERRCODE = 'AR103';
  END IF;
END
$$;

-- Makes a token.
CREATE OR REPLACE FUNCTION create_token(
  p_token uuid, p_hash bytea, p_tenant text, p_name text, p_role text, p_scopes text[], p_sessions text[], p_workflows text[],
  p_hint text, p_created_by text, p_lifetime_s double precision, p_tokens_max integer, p_act act) RETURNS tokens
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  change bigint := next_change();
  moment timestamptz := clock_timestamp();
  made tokens;
BEGIN
  SELECT * INTO made FROM tokens WHERE token_id = p_token AND hash = p_hash;
  IF FOUND THEN
    RETURN made;
  END IF;
  IF p_tenant IS NOT NULL AND NOT EXISTS (SELECT 1 FROM tenants WHERE name = p_tenant AND erasure_id IS NULL) THEN
    RAISE EXCEPTION 'there is no tenant %', p_tenant USING ERRCODE = 'AR101';
  END IF;
  PERFORM check_room(p_tenant, p_tokens_max, false);
  INSERT INTO tokens (token_id, hash, tenant, name, role, scopes, sessions, workflows, hint, created_at, created_by, expires_at, change_no)
  VALUES (p_token, p_hash, p_tenant, p_name, p_role, p_scopes, p_sessions, p_workflows, p_hint, moment, left(p_created_by, 400),
    moment + make_interval(secs => p_lifetime_s), change)
  RETURNING * INTO made;
  PERFORM add_audit(p_act, 1);
  RETURN made;
END
$$;

-- Ends a token. One that was revoked before stays as it is, and nobody is told again. The audit tells it to its tenant,
-- whoever did it.
CREATE OR REPLACE FUNCTION revoke_token(p_token uuid, p_tenant text, p_act act) RETURNS void
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  change bigint := next_change();
BEGIN
  SELECT tenant INTO p_act.tenant FROM tokens WHERE token_id = p_token AND (p_tenant IS NULL OR tenant = p_tenant);
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no token %', p_token USING ERRCODE = 'AR105';
  END IF;
  UPDATE tokens SET revoked_at = clock_timestamp(), revoked_by = left(p_act.actor_id, 400), change_no = change
  WHERE token_id = p_token AND revoked_at IS NULL;
  IF FOUND THEN
    PERFORM add_audit(p_act, 1);
  END IF;
END
$$;

-- Gives a token a successor with its rights, which is made to live as long as it was, p_lifetime_s_max at the most; the token
-- itself ends soon. How long it was made to live still stands in it, because it has no successor yet. To access control lists
-- both are the same.
CREATE OR REPLACE FUNCTION rotate_token(
  p_token uuid, p_tenant text, p_new uuid, p_hash bytea, p_hint text, p_created_by text, p_lifetime_s_max double precision,
  p_overlap_s double precision, p_tokens_max integer, p_act act) RETURNS tokens
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  change bigint := next_change();
  moment timestamptz := clock_timestamp();
  old tokens;
  made tokens;
BEGIN
  SELECT * INTO old FROM tokens WHERE token_id = p_token AND (p_tenant IS NULL OR tenant = p_tenant);
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no token %', p_token USING ERRCODE = 'AR105';
  END IF;
  IF old.replaced_by = p_new THEN
    SELECT * INTO made FROM tokens WHERE token_id = p_new AND hash = p_hash;
    IF FOUND THEN
      RETURN made;
    END IF;
  END IF;
  IF old.revoked_at IS NOT NULL OR old.expires_at <= moment THEN
    RAISE EXCEPTION 'token % has ended: make a new one', p_token USING ERRCODE = 'AR105';
  ELSIF old.replaced_by IS NOT NULL THEN
    RAISE EXCEPTION 'token % has a successor, %', p_token, old.replaced_by USING ERRCODE = 'AR104';
  END IF;
  PERFORM check_room(old.tenant, p_tokens_max, true);
  UPDATE tokens SET replaced_by = p_new, change_no = change,
    expires_at = least(old.expires_at, moment + make_interval(secs => p_overlap_s))
  WHERE token_id = p_token;
  INSERT INTO tokens (token_id, hash, tenant, name, role, scopes, sessions, workflows, hint, created_at, created_by, expires_at, change_no,
    subject_id)
  VALUES (p_new, p_hash, old.tenant, old.name, old.role, old.scopes, old.sessions, old.workflows, p_hint, moment, left(p_created_by, 400),
    moment + least(old.expires_at - old.created_at, make_interval(secs => p_lifetime_s_max)), next_change(),
    coalesce(old.subject_id, old.token_id))
  RETURNING * INTO made;
  p_act.tenant := old.tenant;
  PERFORM add_audit(p_act, 1);
  RETURN made;
END
$$;

-- Ends every token that is in force, of a database that has forgotten revocations; how many. The audit counts them in one row.
-- Logins end with them.
CREATE OR REPLACE FUNCTION revoke_all_tokens(p_act act) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  change bigint := next_change();
  moment timestamptz := clock_timestamp();
  due uuid[] := ARRAY(SELECT token_id FROM tokens WHERE revoked_at IS NULL AND coalesce(expires_at, 'infinity') > moment);
BEGIN
  PERFORM revoke_all_logins();
  IF cardinality(due) = 0 THEN
    RETURN 0;
  END IF;
  PERFORM next_change(cardinality(due));
  FOR nth IN 1 .. cardinality(due) LOOP -- one by one: a join may go through all tokens for each of them
    UPDATE tokens SET revoked_at = moment, revoked_by = left(p_act.actor_id, 400), change_no = change + nth WHERE token_id = due[nth];
  END LOOP;
  PERFORM add_audit(p_act, cardinality(due));
  RETURN cardinality(due);
END
$$;

-- Ends access tokens of a subject of an issuer that were issued by now: they have all ended by themselves after p_lifetime_s,
-- until when this is kept. One that was asked for before is moved on. The subject's logins end, too.
CREATE OR REPLACE FUNCTION revoke_subject(
  p_issuer text, p_subject text, p_lifetime_s double precision, p_revocations_max integer, p_act act)
RETURNS TABLE (revoked_before timestamptz, kept_until timestamptz) LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  change bigint := next_change();
  moment timestamptz := clock_timestamp();
  until timestamptz := moment + make_interval(secs => p_lifetime_s);
  login bytea;
BEGIN
  IF (SELECT count(*) FROM revocations AS r WHERE r.expires_at > moment AND (r.issuer, r.subject) <> (p_issuer, p_subject)) >= p_revocations_max THEN
    RAISE EXCEPTION 'there are % revocations, and so many are allowed (AUTH_REVOCATIONS_MAX)', p_revocations_max USING ERRCODE = 'AR107';
  END IF;
  INSERT INTO revocations AS r (issuer, subject, tenant, before, expires_at, change_no) VALUES (p_issuer, p_subject, '', moment, until, change)
  ON CONFLICT (issuer, subject, tenant) DO UPDATE
  SET before = moment, expires_at = greatest(r.expires_at, until), change_no = change
  RETURNING r.before, r.expires_at INTO revoked_before, kept_until;
  FOR login IN SELECT hash FROM logins WHERE subject = p_issuer || '|' || p_subject AND revoked_at IS NULL ORDER BY hash LOOP
    PERFORM end_login(login, next_change());
  END LOOP;
  PERFORM add_audit(p_act, 1);
  RETURN NEXT;
END
$$;

-- Forgets revocations of which nothing is left that they are about; how many. Gateways have forgotten them by then, too.
CREATE OR REPLACE FUNCTION purge_revocations(p_role text, p_term bigint, p_limit integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' SET enable_seqscan = off AS $$
DECLARE
  gone integer;
BEGIN
  PERFORM hold_term(p_role, p_term);
  DELETE FROM revocations WHERE ctid = ANY (ARRAY(
    SELECT r.ctid FROM revocations AS r WHERE r.expires_at < now() - interval '1 hour'
    ORDER BY r.expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END
$$;

-- Notes when tokens were last used, once in five minutes for each. A row that somebody is writing to is passed over.
CREATE OR REPLACE FUNCTION touch_tokens(p_tokens uuid[], p_used_at timestamptz[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  FOR nth IN 1 .. cardinality(p_tokens) LOOP
    PERFORM 1 FROM tokens
    WHERE token_id = p_tokens[nth] AND (last_used_at IS NULL OR last_used_at < p_used_at[nth] - interval '5 minutes')
    FOR NO KEY UPDATE SKIP LOCKED;
    IF FOUND THEN
      UPDATE tokens SET last_used_at = p_used_at[nth] WHERE token_id = p_tokens[nth];
    END IF;
  END LOOP;
END
$$;

-- Makes a tenant. p_keys_known_s: for how long a process may have in memory, and seal with, what keys a tenant of this name had:
-- what they sealed for the new one nobody could open, once that memory has ended.
CREATE OR REPLACE FUNCTION create_tenant(p_name text, p_keys_known_s double precision, p_act act) RETURNS tenants LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  change bigint := next_change();
  made tenants;
BEGIN
  INSERT INTO tenants (name, created_at, change_no) VALUES (p_name, clock_timestamp(), change)
  ON CONFLICT (name) DO NOTHING RETURNING * INTO made;
  IF NOT FOUND THEN
    RAISE EXCEPTION '%', CASE WHEN EXISTS (SELECT 1 FROM tenants WHERE name = p_name AND erasure_id IS NOT NULL)
      THEN 'the tenant ' || p_name || ' is being deleted: it can be made again when its erasure is done'
      ELSE 'there is a tenant ' || p_name || ' already' END USING ERRCODE = 'AR102';
  END IF;
  IF EXISTS (SELECT 1 FROM tenant_keys WHERE tenant = p_name AND destroyed_at > now() - make_interval(secs => p_keys_known_s)) THEN
    RAISE EXCEPTION '%', 'the keys of a tenant ' || p_name || ' were destroyed lately, and processes may still have them: its name is '
      || 'free after PAYLOAD_KEYS_CACHE_S and PAYLOAD_KEYS_STALE_S_MAX' USING ERRCODE = 'AR102';
  END IF;
  PERFORM add_audit(p_act, 1);
  RETURN made;
END
$$;

-- Lets a tenant be active or suspended. One that is so stays as it is.
CREATE OR REPLACE FUNCTION set_tenant_state(p_name text, p_state text, p_act act) RETURNS tenants
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  change bigint := next_change();
  made tenants;
BEGIN
  UPDATE tenants SET state = p_state, change_no = change WHERE name = p_name AND erasure_id IS NULL AND state <> p_state
  RETURNING * INTO made;
  IF FOUND THEN
    PERFORM add_audit(p_act, 1);
    RETURN made;
  END IF;
  SELECT * INTO made FROM tenants WHERE name = p_name AND erasure_id IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no tenant %', p_name USING ERRCODE = 'AR101';
  END IF;
  RETURN made;
END
$$;

-- Gives a tenant limits of its own: those of p_change, an object; a null in it takes one away, and others stay. One that has
-- them stays as it is.
CREATE OR REPLACE FUNCTION set_tenant_limits(p_name text, p_change text, p_act act) RETURNS tenants
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  change bigint := next_change();
  made tenants;
  wanted jsonb;
BEGIN
  SELECT * INTO made FROM tenants WHERE name = p_name AND erasure_id IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no tenant %', p_name USING ERRCODE = 'AR101';
  END IF;
  wanted := jsonb_strip_nulls(coalesce(made.limits, '{}') || p_change::jsonb);
  IF wanted = coalesce(made.limits, '{}') THEN
    RETURN made;
  END IF;
  UPDATE tenants SET limits = wanted, change_no = change WHERE name = p_name RETURNING * INTO made;
  PERFORM add_audit(p_act, 1);
  RETURN made;
END
$$;

-- Ends the credentials of a tenant that were made up to a moment: tokens, with which logins end that were made with them, and
-- logins of an issuer's users, also if they are for other tenants, too. The caller has begun with next_change.
CREATE OR REPLACE FUNCTION end_credentials_of(p_tenant text, p_through timestamptz, p_by text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  due uuid[] := ARRAY(
    SELECT token_id FROM tokens WHERE coalesce(tenant, '') = p_tenant AND created_at <= p_through AND revoked_at IS NULL ORDER BY token_id);
  login bytea;
BEGIN
  FOR nth IN 1 .. cardinality(due) LOOP
    UPDATE tokens SET revoked_at = moment, revoked_by = left(p_by, 400), change_no = next_change() WHERE token_id = due[nth];
  END LOOP;
  FOR login IN SELECT hash FROM logins WHERE p_tenant = ANY (tenants) AND created_at <= p_through AND revoked_at IS NULL ORDER BY hash LOOP
    PERFORM end_login(login, next_change());
  END LOOP;
END
$$;

-- Deletes a tenant: nobody is let in for it from now on, and an erasure forgets what it has, once nothing more can come that
-- was let in before (p_late_s from now). Access tokens that name it and were issued before are good no more, also when there is
-- a tenant of this name again; they have ended by themselves after p_lifetime_s. Answer: the erasure; of one that is being
-- deleted, the one that does.
CREATE OR REPLACE FUNCTION delete_tenant(
  p_name text, p_erasure uuid, p_lane text, p_digest bytea, p_late_s double precision, p_lifetime_s double precision, p_act act) RETURNS uuid
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  change bigint := next_change();
  moment timestamptz := clock_timestamp();
  begun uuid;
BEGIN
  SELECT coalesce(erasure_id, p_erasure) INTO begun FROM tenants WHERE name = p_name;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no tenant %', p_name USING ERRCODE = 'AR101';
  ELSIF begun <> p_erasure THEN
    RETURN begun;
  END IF;
  UPDATE tenants SET state = 'suspended', erasure_id = p_erasure, change_no = change WHERE name = p_name AND erasure_id IS NULL;
  IF FOUND THEN
    PERFORM end_credentials_of(p_name, 'infinity', p_act.actor_id);
    INSERT INTO revocations AS r (issuer, subject, tenant, before, expires_at, change_no)
    VALUES ('', '', p_name, moment, moment + make_interval(secs => p_lifetime_s), next_change())
    ON CONFLICT (issuer, subject, tenant) DO UPDATE SET before = moment, expires_at = EXCLUDED.expires_at, change_no = EXCLUDED.change_no;
    INSERT INTO erasures (erasure_id, tenant, lane, kind, target_digest, through_at, fenced_at)
    VALUES (p_erasure, p_name, p_lane, 'tenant', p_digest, 'infinity', moment + make_interval(secs => p_late_s));
    PERFORM add_audit(p_act, 1);
  END IF;
  RETURN p_erasure;
END
$$;

-- Forgets who a tenant was, at the end of its erasure: of its tokens stays what tells a gateway that was away for long that they
-- have ended, until retention, and they are nobody's. A tenant that is deleted is not there any more; another one keeps its name.
CREATE OR REPLACE FUNCTION forget_identity(p_erasure uuid) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  e record;
  change bigint := next_change();
  n bigint;
BEGIN
  SELECT * INTO e FROM erasures WHERE erasure_id = p_erasure;
  PERFORM end_credentials_of(e.tenant, e.through_at, '-');
  UPDATE tokens SET tenant = '-', name = '', role = NULL, scopes = '{}', sessions = NULL, workflows = NULL, hint = '', created_by = '',
    revoked_by = '-', last_used_at = NULL, subject_id = NULL
  WHERE coalesce(tenant, '') = e.tenant AND created_at <= e.through_at;
  GET DIAGNOSTICS n = ROW_COUNT;
  PERFORM count_erased(p_erasure, 'postgres', 'tokens', n);
  UPDATE logins SET subject = '', tenants = array_remove(tenants, e.tenant), tenant = NULL
  WHERE e.tenant = ANY (tenants) AND created_at <= e.through_at;
  IF e.fenced_at IS NOT NULL THEN
    PERFORM destroy_tenant_keys(e.tenant);
    DELETE FROM tenants WHERE name = e.tenant AND erasure_id = p_erasure;
  END IF;
  PERFORM add_audit(ROW('role', 'erase', NULL, e.tenant, 'tenant.erased', p_erasure::text, 'done', '', '', '')::act, 1);
  IF e.fenced_at IS NOT NULL THEN
    DELETE FROM limit_levels WHERE tenant = e.tenant;
    DELETE FROM limit_streams WHERE tenant = e.tenant;
  END IF;
END
$$;

-- Forgets tokens that ended long ago; how many. One that somebody is writing to has its turn later.
CREATE OR REPLACE FUNCTION purge_tokens(p_role text, p_term bigint, p_age_s double precision, p_limit integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' SET enable_seqscan = off AS $$
DECLARE
  due uuid[];
BEGIN
  PERFORM hold_term(p_role, p_term);
  due := ARRAY(
    SELECT token_id FROM tokens WHERE least(revoked_at, expires_at) < now() - make_interval(secs => p_age_s)
    ORDER BY least(revoked_at, expires_at) LIMIT p_limit FOR UPDATE SKIP LOCKED);
  DELETE FROM tokens WHERE token_id = ANY (due);
  RETURN cardinality(due);
END
$$;

-- Deletes rows of the audit that are old, the oldest first; how many. NULL: this role of the database may not.
CREATE OR REPLACE FUNCTION purge_audit(p_role text, p_term bigint, p_age_s double precision, p_limit integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' SET enable_seqscan = off AS $$
DECLARE
  gone integer;
BEGIN
  PERFORM hold_term(p_role, p_term);
  -- Not a SET of the function: only a superuser may make one of a name that Postgres does not know.
  PERFORM set_config('argosy.purges_audit', 'on', true);
  DELETE FROM audit WHERE no = ANY (ARRAY(
    SELECT no FROM audit WHERE at < now() - make_interval(secs => p_age_s) ORDER BY at LIMIT p_limit));
  GET DIAGNOSTICS gone = ROW_COUNT;
  PERFORM set_config('argosy.purges_audit', '', true);
  RETURN gone;
EXCEPTION WHEN insufficient_privilege THEN
  RETURN NULL;
END
$$;

-- A row stays as it was written. Only retention deletes one, which says so for its transaction.
CREATE OR REPLACE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND current_setting('argosy.purges_audit', true) = 'on' THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'the audit is only added to: % is refused', TG_OP USING ERRCODE = 'AR106';
END
$$;
CREATE OR REPLACE TRIGGER audit_is_kept BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION keep_audit();
CREATE OR REPLACE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION keep_audit();
