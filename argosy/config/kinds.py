"""Kinds of values that settings have."""

import json
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from argosy.address import bare_host, shard_target

_LEVELS: Final = {"warn": "warning", "critical": "error", "fatal": "error", "notset": "debug", "trace": "debug"}


def _level(value: Any) -> Any:
    """Return the name of a log level as `log_level` has it: in lower case, common other names replaced."""
    if not isinstance(value, str):
        return value
    lower = value.strip().lower()
    return _LEVELS.get(lower, lower)


def _split(value: Any) -> Any:
    """Split the value of a list setting, which is a JSON list or a comma-separated string."""
    if isinstance(value, str):
        value = value.strip()
        if value.startswith("["):
            return json.loads(value)
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def from_json(value: Any, empty: Any, example: str) -> Any:
    """Return what the text of a JSON setting says; `empty` for an empty one, and what is no text as it is. example:
    shown with what is wrong. Raises ValueError.
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value.strip() else empty
    except ValueError as error:
        raise ValueError(f"must be JSON, as {example}: {error}") from None


StringList = Annotated[tuple[str, ...], BeforeValidator(_split)]
Endpoints = Annotated[tuple[Annotated[str, AfterValidator(shard_target)], ...], BeforeValidator(_split)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_split)]
Host = Annotated[str, AfterValidator(bare_host)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_level)]
SECRET: Final = {"secret": True}  # marks the field of a secret
Secret = Annotated[str, Field(repr=False, json_schema_extra=SECRET)]
