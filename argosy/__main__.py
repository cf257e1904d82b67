"""`python -m argosy` runs the command line."""

from argosy.cli import main

main()
