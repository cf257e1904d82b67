"""Decide, in memory, which turn starts next, and page in from Postgres what memory needs for that."""
