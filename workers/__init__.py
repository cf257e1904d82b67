"""The processes that do the work. `dispatch` runs turns."""
