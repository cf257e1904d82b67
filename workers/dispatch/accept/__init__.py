"""Accepting: records of the log become turns in Postgres."""
