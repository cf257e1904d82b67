"""What this worker may read and write: its claims, and hand-overs of partitions to and from other owners."""
