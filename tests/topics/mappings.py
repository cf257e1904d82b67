"""Mappings of tests, as users write them."""

import threading
from typing import Any

import argosy

go_on = threading.Event()  # lets `stuck` go on


@argosy.mapping
def orders(key: str | None, value: Any, record: argosy.TopicRecord) -> dict[str, Any] | list[dict[str, Any]] | None:
    if value is None:
        return {"op": "delete_node", "id": key}
    if value.get("kind") == "note":
        return None
    order = {"op": "upsert_node", "id": key, "label": "Order", "props": {"total": value["total"]}}
    if (customer := value.get("customer")) is None:
        return order
    return [
        order,
        {"op": "upsert_node", "id": customer, "label": "Customer"},
        {"op": "upsert_edge", "src": customer, "type": "PLACED", "dst": key},
    ]


@argosy.mapping
def counted(key: str | None, value: Any, record: argosy.TopicRecord) -> dict[str, Any]:
    """Every record makes a node of its own: one that is there already shows that a record took effect twice."""
    node = f"{record.partition}/{record.offset}"
    return {"op": "upsert_node", "id": node, "label": "Record", "props": {"n": value["n"]}, "if_absent": True}


@argosy.mapping
def stuck(key: str | None, value: Any, record: argosy.TopicRecord) -> dict[str, Any]:
    go_on.wait(60)
    return {"op": "upsert_node", "id": key, "label": "Order"}


def unmarked(key: str | None, value: Any, record: argosy.TopicRecord) -> None:
    return None
