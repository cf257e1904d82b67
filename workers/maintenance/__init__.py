"""Maintenance: what a fleet does once, not in every worker. One file per role; leader.py elects, main.py runs all."""
