"""Workflows that ship with Argosy. Every worker can run them."""
