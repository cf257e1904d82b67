"""Ingest, as clients see it: uploads become records in the log, and jobs are shown."""
