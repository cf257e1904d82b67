-- Roles of an issuer's users in their logins: argosy/gateway/logins.py.

-- By which access control lists know the user; of logins with a token, which has roles of its own, none.
ALTER TABLE logins ADD COLUMN roles text[] NOT NULL DEFAULT '{}';
