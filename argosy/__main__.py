"""`python -m argosy` is the command line."""

from argosy.cli import main

main()
