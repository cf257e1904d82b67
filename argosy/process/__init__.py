"""What every process of Argosy does for itself: forks of user code (fork.py), noticing that its parent is
gone (parent.py), its end (ending.py, exiting.py), its probes (ops_server.py), and its limits (garbage.py,
open_files.py).
"""
