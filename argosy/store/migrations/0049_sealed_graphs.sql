-- Graphs whose props are sealed: argosy/graph/sealing.py.

-- What their values are bound to, for as long as the graph lives, wherever it is; NULL: the graph is not sealed.
ALTER TABLE graphs ADD COLUMN sealed_as uuid;
