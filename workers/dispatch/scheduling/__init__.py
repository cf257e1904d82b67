"""Which turn starts next: in memory, paged in from Postgres."""
