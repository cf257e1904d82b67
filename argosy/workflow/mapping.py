"""Mappings, which users write: they make operations on a graph of the records of a topic (INGEST_TOPICS).

    @argosy.mapping
    def orders(key: str | None, value: Any, record: argosy.TopicRecord) -> dict | list[dict] | None:
        if value is None:  # deleted
            return {"op": "delete_node", "id": key}
        return {"op": "upsert_node", "id": key, "label": "Order", "props": {"total": value["total"]}}

Rules:
- It is a plain function, and runs in a thread. `key` is text, `value` what its JSON says; both may be None.
- It returns one operation, several, which are done together or not at all, or None for a record that means nothing.
- What it raises makes the record a reject.
- Each record takes effect once. But a mapping may be called more than once for a record: it should change nothing.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, TypeVar

_MARK: Final = "__argosy_mapping__"


class TopicRecord(NamedTuple):
    """A record as it stands in the topic. timestamp_ms: Unix milliseconds, of its sender or of the broker."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


Mapping = Callable[[str | None, Any, TopicRecord], dict[str, Any] | Iterable[dict[str, Any]] | None]

_F = TypeVar("_F", bound=Callable[..., Any])


def mapping(function: _F) -> _F:
    """Mark a function as one that INGEST_TOPICS may name. Raises TypeError for one that is async."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"a mapping is a plain function, and {function.__qualname__} is async")
    setattr(function, _MARK, True)
    return function


def is_mapping(function: Any) -> bool:
    """Whether INGEST_TOPICS may name this."""
    return callable(function) and getattr(function, _MARK, False) is True
