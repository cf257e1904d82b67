"""Turns whose workflow their owner lacks: they wait, or run at a worker that has it. docs/architecture.md, "Builds"."""
