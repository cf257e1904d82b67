-- Which jobs a turn started: their keys begin with its id (argosy/workflow/ingest.py). An erasure asks.
CREATE INDEX ingest_jobs_of_turn ON ingest_jobs (tenant, left(idempotency_key, 37));
