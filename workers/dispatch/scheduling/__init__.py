"""Decides which turn starts next, in memory, and pages in from Postgres what memory needs for that."""
