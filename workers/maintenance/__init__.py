"""Maintenance: what a fleet does once, and not in every worker. One file per role; leader.py elects, main.py
runs all.
"""
