"""How a graph looks in kglite, and how what kglite answers looks to the caller. Pure.

kglite gives some keys a meaning of its own: n.name and n.title are two names of one thing, n.type, n.label and
n.node_type are the label where a node has no such property, and a map with `labels` and `properties` cannot be told
from a node. Its patterns know keys of ASCII only. So such a key is kept under another name, which ends with a mark: in
nodes, in edges, in parameters and in maps at any depth. The query is written anew with the same names
(`rewriting.py`), and answers have the true ones again.

- Queries make texts of keys: keys(n), toString(n). So names are looked for in every text of an answer, and the mark is
  one that no text has by chance or on purpose: each process draws its own.
- n.id is the node's id, and so is `id` in n {.*}, keys(n) and properties(n). A property of that name is seen in the
  node as a whole.
- A property that is null is, in Cypher, one that is not there.
- What lies deeper than DEPTH_MAX lists and maps is seen as its text in JSON: kglite takes no more.
- Whole nodes and edges are answered as operations have them: {"id", "label", "props"}, {"src", "type", "dst", "props"};
  a path as {"nodes", "edges"}; dates and times as text (ISO 8601). A number that is not finite is answered as null.
"""

import math
import os
import re
from collections.abc import Callable, Collection
from datetime import date, time
from functools import lru_cache
from typing import Any, Final

import msgspec

MARK: Final = f"_{os.urandom(8).hex()}"
DEPTH_MAX: Final = 32
_OWN: Final = ("label", "name", "node_type", "properties", "relationships", "title", "type")
_SHORT: Final = 64  # characters: longer keys are rare, and would fill the memory of the cache
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_HIDDEN: Final = re.compile(rf"(?:(id|{'|'.join(_OWN)})|[ku]((?:[0-9a-f][0-9a-f])*)){MARK}")
_ID_PROPERTY: Final = "id" + MARK
_VIRTUAL: Final = frozenset(("id", "title", "type"))  # what kglite adds to a node's properties

IdOf = Callable[[int], str]


def is_plain(name: str) -> bool:
    """Return whether kglite takes a name as it is, wherever it stands."""
    return _PLAIN.fullmatch(name) is not None and not name.endswith(MARK)


def hidden_key(key: str) -> str:
    """Return a key as kglite has it: no two in the same way."""
    return _hidden_short_key(key) if len(key) < _SHORT else _hidden_key(key)


def _hidden_key(key: str) -> str:
    return key + MARK if key in _OWN else hidden_name(key)


_hidden_short_key: Final = lru_cache(4_096)(_hidden_key)  # a graph has few keys, many times


def hidden_name(name: str) -> str:
    """Return the name of a variable, a column or a parameter as kglite has it."""
    return name if is_plain(name) else f"u{name.encode(errors='surrogatepass').hex()}{MARK}"


def hidden_param(name: str) -> str:
    """Return the name of a parameter whose value is a key, beside that of the parameter as it is."""
    return f"k{name.encode(errors='surrogatepass').hex()}{MARK}"


def true_key(key: str) -> str:
    """Return the key that kglite has under this name."""
    return _true(match) if key.endswith(MARK) and (match := _HIDDEN.fullmatch(key)) else key


def _true(match: re.Match[str]) -> str:
    return match[1] or bytes.fromhex(match[2]).decode(errors="replace")


def node_props(props: dict[str, Any]) -> dict[str, Any]:
    """Return a node's properties as kglite has them, without the id, which is set beside them."""
    return {_ID_PROPERTY if key == "id" else hidden_key(key): hidden(value, 1) for key, value in props.items()}


def hidden(value: Any, depth: int = 0) -> Any:
    """Return a value (an edge's properties, a parameter) as kglite has it."""
    if not isinstance(value, dict | list):
        return value
    if depth == DEPTH_MAX:
        return msgspec.json.encode(value).decode()
    if isinstance(value, list):
        return [hidden(each, depth + 1) for each in value]
    return {
        hidden_key(key): hidden(each, depth + 1) if isinstance(each, dict | list) else each
        for key, each in value.items()
    }


def answered(value: Any, id_of: IdOf) -> Any:
    """Return a value of kglite as the caller gets it. id_of: the id of the node with a number of kglite's."""
    if isinstance(value, str):
        return answered_text(value)
    if isinstance(value, list | tuple):
        return [answered(each, id_of) for each in _without_id_property(value)]
    if isinstance(value, dict):
        return _answered_map(value, id_of)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, date | time):
        return value.isoformat()
    return value


def _answered_map(value: dict[str, Any], id_of: IdOf) -> dict[str, Any]:
    if "properties" in value and "labels" in value:
        inner = value["properties"]
        props = {key: each for key, each in inner.items() if key not in _VIRTUAL and key != _ID_PROPERTY}
        if _ID_PROPERTY in inner:
            props["id"] = inner[_ID_PROPERTY]
        return {"id": inner["id"], "label": value["labels"][0], "props": _answered_map(props, id_of)}
    if "properties" in value and "start" in value:
        props = _answered_map(value["properties"], id_of)
        return {"src": id_of(value["start"]), "type": value["type"], "dst": id_of(value["end"]), "props": props}
    if "relationships" in value and "nodes" in value:
        nodes, edges = value["nodes"], value["relationships"]
        return {"nodes": [answered(each, id_of) for each in nodes], "edges": [answered(each, id_of) for each in edges]}
    return {true_key(key): answered(value[key], id_of) for key in _without_id_property(value)}


def _without_id_property(keys: Collection[Any]) -> Collection[Any]:
    """Return keys without that of a property named id where the node's id is among them."""
    if _ID_PROPERTY in keys and "id" in keys:
        return [key for key in keys if key != _ID_PROPERTY]
    return keys


def answered_text(text: str) -> str:
    """Return a text of kglite (of a value, a column or a message) with the true names."""
    return _HIDDEN.sub(_true, text) if MARK in text else text
