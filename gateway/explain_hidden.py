"""Explanations for those who may not see the fleet: they name no worker. Pure."""

from typing import Any

from argosy.gateway.verdict import Verdict
from argosy.store.turn import TurnFacts


def without_workers(verdict: Verdict, facts: TurnFacts) -> Verdict:
    """Return the verdict on a turn without the ids of workers, which stand in its words and details."""
    runner = "" if facts.runner is None else facts.runner.partition("/")[0]
    ids = {str(each) for each in (facts.owner, facts.lent_to, *facts.able) if each is not None} | ({runner} - {""})
    why = verdict.why
    for each in ids:
        why = why.replace(f"worker {each}", "a worker").replace(f" {each}", "")
    return verdict._replace(why=why, details={name: _hidden(value, ids) for name, value in verdict.details.items()})


def _hidden(value: Any, ids: set[str]) -> Any:
    """Return a detail, or null where it names a worker; of a list, how long it is."""
    if isinstance(value, list) and any(str(each) in ids for each in value):
        return len(value)
    return None if str(value) in ids else value
