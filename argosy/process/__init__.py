"""Processes that Argosy starts and that end with it, even when it is killed -9.

guard.py stands between Argosy and a foreign program (Postgres, a broker); parent.py is how a child that is Argosy
itself notices that its parent is gone; child.py starts and stops both;
restart.py says when who ended by himself is started again.
"""
