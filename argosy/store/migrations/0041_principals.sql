-- Who posted a turn, as a gateway found out: JSON (argosy/identity/turn_principal.py). NULL: it is not known, of a turn that came
-- by way of a process of the version before. A turn that another turn starts has its parent's.
ALTER TABLE turns ADD COLUMN created_by bytea;
ALTER TABLE starts ADD COLUMN created_by bytea;
