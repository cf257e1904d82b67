"""Processes that Argosy starts and that end when it ends, even by kill -9.

child.py starts and stops them. guard.py runs between Argosy and a foreign program (Postgres, a broker), and ends the
program when Argosy is gone; with parent.py a child that is an Argosy process itself notices that its parent is gone.
restart.py says when a process that ended by itself is started again. fork.py is about the forks of user code, ending.py
and exiting.py about the end of this process.
"""
