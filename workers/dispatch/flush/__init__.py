"""Flushing: what all turns of a worker want written goes out as one group commit at a time."""
