"""A turn runs: the code, its steps, what is recorded of them, and what a crash means for it."""
