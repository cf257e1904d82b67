"""The text of what a graph's nodes have: the strings in JSON, however deep. Pure."""

from typing import Any

from argosy.graph.acl import PROPERTY


def strings_of_props(props: dict[str, Any], length_max: int) -> str:
    """Return the strings in a node's props, as `strings_of` does, without those of its access control list."""
    return strings_of({key: value for key, value in props.items() if key != PROPERTY}, length_max)


def strings_of(value: Any, length_max: int) -> str:
    """Return the strings in a JSON value in their order, a line each: the first length_max characters of them. The
    keys of objects are left out.
    """
    found: list[str] = []
    left: list[Any] = [value]
    while left and length_max > 0:
        each = left.pop()
        if isinstance(each, str):
            found.append(each[:length_max])
            length_max -= len(each) + 1
        elif isinstance(each, dict):
            left.extend(reversed(each.values()))
        elif isinstance(each, list | tuple):
            left.extend(reversed(each))
    return "\n".join(found)
