"""`make bench`: what one turn costs, side by side with the floor, in one run on one machine. `python -m bench --help`."""
