"""What Argosy starts on this machine: `argosy up` (up.py), `argosy.Argosy` (in_process.py, fleet.py), their Postgres
and broker.

Processes that Argosy starts end when it ends, even by kill -9. child.py starts and stops them. guard.py runs between
Argosy and a foreign program (Postgres, a broker), and ends the program when Argosy is gone; a child that is an Argosy
process notices it by itself (argosy/process/parent.py). supervisor.py starts again what ended by itself;
processes.py has the commands.
"""
