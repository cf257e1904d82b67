"""What this worker may read and write: claims, and what is left to and taken from other owners."""
