"""Running a turn: its code, its steps, what is recorded of them, and what a crash means for it."""
