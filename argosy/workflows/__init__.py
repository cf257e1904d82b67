"""Workflows that ship with Argosy: every worker can run them."""
