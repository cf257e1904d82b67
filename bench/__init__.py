"""What one turn costs, side by side with the floor, in one run on one machine: `make bench`, `python -m bench`."""
