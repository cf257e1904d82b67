"""Measures what a turn costs, next to the floor, in one run on one machine: `make bench`, `python -m bench`."""
