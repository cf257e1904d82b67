"""deploy/compose.yaml as data: its services, and the environment that a container of one gets."""

import re
from functools import cache
from typing import Any, Final

import yaml
from dotenv import dotenv_values

from tests.deploy.rules_files import ROOT

DEPLOY: Final = ROOT / "deploy"
RUNGS: Final = ("b", "c", "d", "e")
# What an operator has to give, as the file says by `:?`, and what is needed of that only where it is used.
GIVEN: Final = {
    "GRAPH_SERVICE_AUTH_SECRET": "s" * 64,
    "ADMIN_TOKEN": "t" * 64,
    "POSTGRES_PASSWORD": "p" * 64,
}
_VARIABLE: Final = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\}")


@cache
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    return found


def own() -> dict[str, dict[str, Any]]:
    """The services that are processes of Argosy."""
    return {name: service for name, service in services().items() if "env_file" in service}


def filled(text: str, given: dict[str, str]) -> str:
    """Return the text with its variables filled in as Compose does. Raises KeyError for one that must be given."""

    def value(found: re.Match[str]) -> str:
        name, kind = found["name"], found["kind"]
        if given.get(name):
            return given[name]
        if kind == "-":
            return found["text"]
        raise KeyError(name)

    return _VARIABLE.sub(value, text).replace("$$", "$")


def environment(name: str, rung: str) -> dict[str, str]:
    """Return what a container of this service has in its environment on this rung."""
    service, given = services()[name], {**GIVEN, "COMPOSE_PROFILES": rung}
    values: dict[str, str] = {}
    for file in service.get("env_file", ()):
        path = DEPLOY / filled(file, given)
        values |= {key: value or "" for key, value in dotenv_values(path, interpolate=False).items()}
    return values | {key: filled(str(value), given) for key, value in service.get("environment", {}).items()}
