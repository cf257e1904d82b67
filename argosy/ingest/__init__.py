"""Ingest: lines that are uploaded or read from a topic, and applied to a graph exactly once. Pure."""
