"""Maintenance: what the fleet does once, not per worker. One file per role; leader.py elects, main.py joins them."""
